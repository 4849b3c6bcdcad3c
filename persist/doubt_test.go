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

// A doubtful store loses the answer to its first write, which it may have taken, and refuses all
// that come after. meanwhile is called while the first is under way.
func (w *world) doubt(applied bool, meanwhile func()) {
	first := true
	w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) (
		[]persist.Outcome, error) {
		if !first {
			return nil, fmt.Errorf("column 'data' is dropped: %w", persist.ErrRejected)
		}
		first = false
		meanwhile()
		if applied {
			_, _ = write() // the answer is lost
		}
		return nil, fmt.Errorf("connection reset: %w", persist.ErrUnclear)
	}
}

func TestARefusalOfWhatMayBeStoredIsToldOnlyWhenItIsNot(t *testing.T) {
	for name, applied := range map[string]bool{"stored": true, "not stored": false} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
				g := w.game(gameA, 1)
				g.load("ann")
				var next *result
				w.doubt(applied, func() {
					next = g.save("ann", 2, true, `{"a":2}`, "bag/2=2")
					w.settle()
				})
				first := g.save("ann", 1, true, `{"a":1}`, "bag/1=1")
				w.advance(500 * time.Millisecond)
				is(t, w.archive.Report().Rows, 0)
				next.is(t, "STORE_REFUSED") // it was sent only now
				if !applied {
					first.is(t, "STORE_REFUSED")
					is(t, strings.Contains(first.err.Error(), "column 'data' is dropped"), true)
					is(t, g.load("ann"), "@0")
					return
				}
				first.is(t, "ok")
				is(t, w.stored("ann"), `={"a":1}@1 bag/1=1@1`)
				is(t, g.load("ann"), `{"a":1}@1 bag/1=1`)
				is(t, w.archive.Report().Aside, 1)
			})
		})
	}
}

// TestTheNextKeeperOfAShardDoesNotRefuseWhatTheOneBeforeMayHaveWritten: nobody there has heard of
// the first attempt but from its sender.
func TestTheNextKeeperOfAShardDoesNotRefuseWhatTheOneBeforeMayHaveWritten(t *testing.T) {
	for name, applied := range map[string]bool{"stored": true, "not stored": false} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
				g := w.game(gameA, 1)
				g.load("ann")
				w.doubt(applied, func() {})
				w.moods.raise = func(func() ([]uint64, error)) ([]uint64, error) {
					return nil, persist.ErrDown // so the first keeper never finds out
				}
				first := g.save("ann", 1, true, `{"a":1}`)
				w.advance(1100 * time.Millisecond)
				first.is(t, "STORE_UNKNOWN")
				w.node.epoch = 2
				w.moods.raise = nil
				w.advance(3 * time.Second)               // the store is back
				w.moods.unreadable = persist.ErrRejected // nor can the next at first
				again := g.save("ann", 1, true, `{"a":1}`)
				w.advance(1100 * time.Millisecond)
				again.is(t, "STORE_UNKNOWN")
				w.moods.unreadable = nil
				again = g.save("ann", 1, true, `{"a":1}`)
				w.advance(1100 * time.Millisecond)
				again.is(t, map[bool]string{true: "ok", false: "STORE_REFUSED"}[applied])
				is(t, w.stored("ann") != "", applied)
				is(t, w.archive.Report().Rows, 0)
			})
		})
	}
}

func TestAFirstRefusalIsToldThoughNothingCanBeRead(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.moods.write = func(persist.Batch, func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
			return nil, fmt.Errorf("no such table: %w", persist.ErrRejected)
		}
		w.moods.unreadable = persist.ErrRejected
		commit := g.save("ann", 1, true, `{"a":1}`)
		w.settle()
		commit.is(t, "STORE_REFUSED")
		is(t, strings.Contains(commit.err.Error(), "no such table"), true)
	})
}

func TestAnOutcomeStaysUnknownUntilTheStoreCanBeRead(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.doubt(true, func() {})
		w.moods.unreadable = persist.ErrDown
		first := g.save("ann", 1, true, `{"a":1}`)
		w.advance(900 * time.Millisecond)
		first.is(t, "")
		w.moods.unreadable = nil
		again := g.save("ann", 1, true, `{"a":1}`)
		w.advance(4 * time.Second)
		again.is(t, "ok")
		is(t, w.archive.Report().Rows, 0)
	})
}

// TestARefusalAfterAnotherOwnerCameIsAFence: what became of the change is in that owner's state.
func TestARefusalAfterAnotherOwnerCameIsAFence(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.moods.write = func(b persist.Batch, write func() ([]persist.Outcome, error)) (
			[]persist.Outcome, error) {
			w.moods.write = nil
			numbers, err := w.moods.Database.Raise(context.Background(), []persist.Claim{
				{Role: "game", Shard: 1, Holder: gameB}})
			if err != nil {
				t.Fatal(err)
			}
			other := b
			other.Changes = []persist.Change{b.Changes[0]}
			other.Changes[0].Owner = persist.Fence{Epoch: numbers[0], Holder: gameB}
			if _, err := w.moods.Database.Write(context.Background(), other); err != nil {
				t.Fatal(err)
			}
			return nil, fmt.Errorf("too long: %w", persist.ErrRejected)
		}
		stale := g.save("ann", 1, true, `{"a":1}`)
		w.settle()
		stale.is(t, "FENCED")
		is(t, w.archive.Report().Rows, 0)
	})
}

// A takeover is a second persist node over the same database, which has shard 1 from some moment on.
type takeover struct {
	w     *world
	game  *game
	node  *router
	moods *moody
}

