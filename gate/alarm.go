package gate

import (
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is a session's sense of time. It has one timer, armed for the earliest thing that may
// have to happen: so ten thousand requests cost no timers of their own.

// alarm arms the timer for a moment, unless it goes off before it anyway.
func (s *Session) alarm(at time.Time) {
	if s.ended || !s.due.IsZero() && !at.Before(s.due) {
		return
	}
	if s.stopTimer != nil {
		s.stopTimer()
	}
	s.due = at
	s.stopTimer = s.gate.Clock.AfterFunc(at.Sub(s.gate.Clock.Now()), s.tick)
}

// tick looks at everything that time may have brought, and arms the timer for what comes next.
func (s *Session) tick() {
	now := s.gate.Clock.Now()
	s.mu.Lock()
	defer s.leave()
	s.due = time.Time{}
	if s.ended {
		return
	}
	s.expire(now)
	s.proceedAll(now)
	switch {
	case s.at == nil:
		s.expireAway(now)
	case s.original != nil:
		s.first(now)
	default:
		s.heartbeat(now)
	}
	for _, r := range s.requests {
		s.alarm(r.deadline)
	}
}

// heartbeat pings a silent client, and gives up one that stays silent.
func (s *Session) heartbeat(now time.Time) {
	l := &s.gate.Limits
	if dead := s.heard.Add(l.Dead); !now.Before(dead) {
		s.hangUp(Silent)
		s.away(Silent)
		return
	}
	last := s.heard
	if s.pinged.After(last) {
		last = s.pinged
	}
	if next := last.Add(l.Heartbeat); now.Before(next) {
		s.alarm(next)
		return
	}
	s.pinged = now
	s.say(wire.NumberPing, 0, wire.Ping{Received: s.received})
	s.alarm(minTime(now.Add(l.Heartbeat), s.heard.Add(l.Dead)))
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
