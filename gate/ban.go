package gate

import (
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is when an address is shut out for a while: too many of its connections came to
// nothing. What is counted must not hit the many honest players behind one address of a mobile
// carrier, whose connections break, and come again, all the time. So nobody is blamed who has
// logged in, or has stayed; each such connection makes up for another's offence; a ban is short at
// first, and ends nothing that is open.

// A conduct is how a connection has behaved, seen from its end.
type conduct uint8

const (
	fair   conduct = iota // it proves nothing
	honest                // it makes up for an offence
	rude                  // it is an offence
)

// settled is how long a client that does not log in must have stayed to be no stranger.
const settled = 10 * time.Second

// conductOf judges a connection by how it was ended (last, nil if it just broke), and by how far its
// client had come until then.
func conductOf(last *wire.Close, welcomed, loggedIn bool, lasted time.Duration) conduct {
	if last != nil {
		switch last.Number {
		case wire.CloseBadFrame, wire.CloseRateLimited, wire.CloseHelloTimeout, wire.CloseUnauthenticated:
			return rude
		case wire.CloseVersion, wire.CloseRestarting:
			return fair // an old client, of which a network may have many; or it is our own doing
		}
	}
	switch {
	case loggedIn, welcomed && lasted >= settled:
		return honest
	default:
		return rude
	}
}

// conduct is how the connection's client has behaved until its end.
func (l *line) conduct() conduct {
	if l.excused {
		return fair
	}
	return l.visit.conduct()
}

// conduct is how the visit's client has behaved until its end.
func (v *Visit) conduct() conduct {
	v.mu.Lock()
	last, s := v.last, v.session
	v.mu.Unlock()
	return conductOf(last, s != nil, s != nil && s.loggedIn(), time.Duration(v.gate.Clock.Now().UnixNano()-v.since))
}

// loggedIn reports whether the session's client plays somebody, or did until its end.
func (s *Session) loggedIn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.who.IsZero()
}

// A standing is what an address has to its name. The zero standing is that of one never seen.
type standing struct {
	offences bucket        // those that it may still commit
	until    time.Time     // when its newest ban ends
	length   time.Duration // of that
}

// banned reports whether the address is shut out.
func (s *standing) banned(now time.Time) bool { return now.Before(s.until) }

// note remembers a connection's conduct and says whether a ban begins with it. Bans of an address
// that goes on double in length up to BanMax; after as long without one it begins anew.
func (s *standing) note(c conduct, now time.Time, l *Limits) (banned bool) {
	switch {
	case c == fair, s.banned(now):
		return false
	case c == honest:
		s.offences.give(l.Offences)
		return false
	}
	if _, ok := s.offences.take(now, float64(l.Offences)/60, l.Offences); ok {
		return false
	}
	if s.length == 0 || now.Sub(s.until) >= l.BanMax {
		s.length = l.Ban
	} else {
		s.length = min(2*s.length, l.BanMax)
	}
	s.until, s.offences = now.Add(s.length), bucket{}
	return true
}

// blank reports whether the standing says nothing more than none at all would.
func (s *standing) blank(now time.Time, l *Limits) bool {
	return s.offences.unused(now) >= time.Minute && (s.length == 0 || now.Sub(s.until) >= l.BanMax)
}