func (w *world) second(g *game) *takeover {
	moods := &moody{Database: unclosed{w.moods.Database}}
	archive, node := w.boot(moods, keepB, persist.Limits{CacheBytes: -1})
	w.Cleanup(func() { _ = archive.Close() }) // it tells what is unwritten
	return &takeover{w, g, node, moods}
}

// begins: the first node is frozen, its lease ends, and the game asks the second one.
func (o *takeover) begins() {
	o.w.node.hold = actors.Paused
	o.game.Start(o.node.sys)
}

// saves lets the second node write an entity of the same owner.
func (o *takeover) saves(id string, version uint64, cells string, pairs ...string) {
	o.w.Helper()
	r := o.game.save(id, version, true, cells, pairs...)
	o.w.settle()
	r.is(o.w, "ok")
}

// TestAFrozenKeeperThatIsResumedWritesNothingStale: it was frozen with a statement on its way and
// with changes in its queue, and another keeper has taken the shard over and gone on.
func TestAFrozenKeeperThatIsResumedWritesNothingStale(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		next := w.second(g)
		g.load("ann")
		g.load("bob")
		w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) (
			[]persist.Outcome, error) { // frozen here
			w.moods.write = nil
			queued := g.save("bob", 1, false, `{"b":1}`, "bag/1=1", "bag/2=1")
			w.settle()
			queued.is(t, "")
			next.begins()
			next.saves("ann", 1, `{"a":1}`, "bag/1=1", "bag/2=1") // what has no outcome is sent again
			next.saves("ann", 2, `{"a":2}`, "bag/1=2", "bag/2=")
			next.saves("bob", 1, `{"b":1}`, "bag/1=1", "bag/2=1")
			next.saves("bob", 2, `{"b":2}`, "bag/1=2", "bag/2=")
			return write() // and resumed
		}
		g.save("ann", 1, true, `{"a":1}`, "bag/1=1", "bag/2=1")
		g.save("eve", 1, false, `{"e":1}`) // goes along
		w.settle()
		is(t, w.moods.statements, 1)
		for range 10 {
			w.advance(time.Second)
			is(t, w.moods.statements, 1) // it has noticed, and that was its last
		}
		w.node.hold = actors.Lost
		w.sys.Release(persist.KeeperRole, []int{1})
		w.advance(10 * time.Second)
		is(t, w.moods.statements, 1)
		is(t, w.archive.Report().Rows, 0)
		is(t, w.stored("ann"), `={"a":2}@2 bag/1=2@2 bag/2=@2`)
		is(t, w.stored("bob"), `={"b":2}@2 bag/1=2@2 bag/2=@2`)
		is(t, w.stored("eve"), "")
		next.saves("ann", 3, `{"a":3}`)
		is(t, len(next.moods.batches), 5) // each at the first attempt: its number was its own throughout
	})
}

// TestAFrozenKeeperDoesNotTakeItsShardBack: not when its statement lost its answer meanwhile, and
// not by a claim that was on its way.
func TestAFrozenKeeperDoesNotTakeItsShardBack(t *testing.T) {
	t.Run("a lost answer", func(t *testing.T) {
		onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
			g := w.game(gameA, 1)
			next := w.second(g)
			g.load("ann")
			w.moods.write = func(persist.Batch, func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
				w.moods.write = nil
				next.begins()
				next.saves("ann", 1, `{"next":1}`)
				return nil, persist.ErrUnclear
			}
			raises := w.moods.raises
			g.save("ann", 1, true, `{"a":1}`, "bag/1=1")
			w.advance(5 * time.Second)
			w.node.hold = actors.Lost
			w.advance(5 * time.Second)
			is(t, w.moods.raises, raises)
			next.saves("ann", 2, `{"next":2}`)
			is(t, len(next.moods.batches), 2)
			is(t, w.stored("ann"), `={"next":2}@2`)
		})
	})
	t.Run("a claim on its way", func(t *testing.T) {
		onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
			g := w.game(gameA, 1)
			next := w.second(g)
			g.load("ann")
			w.moods.write = func(persist.Batch, func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
				w.moods.write = nil
				return nil, persist.ErrUnclear
			}
			w.moods.raise = func(raise func() ([]uint64, error)) ([]uint64, error) { // frozen here
				w.moods.raise = nil
				next.begins()
				next.saves("ann", 1, `{"next":1}`)
				next.saves("ann", 2, `{"next":2}`)
				return raise()
			}
			g.save("ann", 1, true, `{"a":1}`, "bag/1=1") // which the store does not have
			w.advance(5 * time.Second)
			w.node.hold = actors.Lost
			w.advance(5 * time.Second)
			is(t, w.stored("ann"), `={"next":2}@2`)
			late := next.game.save("ann", 3, true, `{"next":3}`)
			w.settle()
			late.is(t, "STORE_UNKNOWN") // once: its number was taken
			late = next.game.save("ann", 3, true, `{"next":3}`)
			w.settle()
			late.is(t, "ok")
			is(t, w.stored("ann"), `={"next":3}@3`)
		})
	})
}

// TestAKeeperThatOnlyPausedGoesOn: the lease was renewed in time, and nobody has taken the shard.
func TestAKeeperThatOnlyPausedGoesOn(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.moods.write = func(persist.Batch, func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
			w.moods.write = nil
			w.node.hold = actors.Paused
			return nil, persist.ErrUnclear
		}
		flush := g.save("ann", 1, false, `{"a":1}`)
		w.advance(2 * time.Second)
		flush.is(t, "")
		is(t, w.stored("ann"), "")
		w.node.hold = actors.Held
		w.advance(500 * time.Millisecond)
		flush.is(t, "ok")
		is(t, w.stored("ann"), `={"a":1}@1`)
	})
}
