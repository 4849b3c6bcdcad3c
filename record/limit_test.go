package record_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/record"
)

func TestAFullQueueLeavesAGapAndTheGameGoesOn(t *testing.T) {
	t.Parallel()
	l := limits()
	l.QueueBytes = 4 << 10
	d := newDesk(t, l)
	d.Follow(everybody)
	p := d.player("ann")
	for range 50 { // the disk does nothing meanwhile
		p.earn()
	}
	if got := d.Report(); got["queue_bytes"] > l.QueueBytes+100 || got["dropped_total"] == 0 || got["gaps_total"] != 1 {
		t.Errorf("report: %v", got)
	}
	kept := d.Report()["steps_total"]
	d.settle()
	p.step(false, actors.Stood) // still nothing under way is what it waits for
	p.earn()
	p.stop()
	s := d.merged().Actor(p.ref).Segments
	if len(s) != 2 || int64(len(s[0].Steps)) != kept || s[0].Gap == nil ||
		s[0].Gap.Why != "the queue to the disk was full" || s[0].Gap.Lost != uint64(51-kept) ||
		s[1].First != 51 || len(s[1].Steps) != 2 || !s[1].Closed {
		t.Errorf("segments: %+v, gap %+v", s, s[0].Gap)
	}
	if purse(s[1].Image) != `{"v":1,"d":51}` {
		t.Errorf("went on with %s", purse(s[1].Image))
	}
	if n := strings.Count(d.log.String(), "recordings have gaps"); n != 1 {
		t.Errorf("the gap is logged %d times:\n%s", n, d.log)
	}
}

func TestALossIsSaidHoweverFullTheQueueIs(t *testing.T) {
	t.Parallel()
	for bulk := range 300 {
		l := limits()
		l.QueueBytes = 4 << 10
		d := newDesk(t, l)
		d.Follow(everybody)
		p := d.player("ann")
		p.bulk = strings.Repeat("x", bulk)
		p.earn()
		p.bulk = ""
		for range 20 { // the disk does nothing meanwhile
			p.earn()
		}
		if got := d.Report()["queue_bytes"]; got > l.QueueBytes+100 {
			t.Fatalf("bulk %d: %d bytes wait", bulk, got)
		}
		end := bulk % 3 // how it ends: not at all, or as the actor does, or because nobody asks any more
		if end == 1 {
			p.stop()
		} else if end == 2 {
			d.Follow(nil)
			p.earn()
		}
		s := d.merged().Actor(p.ref).Segments
		lost := uint64([]int{0, 22, 22}[end] - len(s[0].Steps))
		if len(s) != 1 || s[0].Closed || s[0].Gap == nil || end > 0 && s[0].Gap.Lost != lost {
			t.Fatalf("bulk %d: %d of 22 steps are there, gap %+v, closed %t", bulk, len(s[0].Steps), s[0].Gap,
				s[0].Closed)
		}
	}
}

func TestAnEndIsSaidHoweverFullTheQueueIs(t *testing.T) {
	t.Parallel()
	full := 0
	for bulk := 3600; bulk < 3800; bulk++ {
		l := limits()
		l.QueueBytes = 4 << 10
		d := newDesk(t, l)
		d.Follow(everybody)
		p := d.player("ann")
		p.bulk = strings.Repeat("x", bulk)
		p.earn()
		p.stop()
		if d.Report()["queue_bytes"] > l.QueueBytes {
			full++
		}
		s := d.merged().Actor(p.ref).Segments[0]
		if len(s.Steps) == 2 != s.Closed || s.Closed == (s.Gap != nil) {
			t.Fatalf("bulk %d: %d of 2 steps are there, gap %v, closed %t", bulk, len(s.Steps), s.Gap, s.Closed)
		}
	}
	if full == 0 {
		t.Error("there was always room")
	}
}

func TestWhatIsBeingWrittenCountsAsWaiting(t *testing.T) {
	t.Parallel()
	l := limits()
	l.QueueBytes = 4 << 10
	d := newDesk(t, l)
	d.Follow(everybody)
	p := d.player("ann")
	for range 5 {
		p.earn()
	}
	waiting := d.Report()["queue_bytes"]
	d.asked = func() { // the disk has begun, and asks for the time to name the file
		if got := d.Report()["queue_bytes"]; got != waiting {
			t.Errorf("%d bytes wait while %d are written", got, waiting)
		}
		for range 50 {
			p.earn()
		}
		if got := d.Report(); got["queue_bytes"] > l.QueueBytes+100 || got["dropped_total"] == 0 {
			t.Errorf("while the disk is busy: %v", got)
		}
	}
	d.settle()
	if got := d.Report()["queue_bytes"]; got != 0 {
		t.Errorf("%d bytes wait when all is written", got)
	}
}

