// Package client speaks firefly/2 from the other end: for bots, tests and tools in Go.
//
// It promises that a Call returns the one answer to its request or an error, and that what a gate
// must never do (a reply that nobody asked for, a second one, one under another number) is counted
// as crossed. It does not reconnect: a session ends with its connection.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// Options are what a client says in Hello and how it hears. Only Catalogue is needed.
type Options struct {
	Catalogue wire.Catalogue
	Codec     wire.Codec // JSON if zero
	Ticket    string
	Name      string // name/version, for the gate's log
	Way       Way    // to the gate

	// Push gets every message that answers nothing, in order, in the reading goroutine: it must
	// not wait for an answer. Without it they go to Pushes.
	Push func(msg any)
	// Queue is how many pushes wait in Pushes; what comes then is dropped and counted. Default
	// 1024.
	Queue int
	// Answered, if set, is told of every answer how long it took.
	Answered func(number uint32, took time.Duration)
}

// Counts is what a client has seen.
type Counts struct {
	Calls, Replies, Refusals, Pushes uint64
	Crossed                          uint64 // replies nobody asked for, or asked for once only
	Abandoned                        uint64 // replies to calls whose context had ended
	Dropped                          uint64 // pushes that Pushes had no room for
	Strays                           uint64 // errors that name no request
}

// A Closed is why a gate closed the connection. It is what Err returns then.
type Closed struct{ wire.Close }

func (c *Closed) Error() string {
	return fmt.Sprintf("client: closed by the gate: %s (%d) %s", c.Code, c.Number, c.Text)
}

// A Client is one session. Its methods may be called from any goroutine.
type Client struct {
	o       Options
	pipe    *Pipe
	welcome wire.Welcome
	pushes  chan any
	done    chan struct{} // closed when the reading goroutine has ended

	writing sync.Mutex // keeps seqs in order on the wire
	seq     uint32

	mu    sync.Mutex // never held while writing
	calls map[uint32]*call
	err   error // why the connection ended
	stray *actors.Refusal

	received                                                         atomic.Uint64
	made, replies, refusals, pushed, crossed, late, dropped, strayed atomic.Uint64
}

// A call is a request that waits for its answer.
type call struct {
	number    uint32
	began     time.Time
	abandoned bool
	answer    chan answer // of one
}

type answer struct {
	msg any
	err error
}

// Dial connects to tcp://host:port, ws://, tls:// or wss://, and waits for Welcome. A gate that refuses
// makes the error a *Closed. Close must be called in the end.
func Dial(ctx context.Context, address string, o Options) (*Client, error) {
	if o.Codec == 0 {
		o.Codec = wire.JSON
	}
	if o.Queue == 0 {
		o.Queue = 1024
	}
	p, err := OpenPipe(ctx, address, o.Way)
	if err != nil {
		return nil, err
	}
	c := &Client{o: o, pipe: p, calls: map[uint32]*call{}, done: make(chan struct{}),
		pushes: make(chan any, o.Queue)}
	stop := context.AfterFunc(ctx, func() { p.Close() })
	err = c.greet()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("client: greeting %s: %w", address, err)
	}
	go c.read()
	return c, nil
}

func (c *Client) greet() error {
	err := c.frame(wire.NumberHello, 1, wire.Hello{Version: wire.Version, Codec: c.o.Codec.String(),
		Ticket: c.o.Ticket, Client: c.o.Name})
	if err != nil {
		return err
	}
	h, body, err := c.pipe.Read()
	switch {
	case err != nil:
		return err
	case h.Number == wire.NumberClose:
		return closed(body)
	case h.Number != wire.NumberWelcome:
		return fmt.Errorf("the first frame is number %d, not Welcome", h.Number)
	}
	if err := json.Unmarshal(body, &c.welcome); err != nil {
		return fmt.Errorf("reading Welcome: %w", err)
	}
	if c.o.Codec, err = wire.ParseCodec(c.welcome.Codec); err != nil {
		return fmt.Errorf("reading Welcome: %w", err)
	}
	return nil
}

