package gate

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// A Conn is a client's connection as its session sees it. Both methods may be called from any
// goroutine, return at once and do not call the session back before they return.
type Conn interface {
	// Wake says that frames wait: call Session.Take when they can be written. It is not said
	// again until Take has left nothing waiting.
	Wake()
	// Cut ends the connection at once: its client is believed dead.
	Cut()
}

// A Session is one client: from its connection's first byte to its last. Receive, Take, Full and
// Lost are its connection's to call, Deliver the cluster's; each from any goroutine.
//
// What a session decides under its lock and must do without it (route, attach, close a rival) is
// gathered in todo and done by leave, in order, by one goroutine at a time.
type Session struct {
	gate   *Gate
	conn   Conn
	remote string
	serial uint64
	opened time.Time

	mu       sync.Mutex
	phase    phase
	ref      actors.Ref
	client   string
	codec    wire.Codec
	who      actors.Ref // logged in as, or zero
	bindings []binding  // in the order in which they were made
	requests map[uint32]*request
	lanes    []*lane  // to entities to which requests are to be sent again
	held     [][]byte // frames that came while a ticket was checked
	out      outbox

	lastSeq        uint32 // of game requests
	badSeqs        int
	received, sent uint64 // counted frames: those numbered 100 and up
	bucket         bucket
	patience       patience
	rates          map[uint32]*bucket // of numbers that have a rate of their own

	helloBy       time.Time
	heard, pinged time.Time
	due           time.Time // when the one timer goes off; zero: none is armed
	stopTimer     func() bool

	todo    todo
	leaving bool
	detach  func() // leave's own
}

// A phase of a session; it only rises.
type phase uint8

const (
	opening  phase = iota // waiting for Hello
	checking              // Hello is here, its ticket is being checked
	playing               // welcomed
	ended                 // no more frames are taken; what is in the outbox is still written
)

// A todo is what a session has decided to do when its lock is free.
type todo struct {
	attach, detach bool
	route          []*actors.Envelope
	said           []func() // to be called when all of route has gone
	offload        func()
	rivals         []*Session
	wake, cut      bool
}

func (t *todo) any() bool {
	return t.wake || len(t.route)+len(t.said) > 0 || t.attach || t.detach || t.cut || len(t.rivals) > 0 ||
		t.offload != nil
}

// leave gives up the session's lock and does what is to be done. If another goroutine is at it
// already, that one does it: so envelopes leave in the order of the decisions.
func (s *Session) leave() {
	defer s.mu.Unlock()
	for !s.leaving && s.todo.any() {
		do := s.todo
		s.todo = todo{}
		s.unlocked(do)
	}
}

// unlocked does what was decided; the lock is taken again at its end.
func (s *Session) unlocked(t todo) {
	s.leaving = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.leaving = false
	}()
	g := s.gate
	if t.attach {
		s.detach = g.Backend.Attach(s.ref, s.Deliver)
	}
	for _, e := range t.route {
		g.Backend.Route(e)
	}
	for _, f := range t.said {
		f()
	}
	if t.detach && s.detach != nil {
		s.detach()
	}
	if t.wake {
		s.conn.Wake()
	}
	if t.cut {
		s.conn.Cut()
	}
	if t.offload != nil {
		g.Scheduler.Offload(t.offload)
	}
	for _, r := range t.rivals {
		r.Close(wire.CloseTakenOver, "logged in elsewhere")
	}
}

// Ref is the session's name.
func (s *Session) Ref() actors.Ref { return s.ref }

// Receive takes one whole frame of the client, header and body; it keeps nothing of it. The order
// of calls is the order of the client's frames.
func (s *Session) Receive(frame []byte) {
	now := s.gate.Clock.Now()
	s.mu.Lock()
	defer s.leave()
	if s.phase != ended {
		s.heard = now
		s.gate.Counters.FramesIn.Add(1)
		s.gate.Counters.BytesIn.Add(uint64(len(frame)))
		s.receive(now, frame)
	}
}

func (s *Session) receive(now time.Time, frame []byte) {
	h, body, rest, err := wire.CutFrame(frame, s.gate.Limits.FrameMax)
	switch {
	case err != nil:
		s.end(wire.CloseBadFrame, err.Error(), false)
	case len(rest) > 0:
		s.end(wire.CloseBadFrame, "more than one frame in one message", false)
	case h.Flags != 0:
		s.end(wire.CloseBadFrame, "only the server's frames have flags", false)
	case s.phase == opening && h.Number != wire.NumberHello:
		s.end(wire.CloseBadFrame, "the first frame must be Hello", false)
	case s.phase == opening:
		s.hello(h, body)
	case s.phase == checking && len(s.held) == s.gate.Limits.Held:
		s.end(wire.CloseRateLimited, "too much before the ticket was checked", false)
	case s.phase == checking:
		s.held = append(s.held, append([]byte(nil), frame...))
	default:
		s.dispatch(now, h, body)
	}
}

