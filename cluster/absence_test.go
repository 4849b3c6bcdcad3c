package cluster

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// push is one of several messages to a session at a node.
func push(to *node, n int) *actors.Envelope {
	return &actors.Envelope{Type: actors.Message, To: request(to, "", 1).Session, Number: uint32(n) + 100}
}

// told is one of several messages to a node itself.
func told(to *node, n int) *actors.Envelope {
	return &actors.Envelope{Type: actors.Message, To: actors.NodeKind.Ref(to.name), Number: uint32(n) + 100}
}

func TestAPeerThatWasAwayForLongIsUnderstoodAgain(t *testing.T) {
	w, gate, one, _ := trio(t, 24)
	for i := range 3 {
		one.Route(push(gate, i))
		gate.Route(told(one, i))
		w.advance(time.Second) // each is acknowledged
	}
	w.registry.Cut(one.Self().Incarnation, true) // its links are as they were
	w.advance(absentFor + 2*DefaultLease)
	w.join("gate-2", "gate") // news, by which the others look who is there
	one.Route(push(gate, 3))
	w.advance(time.Second)
	w.registry.Cut(one.Self().Incarnation, false)
	w.advance(3 * time.Second)
	one.Route(push(gate, 4))
	gate.Route(told(one, 3))
	w.advance(3 * time.Second)
	wantInOrder(t, gate.take(), 5)
	wantInOrder(t, one.take(), 4)
}

func TestNoMoveWaitsForTheDead(t *testing.T) {
	t.Parallel()
	w := newVoyage(t, 1)
	w.registry.coordinator = 999
	gate, a, b := w.join("gate-1", "gate"), w.join("game-1", "game"), w.join("game-2", "game")
	w.settleIn(a, b)
	gate.die() // and nobody says so
	a.n.Route(push(&node{Cluster: gate.n, name: "gate-1"}, 0))
	w.time.Advance(silence + pingEvery)
	w.intend(0, b.n.self)
	w.time.Advance(time.Second)
	if r := a.n.Report().Moves; r.PutOff > 0 || a.asleep[0] {
		t.Errorf("somebody is silent who has not taken all, so no move can end, but one began: %+v", r)
	}
	w.time.Advance(DefaultLease) // its record is gone
	if o, r := w.owner(0), a.n.Report().Moves; o.Name != "game-2" || r.PutOff > 0 {
		t.Errorf("the shard is at %s: %+v", o.Name, r)
	}
	for _, h := range []*crew{a, b} {
		h.n.Close()
	}
}

func TestAClusterThatIsForgottenWakesWhoRestedForAMove(t *testing.T) {
	t.Parallel()
	w := newVoyage(t, 1)
	w.registry.coordinator = 999
	a, b := w.join("game-1", "game"), w.join("game-2", "game")
	w.settleIn(a, b)
	w.unknown = 1000 // no transaction comes there, and nobody can tell
	w.intend(0, b.n.self)
	w.time.Advance(time.Second)
	if !a.asleep[0] {
		t.Fatal("the move did not come to its transaction")
	}
	still := map[*crew]bool{}
	for _, h := range []*crew{a, b} {
		h.n.Forgotten()
		h.n.Stay(func() { still[h] = true })
	}
	w.time.Advance(time.Second)
	if a.asleep[0] || !still[a] || !still[b] {
		t.Errorf("its actors rest: %t; nothing moves any more: %v", a.asleep[0], still)
	}
	for _, h := range w.crews {
		h.n.Close()
	}
}
