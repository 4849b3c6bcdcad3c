package cluster

import (
	"testing"

	"github.com/fireflyrt/firefly/actors"
)

func TestAMoveOfALostShardDoesNotCloseTheDoorOfTheNextTenure(t *testing.T) {
	t.Parallel()
	w := newVoyage(t, 1)
	w.registry.coordinator = 999
	a, b := w.join("game-1", "game"), w.join("game-2", "game")
	w.settleIn(a, b)
	news := func(change func(*Assignment)) {
		r := *a.n.record
		r.Revision++
		next := r.Roles["game"].clone()
		change(next)
		r.Roles = map[string]*Assignment{"game": next.dated(r.Revision)}
		a.n.Changed(&r)
	}
	news(func(next *Assignment) {
		next.intend(Intent{Shard: 0, Name: b.name, Incarnation: b.n.self.Incarnation})
	})
	if len(a.n.tenancy.moves) != 1 {
		t.Fatal("no move began")
	}
	news(func(next *Assignment) { // it was taken for dead, and got the shard back; the move has not closed the door yet
		next.abandon(0)
		next.Owners[0] = Owner{Name: a.name, Incarnation: a.n.self.Incarnation, Epoch: 3, Root: 3}
	})
	w.time.Settle()
	if !a.n.tenancy.door("game", 0).isOpen() || len(a.n.tenancy.at) > 0 {
		t.Error("the door is closed, and there is no tenure to wait at")
	}
	for _, h := range w.crews {
		h.n.Close()
	}
}

func TestQuestionsThatAreOverDoNotStandBehindOneThatIsNot(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	gate := w.join("gate-1", "gate")
	var q questions
	for i := range uint64(100) {
		e := request(gate, "ann", i+1)
		if i == 0 {
			e.Deadline = w.now.Add(1e12).UnixNano()
		}
		q.add(e, 1, w.now)
	}
	q.expire(w.now.Add(questionFor), 50)
	if len(q.open) != 1 {
		t.Errorf("%d questions are open", len(q.open))
	}
	if !q.close(&actors.Envelope{To: request(gate, "ann", 1).Session, Request: 1}) {
		t.Error("the one that has time was forgotten")
	}
}
