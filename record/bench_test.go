package record_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/record"
)

// deaf is what a Trace costs at least.
type deaf struct{ n int }

func (d *deaf) Heard(*actors.Step) { d.n++ }
func (d *deaf) Closed()            {}

// typical is a step, made anew each time, as an actor makes it: a message, an edit, a reply and a push.
func typical(p *player) *actors.Step {
	p.at++
	in := &actors.Envelope{Type: actors.Message, To: p.ref, From: p.ref, Session: visit, Number: 102, Codec: wire.JSON,
		Body: body, Request: 7, At: p.at}
	s := &actors.Step{Input: actors.Input{Type: actors.InputMessage, At: p.at, Envelope: in}, Before: p.turns,
		Quiet: true, Turns: []actors.Turn{{Number: 102, Name: "said", Verdict: actors.Stood,
			Edits: []actors.Edit{purseEdit{p, p.gold}}}}}
	s.Out = append(s.Out, *in.Answer(102, wire.JSON, body), actors.Envelope{Type: actors.Message, Number: 102,
		Codec: wire.JSON, Body: body, Fan: fan})
	p.turns++
	return s
}

var (
	body = []byte(`{"text":"a line of about sixty bytes, as most messages are"}`)
	fan  = []actors.Ref{visit}
)

// BenchmarkStep measures what a step costs its actor's turn, the making of the step included: the first run is the
// ceiling, and the others are held against it. The budget: recording everything takes at most a tenth of a node's
// throughput, which at 20 µs of CPU for a message from socket to socket is 2 µs; the flight recorder, which is always
// on, a tenth of that.
func BenchmarkStep(b *testing.B) {
	run := func(b *testing.B, trace func(d *desk, p *player) actors.Trace, l record.Limits) {
		d := newDesk(b, l)
		p := &player{d: d, ref: ann}
		tr := trace(d, p)
		heap := make([]byte, 128<<20) // a node has one: with an empty heap the collector runs all the time
		defer runtime.KeepAlive(heap)
		b.ReportAllocs()
		for i := range b.N {
			tr.Heard(typical(p))
			if i%64 == 0 {
				d.settle() // the disk's work, in the same goroutine: its cost is counted
			}
		}
		b.StopTimer()
		tr.Closed()
		if got := d.Report(); got["dropped_total"] != 0 {
			b.Fatalf("steps were dropped: %v", got)
		}
	}
	opened := func(d *desk, p *player) actors.Trace { return d.Opened(p) }
	b.Run("nobody records", func(b *testing.B) {
		run(b, func(*desk, *player) actors.Trace { return new(deaf) }, limits())
	})
	b.Run("flight", func(b *testing.B) { run(b, opened, record.DefaultLimits()) })
	b.Run("full", func(b *testing.B) {
		run(b, func(d *desk, p *player) actors.Trace {
			d.Follow(everybody)
			return d.Opened(p)
		}, limits())
	})
}

// BenchmarkActor measures the same on a real actor in a real System: a request that edits a cell and a row, answers,
// and arms a timer. Sockets, links and the store are left out, so that the shares are larger than a node's.
func BenchmarkActor(b *testing.B) {
	for _, c := range []struct {
		name   string
		flight int
		rules  record.Rules
	}{{"nobody records", 0, nil}, {"flight", 1000, nil}, {"full", 0, everybody}} {
		b.Run(c.name, func(b *testing.B) {
			n := newTown(b, c.flight)
			n.Follow(c.rules)
			heap := make([]byte, 128<<20)
			defer runtime.KeepAlive(heap)
			b.ReportAllocs()
			for i := range b.N {
				n.send(&earn{1})
				n.Settle()
				if i%64 == 0 {
					n.Advance(time.Minute)
				}
			}
		})
	}
}
