package gate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is a game frame's way to an actor, and its answer's way back.

// A request is a client's frame that is owed its one answer.
type request struct {
	number   uint32
	deadline time.Time
	sent     *actors.Envelope // of a Retry number: the newest attempt
	again    bool             // it is to be sent again
	due      time.Time        // not before this
}

// attempt is the one whose answer counts.
func (r *request) attempt() uint8 {
	if r.sent == nil {
		return 0
	}
	return r.sent.Attempt
}

// dispatch decides what becomes of a frame after the handshake.
func (s *Session) dispatch(now time.Time, h wire.Header, body []byte) {
	game := h.Number >= wire.FirstGameNumber || s.original != nil
	if game {
		s.received++
		if h.Seq != 0 && !s.rises(h) {
			return
		}
	}
	l := &s.gate.Limits
	if wait, ok := s.bucket.take(now, float64(l.Rate), l.Burst); !ok {
		s.limited(h, wait, "messages")
		s.tooMuch(now)
		return
	}
	switch {
	case game:
		s.forward(now, h, body)
	case h.Number == wire.NumberPing || h.Number == wire.NumberPong:
		s.told(h, body)
	case h.Number == wire.NumberClose:
		s.hangUp(Disconnected)
		s.finish(Disconnected)
	case h.Number == wire.NumberHello:
		s.end(wire.CloseBadFrame, "Hello comes once")
	default:
		s.refuse(h.Number, h.Seq, actors.UnknownNumber, "%d is not a client's to send", h.Number)
	}
}

// told takes the client's count of our frames, and answers a Ping with ours of its.
func (s *Session) told(h wire.Header, body []byte) {
	var m wire.Ping
	if len(body) > 0 {
		if err := json.Unmarshal(body, &m); err != nil {
			s.refuse(h.Number, h.Seq, actors.BadBody, "its body is not readable: %v", err)
			return
		}
	}
	if s.acknowledged(m.Received) && h.Number == wire.NumberPing {
		s.say(wire.NumberPong, h.Seq, wire.Pong{Received: s.received})
	}
}

// rises holds clients to seqs that rise. One that does not could be answered in another's place,
// so the error names it in the text and goes under no seq at all.
func (s *Session) rises(h wire.Header) bool {
	if h.Seq > s.lastSeq {
		s.lastSeq = h.Seq
		return true
	}
	text := fmt.Sprintf("seq %d of number %d does not rise above %d", h.Seq, h.Number, s.lastSeq)
	s.refuse(wire.NumberError, 0, actors.BadSeq, "%s", text)
	if s.badSeqs++; int(s.badSeqs) >= s.gate.Limits.BadSeqs {
		s.end(wire.CloseBadFrame, text)
	}
	return false
}

// tooMuch ends the session when its client has gone on for too long.
func (s *Session) tooMuch(now time.Time) {
	if l := &s.gate.Limits; s.patience.refuse(now, l) {
		s.end(wire.CloseRateLimited, fmt.Sprintf("%d messages over %d a second: %d, or %v of it, are too much",
			s.patience.refused, l.Rate, l.Refusals, l.RateGrace))
	}
}

// limited answers RATE_LIMITED, with the time to wait rounded up.
func (s *Session) limited(h wire.Header, wait time.Duration, what string) {
	s.gate.Counters.answered(actors.RateLimited)
	s.fail(h.Number, h.Seq, wire.Error{Code: string(actors.RateLimited), Text: "too many " + what,
		RetryAfter: wait.Milliseconds() + 1})
}

// forward sends a game frame to the actor that it is for.
func (s *Session) forward(now time.Time, h wire.Header, body []byte) {
	t := s.gate.Catalogue.ByNumber(h.Number)
	if t == nil || t.Direction != wire.DirIn {
		s.refuse(h.Number, h.Seq, actors.UnknownNumber, "%d is not a client's to send", h.Number)
		return
	}
	if wait, ok := s.allows(t, now); !ok {
		s.limited(h, wait, t.Name)
		return
	}
	kind, ok := s.gate.Backend.Handles(h.Number)
	if !ok {
		s.refuse(h.Number, h.Seq, actors.UnknownNumber, "nobody handles %s", t)
		return
	}
	to, ok := s.receiver(t, kind)
	if !ok {
		s.refuse(h.Number, h.Seq, actors.NotBound,
			"%s is for a %s, and this session has none", t, kind)
		return
	}
	e := &actors.Envelope{Type: actors.Message, To: to, From: s.self(), Session: s.ref,
		Number: h.Number, Codec: s.codec, Body: append([]byte(nil), body...), At: now.UnixNano()}
	if !s.hasRoom(t, to, h.Seq, len(body)) {
		s.refuse(h.Number, h.Seq, actors.Overloaded, "too much waits for %s, or to be repeated to it", to)
		return
	}
	if h.Seq != 0 && !s.expect(now, h, t, e) {
		return
	}
	s.pass(e)
}

// allows holds the client to the rate that a number has of its own.
func (s *Session) allows(t *wire.Type, now time.Time) (wait time.Duration, ok bool) {
	if t.RateN == 0 {
		return 0, true
	}
	b := s.rates[t.Number]
	if b == nil {
		if s.rates == nil {
			s.rates = map[uint32]*bucket{}
		}
		b = new(bucket)
		s.rates[t.Number] = b
	}
	return b.take(now, float64(t.RateN)/t.RatePer.Seconds(), t.RateN)
}

