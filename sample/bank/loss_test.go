package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/clustertest"
)

// A jotter writes numbered lines in pencil and finds out which of them have been lost.
type jotter struct {
	*customer
	mu     sync.Mutex
	kept   []jotted // what its ledger must hold, as far as it knows
	losses []loss
}

// jotted is a line and when it was answered.
type jotted struct {
	line uint64
	at   time.Time
}

// A loss is the newest lines of a ledger, gone at once.
type loss struct {
	lines  int
	oldest time.Time // when the oldest of them was answered
}

// jotters adds jotters to the crowd.
func (w *crowd) jotters(n int) {
	for i := range n {
		r := &jotter{customer: w.customer(fmt.Sprintf("jotter%d", i))}
		r.be(LedgerKind.Ref(r.name))
		w.add(r.customer, r.live)
		w.jotting = append(w.jotting, r)
	}
}

func (r *jotter) live(ctx context.Context) {
	for line := uint64(1); ctx.Err() == nil; line++ {
		page, err := request[*Page](ctx, r.customer, &Jot{line})
		if err == nil {
			r.told(int(page.Pencil.Count)-1, jotted{line, time.Now()})
			r.wait(ctx, pace)
			continue
		}
		for err != nil && r.wait(ctx, 10*pace) {
			page, err = request[*Page](ctx, r.customer, &Read{})
		}
		if err == nil { // the line that was not answered may be there: it is the newest then
			if page.Pencil.Last == line {
				r.told(int(page.Pencil.Count)-1, jotted{line, time.Now()})
			} else {
				r.told(int(page.Pencil.Count))
			}
		}
	}
}

// told compares how many lines the ledger has kept of those that were answered with how many there were: what is lost
// is lost from its end. Then it adds new ones.
func (r *jotter) told(kept int, more ...jotted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if kept < 0 || kept > len(r.kept) {
		r.fault("it has written %d lines in pencil, and %d are there", len(r.kept), kept)
	} else if kept < len(r.kept) {
		r.losses = append(r.losses, loss{len(r.kept) - kept, r.kept[kept].at})
		r.kept = r.kept[:kept]
	}
	r.kept = append(r.kept, more...)
}

// mayLose is how old what is lost may be when a game node is killed. A busy machine may be late with the answer that
// was timed here, with the kill, and with the flush, which is allowed what commits took at that time in addition.
const mayLose = flushEvery + scheduling

// jotted lets jotters write for so long since the last death: who is killed too early has nothing to lose that is old.
func (w *crowd) jotted(long time.Duration) {
	w.t.Helper()
	clustertest.Await(w.t, long+goOnWithin, "jotters to have lines that are old", func() error {
		if time.Since(w.wentOn) < long {
			return errors.New("not yet")
		}
		return nil
	})
}

// lost takes what jotters have lost since it was last asked, which must not be older than bound at the time given; 0:
// nothing may be lost.
func (w *crowd) lost(what string, at time.Time, bound time.Duration) {
	w.t.Helper()
	lines, oldest := 0, time.Duration(0)
	for _, r := range w.jotting {
		r.mu.Lock()
		for _, l := range r.losses {
			lines, oldest = lines+l.lines, max(oldest, at.Sub(l.oldest))
		}
		if bound == 0 && len(r.losses) > 0 {
			w.t.Errorf("%s: %s has lost %v, which must be none", what, r.name, r.losses)
		}
		r.losses = nil
		r.mu.Unlock()
	}
	if lines > 0 {
		w.t.Logf("%s: %d lines in pencil were lost, the oldest %v before", what, lines, short(oldest))
	}
	if w.oldest = max(w.oldest, oldest); bound > 0 && oldest > bound {
		w.t.Errorf("%s: what was lost is up to %v old, more than %v", what, oldest, bound)
	}
}

// whole reads all ledgers again and again until the crowd stops: what one turn has written in two places is in the
// store at both or at none.
func (w *crowd) whole() {
	w.busy.Go(func() {
		looks := 0
		for ; w.ctx.Err() == nil; looks++ {
			all, _ := w.vault.ledgers() // the database may be away
			for id, l := range all {
				if l.page.Pencil != l.copy {
					w.t.Errorf("the store has half of ledger %s: %+v and %+v", id, l.page.Pencil, l.copy)
				}
			}
			w.jotting[0].wait(w.ctx, 10*pace)
		}
		w.t.Logf("the store was looked at %d times", looks)
	})
}

// withoutStore kills the database, and all that is between it and the game nodes, and brings it back later: nothing is
// lost that the game nodes still hold.
func (w *crowd) withoutStore(down time.Duration) {
	w.t.Helper()
	var jotting []*customer
	for _, r := range w.jotting {
		jotting = append(jotting, r.customer)
	}
	at := time.Now()
	w.maria.Kill()
	w.goesOn("without the store", time.Now(), jotting...)
	dead := w.Kill("persist-2")
	w.goesOn("without the store and its keepers", time.Now(), jotting...)
	another := w.Kill("persist-1")
	clustertest.Await(w.t, 2*down+goOnWithin, "the time without a store to pass", func() error {
		if time.Since(at) < down {
			return errors.New("not yet")
		}
		return nil
	})
	w.goesOn("without the store to the end", time.Now(), jotting...)
	w.maria.Restart()
	back := time.Now()
	w.Restarted(dead)
	w.Restarted(another)
	w.flushed()
	w.t.Logf("the store had all that was written in %v without it %v after it was back", short(back.Sub(at)),
		short(time.Since(back)))
	w.goesOn("with the store again", time.Now())
	w.lost("a store that was away while its keepers died", back, 0)
}

// flushed waits until the store has all that jotters know to be written.
func (w *crowd) flushed() {
	w.t.Helper()
	var wanted []jotted
	for _, r := range w.jotting {
		r.mu.Lock()
		wanted = append(wanted, r.kept[len(r.kept)-1])
		r.mu.Unlock()
	}
	for i, r := range w.jotting {
		clustertest.Await(w.t, goOnWithin, "the store to have what "+r.name+" wrote", func() error {
			stored, err := w.vault.ledgers()
			if l := stored[r.as.ID]; err == nil && (l == nil || l.page.Pencil.Last < wanted[i].line) {
				err = fmt.Errorf("it has %+v, not line %d", l, wanted[i].line)
			}
			return err
		})
	}
}

// compareJots compares ledgers, when all is over and was stopped in order, with what jotters know.
func (w *crowd) compareJots(t *testing.T) {
	t.Helper()
	all, err := w.vault.ledgers()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range w.jotting {
		l, knows := all[r.as.ID], int64(len(r.kept))
		if l == nil || l.page.Pencil.Count < knows || l.page.Pencil.Count > knows+1 { // the last may be unanswered
			t.Errorf("%s has written %d lines, and the store has %+v", r.name, knows, l)
		}
	}
	t.Logf("the oldest that was lost of what no commit held was %v old; %v are allowed, and what a commit takes",
		short(w.oldest), mayLose)
}
