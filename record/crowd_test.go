package record_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/record"
)

// A crowd is real time and real goroutines.
type crowd struct{ sync.WaitGroup }

func (c *crowd) Now() time.Time   { return time.Now() }
func (c *crowd) Run(f func())     { c.Go(f) }
func (c *crowd) Offload(f func()) { c.Go(f) }
func (c *crowd) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

func TestManyActorsAreRecordedAtOnceWhileRulesChange(t *testing.T) {
	t.Parallel()
	c, dir := new(crowd), t.TempDir()
	l := record.DefaultLimits()
	l.Flight, l.FlightBytes, l.FileBytes = 50, 200<<10, 100<<10
	r := record.NewRecorder(record.Options{Dir: dir, App: "meadow", Node: "game-1", Incarnation: 77,
		Catalogue: catalogue, Key: key, Clock: c, Scheduler: c, Log: slog.New(slog.DiscardHandler), Limits: l})
	r.Follow(everybody)
	d := &desk{Recorder: r, t: t, dir: dir}
	const each = 500
	var lives sync.WaitGroup
	for i := range 8 {
		lives.Go(func() {
			p := d.player(fmt.Sprint("p", i))
			for n := range each {
				p.step(true, actors.Stood)
				if n == each/2 {
					p.step(true, actors.Broken)
				}
			}
			p.stop()
		})
	}
	lives.Go(func() {
		for range 50 {
			r.Follow(everybody)
			r.Report()
		}
	})
	lives.Wait()
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	var parts []*record.Recording
	names, err := filepath.Glob(filepath.Join(dir, "live.*.rec"))
	if err != nil || len(names) < 3 {
		t.Fatalf("files: %v, %v", names, err)
	}
	for _, name := range names {
		part, err := record.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part)
	}
	all := record.Merge(parts...)
	if got := r.Report(); got["dropped_total"] != 0 || got["streams"] != 0 || got["flight_steps"] > 8*50 {
		t.Errorf("report: %v", got)
	}
	for i := range 8 {
		a := all.Actor(actors.KindName("player").Ref(fmt.Sprint("p", i)))
		if a == nil || len(a.Segments) != 1 || len(a.Segments[0].Steps) != each+2 || !a.Segments[0].Closed {
			t.Fatalf("actor %d: %+v", i, a)
		}
	}
}