func TestAFileIsFollowedByTheNextAndEachCanBeReplayedAlone(t *testing.T) {
	t.Parallel()
	l := limits()
	l.FileBytes = 3000
	d := newDesk(t, l)
	d.Follow(everybody)
	p := d.player("ann")
	for range 60 {
		p.earn()
		d.settle()
		d.wait(time.Second)
	}
	p.stop()
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	files := d.files("live.")
	if len(files) < 3 {
		t.Fatalf("files: %v", files)
	}
	for _, f := range files {
		at, err := os.Stat(f)
		r, readErr := record.Read(f)
		if err != nil || readErr != nil || at.Size() > l.FileBytes+500 || at.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v %v %v", f, at.Size(), err, readErr)
		}
		if r.Tables("e1") == nil || r.Actor(p.ref) == nil {
			t.Errorf("%s cannot be replayed without the others", f)
		}
	}
	s := d.merged().Actor(p.ref).Segments
	if len(s) != 1 || len(s[0].Steps) != 61 || !s[0].Closed {
		t.Errorf("%d segments, the first with %d steps", len(s), len(s[0].Steps))
	}
}

func TestWhereverAFileEndsNothingIsLost(t *testing.T) {
	t.Parallel()
	for size := int64(200); size < 4000; size += 37 {
		l := limits()
		l.FileBytes = size
		d := newDesk(t, l)
		d.Follow(everybody)
		p, q := d.player("ann"), d.player("bob")
		for i := range 6 {
			p.earn()
			if i%2 == 0 {
				q.step(i == 4, actors.Stood)
			}
			d.settle()
			d.wait(time.Second)
		}
		p.stop()
		r := d.merged()
		a, b := r.Actor(p.ref).Segments, r.Actor(q.ref).Segments
		if len(a) != 1 || len(a[0].Steps) != 7 || !a[0].Closed || a[0].Gap != nil {
			t.Fatalf("files of %d bytes: %+v", size, a[0])
		}
		if len(b) != 1 || len(b[0].Steps) != 3 || b[0].Closed || b[0].Gap != nil {
			t.Fatalf("files of %d bytes: %+v", size, b[0])
		}
	}
}

func TestTheOldestFilesMakeRoom(t *testing.T) {
	t.Parallel()
	l := limits()
	l.FileBytes, l.TotalBytes = 3000, 10000
	d := newDesk(t, l)
	d.Follow(everybody)
	p := d.player("ann")
	others := d.dir + "/live.game-10.20000101T000000-000000000.rec"
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(others, make([]byte, 20000), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		p.earn()
		d.settle()
		d.wait(time.Second)
		total := int64(0)
		for _, f := range d.files("live.game-1.") {
			at, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			total += at.Size()
		}
		if total > l.TotalBytes+500 {
			t.Fatalf("the files have %d bytes", total)
		}
	}
	if err := os.Remove(others); err != nil {
		t.Errorf("another node's file: %v", err)
	}
	s := d.merged().Actor(p.ref).Segments
	if len(s) != 1 || s[0].First == 0 || s[0].Steps[len(s[0].Steps)-1].Index != 199 {
		t.Errorf("segments: %+v", s)
	}
}

func TestADiskThatTakesNoMoreStopsTheRecordingAndNotTheGame(t *testing.T) {
	t.Parallel()
	d := newDesk(t, limits())
	if err := os.WriteFile(d.dir, nil, 0o600); err != nil { // no directory can be there
		t.Fatal(err)
	}
	d.Follow(everybody)
	p := d.player("ann")
	for range 5 {
		p.earn()
		d.settle()
	}
	if n := strings.Count(d.log.String(), "recording has stopped"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, d.log)
	}
	if got := d.Report(); got["errors_total"] != 1 || got["dropped_total"] == 0 || got["queue_bytes"] != 0 {
		t.Errorf("report: %v", got)
	}
	if err := os.Remove(d.dir); err != nil {
		t.Fatal(err)
	}
	d.Follow(everybody) // as `record start` does
	p.earn()
	p.earn()
	if s := d.merged().Actor(p.ref).Segments; len(s) != 1 || s[0].First != 5 || len(s[0].Steps) != 2 {
		t.Errorf("segments: %+v", s)
	}
}

// flying is a desk with a flight recorder only.
func flying(t *testing.T, most int, bytes int64) *desk {
	l := record.DefaultLimits()
	l.Flight, l.FlightBytes = most, bytes
	return newDesk(t, l)
}

