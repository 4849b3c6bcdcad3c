package cluster

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// oneWayCut lets nothing of one node reach another any more.
func (w *voyage) oneWayCut(from, to *crew) { w.cut[[2]string{from.n.self.Link, to.n.self.Link}] = true }

// taken gives a shard to a node as from the dead: nobody hands it over.
func (w *voyage) taken(shard int, to *crew) {
	w.registry.mu.Lock()
	defer w.registry.mu.Unlock()
	next := w.registry.roles["game"].clone()
	o, m := next.Owners[shard], to.n.self
	next.Owners[shard] = Owner{Name: m.Name, Incarnation: m.Incarnation, Epoch: o.Epoch + 1, Root: o.Epoch + 1}
	w.registry.write(Decree{Role: "game", Next: next})
	w.registry.publish()
}

// ended ends a node's life, and somebody sees it. Order is promised nevertheless.
func (w *voyage) ended(h *crew) {
	h.dead, w.rough = true, true
	h.n.Close()
	w.registry.Certify(h.n.self.Incarnation)
}

// moved moves a shard, and looks that it is there.
func (w *voyage) moved(shard int, to *crew) {
	w.t.Helper()
	w.intend(shard, to.n.self)
	w.time.Advance(500 * time.Millisecond)
	if o := w.owner(shard); o.Name != to.name || o.From == 0 {
		w.t.Fatalf("the shard is with %+v, and not with %s", o, to.name)
	}
}

// newest looks which request of a gate an actor had last.
func (w *voyage) newest(of, at *crew, shard int, want uint32) {
	w.t.Helper()
	session := actors.SessionRef(of.name, wire.JSON, of.n.self.Incarnation, 1).String()
	if a := at.sailor[shard][w.of(shard)]; a == nil || a.Got[session] != want {
		w.t.Errorf("at %s the newest was not %d, but of %+v", at.name, want, a)
	}
}

// TestWhatComesThroughAnOwnerThatWasGivenUpIsNotHandledAfterWhatWasSentLater: the owner was only
// silent, and has it still.
func TestWhatComesThroughAnOwnerThatWasGivenUpIsNotHandledAfterWhatWasSentLater(t *testing.T) {
	t.Parallel()
	const at = 2 // which is game-1's
	w, gate, a, b := pair(t)
	w.ask(gate, w.of(at))
	w.time.Advance(time.Second)
	w.oneWayCut(gate, a)
	w.ask(gate, w.of(at)) // it is under way for long
	w.moved(at, b)
	w.ask(gate, w.of(at)) // and this waits for it
	w.starved(a, 8*time.Second)
	w.time.Advance(7500 * time.Millisecond)
	w.newest(gate, b, at, 3) // a is given up
	w.time.Advance(10 * time.Second)
	if late := b.n.Report().Moves.Late; late != 1 {
		t.Errorf("%d were refused because they came too late", late)
	}
	w.ask(gate, w.of(at))
	w.time.Advance(time.Second)
	w.newest(gate, b, at, 4)
	w.complete()
	w.forgotten()
}

func TestWhatWasToGoToAnOwnerThatHasDiedIsNotHandledAfterWhatWasSentLater(t *testing.T) {
	t.Parallel()
	const at = 2
	w, gate, a, b := pair(t)
	c := w.join("game-3", "game")
	w.time.Advance(time.Second)
	w.oneWayCut(gate, a)
	w.ask(gate, w.of(at))
	w.moved(at, b)
	w.ended(b)
	w.taken(at, c)
	w.time.Advance(500 * time.Millisecond)
	w.ask(gate, w.of(at))
	w.time.Advance(500 * time.Millisecond)
	w.newest(gate, c, at, 2)
	clear(w.cut)
	w.time.Advance(5 * time.Second)
	w.newest(gate, c, at, 2)
	if late := a.n.Report().Moves.Late; late != 1 || w.refused[actors.Unavailable] != 1 {
		t.Errorf("%d were refused because they came too late: %v", late, w.refused)
	}
	w.complete()
	w.forgotten()
}

// TestWhoDidNotSeeThatAnOwnerHasDiedIsNotHeldBackForEver: its marker went to the dead.
func TestWhoDidNotSeeThatAnOwnerHasDiedIsNotHeldBackForEver(t *testing.T) {
	t.Parallel()
	const at = 2
	w, gate, a, b := pair(t)
	c := w.join("game-3", "game")
	w.time.Advance(time.Second)
	w.moved(at, b)
	w.registry.Blind(gate.n.self.Incarnation, true)
	w.moved(at, a)
	w.ended(b)
	w.time.Advance(500 * time.Millisecond)
	w.moved(at, c)
	w.registry.Blind(gate.n.self.Incarnation, false)
	w.time.Advance(500 * time.Millisecond)
	w.ask(gate, w.of(at))
	w.time.Advance(time.Second)
	w.newest(gate, c, at, 1)
	w.complete()
	w.forgotten()
}

// TestWhatWasToGoToAnOwnerThatHasLeftIsRefusedAtOnce: its sender did not see that it had ever been one.
func TestWhatWasToGoToAnOwnerThatHasLeftIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	const at = 2
	w, gate, a, b := pair(t)
	c := w.join("game-3", "game")
	w.time.Advance(time.Second)
	w.registry.Blind(gate.n.self.Incarnation, true)
	w.moved(at, b)
	w.rough = true
	b.n.Leave(func(error) { b.dead = true; b.n.Close() }) // without a drain
	w.time.Advance(2 * time.Second)
	for range 2 { // nobody has its shards yet, and then somebody has
		w.ask(gate, w.of(at))
		w.time.Advance(time.Second)
		w.taken(at, c)
	}
	if late := a.n.Report().Moves.Late; late != 2 || w.refused[actors.Unavailable] != 2 || len(w.open) > 0 {
		t.Errorf("%d were refused because they came too late: %v", late, w.refused)
	}
	w.registry.Blind(gate.n.self.Incarnation, false)
	w.time.Advance(time.Second)
	w.ask(gate, w.of(at))
	w.time.Advance(time.Second)
	w.newest(gate, c, at, 3)
	w.complete()
	w.forgotten()
}
