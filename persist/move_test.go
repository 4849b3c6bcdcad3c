package persist_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// moves is a game node to which entities of another have moved: they know the number of the tenure before, and not yet
// that of their own.
func (g *game) moves(incarnation, epoch uint64) *game {
	next := g.w.game(incarnation, epoch)
	next.after = g.fence
	return next
}

func TestAMovedEntitySavesUnderItsNewOwnersNumber(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		pending := g.save("ann", 1, false, `{"a":1}`, "bag/1=1") // on its way when the entity moves
		w.settle()
		pending.is(t, "")
		next := g.moves(gameB, 2)
		number, sure := next.Number(next.tenure)
		is(t, fmt.Sprint(number, sure), "0 true")
		first := next.save("ann", 2, false, `{"a":2}`, "bag/1=2")
		number, sure = next.Number(next.tenure)
		is(t, fmt.Sprint(number, sure), "0 false")
		w.advance(time.Second)
		first.is(t, "ok")
		number, sure = next.Number(next.tenure)
		is(t, fmt.Sprint(number, sure), fmt.Sprint(g.fence+1, true))
		commit, stale := next.save("ann", 3, true, `{"a":3}`), g.save("ann", 9, true, `{"a":9}`)
		w.settle()
		commit.is(t, "ok")
		stale.is(t, "FENCED")
		is(t, w.stored("ann"), `={"a":3}@3 bag/1=2@2`)
	})
}

// TestNothingOfAMovedEntityIsWrittenIfAnotherHasOwnedIt: the node that it moved to has not written yet when it is taken
// for dead, and that of the next owner has written what is newer.
func TestNothingOfAMovedEntityIsWrittenIfAnotherHasOwnedIt(t *testing.T) {
	for what, isNew := range map[string]bool{"the same keeper": false, "a keeper that knows of no tenure": true} {
		t.Run(what, func(t *testing.T) {
			onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
				g := w.game(gameA, 1)
				g.load("ann")
				moved := g.moves(gameB, 2)
				third := w.game(gameB+1, 3)
				third.load("ann")
				saved := third.save("ann", 1, true, `{"third":1}`)
				w.settle()
				saved.is(t, "ok")
				if isNew {
					w.second(moved).begins()
				}
				first, second := moved.save("ann", 7, true, `{"stale":7}`), moved.save("bob", 7, false, `{"stale":7}`)
				w.advance(time.Second)
				first.is(t, "FENCED")
				second.is(t, "FENCED")
				is(t, w.stored("ann"), `={"third":1}@1`)
				is(t, w.stored("bob"), "")
			})
		})
	}
}

func TestAClaimWithoutAnAnswerLeavesTheNumberInDoubt(t *testing.T) {
	w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: -1})
	g := w.game(gameA, 1)
	g.load("ann")
	next := g.moves(gameB, 2)
	w.away = actors.Unavailable
	lost := next.save("ann", 2, false, `{"a":2}`)
	w.advance(5 * time.Second)
	lost.is(t, "STORE_UNAVAILABLE")
	_, sure := next.Number(next.tenure)
	is(t, sure, false)
	w.away = ""
	again := next.save("ann", 3, false, `{"a":3}`)
	w.advance(time.Second)
	again.is(t, "ok")
	number, sure := next.Number(next.tenure)
	is(t, fmt.Sprint(number, sure), fmt.Sprint(g.fence+1, true))
}

var keeperShard = actors.Tenure{Role: persist.KeeperRole, Shard: 1, Epoch: 1}

// A frost is what became of a Freeze of the keeper.
type frost struct {
	*actors.Frozen
	err  error
	told int
}

func (w *world) freeze(within time.Duration) *frost {
	f := new(frost)
	w.sys.Freeze(keeperShard, within, func(frozen *actors.Frozen, err error) {
		f.Frozen, f.err = frozen, err
		f.told++
	})
	return f
}

// TestAKeeperMovesEmpty: what is pending is written before, and what comes meanwhile is the next one's.
func TestAKeeperMovesEmpty(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		pending := g.save("ann", 1, false, `{"a":1}`, "bag/1=1")
		w.settle()
		pending.is(t, "") // it gathers
		var waiting, reading *result
		w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
			w.moods.write = nil
			waiting, reading = g.save("bob", 1, true, `{"b":1}`), g.begin("eve") // while it comes to rest
			return write()
		}
		f := w.freeze(time.Second)
		if w.settle(); f.told != 1 || f.err != nil {
			t.Fatalf("%d times told: %v", f.told, f.err)
		}
		pending.is(t, "ok") // without the 50 ms that it may gather
		is(t, w.stored("ann"), `={"a":1}@1 bag/1=1@1`)
		waiting.is(t, "")
		reading.is(t, "")
		is(t, w.archive.Report().Rows, 0)

		state, err := f.State(4 << 20)
		if err != nil {
			t.Fatal(err)
		}
		next := w.second(g)
		next.node.epoch = 2
		arrival, err := next.node.sys.Prepare(actors.Tenure{Role: persist.KeeperRole, Shard: 1, Epoch: 2}, state)
		if err != nil {
			t.Fatal(err)
		}
		statements := w.moods.statements
		f.Discard()
		g.Start(next.node.sys)
		next.answers(w.sys) // questions were asked by way of the first
		arrival.Begin()
		w.advance(time.Second)
		waiting.is(t, "ok")
		reading.is(t, "ok")
		is(t, w.moods.statements, statements)
		next.saves("ann", 2, `{"a":2}`)
		is(t, w.stored("ann")+w.stored("bob"), `={"a":2}@2 bag/1=1@1={"b":1}@1`)
		is(t, w.sys.Report().Actors[persist.KeeperKind], 0)
	})
}

// answers brings answers to the node that has asked.
func (o *takeover) answers(asked *actors.System) {
	o.w.hold = func(e *actors.Envelope) bool {
		if e.Type == actors.Message {
			return false
		}
		asked.Deliver(e)
		o.node.sys.Deliver(e)
		return true
	}
}

func TestAKeeperThatCannotWritePutsItsMoveOffAndGoesOn(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.moods.beforeAny = func() error { return persist.ErrDown }
		pending := g.save("ann", 1, false, `{"a":1}`)
		w.advance(200 * time.Millisecond)
		f := w.freeze(250 * time.Millisecond)
		waits := g.save("ann", 2, false, `{"a":2}`)
		if w.advance(1250 * time.Millisecond); f.told != 1 || f.err == nil {
			t.Fatalf("%d times told: %v", f.told, f.err)
		}
		pending.is(t, "")
		waits.is(t, "")
		w.moods.beforeAny = nil
		w.advance(3 * time.Second)
		is(t, w.stored("ann"), `={"a":2}@2`)
		f = w.freeze(250 * time.Millisecond)
		if w.settle(); f.err != nil {
			t.Fatal(f.err)
		}
		f.Thaw()
		commit := g.save("ann", 3, true, `{"a":3}`)
		w.settle()
		commit.is(t, "ok")
	})
}
