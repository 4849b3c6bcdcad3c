package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is how a connection becomes a session's: Hello, Welcome, and what Welcome says of the past.

// greetWithin bounds one attempt to connect again, to its Welcome.
const greetWithin = 10 * time.Second

// connect opens a connection and makes it the session's, or that of a new one.
func (c *Client) connect(ctx context.Context) (*Pipe, error) {
	p, err := OpenPipe(ctx, c.address, c.o.Way)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { p.Close() })
	w, err := c.greet(p)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	var change Change
	if err == nil {
		change, err = c.adopt(p, w)
	}
	if gone := (*Gone)(nil); errors.As(err, &gone) {
		change, err = c.anew(p, w, gone)
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("client: greeting %s: %w", c.address, err)
	}
	c.tell(change)
	return p, nil
}

// greet says Hello and waits for Welcome.
func (c *Client) greet(p *Pipe) (w wire.Welcome, err error) {
	if err := p.Write(frameOf(wire.NumberHello, 1, c.hello())); err != nil {
		return w, err
	}
	h, body, err := p.Read()
	switch {
	case err != nil:
		return w, err
	case h.Number == wire.NumberClose:
		return w, closed(body)
	case h.Number != wire.NumberWelcome:
		return w, fmt.Errorf("the first frame is number %d, not Welcome", h.Number)
	}
	if err := json.Unmarshal(body, &w); err != nil {
		return w, fmt.Errorf("reading Welcome: %w", err)
	}
	return w, nil
}

func (c *Client) hello() wire.Hello {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := wire.Hello{Version: wire.Version, Codec: c.o.Codec.String(), Ticket: c.o.Ticket, Client: c.o.Name}
	if c.welcome.Session == "" {
		return h
	}
	h.Resume = &wire.Resume{Session: c.welcome.Session, Token: c.welcome.Token, Received: c.received.Load()}
	if c.o.Policy == Resume {
		h.Ticket = "" // for another session, which is not wanted
	}
	return h
}

// adopt takes a Welcome in: the connection goes on where the last one ended, or begins a session.
func (c *Client) adopt(p *Pipe, w wire.Welcome) (Change, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	codec, err := wire.ParseCodec(w.Codec)
	change, last := Change{State: Connected, Session: w.Session}, c.welcome.Session
	switch {
	case err != nil:
		return change, fmt.Errorf("reading Welcome: %w", err)
	case last == "":
		c.o.Codec = codec
	case codec != c.o.Codec:
		return change, fmt.Errorf("%w: the session spoke %s, and is now granted %s", errNonsense, c.o.Codec, codec)
	case w.Resumed && w.Session == last:
		if err := c.out.resume(w.Received); err != nil {
			return change, err
		}
		c.resumes.Add(1)
		change.State = Resumed
	default:
		return change, &Gone{Session: last, Reason: w.Reason}
	}
	c.welcome, c.pipe = w, p
	return change, nil
}

// anew fails what was under way in a session that is gone. By the policy, another one begins.
func (c *Client) anew(p *Pipe, w wire.Welcome, gone *Gone) (Change, error) {
	c.mu.Lock()
	calls, carried := c.calls, c.out.carried
	c.calls, c.out = map[uint32]*call{}, ledger{keep: true}
	if c.o.Policy == Return {
		c.welcome, c.pipe = w, p
		c.received.Store(0)
	}
	c.mu.Unlock()
	failAll(calls, func(k *call) error {
		own := *gone
		own.Sent = k.index < carried
		return &own
	})
	if c.o.Policy != Return {
		return Change{}, gone
	}
	return Change{State: Anew, Session: w.Session, Err: gone}, nil
}

func closed(body []byte) error {
	c := new(Closed)
	if err := json.Unmarshal(body, &c.Close); err != nil {
		return fmt.Errorf("reading Close: %w", err)
	}
	return c
}
