package client

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is the client's reading goroutine: Dial starts it, the connection's end stops it, Close
// waits for it.

func (c *Client) read() {
	defer close(c.done)
	defer close(c.pushes)
	for {
		h, body, err := c.pipe.Read()
		if err == nil {
			err = c.take(h, body)
		}
		if err != nil {
			c.fail(err)
			c.pipe.Close()
			return
		}
	}
}

// take sorts a frame: a reply to a call, a push, or one of the runtime's own.
func (c *Client) take(h wire.Header, body []byte) error {
	if h.Number >= wire.FirstGameNumber {
		c.received.Add(1)
	}
	switch {
	case h.Number == wire.NumberClose:
		return closed(body)
	case h.Number == wire.NumberPing:
		return c.frame(wire.NumberPong, h.Seq, wire.Pong{Received: c.received.Load()})
	case h.Number == wire.NumberPong:
	case h.Number == wire.NumberError:
		r := new(actors.Refusal)
		if err := json.Unmarshal(body, r); err != nil {
			return fmt.Errorf("client: reading an error: %w", err)
		}
		c.strayed.Add(1)
		c.mu.Lock()
		c.stray = r
		c.mu.Unlock()
	case h.Seq != 0:
		c.reply(h, body)
	default:
		c.push(h, body)
	}
	return nil
}

// reply hands an answer to its call.
func (c *Client) reply(h wire.Header, body []byte) {
	c.mu.Lock()
	k := c.calls[h.Seq]
	delete(c.calls, h.Seq)
	abandoned := k != nil && k.abandoned
	c.mu.Unlock()
	if k == nil || h.Flags&wire.FlagError != 0 && h.Number != k.number {
		c.crossed.Add(1)
		return
	}
	if c.o.Answered != nil {
		c.o.Answered(k.number, time.Since(k.began))
	}
	if abandoned {
		c.late.Add(1)
		return
	}
	k.answer <- c.open(k, h, body)
}

// open reads an answer's body.
func (c *Client) open(k *call, h wire.Header, body []byte) answer {
	if h.Flags&wire.FlagError != 0 {
		c.refusals.Add(1)
		r := new(actors.Refusal)
		if err := json.Unmarshal(body, r); err != nil {
			return answer{err: fmt.Errorf("client: reading a refusal: %w", err)}
		}
		return answer{err: r}
	}
	c.replies.Add(1)
	if h.Number == k.number {
		return answer{} // an empty result stands under the request's own number
	}
	msg, err := c.decode(h, body)
	return answer{msg: msg, err: err}
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
