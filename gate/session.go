package gate

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// A Session is one client, over one connection or, when that is lost and the client comes back in
// time, several in turn. Deliver and Close may be called from any goroutine.
//
// What a session decides under its lock and must do without it (route, attach, close a rival) is
// gathered in todo and done by leave, in order, by one goroutine at a time.
type Session struct {
	gate     *Gate
	serial   uint64
	opened   moment
	original *Original // nil: its client speaks firefly/2, is pinged, and may resume

	mu       sync.Mutex
	ended    bool
	leaving  bool // leave's own
	codec    wire.Codec
	at       *Visit // nil while the client is away, and at the end
	ref      actors.Ref
	client   string
	remote   string
	who      actors.Ref // logged in as, or zero
	bindings []binding  // in the order in which they were made
	requests map[uint32]*request
	lanes    []*lane // to entities to which requests are to be sent again
	out      outbox

	lastSeq  uint32 // of game requests
	badSeqs  int32
	received uint64 // counted frames: those numbered 100 and up
	bucket   bucket
	patience patience
	rates    map[uint32]*bucket // of numbers that have a rate of their own

	token, oldToken token    // the older is good until the client shows that it has the newer
	absence         *absence // nil: the client is here

	heard, pinged moment
	stalled       moment // since when more waits for the client to say what it has; 0: nothing does
	due           moment // when the one timer goes off; 0: none is armed
	stopTimer     func() bool

	todo   todo
	detach func() // leave's own
}

// A todo is what a session has decided to do when its lock is free.
type todo struct {
	attach, detach bool
	wake           bool // the connection
	route          []*actors.Envelope
	then           []func() // what is rare, after all of route has gone
}

func (t *todo) any() bool {
	return t.wake || t.attach || t.detach || len(t.route)+len(t.then) > 0
}

// then adds what is to be done after all envelopes have left, without the lock.
func (s *Session) then(f func()) { s.todo.then = append(s.todo.then, f) }

// leave gives up the session's lock and does what is to be done. If another goroutine is at it
// already, that one does it: so envelopes leave in the order of the decisions.
func (s *Session) leave() {
	defer s.mu.Unlock()
	for !s.leaving && s.todo.any() {
		do := s.todo
		s.todo = todo{}
		s.unlocked(do, s.at)
	}
}

// unlocked does what was decided; the lock is taken again at its end. The connection is at, if not nil.
func (s *Session) unlocked(t todo, at *Visit) {
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
	if t.detach && s.detach != nil {
		s.detach()
	}
	if t.wake && at != nil {
		at.conn.Wake()
	}
	for _, f := range t.then {
		f()
	}
}

// Ref is the session's name.
func (s *Session) Ref() actors.Ref { return s.ref }

// receive takes a frame that came over v. What comes over a connection that the client has given up
// for another is not even counted: it will be sent again.
func (s *Session) receive(v *Visit, now time.Time, h wire.Header, body []byte) {
	s.mu.Lock()
	defer s.leave()
	if s.at == v {
		s.heard = s.gate.moment(now)
		s.oldToken = token{}
		s.dispatch(now, h, body)
	}
}

// touch takes a sign of life below frames.
func (s *Session) touch(v *Visit, now time.Time) {
	s.mu.Lock()
	defer s.leave()
	if s.at != v {
		return
	}
	s.heard = s.gate.moment(now)
	if _, ok := s.bucket.take(now, float64(s.gate.Limits.Rate), s.gate.Limits.Burst); !ok {
		s.tooMuch(now)
	}
}

// Close ends the session with a Close frame of this number, its last. A client that is away finds
// it when it comes back.
func (s *Session) Close(n wire.CloseNumber, text string) {
	s.mu.Lock()
	defer s.leave()
	s.end(n, text)
}

// closeOver is Close as long as v is the session's connection.
func (s *Session) closeOver(v *Visit, n wire.CloseNumber, text string) {
	s.mu.Lock()
	defer s.leave()
	if s.at == v {
		s.end(n, text)
	}
}

// leaves ends the session: its client has said that it goes for good, and hangs up itself.
func (s *Session) leaves(v *Visit) {
	s.mu.Lock()
	defer s.leave()
	if s.at == v {
		s.finish(Disconnected)
	}
}

// lost says that a connection of the session's has ended.
func (s *Session) lost(v *Visit, code actors.Code) {
	s.mu.Lock()
	defer s.leave()
	if s.at == v {
		s.away(code)
	}
}

// take is Visit.Take.
func (s *Session) take(v *Visit, into [][]byte, room int) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != v {
		return into
	}
	return s.out.take(into, room, &s.gate.Limits, s.received)
}

// full is Visit.Full.
func (s *Session) full(v *Visit) (waiting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != v {
		return false
	}
	s.out.full = true
	return s.out.any()
}

// end begins the end: a last frame that says why, and whether to come back. What waits is written
// before it.
func (s *Session) end(n wire.CloseNumber, text string) {
	if s.ended {
		return
	}
	if s.at != nil {
		s.at.say(s.out.all(), n, text)
	}
	s.gate.bury(s, n, text)
	s.finish(codeOf(n))
}

// hangUp ends the connection without a word.
func (s *Session) hangUp(code actors.Code) {
	v := s.at
	s.then(func() { v.cut(code) })
}

// finish is the end itself: every entity hears of it, nobody waits any more.
func (s *Session) finish(code actors.Code) {
	if s.ended {
		return
	}
	s.ended = true
	s.gate.Counters.Sessions.Add(-1)
	if s.absence != nil && code != s.absence.code {
		s.gate.Counters.closed(code) // of others, the connection's end was counted
	}
	s.home()
	s.empty()
	for _, b := range s.bindings {
		s.unbound(b, code)
	}
	s.bindings, s.requests, s.at = nil, nil, nil
	s.out = outbox{}
	s.todo.detach = true
	s.gate.forget(s)
	if s.stopTimer != nil {
		s.stopTimer()
	}
	s.due = 0
}

// send queues a frame for the client. At the queue's bound Lossy frames give way; if that is not
// enough the client is too slow.
func (s *Session) send(p parcel) {
	if s.ended {
		return
	}
	dropped, ok := s.out.add(p, &s.gate.Limits)
	s.gate.Counters.Dropped.Add(uint64(dropped))
	switch {
	case !ok:
		s.tooSlow(p)
	case s.at != nil && !s.out.woken && s.out.ready(&s.gate.Limits):
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
		Since: s.gate.time(s.opened), In: s.received, Out: s.out.window.sent, Requests: len(s.requests),
		Waiting: len(s.out.waiting)}
	if s.absence != nil {
		r.Away = s.absence.since
	}
	for _, b := range s.bindings {
		r.Bound = append(r.Bound, b.to)
	}
	return r, !s.ended
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
