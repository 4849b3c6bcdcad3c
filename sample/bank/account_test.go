package main

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/replay"
)

// TestMoneyArrivesOnceOrComesBack is how behaviours with Durable messages are tested: on Worlds, with a crash at a
// moment that the seed decides.
func TestMoneyArrivesOnceOrComesBack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		w := replay.NewWorld(t, App, replay.Seed(seed))
		ann, bob := AccountKind.Ref("ann"), AccountKind.Ref("bob")
		for _, who := range []actors.Ref{ann, bob} {
			w.Tell(who, &Open{Coins: 100})
		}
		w.Advance(time.Second)
		w.Tell(ann, &Transfer{To: "nobody", Coins: 20})
		w.Tell(ann, &Transfer{To: "bob", Coins: 30, Sure: true})
		w.Advance(time.Duration(seed) * 12 * time.Millisecond)
		w.Crash([]string{"game-1", "game-2"}[seed%2])
		w.Advance(3 * time.Minute)
		a, b := replay.Peek[Book](w, ann, "book"), replay.Peek[Book](w, bob, "book")
		if a.Coins+b.Coins != 200 || a.Paid != b.Got+a.Returned {
			t.Errorf("seed %d: ann has %+v, bob has %+v", seed, a, b)
		}
		if seed > 4 && (a.Coins != 70 || b.Coins != 130 || a.Returned != 1) { // nothing crashed in time
			t.Errorf("seed %d: ann has %+v, bob has %+v", seed, a, b)
		}
	}
}
