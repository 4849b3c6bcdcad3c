package cluster

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// bindings are how often the envelopes say that a session is bound, and that it is not.
func bindings(got []*actors.Envelope) (bound, unbound int) {
	for _, e := range got {
		switch e.Number {
		case actors.NumberBound:
			bound++
		case actors.NumberUnbound:
			unbound++
		}
	}
	return bound, unbound
}

// says routes that a session of the gate is bound to an entity, or is not any more.
func says(gate *node, id string, is bool) {
	session, to := request(gate, id, 1).Session, actors.KindName("player").Ref(id)
	if is {
		gate.Route(actors.RuntimeMessage(session, to, &actors.Bound{Session: session, Who: to, Number: 1}))
	} else {
		gate.Route(actors.RuntimeMessage(session, to, &actors.Unbound{Session: session, Who: to}))
	}
}

// A gate says it once. An entity that did not hear it would believe the wrong thing for ever.
func TestWhoIsBoundIsToldThoughThereIsNoRoom(t *testing.T) {
	w, gate, one, _ := trio(t, 31)
	id := owned(t, one)
	w.network.Cut("gate-1", "game-1", true)
	for i := range 100 {
		e := oneWay(id, i)
		e.Body = make([]byte, 1<<10)
		gate.Route(e)
	}
	says(gate, id, true)
	says(gate, id, false)
	w.settle()
	w.network.Cut("gate-1", "game-1", false)
	w.advance(3 * time.Second)
	if bound, unbound := bindings(one.take()); bound != 1 || unbound != 1 {
		t.Errorf("over a link that was full came %d and %d", bound, unbound)
	}
	w.registry.Cut(one.Self().Incarnation, true)
	w.advance(DefaultLease + time.Second) // its record is gone, its shards are its own
	for i := range uint64(60) {
		gate.Route(request(gate, id, i+1))
	}
	says(gate, id, false)
	w.settle()
	w.registry.Cut(one.Self().Incarnation, false)
	w.advance(time.Second)
	if _, here := gate.View().Member("game-1"); !here {
		t.Fatal("it has not come back as who it was")
	}
	if _, unbound := bindings(one.take()); unbound != 1 {
		t.Errorf("behind all that may wait for an owner came %d", unbound)
	}
}

func TestWhatIsForEveryoneGoesToEachGateOnce(t *testing.T) {
	w, gate, one, _ := trio(t, 32)
	other := w.join("gate-2", "gate")
	w.advance(100 * time.Millisecond)
	for _, from := range []*node{one, gate} {
		from.Route(&actors.Envelope{Type: actors.Message, To: actors.SessionKind.Ref("*"), Number: 100,
			Codec: wire.JSON})
		w.settle()
		w.advance(time.Second)
		for _, at := range []*node{gate, other} {
			if got := at.take(); len(got) != 1 || !got[0].To.IsEveryone() {
				t.Errorf("from %s, %s got %v", from.name, at.name, got)
			}
		}
		if got := one.take(); len(got) != 0 {
			t.Errorf("game-1 has no clients, and got %v", got)
		}
	}
}
