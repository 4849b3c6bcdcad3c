package persist_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/persist"
)

func TestAnUnknownOutcomeIsFoundOut(t *testing.T) {
	for name, applied := range map[string]bool{"written": true, "not written": false} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
				g := w.game(gameA, 1)
				g.load("ann")
				keeper := uint64(0)
				w.moods.write = func(b persist.Batch, write func() ([]persist.Outcome, error)) (
					[]persist.Outcome, error) {
					if keeper == 0 {
						keeper = b.Changes[0].Keeper.Epoch
						if applied {
							_, _ = write() // the answer is lost
						}
						return nil, fmt.Errorf("connection reset: %w", persist.ErrUnclear)
					}
					if now := b.Changes[0].Keeper.Epoch; now <= keeper {
						t.Errorf("written again under number %d, not above %d", now, keeper)
					}
					return write()
				}
				commit := g.save("ann", 1, true, `{"a":1}`)
				w.advance(500 * time.Millisecond)
				commit.is(t, "ok")
				is(t, w.stored("ann"), `={"a":1}@1`)
				is(t, w.archive.Report().Unclear, 1)
			})
		})
	}
}

func TestAStaleOwnerIsFencedAndWhatItGaveIsKept(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		old, next := w.game(gameA, 1), w.game(gameB, 2)
		old.load("ann")
		given := old.save("ann", 1, false, `{"from":"old"}`) // accepted, gathering
		w.settle()
		is(t, next.load("ann"), `{"from":"old"}@1`)
		is(t, next.fence > old.fence, true)
		stale, other := old.save("ann", 2, true, `{}`), old.save("bob", 1, true, `{}`)
		w.settle()
		stale.is(t, "FENCED")
		other.is(t, "FENCED")
		is(t, w.stored("bob"), "")
		for _, b := range w.moods.batches { // from memory: the store was not even asked
			for _, c := range b.Changes {
				is(t, c.Owner.Epoch > old.fence, true)
			}
		}
		w.advance(time.Second)
		given.is(t, "ok")
		is(t, w.stored("ann"), `={"from":"old"}@1`)
		fresh := next.save("ann", 2, true, `{"from":"next"}`)
		w.settle()
		fresh.is(t, "ok")
		is(t, w.stored("ann"), `={"from":"next"}@2`)
		late := w.game(gameA, 1) // a claim of the tenure that is over
		r := late.begin("ann")
		w.settle()
		r.is(t, "FENCED")
	})
}

func TestAnOwnerThatOnlyTheStoreKnowsToBeStaleIsFenced(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		_, err := w.moods.Raise(context.Background(),
			[]persist.Claim{{Role: "game", Shard: 1, Holder: gameB}}) // through another keeper
		if err != nil {
			t.Fatal(err)
		}
		stale := g.save("ann", 1, true, `{}`)
		w.settle()
		stale.is(t, "FENCED")
		is(t, w.archive.Report().Fenced, 1)
		is(t, w.archive.Report().Rows, 0)
		is(t, g.load("ann"), "@0") // the tenure goes on under a number of its own
		again := g.save("ann", 1, true, `{"v":1}`)
		w.settle()
		again.is(t, "ok")
	})
}

func TestAStaleKeeperWritesNothingUntilItHasProvedItself(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		raised, err := w.moods.Raise(context.Background(),
			[]persist.Claim{{Role: persist.KeeperRole, Shard: 1, Holder: keepB}})
		if err != nil {
			t.Fatal(err)
		}
		lost := g.save("ann", 1, true, `{"v":1}`)
		w.settle()
		lost.is(t, "STORE_UNKNOWN")
		is(t, w.stored("ann"), "")
		again := g.save("ann", 1, true, `{"v":1}`) // reaches a keeper that owns the shard
		w.settle()
		again.is(t, "ok")
		last := w.moods.batches[len(w.moods.batches)-1]
		is(t, last.Changes[0].Keeper.Epoch, raised[0]+1)
	})
}
