package persist_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/persist"
)

// A loaded change is one of an owner that is gone, still pending, that the owner after it was shown.
func (w *world) loaded() (next *game) {
	w.Helper()
	g := w.game(gameA, 1)
	g.load("ann")
	g.save("ann", 1, false, `{"a":1}`, "bag/1=1", "bag/2=1")
	w.settle()
	next = w.game(gameB, 2)
	is(w, next.load("ann"), `{"a":1}@1 bag/1=1 bag/2=1`)
	return next
}

// refuse lets the store refuse changes for which it is so.
func (w *world) refuse(fault error, so func(persist.Change) bool) {
	w.moods.write = func(b persist.Batch, write func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
		for _, c := range b.Changes {
			if so(c) {
				return nil, fmt.Errorf("too long: %w", fault)
			}
		}
		return write()
	}
}

func TestARefusedChangeLeavesWhatWasLoadedBeforeIt(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		next := w.loaded()
		w.refuse(persist.ErrRejected, func(c persist.Change) bool { return c.Version() > 1 })
		commit := next.save("ann", 2, true, `{"a":2}`, "bag/1=2", "bag/3=2")
		w.settle()
		commit.is(t, "STORE_REFUSED")
		is(t, strings.Contains(fmt.Sprint(commit.err), "too long"), true)
		w.advance(time.Second)
		is(t, w.stored("ann"), `={"a":1}@1 bag/1=1@1 bag/2=1@1`)
		is(t, next.load("ann"), `{"a":1}@1 bag/1=1 bag/2=1`)
		is(t, w.archive.Report().Rows, 0)
		is(t, w.archive.Report().Bytes, 0)
		w.moods.write = nil
		commit = next.save("ann", 3, true, `{"a":3}`, "bag/2=")
		w.settle()
		commit.is(t, "ok")
		is(t, next.load("ann"), `{"a":3}@3 bag/1=1`)
	})
}

func TestWhatWasLoadedIsKeptThoughTheStoreRefusesIt(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		next := w.loaded()
		w.refuse(persist.ErrRejected, func(persist.Change) bool { return true })
		for v := range uint64(3) {
			commit := next.save("ann", v+2, true, `{"a":2}`, "bag/1=2")
			w.settle()
			commit.is(t, "STORE_REFUSED")
			is(t, next.load("ann"), `{"a":1}@1 bag/1=1 bag/2=1`)
		}
		before := w.moods.statements
		w.advance(10 * time.Minute)
		if n := w.moods.statements - before; n > 30 {
			t.Errorf("%d statements in ten minutes", n)
		}
		is(t, w.archive.Report().Rows, 3)
		is(t, w.log.lines("the store refuses a change") < 8, true)
		w.moods.write = nil // an operator has seen to it
		w.advance(time.Minute)
		is(t, w.stored("ann"), `={"a":1}@1 bag/1=1@1 bag/2=1@1`)
		is(t, w.archive.Report().Rows, 0)
	})
}

func TestAKeeperThatStopsGivesUpWhatTheStoreRefuses(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		w.loaded()
		w.refuse(persist.ErrRejected, func(persist.Change) bool { return true })
		w.advance(time.Minute)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		stopped := make(chan error, 1)
		go func() { stopped <- w.sys.Stop(ctx) }()
		for len(stopped) == 0 { // Stop posts from its goroutine, the world runs in this one
			w.settle()
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		is(t, w.archive.Report().Rows, 0)
	})
}

func TestACommitOverWhatWasLoadedIsUndoneWhenTheStoreIsDown(t *testing.T) {
	for _, fault := range []error{persist.ErrDown, persist.ErrContended} {
		onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
			next := w.loaded()
			w.refuse(fault, func(persist.Change) bool { return true })
			commit := next.save("ann", 2, true, `{"a":2}`, "bag/1=2", "bag/3=2")
			w.settle()
			commit.is(t, "STORE_UNAVAILABLE")
			w.moods.write = nil
			w.advance(5 * time.Second)
			is(t, w.stored("ann"), `={"a":1}@1 bag/1=1@1 bag/2=1@1`)
			is(t, w.archive.Report().Rows, 0)
			is(t, w.archive.Report().Bytes, 0)
		})
	}
}
