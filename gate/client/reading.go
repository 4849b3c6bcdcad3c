package client

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is what becomes of a frame that came.

// take sorts a frame: a reply to a call, a push, or one of the runtime's own.
func (c *Client) take(h wire.Header, body []byte) error {
	if h.Number < wire.FirstGameNumber {
		return c.heed(h, body)
	}
	if h.Seq != 0 {
		c.reply(h, body)
	} else {
		c.push(h, body)
	}
	c.received.Add(1) // now that it was handled: what is counted does not come again
	c.pause.useful()
	return nil
}

// heed takes one of the runtime's own frames.
func (c *Client) heed(h wire.Header, body []byte) error {
	asks := h.Number == wire.NumberPing || h.Number == wire.NumberPong
	switch {
	case h.Flags&wire.FlagError != 0:
		return c.refused(body, asks)
	case h.Number == wire.NumberClose:
		return closed(body)
	case !asks:
		return nil
	}
	var m wire.Ping // a Pong's body is the same
	if err := json.Unmarshal(body, &m); err != nil {
		return fmt.Errorf("client: reading what the gate has: %w", err)
	}
	c.mu.Lock()
	err := c.out.ack(m.Received)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	// What cannot be written is no reason to stop reading: the gate may have said why.
	if h.Number == wire.NumberPing {
		c.say(frameOf(wire.NumberPong, h.Seq, wire.Pong{Received: c.received.Load()})) //nolint:errcheck // see above
	}
	c.flush() //nolint:errcheck // see above
	return nil
}

// refused takes an error that answers no call. A Ping or a Pong that came too soon after others is
// made good by the next Ping.
func (c *Client) refused(body []byte, asks bool) error {
	r := new(actors.Refusal)
	if err := json.Unmarshal(body, r); err != nil {
		return fmt.Errorf("client: reading an error: %w", err)
	}
	if asks {
		c.pulse.soon(time.Duration(r.RetryAfter) * time.Millisecond)
		return nil
	}
	c.strayed.Add(1)
	c.mu.Lock()
	c.stray = r
	c.mu.Unlock()
	if c.o.Strayed != nil {
		c.o.Strayed(r)
	}
	return nil
}

// reply hands an answer to its call.
func (c *Client) reply(h wire.Header, body []byte) {
	k := c.settle(h.Seq, func(k *call) bool { return h.Flags&wire.FlagError == 0 || h.Number == k.number })
	if k == nil {
		c.crossed.Add(1)
		return
	}
	if c.o.Answered != nil {
		c.o.Answered(k.number, time.Since(k.began))
	}
	c.mu.Lock()
	abandoned := k.abandoned
	c.mu.Unlock()
	if abandoned {
		c.late.Add(1)
		return
	}
	k.answered(c.open(k, h, body))
}

// open reads an answer's body.
func (c *Client) open(k *call, h wire.Header, body []byte) (reply any, err error) {
	if h.Flags&wire.FlagError != 0 {
		c.refusals.Add(1)
		r := new(actors.Refusal)
		if err := json.Unmarshal(body, r); err != nil {
			return nil, fmt.Errorf("client: reading a refusal: %w", err)
		}
		return nil, r
	}
	c.replies.Add(1)
	if h.Number == k.number {
		return nil, nil // an empty result stands under the request's own number
	}
	return c.decode(h, body)
}

func (c *Client) push(h wire.Header, body []byte) {
	msg, err := c.decode(h, body)
	if err != nil {
		c.crossed.Add(1)
		return
	}
	c.pushed.Add(1)
	if c.o.Push != nil {
		c.o.Push(msg)
		return
	}
	select {
	case c.pushes <- msg:
	default:
		c.dropped.Add(1)
	}
}

func (c *Client) decode(h wire.Header, body []byte) (any, error) {
	t := c.o.Catalogue.ByNumber(h.Number)
	if t == nil {
		return nil, fmt.Errorf("client: the gate sent number %d, which is not in the catalogue",
			h.Number)
	}
	return t.Decode(c.o.Codec, body)
}
