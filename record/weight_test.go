package record_test

import (
	"log/slog"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/virtual"
	"github.com/fireflyrt/firefly/record"
)

// bulky changes 120 KiB in each turn, in a cell, in rows and in a group.
func bulky(p *actors.Props) {
	board := actors.Carry[[8192]int64](p, "board")
	rows := actors.CarryRows[int, [32]int64](p, "rows")
	hearers := actors.Audience(p)
	actors.Answer(p, func(_ actors.Context, m *earn) (*lent, error) {
		board.Edit()[0]++
		for i := range 200 {
			rows.Set(i, [32]int64{int64(m.Gold)})
		}
		hearers.Add(visit)
		return &lent{1}, nil
	})
}

// townOf is a town in which customers are something else.
func townOf(t testing.TB, customer func(*actors.Props), l record.Limits, log *slog.Logger) *town {
	t.Helper()
	n := &town{Time: virtual.New(time.Unix(1000, 0), nil), dir: t.TempDir()}
	n.Recorder = record.NewRecorder(record.Options{Dir: n.dir, App: "bank", Node: "game-1", Incarnation: 7,
		Catalogue: bankMessages, Key: key, Clock: n, Scheduler: n, Log: log, Limits: l})
	sys, err := actors.NewSystem(actors.Options{Node: "game-1", Incarnation: 7, Seed: 7,
		Kinds:     []actors.Kind{{Name: "customer", New: customer, IdleAfter: 10 * time.Minute}},
		Catalogue: bankMessages, Clock: n, Scheduler: n, Store: n, Log: log, Tap: n.Recorder})
	if err != nil {
		t.Fatal(err)
	}
	n.sys = sys
	sys.Start(n)
	sys.Attach(visit, func(*actors.Envelope) {})
	return n
}

// Nothing runs beside this one: it measures the heap.
func TestTheFlightRecorderHoldsNoMoreThanItSays(t *testing.T) {
	l := record.DefaultLimits()
	l.FlightBytes = 16 << 20
	n := townOf(t, bulky, l, slog.New(slog.DiscardHandler))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 300 {
		n.send(&earn{1})
		n.Settle()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > l.FlightBytes+l.FlightBytes/8 {
		t.Errorf("the flight recorder says %d bytes, and %d are held; the bound is %d", n.Report()["flight_bytes"],
			held, l.FlightBytes)
	}
	if steps := n.Report()["flight_steps"]; steps < 100 {
		t.Errorf("%d steps of 120 KiB in 16 MiB", steps)
	}
}

func TestAStepThatIsKeptKeepsNothingOfTheBatchItCameIn(t *testing.T) {
	t.Parallel()
	d := flying(t, 10, 1<<20)
	p := d.player("ann")
	batch := new([256 << 10]byte)
	there := weak.Make(batch)
	p.trace.Heard(&actors.Step{Quiet: true, Input: actors.Input{Type: actors.InputMessage, Envelope: &actors.Envelope{
		Type: actors.Message, To: p.ref, From: visit, Number: 999, Body: batch[100:120:120]}}})
	batch = nil
	runtime.GC()
	if there.Value() != nil {
		t.Error("256 KiB are held for 20 bytes")
	}
	if d.Report()["flight_steps"] != 1 {
		t.Error("the step is not kept")
	}
	runtime.KeepAlive(p)
}
