package gate

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is how a session outlives its connection: it waits for its client, who comes back over
// another one, and neither misses a frame nor gets one twice.

// A token opens a session to whoever has it. The zero token opens none.
type token [16]byte

func (g *Gate) newToken() (t token) {
	binary.BigEndian.PutUint64(t[:8], g.Draw())
	binary.BigEndian.PutUint64(t[8:], g.Draw())
	return t
}

func (t token) String() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

func (t token) opens(text string) bool {
	return t != token{} && subtle.ConstantTimeCompare([]byte(t.String()), []byte(text)) == 1
}

// resume gives a client the session back that it asks for, or says why it cannot have it. It is
// done when nothing is left to be said to the client.
func (v *Visit) resume(r *wire.Resume, seq uint32) (reason string, done bool) {
	g := v.gate
	ref := actors.SessionKind.Ref(r.Session)
	node, _, named := ref.SessionPlace()
	s := g.session(ref)
	switch {
	case g.Limits.ResumeFor == 0:
		reason = "NO_RESUME: a session ends with its connection here"
	case named && node != g.Node:
		reason = fmt.Sprintf("OTHER_GATE: the session was held by gate %s and cannot be had from %s; whom it "+
			"played is still there: log in again", node, g.Node)
	case s == nil:
		reason = "SESSION_UNKNOWN: it has ended, or there was none of this name"
	default:
		reason = s.resume(v, r, seq)
	}
	if reason == "" {
		return "", true
	}
	if e, ok := g.buried(ref, r.Token); ok { // looked for last: it may have been closed just now
		v.dismissStranger(e.number, e.text)
		return "", true
	}
	g.Counters.Unresumed.Add(1)
	return reason, false
}

// resume makes v the session's connection; the one it had is cut, and what it has still to say is
// not heard. A reason says why not.
func (s *Session) resume(v *Visit, r *wire.Resume, seq uint32) (reason string) {
	s.mu.Lock()
	defer s.leave()
	switch {
	case s.ended || !s.keeps():
		return "SESSION_UNKNOWN: it has ended"
	case !s.token.opens(r.Token) && !s.oldToken.opens(r.Token):
		return "BAD_TOKEN: this token does not open the session"
	case !s.out.window.holds(r.Received):
		w := &s.out.window
		reason = fmt.Sprintf("TOO_MUCH_MISSED: you have %d frames, %d to %d are still here",
			r.Received, w.first(), w.sent)
		s.end(wire.CloseBadFrame, reason)
		return reason
	}
	if _, ok := v.enter(s); !ok {
		return ""
	}
	now := s.gate.Clock.Now()
	if s.at != nil {
		s.hangUp(Replaced)
	}
	if s.absence != nil {
		s.presence(&actors.Back{Session: s.ref})
	}
	s.home()
	s.at, s.remote, s.heard, s.pinged, s.stalled = v, v.remote, s.gate.moment(now), 0, 0
	s.out.window.acknowledge(r.Received)
	used := s.token
	if !used.opens(r.Token) {
		used = s.oldToken
	}
	m := s.welcome(now, "")
	s.oldToken, m.Resumed = used, true
	s.out.back(frameOf(0, wire.NumberWelcome, seq, m), s.received)
	s.todo.wake = true
	s.gate.Counters.Resumed.Add(1)
	s.alarm(now.Add(s.gate.Limits.Heartbeat))
	return ""
}

// keeps reports whether the session can be resumed at all.
func (s *Session) keeps() bool { return s.original == nil && s.gate.Limits.ResumeFor > 0 }

// An absence is since when a session's client is away, and why.
type absence struct {
	since time.Time
	code  actors.Code
}

// away is for a connection that is gone: the session waits for its client. So does one in which nothing
// was said yet: the client's first request may have been on its way.
func (s *Session) away(code actors.Code) {
	c := &s.gate.Counters
	places := s.gate.Limits.Away
	if s.who.IsZero() {
		places = (places + 1) / 2 // whoever plays must not find all of them taken by strangers
	}
	if s.ended || !s.keeps() || c.Away.Load() >= int64(places) {
		s.finish(code)
		return
	}
	now := s.gate.Clock.Now()
	s.at, s.absence = nil, &absence{now, code}
	s.out.leave()
	c.Away.Add(1)
	s.presence(&actors.Away{Session: s.ref})
	s.alarm(now.Add(s.gate.Limits.ResumeFor))
}

// home is the end of being away.
func (s *Session) home() {
	if s.absence != nil {
		s.absence = nil
		s.gate.Counters.Away.Add(-1)
	}
}

// expireAway ends the session if its client has not come back in time.
func (s *Session) expireAway(now time.Time) {
	if until := s.absence.since.Add(s.gate.Limits.ResumeFor); now.Before(until) {
		s.alarm(until)
	} else {
		s.finish(s.absence.code)
	}
}

// tooSlow is for a frame that has no room. The client loses its connection and may come back for
// all of it; one that is away has missed too much.
func (s *Session) tooSlow(p parcel) {
	text := fmt.Sprintf("%d frames wait, %d bytes", len(s.out.waiting), s.out.bytes)
	switch {
	case s.at == nil:
		s.gate.Counters.Missed.Add(1)
		s.finish(codeOf(wire.CloseSlowClient))
	case s.keeps():
		s.at.say(nil, wire.CloseSlowClient, text)
		s.away(codeOf(wire.CloseSlowClient))
		s.send(p)
	default:
		s.at.say(nil, wire.CloseSlowClient, text)
		s.finish(codeOf(wire.CloseSlowClient))
	}
}

// unacknowledged is for a client that reads and speaks, but does not say what it has. It may come
// back, and has to say it then.
func (s *Session) unacknowledged() {
	s.at.say(nil, wire.CloseSlowClient, fmt.Sprintf("%d frames wait, and in %v none of the %d before them was "+
		"acknowledged: answer Ping with what you have received",
		len(s.out.waiting), s.gate.Limits.Dead, len(s.out.window.frames)))
	s.away(codeOf(wire.CloseSlowClient))
}

// acknowledged takes the client's count of our frames; false if it cannot be.
func (s *Session) acknowledged(received uint64) bool {
	o := &s.out
	if received > o.window.sent {
		s.end(wire.CloseBadFrame, fmt.Sprintf("received %d frames of %d", received, o.window.sent))
		return false
	}
	if o.window.acknowledge(received) {
		s.stalled = 0
	}
	if !o.woken && o.ready(&s.gate.Limits) {
		o.woken = true
		s.todo.wake = true
	}
	return true
}
