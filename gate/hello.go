package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is how a connection becomes a session: Hello, perhaps a ticket, Welcome.

// hello reads the client's first frame.
func (s *Session) hello(h wire.Header, body []byte) {
	var m wire.Hello
	if err := json.Unmarshal(body, &m); err != nil {
		s.end(wire.CloseBadFrame, "Hello is not readable: "+err.Error(), false)
		return
	}
	if m.Version != wire.Version {
		s.end(wire.CloseVersion, fmt.Sprintf("this gate speaks version %d", wire.Version), false)
		return
	}
	codec, err := wire.ParseCodec(m.Codec)
	if err != nil {
		codec = wire.JSON // Welcome says what was granted
	}
	s.codec, s.client = codec, m.Client
	switch {
	case m.Ticket == "":
		s.welcome(h.Seq, m.Resume != nil)
	case s.gate.Authenticate == nil:
		s.end(wire.CloseUnauthenticated, "this game takes no tickets: log in by message", false)
	default:
		s.phase = checking
		s.todo.offload = func() { s.check(m.Ticket, h.Seq, m.Resume != nil) }
	}
}

// check asks the game about a ticket. It runs where blocking is allowed, without the lock.
func (s *Session) check(ticket string, seq uint32, resume bool) {
	ctx, cancel := context.WithCancel(context.Background())
	stop := s.gate.Clock.AfterFunc(s.gate.Limits.Authenticate, func() {
		cancel()
		s.Close(wire.CloseUnauthenticated, "checking the ticket took too long")
	})
	who, err := s.gate.Authenticate(ctx, ticket)
	stop()
	cancel()
	if err == nil {
		err = who.Check()
	}
	s.mu.Lock()
	defer s.leave()
	if s.phase == checking {
		if err != nil {
			s.end(wire.CloseUnauthenticated, s.reason(err), false)
		} else {
			s.welcome(seq, resume)
			s.bind(&actors.BindOrder{To: who, Login: true})
			s.catchUp()
		}
	}
}

// reason is what a stranger may read of why a ticket was refused; the rest goes into the log.
func (s *Session) reason(err error) string {
	var refusal *actors.Refusal
	var code actors.Code
	if errors.As(err, &refusal) || errors.As(err, &code) {
		return err.Error()
	}
	s.gate.Log.Warn("ticket refused", "remote", s.remote, "error", err)
	return "the ticket was refused"
}

// welcome makes the connection a session.
func (s *Session) welcome(seq uint32, resume bool) {
	l := &s.gate.Limits
	s.phase = playing
	s.gate.Counters.Handshakes.Add(-1)
	s.gate.Counters.Sessions.Add(1)
	s.ref = s.gate.name(s)
	s.todo.attach = true
	m := wire.Welcome{Session: s.ref.ID, Codec: s.codec.String(), FrameMax: l.FrameMax,
		Heartbeat: int(l.Heartbeat.Seconds()), Time: s.gate.Clock.Now().UnixMilli()}
	if resume {
		m.Reason = "a session ends with its connection here"
	}
	s.say(wire.NumberWelcome, seq, m)
	s.alarm(s.heard.Add(l.Heartbeat))
}

// catchUp takes the frames that came while the ticket was checked.
func (s *Session) catchUp() {
	held := s.held
	s.held = nil
	now := s.gate.Clock.Now()
	for _, frame := range held {
		if s.phase == playing {
			s.receive(now, frame)
		}
	}
}
