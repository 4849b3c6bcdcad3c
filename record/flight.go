package record

import (
	"slices"
	"sync"

	"github.com/fireflyrt/firefly/actors"
)

// A flight keeps the newest steps of all actors of the node, as they are: nothing is written until a handler panics.
// Of one actor it keeps at most so many; of all together so many bytes, and the oldest step of the node goes first,
// whoever's it is. Bytes are estimated.
type flight struct {
	most  int
	bound int64

	mu             sync.Mutex
	bytes          int64
	steps          int
	oldest, newest *memory // of the node
	gone           []*gone // activations that have ended, oldest first
	allowed        map[cause]int64
}

// A memory is one step in two lists: the node's and its actor's.
type memory struct {
	ring         *ring
	step         *actors.Step
	index        uint64
	before       int64 // the time of the input before it
	bytes        int64
	older, newer *memory // of the node
	next         *memory // of the actor
}

// A ring is the steps of one activation, oldest first. Its flight's mu guards it.
type ring struct {
	oldest, newest *memory
	steps          int
	gone           *gone // the activation has ended
}

// keep adds a step, which is the flight recorder's from then on.
func (f *flight) keep(r *ring, s *actors.Step, index uint64, before int64) {
	own(s)
	bytes := weight(s)
	f.mu.Lock()
	defer f.mu.Unlock()
	m := (*memory)(nil)
	if r.steps >= f.most {
		m = f.drop(r)
	}
	if m == nil {
		m = new(memory)
	}
	*m = memory{ring: r, step: s, index: index, before: before, bytes: bytes, older: f.newest}
	if f.newest != nil {
		f.newest.newer = m
	} else {
		f.oldest = m
	}
	if r.newest != nil {
		r.newest.next = m
	} else {
		r.oldest = m
	}
	f.newest, r.newest = m, m
	r.steps, f.steps, f.bytes = r.steps+1, f.steps+1, f.bytes+bytes
	f.shrink()
}

// shrink drops the oldest steps of the node until all is within the bound. The caller holds mu.
func (f *flight) shrink() {
	for f.bytes > f.bound && f.oldest != nil {
		r := f.oldest.ring
		if f.drop(r); r.steps == 0 && r.gone != nil {
			f.bury(r.gone)
		}
	}
}

// drop forgets the oldest step of an actor. The caller holds mu.
func (f *flight) drop(r *ring) *memory {
	m := r.oldest
	if r.oldest = m.next; r.oldest == nil {
		r.newest = nil
	}
	if m.older != nil {
		m.older.newer = m.newer
	} else {
		f.oldest = m.newer
	}
	if m.newer != nil {
		m.newer.older = m.older
	} else {
		f.newest = m.older
	}
	r.steps, f.steps, f.bytes = r.steps-1, f.steps-1, f.bytes-m.bytes
	m.step = nil
	return m
}

// forget drops all of an actor.
func (f *flight) forget(r *ring) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r.oldest != nil {
		f.drop(r)
	}
}

// since returns the steps of an actor from the oldest one on that came when nothing was under way: the index of that
// one, and the time of the input before it.
func (f *flight) since(r *ring) (steps []*actors.Step, first uint64, before int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.collect(r)
}

// collect is since for a caller that holds mu.
func (f *flight) collect(r *ring) (steps []*actors.Step, first uint64, before int64) {
	for m := r.oldest; m != nil; m = m.next {
		if len(steps) == 0 && !m.step.Quiet {
			continue
		}
		if len(steps) == 0 {
			first, before = m.index, m.before
		}
		steps = append(steps, m.step)
	}
	return steps, first, before
}

func (f *flight) size() (steps int, bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.steps, f.bytes
}

// A cause is what panics are counted by.
type cause struct {
	kind   actors.KindName
	number uint32
}

// allow says whether a panic may be written now: one of each cause in so long.
func (f *flight) allow(c cause, now int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if until, ok := f.allowed[c]; ok && now < until {
		return false
	}
	f.allowed[c] = now + int64(dumpEvery)
	return true
}

// What things are taken to weigh, in bytes, beside the texts in them. An edit that holds much says how much itself.
const (
	stepWeight     = 400
	envelopeWeight = 300
	turnWeight     = 160
	editWeight     = 256
	smallWeight    = 64
)

// A weighty edit knows what it keeps in memory, in bytes.
type weighty interface{ Weight() int }

// own gives a step an envelope of its own. The body that came may be part of a whole batch of the link, which the step
// would keep alive. What left was made by the actor, body by body.
func own(s *actors.Step) {
	if e := s.Input.Envelope; e != nil {
		mine := *e
		mine.Body = slices.Clone(e.Body)
		s.Input.Envelope = &mine
	}
}

// weight estimates what a step keeps in memory.
func weight(s *actors.Step) int64 {
	n := stepWeight + len(s.Input.Result)
	if e := s.Input.Envelope; e != nil {
		n += envelopeWeight + len(e.Body)
	}
	for i := range s.Turns {
		t := &s.Turns[i]
		n += turnWeight + len(t.Text) + len(t.Stack) + len(t.Edits)*smallWeight
		for _, e := range t.Edits {
			if w, ok := e.(weighty); ok {
				n += w.Weight()
			} else {
				n += editWeight
			}
		}
		for _, o := range t.Timers {
			n += smallWeight + len(o.Body)
		}
	}
	for i := range s.Out {
		n += envelopeWeight + len(s.Out[i].Body) + len(s.Out[i].Fan)*smallWeight
	}
	return int64(n)
}
