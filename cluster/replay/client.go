package replay

import (
	"encoding/json"
	"errors"
	"fmt"
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
	w       *World
	session *gate.Session
	seq     uint32
	replies map[uint32]reply
	pushes  []any
	closed  *wire.Close
	waking  bool
}

// A reply is what came back for one request.
type reply struct {
	msg any
	err error
}

// Connect opens a session and says Hello.
func (w *World) Connect() *Client {
	w.t.Helper()
	c := &Client{w: w, replies: map[uint32]reply{}}
	w.clients = append(w.clients, c)
	c.session = w.nodes["gate-1"].Gate.Open(c, "127.0.0.1:1")
	w.names[c.session.Ref()] = fmt.Sprintf("client-%d", len(w.names)+1)
	hello, err := json.Marshal(wire.Hello{Version: wire.Version, Codec: wire.JSON.String(), Client: "replay"})
	if err != nil {
		w.t.Fatal(err)
	}
	c.receive(wire.NumberHello, 1, hello)
	w.loop.settle()
	if c.closed != nil {
		w.t.Fatalf("the gate refused Hello: %+v", *c.closed)
	}
	return c
}

// Wake implements gate.Conn: frames wait.
func (c *Client) Wake() {
	if !c.waking {
		c.waking = true
		c.w.loop.ready = append(c.w.loop.ready, c.take)
	}
}

// Cut implements gate.Conn: the connection ends without a last frame, unless one came before.
func (c *Client) Cut() {
	if c.closed == nil {
		c.closed = &wire.Close{Code: "CUT"}
	}
}

func (c *Client) take() {
	c.waking = false
	for {
		frames, last := c.session.Take(nil, 1<<20)
		for _, f := range frames {
			c.frame(f)
		}
		if last != nil {
			c.closed = last
			c.session.Lost()
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
	if h.Number < wire.FirstGameNumber && h.Number != wire.NumberError {
		return
	}
	msg, err := c.decode(h, body)
	if h.Seq != 0 {
		if _, twice := c.replies[h.Seq]; twice {
			c.w.t.Errorf("two answers to request %d", h.Seq)
		}
		c.replies[h.Seq] = reply{msg, err}
		return
	}
	if err != nil {
		msg = err
	}
	c.pushes = append(c.pushes, msg)
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
	c.session.Receive(wire.AppendFrame(nil, 0, number, seq, body))
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
		c.w.t.Fatal(err)
	}
	c.receive(line.Number, seq, body)
	c.w.loop.settle()
}

// Send sends a message without wanting an answer.
func (c *Client) Send(msg any) {
	c.w.t.Helper()
	c.send(msg, 0)
}

// Ask sends a request and returns its answer, or the refusal. It fails the test when neither comes within ten virtual
// seconds.
func (c *Client) Ask(msg any) (any, error) {
	c.w.t.Helper()
	c.seq++
	seq := c.seq
	c.send(msg, seq)
	for waited := time.Duration(0); waited < answerWithin; waited += step {
		if r, ok := c.replies[seq]; ok {
			return r.msg, r.err
		}
		c.w.Advance(step)
	}
	c.w.t.Fatalf("no answer to %T after %v", msg, answerWithin)
	panic("unreachable")
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

// Forget drops the pushes that have come so far.
func (c *Client) Forget() { c.pushes = nil }

// Leave breaks the connection.
func (c *Client) Leave() {
	c.session.Lost()
	c.w.loop.settle()
}

// Closed is the gate's last frame, CUT if the connection ended without one, or nil while the session lives.
func (c *Client) Closed() *wire.Close { return c.closed }