// expect opens a request: from here on its answer is owed.
func (s *Session) expect(now time.Time, h wire.Header, t *wire.Type, e *actors.Envelope) bool {
	l := &s.gate.Limits
	if len(s.requests) >= l.Requests {
		s.refuse(h.Number, h.Seq, actors.Overloaded, "%d requests are open", len(s.requests))
		return false
	}
	within := t.Within
	if within == 0 {
		within = l.Within
	}
	deadline := now.Add(within)
	r := &request{number: h.Number, deadline: deadline}
	if s.requests == nil {
		s.requests = map[uint32]*request{}
	}
	s.requests[h.Seq] = r
	s.alarm(deadline)
	e.Request, e.Deadline = uint64(h.Seq), deadline.UnixNano()
	if t.Retry {
		r.sent = e
	}
	return true
}

// Deliver takes an envelope of the cluster's for this session: an answer, a push or an order. With
// Fan, it is this session's copy of it. It never blocks.
func (s *Session) Deliver(e *actors.Envelope) {
	s.mu.Lock()
	defer s.leave()
	switch {
	case s.ended:
		s.gate.Counters.Gone.Add(1)
	case e.Type == actors.Message && e.Number < wire.FirstGameNumber:
		s.order(e)
	case e.Type == actors.Message:
		s.push(e)
	default:
		s.answer(e)
	}
}

// answer closes the request that e answers; what comes later finds none, and is only counted.
func (s *Session) answer(e *actors.Envelope) {
	seq := uint32(e.Request)
	r, open := s.requests[seq]
	if !open || uint64(seq) != e.Request {
		s.gate.Counters.Late.Add(1)
		return
	}
	now := s.gate.Clock.Now()
	switch {
	case e.Attempt != r.attempt():
		s.gate.Counters.Overtaken.Add(1)
		return
	case s.repeats(now, seq, r, e):
		return
	}
	defer s.closeRequest(now, seq, r)
	number := e.Number
	if number == 0 || s.original != nil { // the original's replies carry the request's number
		number = r.number
	}
	switch {
	case e.Type == actors.Refused:
		s.gate.Counters.Refused.Add(1)
		s.reply(wire.AppendFrame(nil, wire.FlagError, r.number, seq, e.Body))
	case len(e.Body) > s.gate.Limits.ReplyMax:
		s.refuse(r.number, seq, actors.TooBig, "the reply has %d bytes, the bound is %d",
			len(e.Body), s.gate.Limits.ReplyMax)
	case len(e.Body) > 0 && e.Codec != s.codec:
		s.refuse(r.number, seq, actors.Internal,
			"the reply is in %s, the session in %s", e.Codec, s.codec)
	default:
		s.reply(wire.AppendFrame(nil, 0, number, seq, e.Body))
	}
}

// reply sends an answer.
func (s *Session) reply(frame []byte) {
	s.send(parcel{frame: frame})
}

// refuse answers with an error of the gate's own. Without a seq there is no request to name.
func (s *Session) refuse(number, seq uint32, code actors.Code, format string, args ...any) {
	s.gate.Counters.answered(code)
	s.fail(number, seq, wire.Error{Code: string(code), Text: fmt.Sprintf(format, args...)})
}

func (s *Session) fail(number, seq uint32, body wire.Error) {
	if seq == 0 {
		number = wire.NumberError
	}
	s.send(parcel{frame: frameOf(wire.FlagError, number, seq, body)})
}

// A fanned is a fan-out's frame, made when the first of its sessions got it.
type fanned struct {
	of    *actors.Envelope
	frame []byte
}

// push sends the client a message that answers nothing.
func (s *Session) push(e *actors.Envelope) {
	g := s.gate
	t := g.Catalogue.ByNumber(e.Number)
	switch {
	case t == nil || t.Direction != wire.DirOut || e.Codec != s.codec && len(e.Body) > 0:
		g.forbid(e, s)
		return
	case len(e.Body) > g.Limits.ReplyMax:
		g.Counters.Oversized.Add(1)
		return
	case e.To.IsEveryone() && s.who.IsZero():
		return
	}
	s.send(parcel{frame: g.pushFrame(e), lossy: t.Lossy, of: overtaking(e)})
}

// overtaking names what a Latest push tells the state of, so that a newer one is known to overtake it.
func overtaking(e *actors.Envelope) string {
	if e.Key == "" {
		return ""
	}
	return strconv.FormatUint(uint64(e.Number), 10) + "/" + e.Key
}

// forbid counts a push that its client must not get, and logs the first of each number.
func (g *Gate) forbid(e *actors.Envelope, s *Session) {
	g.Counters.Forbidden.Add(1)
	if _, known := g.warned.LoadOrStore(e.Number, true); !known {
		g.Log.Warn("push that its client must not get", "session", s.ref.String(), "number",
			e.Number, "codec", e.Codec.String(), "from", e.From.String())
	}
}

// pushFrame makes the frame of a push; all sessions of a fan-out share one.
func (g *Gate) pushFrame(e *actors.Envelope) []byte {
	if len(e.Fan) > 0 {
		if f := g.fanned.Load(); f != nil && f.of == e {
			return f.frame
		}
	}
	frame := make([]byte, 0, wire.HeaderSize+len(e.Body))
	frame = wire.AppendFrame(frame, 0, e.Number, 0, e.Body)
	if len(e.Fan) > 0 {
		g.fanned.Store(&fanned{e, frame})
	}
	return frame
}

// expire answers the requests whose deadline has come, in the order of their seqs.
func (s *Session) expire(now time.Time) {
	for _, seq := range slices.Sorted(maps.Keys(s.requests)) {
		if r := s.requests[seq]; !s.ended && !now.Before(r.deadline) {
			s.refuse(r.number, seq, actors.DeadlinePassed, "no answer in time")
			s.closeRequest(now, seq, r)
		}
	}
}
