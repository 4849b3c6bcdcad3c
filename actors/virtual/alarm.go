package virtual

import "time"

// An alarm is something that is due later.
type alarm struct {
	at     time.Time
	serial int // of two that are due at one moment, the first to be set is the first
	f      func()
	place  int // in alarms
}

// gone is the place of an alarm that has gone off, or was stopped.
const gone = -1

// alarms are a heap, the first to be due on top.
type alarms []*alarm

func (a alarms) Len() int { return len(a) }

func (a alarms) Less(i, j int) bool {
	if c := a[i].at.Compare(a[j].at); c != 0 {
		return c < 0
	}
	return a[i].serial < a[j].serial
}

func (a alarms) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i, j
}

func (a *alarms) Push(x any) {
	x.(*alarm).place = len(*a)
	*a = append(*a, x.(*alarm))
}

func (a *alarms) Pop() any {
	last := (*a)[len(*a)-1]
	(*a)[len(*a)-1] = nil
	*a = (*a)[:len(*a)-1]
	last.place = gone
	return last
}
