package persist_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// wakes tells who was woken since it was last asked.
func (w *world) wakes() string {
	text := strings.Join(w.woken, ", ")
	w.woken = nil
	return text
}

func (w *world) in(d time.Duration) int64 { return w.Now().Add(d).UnixMilli() }

func TestWhoIsDueIsWokenOnceAndAgainAfterTenSeconds(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		g.saveBox("bob", 1, `[1]`, w.in(3*time.Second), true)
		g.saveBox("ann", 1, ``, w.in(3*time.Second), true)
		g.saveBox("cid", 1, `[1]`, w.in(5*time.Second), true)
		g.saveBox("dan", 1, `[1]`, 0, true)
		w.advance(2900 * time.Millisecond)
		is(t, w.wakes(), "")
		w.advance(1100 * time.Millisecond)
		is(t, w.wakes(), "hero/ann by persist/1, hero/bob by persist/1")
		w.advance(2 * time.Second)
		is(t, w.wakes(), "hero/cid by persist/1")
		g.saveBox("ann", 2, ``, 0, true)                      // it did what it had to
		g.saveBox("bob", 2, `[2]`, w.in(2*time.Second), true) // and has more to do
		w.advance(3 * time.Second)
		is(t, w.wakes(), "hero/bob by persist/1")
		w.advance(2 * time.Second) // ten since the search began
		is(t, w.wakes(), "hero/cid by persist/1, hero/bob by persist/1")
		w.advance(9 * time.Second)
		is(t, w.wakes(), "")
		is(t, w.archive.Report().Wakes, 6)
	})
}

func TestAfterAllWasDownWhoIsDueIsWokenThoughNobodyAsks(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		b := &bench{T: t, db: w.moods.Database}
		b.keeper = b.raise(persist.KeeperRole, 1, keepB) // in a life before this one
		b.owner = b.raise("game", 1, gameB)
		b.expect(persist.Written, b.boxed("ann", 1, `[1]`, w.in(-time.Hour)))
		w.unrun = true
		w.advance(30 * time.Second)
		is(t, w.wakes(), "") // nobody could run it
		w.unrun = false
		w.advance(time.Second)
		is(t, w.wakes(), "hero/ann by persist/1")
	})
}

func TestOnlyWhoHoldsAShardWakesItsEntitiesAndAtOnceWhenItGetsIt(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		g.saveBox("ann", 1, ``, w.in(0), true)
		w.settle()
		w.woken = nil
		w.node.hold = actors.Paused
		searched := w.moods.searches
		w.advance(5 * time.Second)
		is(t, w.wakes(), "")
		is(t, w.moods.searches, searched)
		w.node.hold = actors.Held
		w.advance(time.Second)
		is(t, w.wakes(), "hero/ann by persist/1")
		w.node.hold = actors.Lost
		w.advance(time.Minute)
		is(t, w.wakes(), "")
	})
}

func TestAStoreThatIsDownIsNotSearchedAndWhatIsDueWaits(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		g.saveBox("ann", 1, ``, w.in(2*time.Second), true)
		w.settle()
		w.moods.beforeAny = func() error { return fmt.Errorf("cable: %w", persist.ErrDown) }
		w.advance(time.Second)
		is(t, w.archive.Report().Down, true) // the search found it out
		searched := w.moods.searches
		w.advance(20 * time.Second)
		is(t, w.moods.searches, searched)
		is(t, w.wakes(), "")
		w.moods.beforeAny = nil
		w.advance(4 * time.Second)
		is(t, w.wakes(), "hero/ann by persist/1")
	})
}

func TestMoreThanARoundTakesIsWokenInOrderRoundByRound(t *testing.T) {
	const many = 2500
	w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: -1})
	b := &bench{T: t, db: w.moods.Database}
	b.keeper, b.owner = b.raise(persist.KeeperRole, 1, keepB), b.raise("game", 1, gameB)
	var all []persist.Change
	for i := range many {
		all = append(all, b.boxed(fmt.Sprintf("h%04d", i), 1, ``, w.in(-time.Duration(many-i)*time.Second)))
	}
	b.expect(persist.Written, all...)
	w.advance(2 * time.Second)
	is(t, len(w.woken), 2000)
	is(t, w.archive.Report().Crowded, 2)
	b.expect(persist.Written, b.boxed("h0000", 2, ``, w.in(-time.Hour))) // now before what was seen
	w.advance(time.Second)
	is(t, len(w.woken), many)
	for i, who := range w.woken {
		if want := fmt.Sprintf("hero/h%04d by persist/1", i); who != want {
			t.Fatalf("%d: woken was %s, want %s", i, who, want)
		}
	}
	w.woken = nil
	w.advance(7 * time.Second)
	is(t, w.wakes(), "")
	w.advance(3 * time.Second)
	is(t, len(w.woken), many) // all of them stayed due
	is(t, w.archive.Report().Crowded, 4)
}

func TestTombstonesAreForgottenAfterAnHour(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		g.save("ann", 1, true, `{}`, "bag/1=1", "bag/2=2", "bag/3=3")
		w.settle()
		g.save("ann", 2, true, `{}`, "bag/1=", "bag/2=")
		w.settle()
		is(t, w.stored("ann"), "={}@2 bag/1=@2 bag/2=@2 bag/3=3@1")
		w.advance(persist.TombstoneFor - time.Second)
		is(t, w.stored("ann"), "={}@2 bag/1=@2 bag/2=@2 bag/3=3@1")
		g.save("ann", 3, true, `{}`, "bag/2=22")
		w.settle()
		is(t, w.archive.Report().Purged, 0)
		w.advance(12 * time.Second)
		is(t, w.stored("ann"), "={}@3 bag/2=22@3 bag/3=3@1")
		is(t, w.archive.Report().Purged, 1)
		is(t, g.load("ann"), "{}@3 bag/2=22 bag/3=3")
		g.save("ann", 4, true, `{}`, "bag/1=11")
		w.settle()
		is(t, w.stored("ann"), "={}@4 bag/1=11@4 bag/2=22@3 bag/3=3@1")
		is(t, w.wakes(), "")
	})
}

func TestTombstonesOfAnEntityWithSomethingPendingWait(t *testing.T) {
	onBoth(t, persist.Limits{Gather: time.Hour}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		g.save("ann", 1, true, `{}`, "bag/1=")
		w.settle()
		w.advance(persist.TombstoneFor - time.Minute)
		g.save("ann", 2, false, `{}`) // gathers
		w.advance(2 * time.Minute)
		is(t, w.archive.Report().Rows, 1)
		is(t, w.stored("ann"), "={}@1 bag/1=@1")
		g.save("ann", 3, true, `{}`)
		w.advance(11 * time.Second)
		is(t, w.stored("ann"), "={}@3")
	})
}

// TestAKeeperThatWasOvertakenPurgesNothing: the store, not the keeper's belief, decides.
func TestAKeeperThatWasOvertakenPurgesNothing(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		g.save("ann", 1, true, `{}`, "bag/1=")
		w.settle()
		if _, err := w.moods.Raise(context.Background(),
			[]persist.Claim{{Role: persist.KeeperRole, Shard: 1, Holder: keepB}}); err != nil {
			t.Fatal(err)
		}
		w.advance(persist.TombstoneFor + time.Minute)
		is(t, w.stored("ann"), "={}@1 bag/1=@1")
		is(t, w.archive.Report().Purged, 0)
	})
}