func TestAPanicWritesTheNewestInputsAndTheStateBeforeThem(t *testing.T) {
	t.Parallel()
	d := flying(t, 10, 64<<20)
	p := d.player("ann/../x")
	for range 30 {
		p.earn()
	}
	p.step(false, actors.Stood)
	p.step(true, actors.Broken)
	d.settle()
	files := d.files("panic.")
	if len(files) != 1 || !strings.Contains(files[0], "player_ann____x") ||
		!strings.Contains(d.log.String(), files[0]) {
		t.Fatalf("files %v, log:\n%s", files, d.log)
	}
	r, err := record.Read(files[0])
	if err != nil {
		t.Fatal(err)
	}
	s := r.Actor(p.ref).Segments[0]
	if len(s.Steps) != 10 || s.First != 22 || purse(s.Image) != `{"v":1,"d":22}` || s.Image.Turns != 22 ||
		s.Image.At != 23 {
		t.Errorf("%d steps from %d, state %s %+v", len(s.Steps), s.First, purse(s.Image), s.Image)
	}
	if got := string(s.Steps[2].Patch.Cells["purse"]); got != `{"v":1,"d":25}` || s.Steps[9].Patch != nil {
		t.Errorf("step 24 changed %s", got)
	}
	last := s.Steps[9].Turns[0]
	if s.Panics[0].Index != 31 || last.Verdict != actors.Broken || last.Stack == "" || r.Tables("e1") == nil {
		t.Errorf("panics %+v, turn %+v", s.Panics, last)
	}
	image, _ := p.Image(nil)
	if want, err := record.Hash(image); err != nil || s.Checks[0] != (record.Check{After: 32, Hash: want}) {
		t.Errorf("check %+v, want %s (%v)", s.Checks, want, err)
	}
}

func TestAFlightRecordBeginsWhereNothingWasUnderWay(t *testing.T) {
	t.Parallel()
	d := flying(t, 4, 64<<20)
	p := d.player("ann")
	p.earn()
	p.step(false, actors.Stood)
	p.step(false, actors.Stood)
	p.earn()
	p.step(true, actors.Broken)
	s := d.merged().Actor(p.ref).Segments[0]
	if s.First != 3 || len(s.Steps) != 2 || purse(s.Image) != `{"v":1,"d":3}` {
		t.Errorf("%d steps from %d", len(s.Steps), s.First)
	}
	q := d.player("bob")
	q.step(false, actors.Broken)
	if d.Report()["panics_skipped_total"] != 1 {
		t.Error("a panic whose beginning nobody knows is not counted")
	}
}

func TestTheFlightRecordersMemoryIsBounded(t *testing.T) {
	t.Parallel()
	const bound = 40_000
	d := flying(t, 1000, bound)
	idle, busy := d.player("idle"), d.player("busy")
	for range 10 {
		idle.earn()
	}
	for range 2000 {
		busy.earn()
		if got := d.Report()["flight_bytes"]; got > bound {
			t.Fatalf("%d bytes", got)
		}
	}
	few := d.Report()["flight_steps"]
	if few < 10 || few > 100 {
		t.Errorf("%d steps of about 1000 bytes each", few)
	}
	idle.step(true, actors.Broken) // its old steps went first
	if s := d.merged().Actor(idle.ref).Segments[0]; len(s.Steps) != 1 {
		t.Errorf("%d steps of the idle one are left", len(s.Steps))
	}
	idle.stop()
	busy.stop()
	d.wait(10 * time.Minute)
	last := d.player("last")
	last.earn()
	last.stop()
	if got := d.Report(); got["flight_bytes"] > 10_000 || got["flight_steps"] != 2 {
		t.Errorf("after the end: %v", got)
	}
	one := flying(t, 3, 64<<20)
	p := one.player("ann")
	for range 9 {
		p.earn()
	}
	if got := one.Report()["flight_steps"]; got != 3 {
		t.Errorf("%d steps of one actor, the bound is 3", got)
	}
}

func TestAPanicLoopDoesNotFillTheDisk(t *testing.T) {
	t.Parallel()
	d := flying(t, 3, 64<<20)
	p := d.player("ann")
	for range 100 {
		p.step(true, actors.Broken)
	}
	d.settle()
	if files := d.files("panic."); len(files) != 1 || d.Report()["panics_skipped_total"] != 99 {
		t.Errorf("%d files, %v", len(files), d.Report())
	}
	var newest string
	for range 60 {
		d.wait(time.Minute)
		p.step(true, actors.Broken)
		d.settle()
		files := d.files("panic.")
		newest = files[len(files)-1]
	}
	files := d.files("panic.")
	if len(files) != 50 || files[49] != newest {
		t.Errorf("%d files", len(files))
	}
	p.step(true, actors.Failed) // an error is no panic
	if d.settle(); len(d.files("panic.")) != 50 {
		t.Error("an error wrote a file")
	}
}

func TestOfTwoRecordingsOfOneLifeThereIsOne(t *testing.T) {
	t.Parallel()
	d := flying(t, 5, 64<<20)
	p := d.player("ann")
	for range 10 {
		p.earn()
	}
	d.Follow(everybody)
	p.earn()
	p.step(true, actors.Broken)
	p.earn()
	s := d.merged().Actor(p.ref).Segments
	if len(s) != 1 || s[0].First != 7 || len(s[0].Steps) != 6 || len(s[0].Panics) != 1 {
		t.Errorf("segments: %+v", s[0])
	}
}

func TestWhatCannotBeOpenedIsTheOnlyErrorOfAFile(t *testing.T) {
	t.Parallel()
	d := newDesk(t, limits())
	d.Follow(everybody)
	d.player("ann").earn()
	d.settle()
	_, err := record.Read(d.files("live.")[0])
	damage := (*record.Damage)(nil)
	if !errors.As(err, &damage) || !damage.Open {
		t.Errorf("a file that is written still: %v", err)
	}
}
