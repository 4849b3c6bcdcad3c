package persist_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// capricious is a Database whose writing of rows does what it is told instead.
type capricious struct {
	persist.Database
	batches []persist.RowBatch
	write   func(b persist.RowBatch, write writing) ([]persist.RowOutcome, error)
	down    bool
	reads   int
}

// writing writes what was to be written.
type writing func() ([]persist.RowOutcome, error)

func (c *capricious) WriteRows(ctx context.Context, b persist.RowBatch) ([]persist.RowOutcome, error) {
	c.batches = append(c.batches, b)
	inner := func() ([]persist.RowOutcome, error) { return c.Database.WriteRows(ctx, b) }
	switch {
	case c.down:
		return nil, persist.ErrDown
	case c.write != nil:
		return c.write(b, inner)
	}
	return inner()
}

func (c *capricious) Rows(ctx context.Context, q persist.RowQuery) ([]persist.Values, error) {
	if c.reads++; c.down {
		return nil, persist.ErrDown
	}
	return c.Database.Rows(ctx, q)
}

func (c *capricious) Raise(ctx context.Context, claims []persist.Claim) ([]uint64, error) {
	if c.down {
		return nil, persist.ErrDown
	}
	return c.Database.Raise(ctx, claims)
}

func (c *capricious) Level(ctx context.Context) (string, error) {
	if c.down {
		return "", persist.ErrDown
	}
	return c.Database.Level(ctx)
}

// onQuiet runs a test in virtual time, on memory and on SQLite.
func onQuiet(t *testing.T, l persist.Limits, test func(*testing.T, *party, *capricious)) {
	t.Run("memory", func(t *testing.T) { quietly(t, persist.NewMemory(), l, test) })
	t.Run("sqlite", func(t *testing.T) { quietly(t, aFile(t), l, test) })
}

func aFile(t *testing.T) persist.Database {
	return opened(t)(persist.OpenSQLite(filepath.Join(t.TempDir(), "firefly.db")))
}

func quietly(t *testing.T, db persist.Database, l persist.Limits, test func(*testing.T, *party, *capricious)) {
	if err := db.Migrate(context.Background(), tableSchema(t)); err != nil {
		t.Fatal(err)
	}
	c := &capricious{Database: db}
	test(t, newQuietParty(t, c, l), c)
}

// later is the answer a while later: a lost answer makes a node ask first whether the store is there.
func later[R any](p *party, q actors.Pending[R]) answer[R] {
	a := begin(p, "n", q)
	p.time.Advance(time.Second)
	return a.now()
}

var red = task{ID: 1, Guild: "red", Title: "dig"}

func TestARowIsAnsweredOnlyWhenItIsDurable(t *testing.T) {
	t.Parallel()
	onQuiet(t, persist.Limits{}, func(t *testing.T, p *party, c *capricious) {
		var insert asked[task]
		var get asked[task]
		c.write = func(_ persist.RowBatch, write writing) ([]persist.RowOutcome, error) {
			insert.now().waits(t)
			get = begin(p, "n", tasks.Get(red))
			get.now().waits(t) // what may not last is shown to nobody
			return write()
		}
		insert = begin(p, "n", tasks.Insert(red))
		is(t, insert.now().ok(t), red)
		is(t, get.now().ok(t), red)
	})
}