// Malformed ends the session because its connection holds no frames.
func (s *Session) Malformed(err error) { s.Close(wire.CloseBadFrame, err.Error()) }

// Touch notes a sign of life below frames, such as a WebSocket ping. It costs the client a token,
// as a frame does.
func (s *Session) Touch() {
	now := s.gate.Clock.Now()
	s.mu.Lock()
	defer s.leave()
	s.heard = now
	if _, ok := s.bucket.take(now, float64(s.gate.Limits.Rate), s.gate.Limits.Burst); !ok {
		s.tooMuch(now)
	}
}

// Close ends the session with a Close frame of this number, its last.
func (s *Session) Close(n wire.CloseNumber, text string) {
	s.mu.Lock()
	defer s.leave()
	s.end(n, text, false)
}

// Lost says, once, that the connection has ended.
func (s *Session) Lost() {
	s.gate.Counters.Connections.Add(-1)
	s.mu.Lock()
	defer s.leave()
	s.finish(Disconnected)
}

// Take removes frames from the outbox, about room bytes but at least one frame if any waits, and
// appends them to into. They belong to several sessions: do not change them. Once last is not nil
// nothing follows: write what was taken, and close.
func (s *Session) Take(into [][]byte, room int) (frames [][]byte, last *wire.Close) {
	s.mu.Lock()
	had := len(into)
	into, last = s.out.take(into, room)
	s.mu.Unlock()
	for _, f := range into[had:] {
		s.gate.Counters.BytesOut.Add(uint64(len(f)))
	}
	s.gate.Counters.FramesOut.Add(uint64(len(into) - had))
	return into, last
}

// Full says that the socket takes no more at present. It reports whether anything waits for it,
// and whether the session has ended, so that there is no use in waiting for long.
func (s *Session) Full() (waiting, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.full = true
	return len(s.out.waiting) > 0, s.phase == ended
}

// end begins the end: a last frame that says why, and whether to come back. With drop the frames
// that wait are given up for it.
func (s *Session) end(n wire.CloseNumber, text string, drop bool) {
	if s.phase == ended {
		return
	}
	c := wire.Close{Code: n.String(), Number: n, Text: text}
	s.out.close(c, frameOf(0, wire.NumberClose, 0, c), drop)
	s.out.woken = true
	s.todo.wake = true
	s.finish(codeOf(n))
}

// finish is the end itself: every entity hears of it, nobody waits any more.
func (s *Session) finish(code actors.Code) {
	if s.phase == ended {
		return
	}
	if s.phase == playing {
		s.gate.Counters.Sessions.Add(-1)
	} else {
		s.gate.Counters.Handshakes.Add(-1)
	}
	s.phase = ended
	s.gate.Counters.closed(code)
	s.empty()
	for _, b := range s.bindings {
		s.unbound(b, code)
	}
	s.bindings, s.held, s.requests = nil, nil, nil
	s.todo.detach = true
	s.gate.forget(s)
	if s.stopTimer != nil {
		s.stopTimer()
	}
	s.due = time.Time{}
}

// send queues a frame for the client. At the queue's bound Lossy frames give way; if that is not
// enough the client is too slow.
func (s *Session) send(p parcel) {
	dropped, ok := s.out.add(p, &s.gate.Limits)
	s.gate.Counters.Dropped.Add(uint64(dropped))
	if !ok {
		s.end(wire.CloseSlowClient, fmt.Sprintf("%d frames wait, %d bytes",
			len(s.out.waiting), s.out.bytes), true)
		return
	}
	if !s.out.woken && len(s.out.waiting) > 0 {
		s.out.woken = true
		s.todo.wake = true
	}
}

// say sends a frame of the runtime's own.
func (s *Session) say(number, seq uint32, body any) {
	s.send(parcel{frame: frameOf(0, number, seq, body)})
}

func (s *Session) report() (SessionReport, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := SessionReport{Session: s.ref, Who: s.who, Client: s.client, Remote: s.remote,
		Since: s.opened, In: s.received, Out: s.sent, Requests: len(s.requests),
		Waiting: len(s.out.waiting)}
	for _, b := range s.bindings {
		r.Bound = append(r.Bound, b.to)
	}
	return r, s.phase == playing
}

// frameOf makes a frame whose body is JSON.
func frameOf(flags wire.Flags, number, seq uint32, body any) []byte {
	b, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("gate: a runtime body is strings and numbers: %v", err))
	}
	frame := make([]byte, 0, wire.HeaderSize+len(b))
	return wire.AppendFrame(frame, flags, number, seq, b)
}
