package record

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

const (
	goneFor   = 10 * time.Minute // so long the flight recorder knows an activation that has ended
	goneMost  = 1000             // and so many of them, on a node
	goneShare = 16               // a state that is larger than this part of its memory is not kept
	// goneWeight is what one weighs beside its steps and its state, which counts twice: steps keep its cells.
	goneWeight = 4 << 10
)

// A gone is an activation that has ended and of which the flight recorder still has steps: a player who has logged out.
type gone struct {
	ring    *ring
	segment *Segment // without a state and steps
	state   []byte   // at the end, in JSON, masked
	tables  any      // that the state rests on
	until   int64    // Unix nanoseconds
}

func (g *gone) weight() int64 { return goneWeight + 2*int64(len(g.state)) }

// depart keeps what the flight recorder has of an activation that ends now, with its state, or forgets it. What is
// there after a panic may be no state of the actor.
func (t *trace) depart() {
	f := t.r.flight
	steps, _, _ := f.since(t.ring)
	if len(steps) == 0 || t.broken {
		f.forget(t.ring)
		return
	}
	image, err := t.image(t.r.masking.mask)
	var text []byte
	if err == nil {
		image.At = t.at
		text, err = json.Marshal(image)
	}
	if err != nil {
		t.warn(err)
	}
	if err != nil || int64(len(text)) > f.bound/goneShare {
		f.forget(t.ring)
		return
	}
	now := t.r.o.Clock.Now().UnixNano()
	f.part(&gone{ring: t.ring, segment: t.segment(0), state: text, tables: image.Tables,
		until: now + int64(goneFor)}, now)
}

// part takes over the ring of an activation that has ended.
func (f *flight) part(g *gone, now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g.ring.gone = g
	f.gone = append(f.gone, g)
	f.bytes += g.weight()
	f.expire(now)
	f.shrink()
}

// expire forgets the oldest activations that have ended. The caller holds mu.
func (f *flight) expire(now int64) {
	for len(f.gone) > goneMost || len(f.gone) > 0 && f.gone[0].until <= now {
		f.bury(f.gone[0])
	}
}

// bury forgets an activation that has ended. The caller holds mu.
func (f *flight) bury(g *gone) {
	for g.ring.oldest != nil {
		f.drop(g.ring)
	}
	at := slices.Index(f.gone, g)
	f.gone = slices.Delete(f.gone, at, at+1)
	f.bytes -= g.weight()
	g.ring.gone = nil
}

// A departed is what the flight recorder had of an activation that has ended when it was asked.
type departed struct {
	gone   *gone
	steps  []*actors.Step
	first  uint64
	before int64
}

// departed are the activations of an actor that have ended, oldest first.
func (f *flight) departed(ref actors.Ref, now int64) (all []departed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expire(now)
	for _, g := range f.gone {
		if g.segment.Ref != ref {
			continue
		}
		d := departed{gone: g}
		if d.steps, d.first, d.before = f.collect(g.ring); len(d.steps) > 0 {
			all = append(all, d)
		}
	}
	return all
}

// dump is what is written of it.
func (d *departed) dump(stem string) (*dump, error) {
	s := *d.gone.segment
	s.Image = new(actors.Image)
	if err := json.Unmarshal(d.gone.state, s.Image); err != nil {
		return nil, err
	}
	s.Image.Tables = d.gone.tables
	s.First, s.At = d.first, d.steps[0].Input.At
	return &dump{segment: &s, steps: d.steps, before: d.before, stem: stem}, nil
}

// TakeGone is Take of activations of an actor that have ended on this node in the last ten minutes, as far as memory
// reaches: all of them in one file. It reports whether there is one; if not, done is not called. It may be called from
// any goroutine.
func (r *Recorder) TakeGone(ref actors.Ref, done func(path string, err error)) bool {
	all := r.flight.departed(ref, r.o.Clock.Now().UnixNano())
	if len(all) == 0 {
		return false
	}
	r.o.Scheduler.Offload(func() {
		var dumps []*dump
		var errs []error
		for i := range all {
			d, err := all[i].dump(takenStem(r.o.Node))
			if dumps = append(dumps, d); err != nil {
				errs = append(errs, err)
			}
		}
		if len(errs) > 0 {
			done("", errors.Join(errs...))
			return
		}
		done(r.dumpFile(dumps...))
	})
	return true
}