func TestAnUnknownRowIsFoundOut(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"insert", "update", "delete"} {
		for _, applied := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, applied %v", verb, applied), func(t *testing.T) {
				onQuiet(t, persist.Limits{}, func(t *testing.T, p *party, c *capricious) {
					if verb != "insert" {
						ask(p, tasks.Insert(red)).ok(t)
					}
					keeper := uint64(0)
					c.write = func(b persist.RowBatch, write writing) ([]persist.RowOutcome, error) {
						now := b.Rows[0].Keeper.Epoch
						if keeper == 0 {
							if keeper = now; applied {
								_, _ = write() // the answer is lost
							}
							return nil, persist.ErrUnclear
						}
						if now != keeper+1 {
							t.Errorf("written again under %d after %d", now, keeper)
						}
						return write()
					}
					done := red
					done.Done = true
					switch verb {
					case "insert":
						is(t, later(p, tasks.Insert(done)).ok(t), done)
					case "update":
						is(t, later(p, tasks.Update(done, "done")).ok(t), done)
					default:
						is(t, later(p, tasks.Delete(red)).ok(t), red)
						ask(p, tasks.Get(red)).refused(t, persist.NoRow, "id=1")
						return
					}
					is(t, ask(p, tasks.Get(red)).ok(t), done)
					is(t, p.archive.Report().Unclear, 1)
					if again := applied && verb == "insert"; (len(c.batches) == 1) != again && verb == "insert" {
						t.Errorf("%d statements", len(c.batches))
					}
				})
			})
		}
	}
}

func TestARowThatAnotherKeeperInsertedMeanwhileIsNobodysGuess(t *testing.T) {
	t.Parallel()
	onQuiet(t, persist.Limits{}, func(t *testing.T, p *party, c *capricious) {
		c.write = func(b persist.RowBatch, write writing) ([]persist.RowOutcome, error) {
			c.write = nil
			theirs := b
			theirs.Rows = []persist.RowWrite{b.Rows[0]}
			raised, err := c.Database.Raise(context.Background(),
				[]persist.Claim{{Role: persist.KeeperRole, Shard: b.Rows[0].Shard, Holder: keepB}})
			if err != nil {
				t.Fatal(err)
			}
			theirs.Rows[0].Keeper = persist.Fence{Epoch: raised[0], Holder: keepB}
			if _, err := c.Database.WriteRows(context.Background(), theirs); err != nil {
				t.Fatal(err)
			}
			return nil, persist.ErrUnclear
		}
		later(p, tasks.Insert(red)).refused(t, actors.Unavailable, "nobody knows")
		is(t, ask(p, tasks.Get(red)).ok(t), red)
	})
}

