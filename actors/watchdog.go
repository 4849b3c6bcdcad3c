package actors

import (
	"sync/atomic"
	"time"
)

// watchEvery is how often the watchdog looks. A handler that hangs is named within Limits.Slow and this.
const watchEvery = time.Second

// busy is what a process is doing now, for the watchdog: Go cannot stop a handler that hangs, but it can be named.
type busy struct {
	since  atomic.Int64 // Unix nanoseconds when the turn began; 0: between turns
	number atomic.Uint32
	named  atomic.Bool // the watchdog has told of this turn
}

func (b *busy) begin(number uint32, now time.Time) {
	b.named.Store(false)
	b.number.Store(number)
	b.since.Store(now.UnixNano())
}

func (b *busy) end() { b.since.Store(0) }

// watch looks after handlers that have been running for too long, now and again and again until the system stops.
func (s *System) watch() {
	if s.isStopping() {
		return
	}
	now := s.o.Clock.Now()
	hung := 0
	for _, p := range s.all() {
		since := p.busy.since.Load()
		if since == 0 || now.UnixNano()-since < int64(s.o.Limits.Slow) {
			continue
		}
		hung++
		if !p.busy.named.Swap(true) {
			s.o.Log.Error("handler does not return: what waits for this actor waits with it", "actor", p.ref.String(),
				"number", p.busy.number.Load(), "since", time.Unix(0, since).UTC(),
				"do", "look for it in a goroutine dump; the requests that wait are answered DEADLINE")
		}
	}
	s.hung.Store(int64(hung))
	s.o.Clock.AfterFunc(watchEvery, s.watch)
}
