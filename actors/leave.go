package actors

// This file is how all actors of a node end in order, for whoever cannot wait in his own place.

// Leave does what Stop does, but does not wait: done is called once, from any goroutine, when all actors have ended.
func (s *System) Leave(done func()) {
	s.dismiss(false)
	s.whenGone(false, func() {
		s.dismiss(true)
		s.whenGone(true, done)
	})
}

// dismiss tells the entities, or the runtime's own actors, to end, and lets none come up any more.
func (s *System) dismiss(residents bool) {
	s.mu.Lock()
	s.stopping, s.closing = true, residents
	s.mu.Unlock()
	for _, p := range s.living(residents) {
		p.post(func() { p.body.leave() })
	}
}

func (s *System) whenGone(residents bool, then func()) {
	if len(s.living(residents)) == 0 {
		then()
		return
	}
	s.o.Clock.AfterFunc(stopPoll, func() { s.whenGone(residents, then) })
}
