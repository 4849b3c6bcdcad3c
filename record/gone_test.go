package record_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/record"
)

// takeGone has the flight recorder write what it has of an actor that has ended; nil: nothing.
func takeGone(t *testing.T, r *record.Recorder, ref actors.Ref, settle func()) *record.Actor {
	t.Helper()
	path, err := "", error(nil)
	if !r.TakeGone(ref, func(p string, e error) { path, err = p, e }) {
		return nil
	}
	if settle(); err != nil {
		t.Fatal(err)
	}
	rec, err := record.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Actor(ref)
}

func TestWhatAPlayerDidIsThereWhenHeHasLoggedOut(t *testing.T) {
	t.Parallel()
	l := limits()
	l.Flight = 40
	n := townOf(t, guest, l, slog.New(slog.DiscardHandler))
	for range 2 { // lives
		for i := range 30 {
			n.send(&earn{i})
			n.Settle()
		}
		n.send(&trip{})
		n.Advance(time.Minute)
		if n.sys.Listen(carl, func(actors.Trace) {}) {
			t.Fatal("he is there still")
		}
	}
	for range 2 { // it may be asked again
		a := takeGone(t, n.Recorder, carl, n.Settle)
		if a == nil || len(a.Segments) != 2 {
			t.Fatalf("taken: %+v", a)
		}
		for _, s := range a.Segments {
			if len(s.Steps) < 31 {
				t.Errorf("%d steps", len(s.Steps))
			}
			again(t, s, guest)
		}
	}
	n.Advance(10 * time.Minute)
	if a := takeGone(t, n.Recorder, carl, n.Settle); a != nil {
		t.Errorf("after ten minutes: %+v", a)
	}
}

func TestWhatIsKeptOfThoseThatAreGoneIsBounded(t *testing.T) {
	t.Parallel()
	d := flying(t, 10, 64<<20)
	for i := range 1100 {
		p := d.player(fmt.Sprint(i))
		p.earn()
		p.stop()
	}
	if got := d.Report()["flight_steps"]; got != 2000 {
		t.Errorf("%d steps of a thousand actors that are gone", got)
	}
	if takeGone(t, d.Recorder, actors.KindName("player").Ref("99"), d.settle) != nil ||
		takeGone(t, d.Recorder, actors.KindName("player").Ref("100"), d.settle) == nil {
		t.Error("the oldest is not the first that is forgotten")
	}
	few := flying(t, 10, 40_000)
	for i := range 100 {
		p := few.player(fmt.Sprint(i))
		p.earn()
		p.stop()
		if got := few.Report()["flight_bytes"]; got > 40_000 {
			t.Fatalf("%d bytes", got)
		}
	}
	busy := few.player("busy") // what is newer pushes out what is left of them
	for range 9 {
		busy.bulk += string(make([]byte, 2000))
		busy.earn()
	}
	if got := few.Report(); got["flight_bytes"] > 40_000 || got["flight_steps"] > 9 {
		t.Errorf("report: %v", got)
	}
}

func TestNothingIsKeptOfALargeStateOrOneThatAPanicLeft(t *testing.T) {
	t.Parallel()
	d := flying(t, 10, 1<<20)
	g := d.giant(70<<10, nil)
	g.earn()
	g.trace.Closed()
	p := d.player("bob")
	p.earn()
	p.step(true, actors.Broken)
	p.trace.Closed()
	if got := d.Report(); got["flight_steps"] != 0 || got["flight_bytes"] != 0 {
		t.Errorf("report: %v", got)
	}
}
