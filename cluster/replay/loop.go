package replay

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// A loop is the time and the processor of a World: one queue of what is ready, run in an order that the seed decides,
// and one of what is due later. Time passes only when nothing is ready.
type loop struct {
	now    time.Time
	luck   *rand.Rand
	ready  []func()
	later  alarms
	serial int
}

// born is when every World begins.
var born = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func newLoop(seed uint64) *loop { return &loop{now: born, luck: rand.New(rand.NewPCG(seed, 0))} }

// settle runs until nothing is ready.
func (l *loop) settle() {
	for len(l.ready) > 0 {
		i := l.luck.IntN(len(l.ready))
		f := l.ready[i]
		last := len(l.ready) - 1
		l.ready[i], l.ready[last] = l.ready[last], nil
		l.ready = l.ready[:last]
		f()
	}
}

// advance lets d pass, alarm by alarm.
func (l *loop) advance(d time.Duration) {
	end := l.now.Add(d)
	for l.settle(); len(l.later) > 0 && !l.later[0].at.After(end); l.settle() {
		a := heap.Pop(&l.later).(*alarm)
		l.now = a.at
		if f := a.f; f != nil {
			a.f = nil
			f()
		}
	}
	l.now = end
}

// A share is one node's part of the loop: its clock and its scheduler. A node that has died does nothing more.
type share struct {
	*loop
	dead bool
}

func (s *share) Now() time.Time { return s.now }

func (s *share) Run(f func()) {
	s.ready = append(s.ready, func() {
		if !s.dead {
			f()
		}
	})
}

func (s *share) Offload(f func()) { s.Run(f) }

func (s *share) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	s.serial++
	a := &alarm{at: s.now.Add(max(d, 0)), serial: s.serial}
	a.f = func() {
		if !s.dead {
			f()
		}
	}
	heap.Push(&s.later, a)
	return func() bool {
		was := a.f != nil
		a.f = nil
		return was
	}
}

// An alarm is something that is due later; without f it was stopped, or has gone off.
type alarm struct {
	at     time.Time
	serial int
	f      func()
}

type alarms []*alarm

func (a alarms) Len() int      { return len(a) }
func (a alarms) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a alarms) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].serial < a[j].serial
}
func (a *alarms) Push(x any) { *a = append(*a, x.(*alarm)) }
func (a *alarms) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}
