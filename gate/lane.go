package gate

import (
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is how a request with a Retry number is sent again, when nobody can tell what became of
// it. Until it is answered, or its deadline has come, whatever the session has for the same entity
// waits behind it: so the entity still gets all in the order in which the client sent it.

// Pauses before a request is sent again. The first time there is none: its shard may be somebody
// else's already.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Second
	maxAttempt   = 255 // there is no higher number; then the refusal is the answer
)

// A lane is the way to one entity, while requests to it are to be sent again.
type lane struct {
	to      actors.Ref
	repeats []uint32 // seqs of requests that are to be sent again, rising
	waiting []*actors.Envelope
	bytes   int // of the bodies that wait and of which no request knows
}

// laneTo returns the way to an entity, or nil if nothing of it is to be sent again.
func (s *Session) laneTo(to actors.Ref) *lane {
	for _, l := range s.lanes {
		if l.to == to {
			return l
		}
	}
	return nil
}

// pass sends an envelope on, or lets it wait for its turn.
func (s *Session) pass(e *actors.Envelope) {
	l := s.laneTo(e.To)
	if l == nil {
		s.todo.route = append(s.todo.route, e)
		return
	}
	l.waiting = append(l.waiting, e)
	if r := s.requests[uint32(e.Request)]; r == nil || r.sent == nil {
		l.bytes += len(e.Body)
	}
}

// hasRoom reports whether a message may be kept here: it waits, or it may have to be sent again.
func (s *Session) hasRoom(t *wire.Type, to actors.Ref, seq uint32, bytes int) bool {
	l, limit := s.laneTo(to), &s.gate.Limits
	if l != nil && len(l.waiting) >= limit.Behind {
		return false
	}
	if l == nil && (!t.Retry || seq == 0) {
		return true
	}
	kept := 0
	for _, r := range s.requests {
		if r.sent != nil {
			kept += len(r.sent.Body)
		}
	}
	for _, other := range s.lanes {
		kept += other.bytes
	}
	return kept == 0 || kept+bytes <= limit.RepeatBytes
}

// repeats decides whether an answer is none, because the entity never heard of the request or
// nobody knows what it did: then the request is to be sent again.
func (s *Session) repeats(now time.Time, seq uint32, r *request, e *actors.Envelope) bool {
	if r.sent == nil || e.Settles() || r.sent.Attempt == maxAttempt {
		return false
	}
	if refusal := e.Refusal(); r.sent.Attempt == 0 {
		isLost := refusal.Code == actors.Unavailable && refusal.RetryAfter == 0
		if !isLost && refusal.Code != actors.CommitUnknown {
			return false // it was not handled, and never will be
		}
	}
	r.again, r.due = true, now
	if r.sent.Attempt > 0 {
		pause := firstPause << min(r.sent.Attempt-1, 8)
		r.due = now.Add(min(pause, longestPause))
	}
	l := s.laneTo(r.sent.To)
	if l == nil {
		l = &lane{to: r.sent.To}
		s.lanes = append(s.lanes, l)
	}
	if at, known := slices.BinarySearch(l.repeats, seq); !known {
		l.repeats = slices.Insert(l.repeats, at, seq)
	}
	s.proceed(now, l)
	return true
}

// proceed sends what has its turn: the first request that is to be sent again, when all before it
// are answered, and, once there is none, all that waits.
func (s *Session) proceed(now time.Time, l *lane) {
	if len(l.repeats) == 0 {
		s.lanes = slices.DeleteFunc(s.lanes, func(other *lane) bool { return other == l })
		s.todo.route = append(s.todo.route, l.waiting...)
		return
	}
	first := l.repeats[0]
	r := s.requests[first]
	switch {
	case !r.again: // it is under way
	case s.isBehind(first, l.to):
	case now.Before(r.due):
		s.alarm(r.due)
	default:
		again := *r.sent
		again.Attempt++
		again.Epoch, again.Hops = 0, 0
		r.sent, r.again = &again, false
		s.gate.Counters.Retried.Add(1)
		s.todo.route = append(s.todo.route, &again)
	}
}

// isBehind reports whether a request that came before is under way to the entity, and may have to
// be sent again itself.
func (s *Session) isBehind(seq uint32, to actors.Ref) bool {
	for before, r := range s.requests {
		if before < seq && r.sent != nil && !r.again && r.sent.To == to {
			return true
		}
	}
	return false
}

// closeRequest ends a request: it is answered. What waited for it goes on.
func (s *Session) closeRequest(now time.Time, seq uint32, r *request) {
	delete(s.requests, seq)
	if r.sent == nil {
		return
	}
	if l := s.laneTo(r.sent.To); l != nil {
		l.repeats = slices.DeleteFunc(l.repeats, func(other uint32) bool { return other == seq })
		s.proceed(now, l)
	}
}

// proceedAll sends what time has given its turn.
func (s *Session) proceedAll(now time.Time) {
	for _, l := range slices.Clone(s.lanes) {
		s.proceed(now, l)
	}
}

// empty sends all that waits at once: the client is gone, and nobody waits for an answer.
func (s *Session) empty() {
	for _, l := range s.lanes {
		for _, seq := range l.repeats {
			if r := s.requests[seq]; r.again {
				last := *r.sent
				last.Attempt++
				last.Epoch, last.Hops = 0, 0
				s.todo.route = append(s.todo.route, &last)
			}
		}
		s.todo.route = append(s.todo.route, l.waiting...)
	}
	s.lanes = nil
}
