package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

const (
	answerWithin = 10 * time.Second // virtual; no request stays open for longer
	step         = 10 * time.Millisecond
)

// A Client is a player without a socket: its frames go straight into a session of the World's gate.
type Client struct {
	w      *World
	gate   string
	number int // of the World's clients, in the order in which they came
	visit  *gate.Visit
	seq    uint32
	asked  map[uint32]*Request
	pushes []any
	closed *wire.Close
	left   bool
	away   bool
	waking bool

	welcome  wire.Welcome
	received uint64 // counted frames
}

// A Request is owed one answer.
type Request struct {
	c        *Client
	msg      any
	at       time.Time
	answered bool
	answer   any
	err      error
}

// Connect opens a session at gate-1 and says Hello.
func (w *World) Connect() *Client {
	w.t.Helper()
	return w.ConnectTo("gate-1")
}

// ConnectTo opens a session at a gate and says Hello.
func (w *World) ConnectTo(gate string) *Client {
	w.t.Helper()
	w.opened++
	c := &Client{w: w, gate: gate, number: w.opened, asked: map[uint32]*Request{}}
	w.clients = append(w.clients, c)
	c.hello(nil)
	w.names[c.visit.Session().Ref()] = fmt.Sprintf("client-%d", len(w.names)+1)
	return c
}

// hello opens a connection and says Hello over it.
func (c *Client) hello(resume *wire.Resume) {
	c.w.t.Helper()
	c.visit = c.w.member(c.gate).Gate.Open(c, "127.0.0.1:1")
	c.runtime(wire.NumberHello, 1, wire.Hello{Version: wire.Version, Codec: wire.JSON.String(), Client: "replay",
		Resume: resume})
	c.w.loop.Settle()
	if c.closed != nil && c.closed.Number != 0 && resume == nil {
		c.w.t.Fatalf("the gate refused Hello: %+v", *c.closed)
	}
}

// runtime sends a frame of the runtime's own.
func (c *Client) runtime(number, seq uint32, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		c.w.t.Fatalf("%v", err)
	}
	c.receive(number, seq, b)
}

// Wake implements gate.Conn: frames wait.
func (c *Client) Wake() {
	if !c.waking {
		c.waking = true
		c.w.loop.Run(c.take)
	}
}

// Cut implements gate.Conn: the connection ends without a last frame, unless one came before.
func (c *Client) Cut() {
	if c.closed == nil && !c.left && !c.away {
		c.closed = &wire.Close{Code: "CUT"}
		c.w.observe("client %d is cut off", c.number)
	}
}

func (c *Client) take() {
	for c.waking = false; c.closed == nil && !c.left && !c.away; {
		frames, last := c.visit.Take(nil, 1<<20)
		for _, f := range frames {
			c.w.observe("client %d has %x", c.number, f)
			c.frame(f)
		}
		if last != nil {
			c.closed = last
			c.w.observe("client %d is closed: %s %s", c.number, last.Code, last.Text)
			c.visit.Lost()
		}
		if last != nil || len(frames) == 0 {
			return
		}
	}
}

// frame sorts one frame of the gate's: answers by their seq, pushes in order.
func (c *Client) frame(f []byte) {
	h, body, _, err := wire.CutFrame(f, 1<<24)
	if err != nil {
		c.w.t.Fatalf("the gate sent a malformed frame: %v", err)
	}
	switch {
	case h.Number >= wire.FirstGameNumber:
		c.received++
	case h.Number != wire.NumberError:
		c.ofRuntime(h, body)
		return
	}
	msg, err := c.decode(h, body)
	if h.Seq != 0 {
		c.answered(h.Seq, msg, err)
		return
	}
	if err != nil {
		msg = err
	}
	c.pushes = append(c.pushes, msg)
}

// ofRuntime takes what the gate itself says.
func (c *Client) ofRuntime(h wire.Header, body []byte) {
	switch h.Number {
	case wire.NumberWelcome:
		c.welcome = wire.Welcome{}
		if err := json.Unmarshal(body, &c.welcome); err != nil {
			c.w.t.Fatalf("replay: unreadable Welcome: %v", err)
		}
	case wire.NumberPing:
		c.runtime(wire.NumberPong, h.Seq, wire.Pong{Received: c.received})
	}
}

// answered notes an answer; each request is owed one.
func (c *Client) answered(seq uint32, msg any, err error) {
	r := c.asked[seq]
	switch {
	case r == nil:
		c.w.t.Errorf("client %d: an answer to request %d, which was not made", c.number, seq)
	case r.answered:
		c.w.t.Errorf("client %d: two answers to request %d, %T", c.number, seq, r.msg)
	default:
		r.answered, r.answer, r.err = true, msg, err
	}
}

func (c *Client) decode(h wire.Header, body []byte) (any, error) {
	if h.Flags&wire.FlagError != 0 {
		r := new(actors.Refusal)
		if err := json.Unmarshal(body, r); err != nil {
			return nil, fmt.Errorf("replay: unreadable error: %w", err)
		}
		return nil, r
	}
	line := c.w.blueprint.Catalogue.ByNumber(h.Number)
	if line == nil {
		return nil, fmt.Errorf("replay: the gate sent number %d, which is not in the catalogue", h.Number)
	}
	if len(body) == 0 {
		return struct{}{}, nil
	}
	return line.Decode(wire.JSON, body)
}

func (c *Client) receive(number, seq uint32, body []byte) {
	c.visit.Receive(wire.AppendFrame(nil, 0, number, seq, body))
}

func (c *Client) send(msg any, seq uint32) {
	c.w.t.Helper()
	line := c.w.blueprint.Catalogue.Of(msg)
	if line == nil {
		c.w.t.Fatalf("%T has no number", msg)
		return
	}
	body, err := line.Encode(wire.JSON, msg)
	if err != nil {
		c.w.t.Fatalf("%v", err)
	}
	c.receive(line.Number, seq, body)
	c.w.loop.Settle()
}