func closed(body []byte) error {
	c := new(Closed)
	if err := json.Unmarshal(body, &c.Close); err != nil {
		return fmt.Errorf("reading Close: %w", err)
	}
	return c
}

// Welcome is what the gate said at the beginning.
func (c *Client) Welcome() wire.Welcome { return c.welcome }

// Call sends a request and waits for its answer: the reply, nil if it has no body, or an error. A
// refusal is an *actors.Refusal, so errors.Is(err, code) works.
func (c *Client) Call(ctx context.Context, msg any) (any, error) {
	k, seq, err := c.request(msg)
	if err != nil {
		return nil, err
	}
	select {
	case a := <-k.answer:
		return a.msg, a.err
	case <-ctx.Done():
		c.mu.Lock()
		k.abandoned = true
		c.mu.Unlock()
		return nil, fmt.Errorf("client: waiting for the answer to seq %d: %w", seq, ctx.Err())
	case <-c.done:
		select {
		case a := <-k.answer: // it was the last thing that came
			return a.msg, a.err
		default:
			return nil, c.Err()
		}
	}
}

// Call is Client.Call with the type of the reply. A reply of another type is an error.
func Call[R any](ctx context.Context, c *Client, msg any) (R, error) {
	var none R
	reply, err := c.Call(ctx, msg)
	if err != nil {
		return none, err
	}
	r, ok := reply.(R)
	if !ok {
		return none, fmt.Errorf("client: the reply to %T is a %T, not a %T", msg, reply, none)
	}
	return r, nil
}

// Send sends a message that wants no answer.
func (c *Client) Send(msg any) error {
	t, body, err := c.encode(msg)
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.pipe.Write(wire.AppendFrame(nil, 0, t.Number, 0, body))
}

func (c *Client) request(msg any) (*call, uint32, error) {
	t, body, err := c.encode(msg)
	if err != nil {
		return nil, 0, err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.seq++
	k := &call{number: t.Number, began: time.Now(), answer: make(chan answer, 1)}
	if err := c.expect(c.seq, k); err != nil {
		return nil, 0, err
	}
	return k, c.seq, c.pipe.Write(wire.AppendFrame(nil, 0, t.Number, c.seq, body))
}

// expect opens a call before its request leaves.
func (c *Client) expect(seq uint32, k *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.calls[seq] = k
		c.made.Add(1)
	}
	return c.err
}

func (c *Client) encode(msg any) (*wire.Type, []byte, error) {
	t := c.o.Catalogue.Of(msg)
	if t == nil {
		return nil, nil, fmt.Errorf("client: %T does not stand in the catalogue", msg)
	}
	body, err := t.Encode(c.o.Codec, msg)
	if err != nil {
		return nil, nil, fmt.Errorf("client: encoding %s: %w", t, err)
	}
	return t, body, nil
}

// frame sends one of the runtime's own.
func (c *Client) frame(number, seq uint32, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("client: encoding number %d: %w", number, err)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.pipe.Write(wire.AppendFrame(nil, 0, number, seq, b))
}

// Pushes is where messages go that answer nothing, if there is no Push. It is closed at the end.
func (c *Client) Pushes() <-chan any { return c.pushes }

// Done is closed when the connection has ended; Err says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// ErrClosed is the end of a connection by Close.
var ErrClosed = errors.New("client: closed")

// Err is why the connection ended: a *Closed if the gate said so, ErrClosed after Close; nil while
// it is open.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Stray is the newest error that named no request, such as BAD_SEQ; nil if there was none.
func (c *Client) Stray() *actors.Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stray
}

// Open is how many calls still wait.
func (c *Client) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls)
}

// Counts counts.
func (c *Client) Counts() Counts {
	return Counts{Calls: c.made.Load(), Replies: c.replies.Load(), Refusals: c.refusals.Load(),
		Pushes: c.pushed.Load(), Crossed: c.crossed.Load(), Abandoned: c.late.Load(),
		Dropped: c.dropped.Load(), Strays: c.strayed.Load()}
}

// Close ends the connection and waits for the reading goroutine, so do not call it from Push.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	err := c.pipe.Close()
	<-c.done
	return err
}

// fail notes why the connection ends; the first reason stands.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}
