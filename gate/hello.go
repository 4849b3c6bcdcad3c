package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is how a visit gets its session: Hello, perhaps a ticket, Welcome.

// hello reads the client's first frame, and returns what is to be done about it without the lock.
func (v *Visit) hello(seq uint32, body []byte) func() {
	var m wire.Hello
	if err := json.Unmarshal(body, &m); err != nil {
		v.dismiss(nil, wire.CloseBadFrame, "Hello is not readable: "+err.Error())
		return nil
	}
	if m.Version != wire.Version {
		v.dismiss(nil, wire.CloseVersion, fmt.Sprintf("this gate speaks version %d", wire.Version))
		return nil
	}
	v.phase = checking
	v.stopTimer()
	return func() { v.ask(&m, seq) }
}

// ask gives the client the session that it wants back, or a new one.
func (v *Visit) ask(m *wire.Hello, seq uint32) {
	codec, err := wire.ParseCodec(m.Codec)
	if err != nil {
		codec = wire.JSON // Welcome says what was granted
	}
	s := &Session{codec: codec, client: m.Client}
	w := &welcome{seq: seq}
	if m.Resume != nil {
		var done bool
		if w.reason, done = v.resume(m.Resume, seq); done {
			return
		}
	}
	switch {
	case m.Ticket == "":
		v.begin(s, w, actors.Ref{})
	case v.gate.Authenticate == nil:
		v.dismissStranger(wire.CloseUnauthenticated, "this game takes no tickets: log in by message")
	default:
		v.check(m.Ticket, s, w)
	}
}

// check asks the game about a ticket, where blocking is allowed. Its time begins now, also if others keep that busy.
func (v *Visit) check(ticket string, s *Session, w *welcome) {
	ctx, cancel := context.WithCancel(context.Background())
	stop := v.gate.Clock.AfterFunc(v.gate.Limits.Authenticate, func() {
		cancel()
		v.dismissStranger(wire.CloseUnauthenticated, "checking the ticket took too long")
	})
	v.gate.Scheduler.Offload(func() {
		who, err := v.gate.whose(ctx, ticket)
		stop()
		cancel()
		if err != nil {
			v.dismissStranger(wire.CloseUnauthenticated, v.reason(err))
			return
		}
		v.begin(s, w, who)
	})
}

// reason is what a stranger may read of why a ticket was refused; the rest goes into the log.
func (v *Visit) reason(err error) string {
	var refusal *actors.Refusal
	var code actors.Code
	if errors.As(err, &refusal) || errors.As(err, &code) {
		return err.Error()
	}
	v.gate.Log.Warn("ticket refused", "remote", v.remote, "error", err)
	return "the ticket was refused"
}

// A welcome is the answer that Hello is owed.
type welcome struct {
	seq    uint32
	reason string // why the session is not the one that was asked for
}

// begin makes s the visit's session, logged in as who if that is not zero. Without a welcome its
// client is told nothing.
func (v *Visit) begin(s *Session, w *welcome, who actors.Ref) {
	g := v.gate
	now := g.Clock.Now()
	s.gate, s.serial, s.remote, s.opened, s.heard = g, v.serial, v.remote, g.moment(now), g.moment(now)
	s.mu.Lock()
	defer s.leave()
	held, ok := v.enter(s)
	if !ok {
		return
	}
	s.at, s.out.keeps = v, s.keeps()
	g.name(s)
	s.todo.attach = true
	g.Counters.Sessions.Add(1)
	if w != nil {
		s.say(wire.NumberWelcome, w.seq, s.welcome(now, w.reason))
		s.alarm(now.Add(g.Limits.Heartbeat))
	} else {
		s.first(now)
	}
	if !who.IsZero() {
		s.bind(&actors.BindOrder{To: who, Login: true})
	}
	for _, frame := range held {
		if s.ended {
			return
		}
		if h, body, _, err := wire.CutFrame(frame, g.Limits.FrameMax); err == nil {
			s.dispatch(now, h, body)
		}
	}
}

// welcome is what the client is told of its session; a token to resume it by is new in each.
func (s *Session) welcome(now time.Time, reason string) wire.Welcome {
	l := &s.gate.Limits
	m := wire.Welcome{Session: s.ref.ID, Codec: s.codec.String(), FrameMax: l.FrameMax,
		Heartbeat: int(l.Heartbeat.Seconds()), Time: now.UnixMilli(), Received: s.received, Reason: reason}
	if s.keeps() {
		s.token = s.gate.newToken()
		m.Token = s.token.String()
	}
	return m
}