// Send sends a message without wanting an answer.
func (c *Client) Send(msg any) {
	c.w.t.Helper()
	c.send(msg, 0)
}

// Begin sends a request and does not wait for its answer. If there is none when the World ends, though it is owed for
// ten virtual seconds and the client is still connected, that fails the test.
func (c *Client) Begin(msg any) *Request {
	c.w.t.Helper()
	c.seq++
	r := &Request{c: c, msg: msg, at: c.w.Now()}
	c.asked[c.seq] = r
	c.send(msg, c.seq)
	return r
}

// Answered reports whether the answer has come.
func (r *Request) Answered() bool { return r.answered }

// Answer waits for the answer, or the refusal. It fails the test when neither comes within ten virtual seconds.
func (r *Request) Answer() (any, error) {
	r.c.w.t.Helper()
	for waited := time.Duration(0); !r.answered; waited += step {
		if waited >= answerWithin {
			r.c.w.t.Fatalf("no answer to %T after %v", r.msg, answerWithin)
		}
		r.c.w.Advance(step)
	}
	return r.answer, r.err
}

// overdue reports whether the answer should have come.
func (r *Request) overdue(now time.Time) bool { return !r.answered && now.Sub(r.at) >= answerWithin }

// Ask sends a request and returns its answer, or the refusal. It fails the test when neither comes within ten virtual
// seconds.
func (c *Client) Ask(msg any) (any, error) {
	c.w.t.Helper()
	return c.Begin(msg).Answer()
}

// check fails the test if a request has not been answered.
func (c *Client) check() {
	if c.closed != nil || c.left || c.away {
		return
	}
	for _, seq := range slices.Sorted(maps.Keys(c.asked)) {
		if r := c.asked[seq]; r.overdue(c.w.Now()) {
			c.w.t.Errorf("client %d: no answer to request %d, %T, for %v", c.number, seq, r.msg, c.w.Now().Sub(r.at))
		}
	}
}

// Call sends a request and returns its answer, an R; anything else fails the test.
func Call[R any](c *Client, msg any) R {
	c.w.t.Helper()
	answer, err := c.Ask(msg)
	if err != nil {
		c.w.t.Fatalf("%T was refused: %v", msg, err)
	}
	r, ok := answer.(R)
	if !ok {
		c.w.t.Fatalf("%T was answered with %T, not %T", msg, answer, r)
	}
	return r
}

// Refused sends a request that must be refused with this code.
func (c *Client) Refused(msg any, code actors.Code) {
	c.w.t.Helper()
	if answer, err := c.Ask(msg); !errors.Is(err, code) {
		c.w.t.Fatalf("%T was answered with %v, %v; want %s", msg, answer, err, code)
	}
}

// Expect returns the oldest push of type M that was not taken yet, and lets up to a second pass for it.
func Expect[M any](c *Client) M {
	c.w.t.Helper()
	for waited := time.Duration(0); ; waited += step {
		for i, p := range c.pushes {
			if m, ok := p.(M); ok {
				c.pushes = append(c.pushes[:i:i], c.pushes[i+1:]...)
				return m
			}
		}
		if waited >= time.Second {
			var wanted M
			c.w.t.Fatalf("no push of %T within a second; there were %d others", wanted, len(c.pushes))
		}
		c.w.Advance(step)
	}
}

// ExpectNone fails the test if a push of type M waits or comes within a second.
func ExpectNone[M any](c *Client) {
	c.w.t.Helper()
	c.w.Advance(time.Second)
	for _, p := range c.pushes {
		if m, ok := p.(M); ok {
			c.w.t.Fatalf("a push came that should not: %T %+v", m, m)
		}
	}
}

// All takes all pushes of type M that have come so far, oldest first, and waits for none.
func All[M any](c *Client) []M {
	var taken []M
	c.pushes = slices.DeleteFunc(c.pushes, func(p any) bool {
		m, ok := p.(M)
		if ok {
			taken = append(taken, m)
		}
		return ok
	})
	return taken
}

// Forget drops the pushes that have come so far.
func (c *Client) Forget() { c.pushes = nil }

// Leave says that the client goes for good: its session ends at once.
func (c *Client) Leave() {
	if c.left || c.closed != nil {
		return
	}
	c.runtime(wire.NumberClose, 0, struct{}{})
	c.left = true
	c.visit.Lost()
	c.w.loop.Settle()
}

// Drop loses the connection, with all that the gate has written and the client has not read yet. Its session waits for
// Return.
func (c *Client) Drop() {
	if c.left || c.closed != nil {
		return
	}
	c.away = true
	c.visit.Lost()
	c.w.loop.Settle()
}

// Return comes back over a new connection and reports whether the session was still there. If so, the client has by
// then what it had missed; if not, it is a new one, as after Connect. Requests that were open then stay unanswered.
func (c *Client) Return() (resumed bool) {
	c.w.t.Helper()
	if !c.away {
		c.w.t.Fatalf("client %d returns, and has not been dropped", c.number)
	}
	c.away = false
	c.hello(&wire.Resume{Session: c.welcome.Session, Token: c.welcome.Token, Received: c.received})
	if c.closed != nil {
		return false
	}
	if !c.welcome.Resumed {
		c.received, c.asked = 0, map[uint32]*Request{}
		c.w.names[c.visit.Session().Ref()] = fmt.Sprintf("client-%d", len(c.w.names)+1)
	}
	return c.welcome.Resumed
}

// Closed is the gate's last frame, CUT if the connection ended without one, or nil while the session lives.
func (c *Client) Closed() *wire.Close { return c.closed }
