// Package virtual is time that passes only when it is told to, and a processor that does one thing at a time: what a
// System, or a whole cluster, needs to run in one goroutine. It fulfils actors.Clock and actors.Scheduler, and knows
// nothing else of the project.
//
// It promises that nothing runs but by Settle and Advance, one thing after another; that what is due runs in the order
// of its time; and that of what is ready at one moment a seed decides the order, or, without one, who came first.
//
// It does not make what runs deterministic: who asks the process for time or luck, or ranges over a map, is not.
package virtual

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"
)

// maxSteps is how much may run while no time passes. A busy cluster needs some thousands.
const maxSteps = 200_000

// A Time is a clock and a processor. Settle, Step, Advance, Sleep and Close are for the one goroutine that owns it;
// Now, Run, Offload and AfterFunc may be called from any.
type Time struct {
	// Stuck is called when 200,000 steps have been run and no time has passed: something goes round for ever. It is
	// called after half of them already, with last false, so that it can tell who ran since. Nil: Time panics.
	Stuck func(steps int, last bool)
	// Before is called before each thing that runs, while nothing does. Nil: nobody is.
	Before func()

	mu      sync.Mutex // guards what follows, up to an empty line; not held while anything runs
	now     time.Time
	luck    *rand.Rand // nil: first come, first served
	ready   []func()
	later   alarms
	serial  int
	stopped bool

	steps   int      // since time has last passed
	current *sleeper // whose function runs now; nil: none that may sleep
	asleep  []*sleeper
}

// New makes a Time that begins at a moment. Luck decides every order that is free; with nil what came first runs first.
func New(begin time.Time, luck *rand.Rand) *Time { return &Time{now: begin, luck: luck} }

// Now is the time. It stands still while anything runs.
func (t *Time) Now() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

// Run makes f ready.
func (t *Time) Run(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.stopped {
		t.ready = append(t.ready, f)
	}
}

// AfterFunc makes f due, d from now; stop forbids it, and reports whether it was not too late.
func (t *Time) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.serial++
	a := &alarm{at: t.now.Add(max(d, 0)), serial: t.serial, f: f}
	if t.stopped {
		a.place = gone
	} else {
		heap.Push(&t.later, a)
	}
	return func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		if a.place == gone {
			return false
		}
		heap.Remove(&t.later, a.place)
		return true
	}
}

// Settle runs until nothing is ready.
func (t *Time) Settle() {
	for t.Step() {
	}
}

// Step runs one thing that is ready, and reports whether there was any.
func (t *Time) Step() bool {
	f := t.take()
	if f == nil {
		return false
	}
	t.count()
	f()
	return true
}

// take takes something out of what is ready.
func (t *Time) take() func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.ready)
	if n == 0 {
		return nil
	}
	if t.luck == nil {
		f := t.ready[0]
		t.ready[0] = nil
		if t.ready = t.ready[1:]; n == 1 {
			t.ready = nil
		}
		return f
	}
	i := 0
	if n > 1 {
		i = t.luck.IntN(n)
	}
	f := t.ready[i]
	t.ready[i], t.ready[n-1] = t.ready[n-1], nil
	t.ready = t.ready[:n-1]
	return f
}

// count tells that something runs now, and notices when what runs goes round for ever.
func (t *Time) count() {
	if t.Before != nil {
		t.Before()
	}
	t.steps++
	last := t.steps == maxSteps
	switch {
	case !last && t.steps != maxSteps/2:
		return
	case last:
		t.steps = 0
	}
	if t.Stuck != nil {
		t.Stuck(maxSteps, last)
	} else if last {
		panic("virtual: 200,000 steps were run and no time has passed: something goes round for ever")
	}
}

// Advance lets d pass: what is ready runs, then what is due first, then what that made ready, and so on.
func (t *Time) Advance(d time.Duration) {
	end := t.Now().Add(d)
	for t.Settle(); ; t.Settle() {
		f := t.due(end)
		if f == nil {
			return
		}
		t.count()
		f()
	}
}

// due takes what is due first, and makes it be that time. When nothing is left until the end, it is the end's.
func (t *Time) due(end time.Time) func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.later) == 0 || t.later[0].at.After(end) {
		t.pass(end)
		return nil
	}
	a := heap.Pop(&t.later).(*alarm)
	t.pass(a.at)
	return a.f
}

func (t *Time) pass(to time.Time) {
	if to.After(t.now) {
		t.now, t.steps = to, 0
	}
}

// Next is when something is due next, and whether anything is.
func (t *Time) Next() (at time.Time, any bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.later) == 0 {
		return time.Time{}, false
	}
	return t.later[0].at, true
}

// Hang lets d pass while nothing runs, as it does for others while a function does not return.
func (t *Time) Hang(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pass(t.now.Add(d))
}

// Close ends time: what is ready or due never runs, and who sleeps is woken and told so.
func (t *Time) Close() {
	t.mu.Lock()
	t.stopped, t.ready, t.later = true, nil, nil
	t.mu.Unlock()
	for len(t.asleep) > 0 {
		t.asleep[0].stop()
		t.asleep = t.asleep[1:]
	}
}