func TestAStaleKeeperWritesNoRow(t *testing.T) {
	t.Parallel()
	onQuiet(t, persist.Limits{}, func(t *testing.T, p *party, c *capricious) {
		ask(p, tasks.Insert(red)).ok(t)
		raise := func() {
			ask(p, tasks.Get(red)).ok(t) // this node has its fence
			for shard := range 8 {
				if _, err := c.Database.Raise(context.Background(),
					[]persist.Claim{{Role: persist.KeeperRole, Shard: shard, Holder: keepB}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		raise()
		ask(p, tasks.Update(task{ID: 1, Guild: "red", Title: "stale"}, "title")).
			refused(t, actors.Unavailable, "another keeper")
		raise()
		ask(p, tasks.Insert(task{ID: 2, Guild: "red", Title: "stale"})).refused(t, actors.Unavailable, "another keeper")
		raise()
		ask(p, tasks.Delete(red)).refused(t, actors.Unavailable, "another keeper")
		is(t, ask(p, tasks.Find(persist.Query{})).ok(t), []task{red})
		title := red
		title.Title = "dig on"
		is(t, ask(p, tasks.Update(title, "title")).ok(t), title) // this node is the keeper nevertheless
	})
}

func TestAStoreThatIsDownRefusesRowsAtOnceAndLosesNone(t *testing.T) {
	t.Parallel()
	onQuiet(t, persist.Limits{}, func(t *testing.T, p *party, c *capricious) {
		ask(p, tasks.Insert(red)).ok(t)
		c.down = true
		done := red
		done.Done = true
		ask(p, tasks.Update(done, "done")).refused(t, actors.StoreUnavailable, "") // it finds out
		statements := len(c.batches)
		ask(p, tasks.Update(done, "done")).refused(t, actors.StoreUnavailable, "down")
		ask(p, tasks.Get(red)).refused(t, actors.StoreUnavailable, "not to be had")
		ask(p, tasks.Find(persist.Query{})).refused(t, actors.StoreUnavailable, "down")
		is(t, len(c.batches), statements)
		c.down = false
		p.time.Advance(3 * time.Second)
		is(t, ask(p, tasks.Get(red)).ok(t), red) // refused means never written
		is(t, ask(p, tasks.Update(done, "done")).ok(t), done)
		is(t, p.archive.Report().Rows, 0)
		is(t, p.archive.Report().Bytes, 0)
	})
}

func TestAnUnknownRowWaitsForTheStore(t *testing.T) {
	t.Parallel()
	onQuiet(t, persist.Limits{}, func(t *testing.T, p *party, c *capricious) {
		c.write = func(b persist.RowBatch, write writing) ([]persist.RowOutcome, error) {
			c.write, c.down = nil, true
			_, _ = c.Database.WriteRows(context.Background(), b)
			return nil, persist.ErrUnclear
		}
		insert := begin(p, "n", tasks.Insert(red))
		p.time.Advance(2 * time.Second)
		insert.now().waits(t)
		reads := c.reads
		p.time.Advance(time.Second)
		is(t, c.reads, reads) // the store is not flooded
		c.down = false
		p.time.Advance(4 * time.Second)
		is(t, insert.now().ok(t), red)
		is(t, len(c.batches), 1)
	})
}

func TestAContendedBatchIsSentAgainAsAWhole(t *testing.T) {
	t.Parallel()
	onQuiet(t, persist.Limits{}, func(t *testing.T, p *party, c *capricious) {
		fails := 3
		c.write = func(_ persist.RowBatch, write writing) ([]persist.RowOutcome, error) {
			if fails--; fails >= 0 {
				return nil, persist.ErrContended
			}
			return write()
		}
		is(t, ask(p, tasks.Insert(red)).ok(t), red)
		is(t, p.archive.Report().Retries, 3)
		fails = 1000
		done := red
		done.Done = true
		ask(p, tasks.Update(done, "done")).refused(t, actors.StoreUnavailable, "")
		fails = 0
		is(t, ask(p, tasks.Get(red)).ok(t), red)
	})
}

func TestUpdatesThatWaitBecomeOne(t *testing.T) {
	t.Parallel()
	onQuiet(t, persist.Limits{Writers: 1}, func(t *testing.T, p *party, c *capricious) {
		row := full()
		row.ID = ask(p, things.Insert(row)).ok(t).ID
		var all []asked[thing]
		c.write = func(_ persist.RowBatch, write writing) ([]persist.RowOutcome, error) {
			c.write = nil
			for i := range 50 {
				v := thing{ID: row.ID, Count: int64(i), Name: fmt.Sprint("n", i)}
				all = append(all, begin(p, "n", things.Update(v, []string{"count", "name"}[i%2])))
			}
			all[0].now().waits(t)
			return write()
		}
		ask(p, things.Update(thing{ID: row.ID, Small: 3}, "small")).ok(t)
		row.Small, row.Count, row.Name = 3, 48, "n49"
		for _, a := range all {
			same(t, a.now().ok(t), row)
		}
		is(t, len(c.batches), 3) // the insert, the first update, and all others
		same(t, ask(p, things.Get(row)).ok(t), row)
	})
}

func TestABadRowIsSetAsideAloneAndABadUpdateLikewise(t *testing.T) {
	t.Parallel()
	// Memory takes any title.
	quietly(t, aFile(t), persist.Limits{Writers: 1}, func(t *testing.T, p *party, c *capricious) {
		ask(p, tasks.Insert(red)).ok(t)
		long := "a title that is longer than all that the column takes"
		var rows []asked[task]
		var bad, updates []asked[task]
		c.write = func(_ persist.RowBatch, write writing) ([]persist.RowOutcome, error) {
			c.write = nil
			for i := range 30 {
				rows = append(rows, begin(p, "n",
					tasks.Insert(task{ID: int64(10 + i), Guild: "red", Title: fmt.Sprint(i)})))
			}
			for i, title := range []string{long, "0"} { // too long, and taken
				bad = append(bad, begin(p, "n", tasks.Insert(task{ID: int64(50 + i), Guild: "red", Title: title})))
			}
			updates = append(updates, begin(p, "n", tasks.Update(task{ID: 1, Guild: "red", Done: true}, "done")),
				begin(p, "n", tasks.Update(task{ID: 1, Guild: "red", Title: long}, "title")),
				begin(p, "n", tasks.Get(red)))
			p.time.Settle()
			return write()
		}
		ask(p, tasks.Update(task{ID: 1, Guild: "red", Title: "dug"}, "title")).ok(t)
		for _, a := range rows {
			a.now().ok(t)
		}
		bad[0].now().refused(t, persist.BadValue, "task")
		bad[1].now().refused(t, persist.RowTaken, "task.title")
		updates[0].now().ok(t)
		updates[1].now().refused(t, persist.BadValue, "task")
		is(t, updates[2].now().ok(t), task{1, "red", "dug", true})
	})
}

func TestTheOldestRowThatWaitsIsReported(t *testing.T) {
	t.Parallel()
	onQuiet(t, persist.Limits{Writers: 1}, func(t *testing.T, p *party, c *capricious) {
		c.write = func(_ persist.RowBatch, write writing) ([]persist.RowOutcome, error) {
			c.write = nil
			p.time.Advance(200 * time.Millisecond)
			begin(p, "n", tasks.Insert(task{ID: 10, Guild: "red", Title: "later"}))
			p.time.Advance(100 * time.Millisecond)
			is(t, p.archive.Report().Oldest, 300*time.Millisecond)
			is(t, p.archive.Report().Sent, 1)
			return write()
		}
		ask(p, tasks.Insert(red)).ok(t)
		p.time.Settle()
		is(t, p.archive.Report().Oldest, "0s")
	})
}

func TestWhatWaitsIsBounded(t *testing.T) {
	t.Parallel()
	onQuiet(t, persist.Limits{PendingRows: 3, Writers: 1}, func(t *testing.T, p *party, c *capricious) {
		var all []asked[task]
		c.write = func(_ persist.RowBatch, write writing) ([]persist.RowOutcome, error) {
			c.write = nil
			for i := range 4 {
				all = append(all, begin(p, "n",
					tasks.Insert(task{ID: int64(10 + i), Guild: "red", Title: fmt.Sprint(i)})))
			}
			p.time.Settle()
			is(t, p.archive.Report().Rows, 3)
			return write()
		}
		ask(p, tasks.Insert(red)).ok(t)
		for i, a := range all {
			if i < 2 {
				a.now().ok(t)
				continue
			}
			a.now().refused(t, actors.StoreBehind, "keep up")
		}
		is(t, p.archive.Report().Rows, 0)
		is(t, p.archive.Report().Behind, 2)
	})
	onQuiet(t, persist.Limits{Waiting: 3}, func(t *testing.T, p *party, c *capricious) {
		var all []asked[task]
		c.write = func(_ persist.RowBatch, write writing) ([]persist.RowOutcome, error) {
			c.write = nil
			for range 3 {
				all = append(all, begin(p, "n", tasks.Get(red)))
			}
			p.time.Settle()
			return write()
		}
		ask(p, tasks.Insert(red)).ok(t)
		all[1].now().ok(t)
		all[2].now().refused(t, actors.Overloaded, "wait")
	})
	onQuiet(t, persist.Limits{AnswerBytes: 4000}, func(t *testing.T, p *party, _ *capricious) {
		for range 10 {
			row := full()
			row.Name = string(make([]byte, 500))
			ask(p, things.Insert(row)).ok(t)
		}
		ask(p, things.Find(persist.Query{})).refused(t, persist.TooManyRows, "thing")
		is(t, len(ask(p, things.Find(persist.Query{Limit: 2})).ok(t)), 2)
	})
}

// TestWhateverGoesWrongNoConfirmedUpdateIsLost lets each of a row's columns rise by its own asker, while statements
// fail in every way.
func TestWhateverGoesWrongNoConfirmedUpdateIsLost(t *testing.T) {
	t.Parallel()
	seeds, err := strconv.ParseUint(os.Getenv("FIREFLY_SEEDS"), 10, 64)
	if err != nil {
		seeds = 6
	}
	for seed := range seeds {
		onQuiet(t, persist.Limits{Writers: 2}, func(t *testing.T, p *party, c *capricious) {
			luck := rand.New(rand.NewPCG(seed, 1))
			row := full()
			row.Count, row.Big, row.Small = 0, 0, 0
			row.ID = ask(p, things.Insert(row)).ok(t).ID
			c.write = func(_ persist.RowBatch, write writing) ([]persist.RowOutcome, error) {
				switch luck.IntN(8) {
				case 0:
					return nil, persist.ErrUnclear
				case 1:
					_, _ = write()
					return nil, persist.ErrUnclear
				case 2:
					return nil, persist.ErrContended
				case 3:
					return nil, persist.ErrDown
				}
				return write()
			}
			columns := []string{"count", "big", "small"}
			sent, confirmed := map[string]int64{}, map[string]int64{}
			under := map[string]*asked[thing]{}
			for range 300 {
				if column := columns[luck.IntN(3)]; under[column] == nil && sent[column] < 100 {
					sent[column]++
					v := thing{ID: row.ID, Count: sent[column], Big: uint64(sent[column]), Small: int8(sent[column])}
					a := begin(p, "n", things.Update(v, column))
					under[column] = &a
				}
				if luck.IntN(2) == 0 {
					p.time.Advance(time.Duration(luck.IntN(300)) * time.Millisecond)
				}
				for _, column := range columns {
					if a := under[column]; a != nil {
						got := a.now()
						if got.err == nil {
							confirmed[column] = sent[column]
						} else if !errors.Is(got.err, actors.StoreUnavailable) && got.err != errWaits &&
							!errors.Is(got.err, actors.DeadlinePassed) {
							t.Fatalf("seed %d: %v", seed, got.err)
						}
						if got.err != errWaits {
							under[column] = nil
						}
					}
				}
			}
			c.write = nil
			p.time.Advance(time.Minute)
			got := ask(p, things.Get(row)).ok(t)
			stored := map[string]int64{"count": got.Count, "big": int64(got.Big), "small": int64(got.Small)}
			for column, n := range stored {
				if n < confirmed[column] || n > sent[column] || confirmed[column] == 0 {
					t.Errorf("seed %d: %s is %d, confirmed %d, sent %d",
						seed, column, n, confirmed[column], sent[column])
				}
			}
			is(t, p.archive.Report().Rows, 0)
		})
	}
}

func TestAKeeperThatStopsAnswersForItsRowsFirst(t *testing.T) {
	t.Parallel()
	onQuiet(t, persist.Limits{}, func(t *testing.T, p *party, c *capricious) {
		fails := 1
		c.write = func(_ persist.RowBatch, write writing) ([]persist.RowOutcome, error) {
			if fails--; fails == 0 {
				return nil, persist.ErrUnclear
			}
			return write()
		}
		insert := begin(p, "n", tasks.Insert(red))
		insert.now().waits(t)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped := make(chan error, 1)
		go func() { stopped <- p.systems["n"].Stop(ctx) }()
		for len(stopped) == 0 { // Stop posts from its goroutine, the party runs in this one
			p.time.Advance(time.Millisecond)
		}
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		is(t, tasksIn(t, c.Database), "1 red dig")
		is(t, p.archive.Report().Rows, 0)
	})
}
