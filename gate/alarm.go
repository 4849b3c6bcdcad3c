package gate

import (
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is a session's sense of time. It has one timer, armed for the earliest thing that may
// have to happen: so ten thousand requests cost no timers of their own.

// A moment is nanoseconds since the gate began, and 0 never: a time.Time is three times as large,
// and every session has some of these. As that it is not moved by who sets the machine's clock.
type moment int64

func (g *Gate) moment(t time.Time) moment { return 1 + moment(t.Sub(g.began)) }
func (g *Gate) time(m moment) time.Time   { return g.began.Add(time.Duration(m - 1)) }

// alarm arms the timer for a moment, unless it goes off before it anyway.
func (s *Session) alarm(at time.Time) {
	due := s.gate.moment(at)
	if s.ended || s.due != 0 && due >= s.due {
		return
	}
	if s.stopTimer != nil {
		s.stopTimer()
	}
	s.due = due
	s.stopTimer = s.gate.Clock.AfterFunc(at.Sub(s.gate.Clock.Now()), s.tick)
}

// tick looks at everything that time may have brought, and arms the timer for what comes next.
func (s *Session) tick() {
	now := s.gate.Clock.Now()
	s.mu.Lock()
	defer s.leave()
	s.due = 0
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

// heartbeat pings a silent client, and gives up one that stays silent, or says everything but what it has.
func (s *Session) heartbeat(now time.Time) {
	l := &s.gate.Limits
	dead := s.gate.time(s.heard).Add(l.Dead)
	if !now.Before(dead) {
		s.hangUp(Silent)
		s.away(Silent)
		return
	}
	if s.stalls(now) {
		s.unacknowledged()
		return
	}
	last := max(s.heard, s.pinged)
	if next := s.gate.time(last).Add(l.Heartbeat); now.Before(next) {
		s.alarm(next)
		return
	}
	s.pinged = s.gate.moment(now)
	s.say(wire.NumberPing, 0, wire.Ping{Received: s.received})
	s.alarm(now.Add(min(l.Heartbeat, dead.Sub(now))))
}

// stalls reports whether for as long as a client may be silent more has waited for it to say what it has, and it has
// not said so of a single frame.
func (s *Session) stalls(now time.Time) bool {
	switch {
	case !s.out.shut(&s.gate.Limits):
		s.stalled = 0
	case s.stalled == 0:
		s.stalled = s.gate.moment(now)
	}
	return s.stalled != 0 && !now.Before(s.gate.time(s.stalled).Add(s.gate.Limits.Dead))
}
