package virtual

import (
	"iter"
	"slices"
	"time"
)

// A sleeper is work that may take time: a coroutine, which runs while its owner waits and waits while it sleeps. So
// what blocks in production, such as a statement to a database, takes virtual time in its own place.
type sleeper struct {
	next  func() (time.Duration, bool)
	stop  func()
	yield func(time.Duration) bool
}

// Offload makes f ready; f may Sleep.
func (t *Time) Offload(f func()) {
	t.Run(func() {
		s := new(sleeper)
		s.next, s.stop = iter.Pull(func(yield func(time.Duration) bool) {
			s.yield = yield
			f()
		})
		t.resume(s)
	})
}

// resume runs a sleeper until it sleeps again, or ends.
func (t *Time) resume(s *sleeper) {
	outer := t.current
	t.current = s
	defer func() { t.current = outer }()
	d, sleeps := s.next()
	if !sleeps {
		return
	}
	t.asleep = append(t.asleep, s)
	t.AfterFunc(d, func() {
		t.asleep = slices.DeleteFunc(t.asleep, func(other *sleeper) bool { return other == s })
		t.resume(s)
	})
}

// Sleep lets d pass for the caller, which Offload has started; everything else goes on meanwhile. It reports false if
// time has ended.
func (t *Time) Sleep(d time.Duration) bool {
	if t.current == nil {
		panic("virtual: only what was offloaded may sleep")
	}
	return t.current.yield(d)
}
