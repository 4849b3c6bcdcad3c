// Package client speaks firefly/2 from the other end: for bots, tests and tools in Go.
//
// It promises that a Call returns the one answer to its request or an error, and that what a gate
// must never do (a reply that nobody asked for, a second one, one under another number) is counted
// as crossed. By its Policy it ends with its connection, or connects again by itself and goes on with
// its session: then no frame is lost or doubled in either direction, however often the connection
// dies, as long as the gate has the session; once the gate has it no more, it says so.
package client

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// Counts is what a client has seen.
type Counts struct {
	Calls, Replies, Refusals, Pushes uint64
	Crossed                          uint64 // replies nobody asked for, or asked for once only
	Abandoned                        uint64 // replies to calls whose context had ended
	Dropped                          uint64 // pushes that Pushes had no room for
	Strays                           uint64 // errors that name no request
	Resumes                          uint64 // connections that died and were replaced
}

// A Client is one session after another, mostly one. Its methods may be called from any goroutine.
type Client struct {
	o       Options
	address string
	pushes  chan any
	life    context.Context // ends with Close
	end     context.CancelFunc
	done    chan struct{} // closed when the reading goroutine has ended

	pause backoff // the reading goroutine's, as is
	pulse *pulse  // the connection's

	writing sync.Mutex // one frame after another on the connection; taken before mu

	mu      sync.Mutex // never held while writing
	pipe    *Pipe      // nil: there is no connection, or its Welcome has not come
	welcome wire.Welcome
	out     ledger
	seq     uint32
	calls   map[uint32]*call
	err     error // why the client ended
	stray   *actors.Refusal

	received                                                                  atomic.Uint64
	made, replies, refusals, pushed, crossed, late, dropped, strayed, resumes atomic.Uint64
}

// Dial connects to tcp://host:port, ws://, tls:// or wss://, and waits for Welcome. A gate that refuses
// makes the error a *Closed. Close must be called in the end.
func Dial(ctx context.Context, address string, o Options) (*Client, error) {
	o.defaults()
	c := &Client{o: o, address: address, calls: map[uint32]*call{}, done: make(chan struct{}),
		pushes: make(chan any, o.Queue), pause: backoff{luck: o.Luck}, out: ledger{keep: o.Policy != Once}}
	c.life, c.end = context.WithCancel(context.Background())
	p, err := c.connect(ctx)
	if err != nil {
		c.end()
		return nil, err
	}
	go c.live(p)
	return c, nil
}

// Welcome is what the gate said when the newest connection began.
func (c *Client) Welcome() wire.Welcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.welcome
}

// Send sends a message that wants no answer. Unless the policy is Once, nil means that it will be
// sent, now or after the next connection is there; the error may be ErrFull.
func (c *Client) Send(msg any) error {
	t, body, err := c.encode(msg)
	if err != nil {
		return err
	}
	c.mu.Lock()
	_, err = c.queue(t.Number, 0, body)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.flush()
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

// Pushes is where messages go that answer nothing, if there is no Push. It is closed at the end.
func (c *Client) Pushes() <-chan any { return c.pushes }

// Done is closed when the client has ended, with or without Close; Err says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is why the client ended: a *Closed if the gate said so, a *Gone if it had the session no more,
// ErrClosed after Close; nil while it lives.
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
		Dropped: c.dropped.Load(), Strays: c.strayed.Load(), Resumes: c.resumes.Load()}
}

// Close ends the client and its session, which nobody resumes any more. It waits for the reading
// goroutine, so do not call it from Push or Changed.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	c.sayGoodbye()
	c.end()
	<-c.done
	return nil
}

// fail notes why the client ends; the first reason stands.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

// bury answers what is still open, once there is a reason.
func (c *Client) bury() {
	c.mu.Lock()
	calls, err := c.calls, c.err
	c.calls = map[uint32]*call{}
	c.mu.Unlock()
	failAll(calls, func(*call) error { return err })
}
