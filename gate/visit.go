package gate

import (
	"errors"
	"sync"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// A Conn is a client's connection as its visit sees it. Both methods may be called from any
// goroutine, return at once and do not call the visit back before they return.
type Conn interface {
	// Wake says that frames wait: call Visit.Take when they can be written. It is not said
	// again until Take has left nothing that could be taken.
	Wake()
	// Cut ends the connection at once: its client is believed dead, or here by another one.
	Cut()
}

// A Visit is one connection's time at the gate, from its first byte to its last: Hello, perhaps a
// ticket, then a session, which may be one that an earlier visit began. All methods but Session
// are its connection's to call, from any goroutine.
type Visit struct {
	gate   *Gate
	conn   Conn
	remote string
	serial uint64
	since  int64 // Unix nanoseconds

	mu        sync.Mutex // may be taken under a session's, never the other way round
	phase     phase
	touches   int32 // signs of life before Welcome that are no frames
	session   *Session
	held      [][]byte // frames that came between Hello and Welcome
	words     [][]byte // the last ones, when it is over
	last      *wire.Close
	stopTimer func() bool
}

// A phase of a visit; it only rises.
type phase uint8

const (
	opening  phase = iota // waiting for Hello
	checking              // Hello is here, what it asks for is being checked
	admitted              // it has a session
	over                  // no more frames are taken; its last words are still written
)

// Open begins a visit over a connection that was just accepted. The caller then hands every frame
// to Receive, and calls Lost when the connection has ended.
func (g *Gate) Open(c Conn, remote string) *Visit {
	v := g.meet(c, remote)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stopTimer = g.Clock.AfterFunc(g.Limits.Hello, func() {
		v.dismissStranger(wire.CloseHelloTimeout, "no Hello within "+g.Limits.Hello.String())
	})
	return v
}

// Enter is Open for a protocol that has no Hello: the session begins at once. Nothing welcomes its
// client or asks whether it is there, and the session ends with its connection.
func (g *Gate) Enter(c Conn, remote string, o *Original) *Visit {
	v := g.meet(c, remote)
	v.phase = checking
	v.begin(&Session{codec: o.Codec, client: "firefly/1", original: o}, nil, actors.Ref{})
	return v
}

func (g *Gate) meet(c Conn, remote string) *Visit {
	v := &Visit{gate: g, conn: c, remote: remote, serial: g.serial.Add(1), since: g.Clock.Now().UnixNano()}
	g.mu.Lock()
	g.strangers[v] = struct{}{}
	g.mu.Unlock()
	g.Counters.Accepted.Add(1)
	g.Counters.Connections.Add(1)
	g.Counters.Handshakes.Add(1)
	return v
}

// Session returns the visit's session, nil before Welcome.
func (v *Visit) Session() *Session {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.session
}

// Receive takes one whole frame of the client, header and body; it keeps nothing of it. The order
// of calls is the order of the client's frames.
func (v *Visit) Receive(frame []byte) {
	g := v.gate
	g.Counters.FramesIn.Add(1)
	g.Counters.BytesIn.Add(uint64(len(frame)))
	now := g.Clock.Now()
	h, body, rest, err := wire.CutFrame(frame, g.Limits.FrameMax)
	switch {
	case err != nil:
		v.Malformed(err)
		return
	case len(rest) > 0:
		v.Close(wire.CloseBadFrame, "more than one frame in one message")
		return
	case h.Flags != 0:
		v.Close(wire.CloseBadFrame, "only the server's frames have flags")
		return
	}
	v.mu.Lock()
	s := v.session
	var hello func()
	if s == nil {
		hello = v.meetFrame(h, body, frame)
	}
	v.mu.Unlock()
	switch {
	case s != nil:
		s.receive(v, now, h, body)
	case hello != nil:
		hello()
	}
}

// meetFrame takes a frame before there is a session. If it is Hello, what it asks for is returned,
// to be done without the lock.
func (v *Visit) meetFrame(h wire.Header, body, frame []byte) (hello func()) {
	switch {
	case v.phase == over:
	case v.phase == checking && len(v.held) == v.gate.Limits.Held:
		v.dismiss(nil, wire.CloseRateLimited, "too much before Welcome")
	case v.phase == checking:
		v.held = append(v.held, append([]byte(nil), frame...))
	case h.Number != wire.NumberHello:
		v.dismiss(nil, wire.CloseBadFrame, "the first frame must be Hello")
	default:
		return v.hello(h.Seq, body)
	}
	return nil
}

// Malformed ends the session because its connection holds no frames, or those of another version.
func (v *Visit) Malformed(err error) {
	n := wire.CloseBadFrame
	if errors.Is(err, wire.ErrVersion) {
		n = wire.CloseVersion
	}
	v.Close(n, err.Error())
}

// Touch notes a sign of life below frames, such as a WebSocket ping. It costs the client a token,
// as a frame does.
func (v *Visit) Touch() {
	now := v.gate.Clock.Now()
	v.mu.Lock()
	s := v.session
	if v.touches++; s == nil && int(v.touches) > v.gate.Limits.Held {
		v.dismiss(nil, wire.CloseRateLimited, "too much before Welcome")
	}
	v.mu.Unlock()
	if s != nil {
		s.touch(v, now)
	}
}

// Leave says that the client has gone for good: its session ends with the connection.
func (v *Visit) Leave() {
	if s := v.Session(); s != nil {
		s.leaves(v)
	}
}

// Close ends the visit, and its session, with a Close frame of this number, the last.
func (v *Visit) Close(n wire.CloseNumber, text string) {
	if s := v.Session(); s != nil {
		s.closeOver(v, n, text)
		return
	}
	v.dismissStranger(n, text)
}

// dismissStranger closes a visit that has no session.
func (v *Visit) dismissStranger(n wire.CloseNumber, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.session == nil {
		v.dismiss(nil, n, text)
	}
}

// Lost says, once, that the connection has ended.
func (v *Visit) Lost() {
	v.gate.Counters.Connections.Add(-1)
	v.mu.Lock()
	s := v.session
	v.finish(Disconnected)
	v.mu.Unlock()
	if s != nil {
		s.lost(v, Disconnected)
	}
}

// Take removes frames that are to be written, about room bytes but at least one frame if any may
// be, and appends them to into. They belong to several sessions: do not change them. Once last is
// not nil nothing follows: write what was taken, and close.
func (v *Visit) Take(into [][]byte, room int) (frames [][]byte, last *wire.Close) {
	had := len(into)
	v.mu.Lock()
	s := v.session
	if v.phase == over {
		s = nil
		for len(v.words) > 0 && (len(into) == had || room >= len(v.words[0])) {
			into, room, v.words = append(into, v.words[0]), room-len(v.words[0]), v.words[1:]
		}
		if len(v.words) == 0 {
			last = v.last
		}
	}
	v.mu.Unlock()
	if s != nil {
		into = s.take(v, into, room)
	}
	for _, f := range into[had:] {
		v.gate.Counters.BytesOut.Add(uint64(len(f)))
	}
	v.gate.Counters.FramesOut.Add(uint64(len(into) - had))
	return into, last
}

// Full says that the socket takes no more at present. It reports whether anything waits for it,
// and whether the visit is over, so that there is no use in waiting for long.
func (v *Visit) Full() (waiting, ended bool) {
	v.mu.Lock()
	s := v.session
	waiting, ended = len(v.words) > 0, v.phase == over
	v.mu.Unlock()
	if s != nil && !ended {
		waiting = s.full(v)
	}
	return waiting, ended
}

// dismiss makes frames and a Close the visit's last words; it wakes the connection to write them.
func (v *Visit) dismiss(frames [][]byte, n wire.CloseNumber, text string) {
	if v.phase == over {
		return
	}
	c := &wire.Close{Code: n.String(), Number: n, Text: text}
	v.words, v.last = append(frames, frameOf(0, wire.NumberClose, 0, c)), c
	v.finish(codeOf(n))
	v.conn.Wake()
}

// finish is the visit's end, counted under its code.
func (v *Visit) finish(code actors.Code) {
	if v.phase == over {
		return
	}
	if v.phase != admitted {
		v.depart()
	}
	v.phase, v.held = over, nil
	v.gate.Counters.closed(code)
}

// depart says that the visit waits for a session no more: it has one, or it is over.
func (v *Visit) depart() {
	g := v.gate
	g.Counters.Handshakes.Add(-1)
	g.mu.Lock()
	delete(g.strangers, v)
	g.mu.Unlock()
	if v.stopTimer != nil {
		v.stopTimer()
		v.stopTimer = nil
	}
}

// enter gives the visit its session, and returns the frames that came before it; false if it is over.
func (v *Visit) enter(s *Session) (held [][]byte, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.phase != checking {
		return nil, false
	}
	v.depart()
	v.phase, v.session = admitted, s
	held, v.held = v.held, nil
	return held, true
}

// say makes frames and a Close the visit's last words.
func (v *Visit) say(frames [][]byte, n wire.CloseNumber, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dismiss(frames, n, text)
}

// cut ends the connection without a word.
func (v *Visit) cut(code actors.Code) {
	v.mu.Lock()
	v.finish(code)
	v.mu.Unlock()
	v.conn.Cut()
}
