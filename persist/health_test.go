package persist_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/persist"
)

// full makes a store that answers everything, but writes no row of an entity.
func (w *world) full(text string) {
	w.moods.write = func(persist.Batch, func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
		return nil, fmt.Errorf("%s: %w", text, persist.ErrDown)
	}
}

func TestAStoreIsBackOnlyWhenItWritesAgain(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.full("the disk is full")
		g.save("ann", 1, false, `{"a":1}`)
		w.advance(time.Second)
		before := w.moods.statements
		w.advance(time.Minute)
		is(t, w.log.lines("store is down", "the disk is full"), 1)
		is(t, w.log.lines("store is back"), 0)
		is(t, w.archive.Report().Down, true)
		if n := w.moods.statements - before; n > 61 { // the longest pause is 2 s, and each try may be two
			t.Errorf("%d statements in a minute", n)
		}
		w.moods.write = nil
		w.advance(5 * time.Second)
		is(t, w.stored("ann"), `={"a":1}@1`)
		is(t, w.log.lines("store is back"), 1)
		is(t, w.archive.Report().Down, false)
		flush := g.save("ann", 2, true, `{"a":2}`)
		w.settle()
		flush.is(t, "ok")
	})
}

// TestCommittersAreToldTheSameWhileTheStoreTakesNoWrites: nothing is pending that could be the probe but their commits.
func TestCommittersAreToldTheSameWhileTheStoreTakesNoWrites(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.full("the disk is full")
		for v := range uint64(100) {
			commit := g.save("ann", v+1, true, `{}`)
			w.settle()
			commit.is(t, "STORE_UNAVAILABLE")
			is(t, strings.Contains(fmt.Sprint(commit.err), "the disk is full"), true)
			w.advance(700 * time.Millisecond)
		}
		is(t, w.log.lines("store is down"), 1)
		is(t, w.log.lines("store is back"), 0)
		is(t, w.stored("ann"), "")
	})
}

func TestAStoreThatNobodyWritesToComesBack(t *testing.T) {
	onBoth(t, persist.Limits{CacheBytes: -1}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.moods.beforeAny = func() error { return persist.ErrDown }
		g.begin("ann")
		w.advance(10 * time.Second)
		is(t, w.archive.Report().Down, true)
		w.moods.beforeAny = nil
		w.advance(5 * time.Second)
		is(t, w.archive.Report().Down, false)
		w.advance(2 * time.Second)
		is(t, w.log.lines("store is back"), 1)
	})
}

func TestEverybodyIsToldWhyTheStoreIsDownNow(t *testing.T) {
	onBoth(t, persist.Limits{CacheBytes: -1}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		fail := func(text string) {
			w.moods.beforeAny = func() error { return fmt.Errorf("persist: %s: %w", text, persist.ErrDown) }
		}
		refused := func(r *result, want string) {
			t.Helper()
			w.settle()
			r.is(t, "STORE_UNAVAILABLE")
			is(t, strings.Contains(fmt.Sprint(r.err), "the store is down: "+want), true)
		}
		fail("connection refused")
		g.save("ann", 1, false, `{}`)
		w.advance(time.Second)
		refused(g.save("bob", 1, true, `{}`), "connection refused")
		fail("access denied")
		w.advance(3 * time.Second)
		refused(g.save("bob", 2, true, `{}`), "access denied")
		load := g.begin("eve")
		w.advance(10 * time.Second)
		refused(load, "access denied")
		for port := range 50 {
			fail(fmt.Sprintf("from port %d: i/o timeout", 40000+port))
			w.advance(3 * time.Second)
		}
		is(t, w.log.lines("store is down", "connection refused"), 1)
		is(t, w.log.lines("store is still down", "access denied"), 1)
		is(t, w.log.lines("store is still down", "i/o timeout"), 1)
		is(t, w.log.lines("store is"), 3)
	})
}

