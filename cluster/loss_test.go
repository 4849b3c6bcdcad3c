package cluster

import (
	"testing"
	"time"
)

// orphaned moves shard 0 from game-1 to game-2, with a request that a node sends while its actors come to rest, and
// kills game-2 before it has seen that.
func orphaned(t *testing.T, who func(gate, a *crew) *crew) (w *voyage, gate, a, b *crew) {
	w, gate, a, b = pair(t)
	from := who(gate, a)
	w.ask(from, w.of(0))
	w.time.Advance(time.Second)
	w.registry.Blind(gate.n.self.Incarnation, true)
	w.intend(0, b.n.self)
	for i := 0; len(a.n.tenancy.moves) == 0 && i < 1000; i++ {
		w.time.Advance(time.Millisecond)
	}
	w.registry.Blind(b.n.self.Incarnation, true)
	w.ask(from, w.of(0))
	for i := 0; w.owner(0).Name != b.name && i < 1000; i++ {
		w.time.Advance(time.Millisecond)
	}
	if o := w.owner(0); o.Name != b.name || len(w.open) != 1 {
		t.Fatalf("the shard is %+v's, and %d requests are open", o, len(w.open))
	}
	b.die()
	w.registry.Certify(b.n.self.Incarnation)
	return w, gate, a, b
}

func TestARequestOfItsOwnThatWentAlongIsAnsweredWhenTheNextOwnerIsGone(t *testing.T) {
	t.Parallel()
	w, _, _, _ := orphaned(t, func(_, a *crew) *crew { return a })
	w.answeredSoon()
}

// answeredSoon looks that nobody waits for long any more.
func (w *voyage) answeredSoon() {
	w.t.Helper()
	w.time.Advance(3 * time.Second)
	for id, from := range w.open {
		w.t.Errorf("request %d of %s had no answer", id, from.name)
	}
}

func TestARequestIsAnsweredThoughItsAskerSeesTheNextOwnerOnlyWhenThatIsGone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"while the shard is the dead one's", "when it is another's again"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, gate, a, _ := orphaned(t, func(gate, _ *crew) *crew { return gate })
			if name == "when it is another's again" {
				w.registry.mu.Lock()
				next := w.registry.roles["game"].clone()
				next.Owners[0] = Owner{Name: a.name, Incarnation: a.n.self.Incarnation, Epoch: 3, Root: 3}
				w.registry.write(Decree{Role: "game", Next: next})
				w.registry.publish()
				w.registry.mu.Unlock()
			}
			w.time.Advance(time.Second)
			w.registry.Blind(gate.n.self.Incarnation, false)
			w.answeredSoon()
		})
	}
}
