package persist_test

import (
	"errors"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// moves is a game node to which entities of another have moved: they do not know the number of its tenure.
func (g *game) moves(incarnation, epoch uint64) *game { return g.w.game(incarnation, epoch) }

func TestAMovedEntitySavesUnderItsNewOwnersNumber(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		pending := g.save("ann", 1, false, `{"a":1}`, "bag/1=1") // on its way when the entity moves
		w.settle()
		pending.is(t, "")
		next := g.moves(gameB, 2)
		first := next.save("ann", 2, false, `{"a":2}`, "bag/1=2")
		w.advance(time.Second)
		first.is(t, "ok")
		commit, stale := next.save("ann", 3, true, `{"a":3}`), g.save("ann", 9, true, `{"a":9}`)
		w.settle()
		commit.is(t, "ok")
		stale.is(t, "FENCED")
		is(t, w.stored("ann"), `={"a":3}@3 bag/1=2@2`)
	})
}

// TestAMovedEntityIsWrittenHoweverOftenItsOwnersNumberWasRaised: a keeper dies after it has raised the number and
// before it has told it, the store loses its answer to the raise, and owners on the way to this one have never written.
func TestAMovedEntityIsWrittenHoweverOftenItsOwnersNumberWasRaised(t *testing.T) {
	for what, raised := range map[string]func(w *world, moved, before *game){
		"by a keeper that died": func(w *world, moved, before *game) {
			next := w.second(moved)
			w.moods.raise = func(raise func() ([]uint64, error)) ([]uint64, error) {
				w.moods.raise = nil
				numbers, err := raise()
				next.begins()
				before.Start(next.node.sys)
				w.hold = func(e *actors.Envelope) bool { // it tells nobody
					dies := e.Number == persist.NumberClaim && e.Type != actors.Message
					if dies {
						w.hold = nil
					}
					return dies
				}
				return numbers, err
			}
		},
		"without an answer": func(w *world, _, _ *game) {
			w.moods.raise = func(raise func() ([]uint64, error)) ([]uint64, error) {
				w.moods.raise = nil
				_, err := raise()
				return nil, errors.Join(err, persist.ErrUnclear)
			}
		},
		"by owners on the way": func(w *world, moved, _ *game) {
			for epoch := range uint64(3) {
				w.game(gameB+1+epoch, moved.tenure.Epoch-3+epoch).load("eve")
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
				g := w.game(gameA, 1)
				g.load("ann")
				saved := g.save("ann", 1, true, `{"a":1}`)
				w.settle()
				saved.is(t, "ok")
				moved := g.moves(gameB, 5)
				raised(w, moved, g)
				first := moved.save("ann", 2, false, `{"a":2}`)
				w.advance(4 * time.Second)
				first.is(t, "ok")
				is(t, w.stored("ann"), `={"a":2}@2`)
				stale := g.save("ann", 9, true, `{"stale":9}`)
				w.settle()
				stale.is(t, "FENCED")
				is(t, w.stored("ann"), `={"a":2}@2`)
			})
		})
	}
}

// TestNothingOfAMovedEntityIsWrittenIfAnotherHasOwnedIt: the node that it moved to has not written yet when it is taken
// for dead, and that of the next owner has written what is newer. It must not take the number from that one, either.
func TestNothingOfAMovedEntityIsWrittenIfAnotherHasOwnedIt(t *testing.T) {
	for what, isNew := range map[string]bool{"the same keeper": false, "a keeper that nobody has claimed from": true} {
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
				w.newest = 3
				if isNew {
					next := w.second(moved)
					next.begins()
					third.Start(next.node.sys)
				}
				first, second := moved.save("ann", 7, true, `{"stale":7}`), moved.save("bob", 7, false, `{"stale":7}`)
				loads := moved.begin("eve")
				w.advance(time.Second)
				first.is(t, "FENCED")
				second.is(t, "FENCED")
				loads.is(t, "FENCED")
				is(t, w.stored("ann"), `={"third":1}@1`)
				is(t, w.stored("bob"), "")
				saved = third.save("ann", 2, true, `{"third":2}`)
				w.advance(time.Second)
				saved.is(t, "ok")
				is(t, w.stored("ann"), `={"third":2}@2`)
			})
		})
	}
}

// TestWhatAKeeperHasAcceptedOutlivesARaiseWithoutAnAnswer: its owner is dead, so nobody would send it again.
func TestWhatAKeeperHasAcceptedOutlivesARaiseWithoutAnAnswer(t *testing.T) {
	onBoth(t, persist.Limits{Gather: time.Minute}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		g.save("ann", 1, false, `{"a":1}`)
		w.settle()
		w.moods.raise = func(raise func() ([]uint64, error)) ([]uint64, error) {
			w.moods.raise = nil
			_, err := raise()
			return nil, errors.Join(err, persist.ErrUnclear)
		}
		next := w.game(gameB, 2)
		loads := next.begin("ann")
		w.advance(time.Second)
		loads.is(t, "ok")
		is(t, loads.text(), `{"a":1}@1`)
		saved := next.save("ann", 2, true, `{"a":2}`)
		w.settle()
		saved.is(t, "ok")
		is(t, w.stored("ann"), `={"a":2}@2`)
	})
}

func TestAMovedEntityIsWrittenThoughItsFirstClaimReachedNobody(t *testing.T) {
	w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: -1})
	g := w.game(gameA, 1)
	g.load("ann")
	next := g.moves(gameB, 2)
	w.away = actors.Unavailable
	lost := next.save("ann", 2, false, `{"a":2}`)
	w.advance(5 * time.Second)
	lost.is(t, "STORE_UNAVAILABLE")
	w.away = ""
	again := next.save("ann", 3, false, `{"a":3}`)
	w.advance(time.Second)
	again.is(t, "ok")
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

// TestAKeeperTakesAlongWhatTheStoreRefuses: somebody has loaded it, and only the keeper has it. So it moves, and may be
// moved again, until an operator has seen to the store.
func TestAKeeperTakesAlongWhatTheStoreRefuses(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.loaded()
		everything := func(persist.Change) bool { return true }
		w.refuse(persist.ErrRejected, everything)
		w.advance(time.Minute)
		is(t, w.archive.Report().Rows, 3)
		f := w.freeze(time.Second)
		w.settle()
		f.Thaw() // that move was put off
		w.advance(time.Minute)
		is(t, w.archive.Report().Rows, 3)
		is(t, g.load("ann"), `{"a":1}@1 bag/1=1 bag/2=1`)

		f = w.freeze(time.Second)
		w.settle()
		state, err := f.State(4 << 20)
		if err != nil {
			t.Fatal(err)
		}
		next := w.second(g)
		next.moods.write = w.moods.write
		next.node.epoch = 2
		arrival, err := next.node.sys.Prepare(actors.Tenure{Role: persist.KeeperRole, Shard: 1, Epoch: 2}, state)
		if err != nil {
			t.Fatal(err)
		}
		f.Discard()
		g.Start(next.node.sys)
		arrival.Begin()
		w.advance(time.Minute)
		is(t, w.archive.Report().Rows, 0)
		is(t, w.stored("ann"), "")
		is(t, g.load("ann"), `{"a":1}@1 bag/1=1 bag/2=1`)
		next.moods.write = nil // an operator has seen to it
		w.advance(time.Minute)
		is(t, w.stored("ann"), `={"a":1}@1 bag/1=1@1 bag/2=1@1`)
		next.saves("ann", 2, `{"a":2}`, "bag/1=")
		is(t, g.load("ann"), `{"a":2}@2 bag/2=1`)
	})
}
