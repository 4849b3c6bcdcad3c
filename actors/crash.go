package actors

import "errors"

// This file is for tests of what behaviours must survive, and of what a World must find.

// errCrash is the reason of a crash on purpose.
var errCrash = errors.New("crashed on purpose")

// Crash ends an entity that runs here as a panic of the runtime would, before the next message in its mailbox: what it
// had not flushed is lost, requests that it was handling are answered PANIC, and the next message brings it up from the
// store. It reports whether the entity ran here.
func (s *System) Crash(ref Ref) bool {
	st := s.stripe(ref)
	st.mu.Lock()
	p := st.processes[ref]
	st.mu.Unlock()
	if p == nil || p.kind.Receiver != nil {
		return false
	}
	p.post(func() { panic(errCrash) })
	return true
}

// Turns is how many turns each entity that runs here has had, while nothing else runs.
func (s *System) Turns() map[Ref]uint64 {
	turns := map[Ref]uint64{}
	for _, p := range s.all() {
		if n, ok := p.body.(*entity); ok {
			turns[p.ref] = n.turns
		}
	}
	return turns
}
