package persist_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/persist"
)

func TestACommitWaitsForNoTimerAndAFlushGathers(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		flush := g.save("ann", 1, false, `{}`)
		w.settle()
		flush.is(t, "")
		w.advance(49 * time.Millisecond)
		flush.is(t, "")
		w.advance(time.Millisecond)
		flush.is(t, "ok")
		late := g.save("bob", 1, false, `{}`)
		commit := g.save("ann", 2, true, `{}`)
		w.settle()
		commit.is(t, "ok")
		late.is(t, "ok") // it goes along
		is(t, w.moods.statements, 2)
	})
}

func TestAHundredSavesOfAnEntityAreFewStatements(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		for v := range uint64(40) {
			g.save("ann", v+1, false, fmt.Sprintf(`{"v":%d}`, v+1),
				fmt.Sprintf("bag/%d=%d", v%10, v))
		}
		w.settle()
		r := w.archive.Report()
		is(t, r.Rows, 11) // the newest of each part
		w.advance(30 * time.Millisecond)
		is(t, w.archive.Report().Oldest, 30*time.Millisecond)
		w.advance(time.Second)
		is(t, w.moods.statements, 1)
		r = w.archive.Report()
		is(t, r.Rows, 0)
		is(t, r.Bytes, 0)
		is(t, r.Oldest, "0s")
		is(t, r.Coalesced, 39)
		want := `{"v":40}@40`
		for i := range 10 {
			want += fmt.Sprintf(" bag/%d=%d", i, 30+i)
		}
		is(t, g.load("ann"), want)
	})
}

func TestADeadlockIsTriedAgainAsAWhole(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		faults := 3
		w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) (
			[]persist.Outcome, error) {
			if faults--; faults >= 0 {
				return nil, persist.ErrContended
			}
			return write()
		}
		commit := g.save("ann", 1, true, `{}`)
		w.settle()
		commit.is(t, "ok")
		is(t, w.archive.Report().Retries, 3)
		faults = 12 // beyond what is tried at once: a flush stays, and is tried a little later
		flush := g.save("ann", 2, false, `{"v":2}`)
		w.advance(time.Second)
		flush.is(t, "ok")
	})
}

func TestARowThatTheStoreRefusesIsSetAsideAlone(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.moods.write = func(b persist.Batch, write func() ([]persist.Outcome, error)) (
			[]persist.Outcome, error) {
			for _, c := range b.Changes {
				if c.ID == "h7" {
					return nil, fmt.Errorf("data too long: %w", persist.ErrRejected)
				}
			}
			return write()
		}
		var all []*result
		for i := range 16 {
			all = append(all, g.save(fmt.Sprintf("h%d", i), 1, i%2 == 0, `{}`))
		}
		w.advance(time.Second)
		for i, r := range all {
			want := "ok"
			if i == 7 {
				want = "STORE_REFUSED"
			}
			r.is(t, want)
		}
		is(t, strings.Contains(all[7].err.Error(), "data too long"), true)
		is(t, w.archive.Report().Aside, 1)
		is(t, w.archive.Report().Rows, 0)
	})
}

func TestBatchesAreBoundedAndAnEntityIsNeverSplit(t *testing.T) {
	onBoth(t, persist.Limits{BatchRows: 4}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		for i := range 9 {
			g.save(fmt.Sprint(i), 1, false, `{}`)
		}
		g.save("giant", 1, false, `{}`, "b/1=1", "b/2=1", "b/3=1", "b/4=1", "b/5=1")
		w.advance(time.Second)
		var sizes []string
		for _, b := range w.moods.batches {
			sizes = append(sizes, fmt.Sprintf("%d/%d", len(b.Changes), b.Rows()))
			is(t, slices.IsSortedFunc(b.Changes, func(a, b persist.Change) int {
				return strings.Compare(a.ID, b.ID)
			}), true)
		}
		is(t, strings.Join(sizes, " "), "4/4 4/4 1/1 1/6")
		is(t, w.stored("giant"), `={}@1 b/1=1@1 b/2=1@1 b/3=1@1 b/4=1@1 b/5=1@1`)
	})
}

func TestAnEntityOfManyBytesHasAStatementOfItsOwn(t *testing.T) {
	onBoth(t, persist.Limits{BatchBytes: 10_000}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		text := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
		g.save("a", 1, false, text(4000))
		g.save("b", 1, false, text(4000))
		g.save("c", 1, false, text(4000))
		g.save("giant", 1, false, `{}`, "b/1="+text(9000), "b/2="+text(9000))
		g.saveBox("large", 1, text(20_000), 0, false)
		g.save("z", 1, false, `{}`)
		w.advance(time.Second)
		var batches []string
		for _, b := range w.moods.batches {
			var ids []string
			for _, c := range b.Changes {
				ids = append(ids, c.ID)
			}
			batches = append(batches, strings.Join(ids, "+"))
		}
		is(t, strings.Join(batches, " "), "a+b c giant large z")
		is(t, g.load("giant"), `{}@1 b/1=`+text(9000)+` b/2=`+text(9000))
	})
}

// TestWhoeverWaitsInACommitComesFirst puts commits behind a long queue of what nobody waits for. Each takes part in the
// next statement, and yet the queue goes on, however many commits there are.
func TestWhoeverWaitsInACommitComesFirst(t *testing.T) {
	onBoth(t, persist.Limits{Writers: 1, BatchRows: 2}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		commits := 0
		w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
			if commits == 0 {
				for i := range 4 {
					g.save(fmt.Sprint("later", i), 1, false, `{}`)
				}
			}
			for range 2 { // as many as a statement holds
				if commits++; commits <= 12 {
					g.save(fmt.Sprint("commit", commits), 1, true, `{}`)
				}
			}
			w.settle()
			return write()
		}
		g.save("first", 1, true, `{}`)
		w.advance(time.Second)
		var order []string
		for _, b := range w.moods.batches {
			for _, c := range b.Changes {
				order = append(order, strings.TrimRight(c.ID, "0123456789"))
			}
		}
		is(t, strings.Join(order, " "), "first commit commit commit commit later later commit commit commit commit"+
			" commit commit later later commit commit")
		is(t, w.archive.Report().Rows, 0)
	})
}