func TestACommitThatWaitsForTheFenceIsToldWhyItCannotBeRaised(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.moods.write = func(persist.Batch, func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
			w.moods.beforeAny = func() error { return fmt.Errorf("access denied: %w", persist.ErrDown) }
			return nil, persist.ErrUnclear
		}
		commit := g.save("ann", 1, true, `{"a":1}`)
		w.advance(100 * time.Millisecond)
		commit.is(t, "STORE_UNKNOWN")
		is(t, strings.Contains(fmt.Sprint(commit.err), "access denied"), true)
		again := g.save("ann", 1, true, `{"a":1}`)
		w.advance(100 * time.Millisecond)
		again.is(t, "STORE_UNKNOWN") // the first may be there
		is(t, strings.Contains(fmt.Sprint(again.err), "access denied"), true)
		w.moods.beforeAny, w.moods.write = nil, nil
		w.advance(3 * time.Second)
		again = g.save("ann", 1, true, `{"a":1}`)
		w.settle()
		again.is(t, "ok")
		is(t, w.stored("ann"), `={"a":1}@1`)
	})
}

func TestWhileTheStoreIsDownNobodyAsksItForFences(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.moods.write = func(persist.Batch, func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
			return nil, persist.ErrUnclear
		}
		calls := 0
		g.save("ann", 1, false, `{"a":1}`)
		w.moods.beforeAny = func() error {
			if calls++; calls == 1 { // the statement
				return nil
			}
			return persist.ErrDown
		}
		w.advance(10 * time.Second)
		calls = 1
		w.advance(time.Minute)
		if calls > 32 {
			t.Errorf("%d calls in a minute", calls-1)
		}
		w.moods.beforeAny, w.moods.write = nil, nil
		w.advance(2 * time.Second)
		is(t, w.stored("ann"), `={"a":1}@1`)
	})
}

func TestACommitThatIsQueuedWhenTheStoreGoesDownIsRefusedAtOnce(t *testing.T) {
	onBoth(t, persist.Limits{Writers: 1}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		var queued, flush *result
		w.moods.write = func(persist.Batch, func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
			queued = g.save("bob", 1, true, `{"b":1}`)
			flush = g.save("eve", 1, false, `{"e":1}`)
			w.settle()
			queued.is(t, "")
			return nil, fmt.Errorf("cable: %w", persist.ErrDown)
		}
		g.save("ann", 1, true, `{"a":1}`)
		w.settle()
		queued.is(t, "STORE_UNAVAILABLE")
		is(t, strings.Contains(fmt.Sprint(queued.err), "the store is down: cable"), true)
		flush.is(t, "")
		w.moods.write = nil
		w.advance(5 * time.Second)
		flush.is(t, "ok")
		is(t, w.stored("bob"), "")
		is(t, w.archive.Report().Rows, 0)
	})
}

func TestTheReportTellsWhatIsUnderWayAndWhatIsNot(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
			g.save("bob", 1, false, `{}`)
			w.settle()
			r := w.archive.Report()
			is(t, fmt.Sprint(r.Rows, r.Sent), "3 2")
			return write()
		}
		g.save("ann", 1, true, `{}`, "bag/1=1")
		w.settle()
		is(t, w.archive.Report().Sent, 0)
	})
}

// A porter is a server that sends each who connects away, by an error of that number; 0: without a word.
func porter(t *testing.T, number uint16) (dsn string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if number != 0 {
				body := binary.LittleEndian.AppendUint16([]byte{0xff}, number)
				body = append(body, "#HY000go away"...)
				_, _ = c.Write(append([]byte{byte(len(body)), 0, 0, 0}, body...))
			}
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return "player@tcp(" + l.Addr().String() + ")/game"
}

func TestWhateverFailsWhileConnectingWasNotSent(t *testing.T) {
	t.Parallel()
	for _, number := range []uint16{0, 1045, 1184, 1698, 1820, 1862, 4151, 9999} {
		db := opened(t)(persist.OpenMySQL(porter(t, number)))
		_, err := db.Load(context.Background(), hero.Ref("ann"))
		if !errors.Is(err, persist.ErrDown) || errors.Is(err, persist.ErrRejected) {
			t.Errorf("error %d: %v", number, err)
		}
	}
}
