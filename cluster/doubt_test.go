package cluster

import (
	"slices"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// tell tells a player that a session of the gate is bound to it.
func (w *voyage) tell(gate *crew, player string) {
	session := actors.SessionRef(gate.name, wire.JSON, gate.n.self.Incarnation, 1)
	to := actors.KindName("player").Ref(player)
	gate.n.Route(actors.RuntimeMessage(session, to, &actors.Bound{Session: session, Who: to, Number: 1}))
}

// doubts looks whose sessions were asked to say again how things are.
func (w *voyage) doubts(gate *crew, want ...string) {
	w.t.Helper()
	if !slices.Equal(gate.doubted, want) {
		w.t.Errorf("the gate was asked for what was told to %q, want %q", gate.doubted, want)
	}
}

// TestNewsThatWasWithAnEarlierOwnerWhoDiesIsSaidAgain: the present owner lives, so no gate announces anything to it.
func TestNewsThatWasWithAnEarlierOwnerWhoDiesIsSaidAgain(t *testing.T) {
	t.Parallel()
	const at = 2 // which is game-1's
	w, gate, a, b := pair(t)
	w.oneWayCut(gate, a)
	w.tell(gate, w.of(at))
	w.tell(gate, w.of(at))
	w.moved(at, b)
	w.doubts(gate)
	w.ended(a)
	w.time.Advance(time.Second)
	w.doubts(gate, w.of(at))
}

func TestNewsThatWasPassedOnToAnOwnerWhoDiesIsSaidAgain(t *testing.T) {
	t.Parallel()
	const at = 2
	w, gate, a, b := pair(t)
	c := w.join("game-3", "game")
	w.time.Advance(time.Second)
	w.registry.Blind(gate.n.self.Incarnation, true)
	w.moved(at, b)
	w.oneWayCut(a, b)
	w.tell(gate, w.of(at)) // goes to game-1, who passes it on
	w.time.Advance(500 * time.Millisecond)
	w.registry.Blind(gate.n.self.Incarnation, false)
	w.moved(at, c)
	w.doubts(gate)
	w.ended(b)
	w.time.Advance(time.Second)
	w.doubts(gate, w.of(at))
}

// TestNewsThatHasArrivedIsNotDoubted: nor is it remembered.
func TestNewsThatHasArrivedIsNotDoubted(t *testing.T) {
	o := outbound{}
	o.news = []news{{seq: 1}, {seq: 2}, {seq: 2}, {seq: 3}}
	o.seq = 3
	if o.settle(2); len(o.news) != 1 || o.news[0].seq != 3 {
		t.Errorf("after two of three batches it remembers %v", o.news)
	}
	if o.settle(3); o.news != nil {
		t.Errorf("after all it remembers %v", o.news)
	}
}
