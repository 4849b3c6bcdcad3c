package client

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is how frames leave. Whoever has queued one writes all that may be written, so that they
// leave in the order of the queue, whatever goroutine is at it.

// queue appends a counted frame to the ledger. The caller holds mu, and flushes without it.
func (c *Client) queue(number, seq uint32, body []byte) (index uint64, err error) {
	if c.err != nil {
		return 0, c.err
	}
	frame := wire.AppendFrame(make([]byte, 0, wire.HeaderSize+len(body)), 0, number, seq, body)
	index, ok := c.out.add(frame, c.o.Backlog)
	if !ok {
		return 0, fmt.Errorf("%w: %d frames, %d bytes", ErrFull, len(c.out.frames), c.out.bytes)
	}
	return index, nil
}

// flush writes what the connection may carry. What it could not is for the next connection; only a
// client that will have none is told.
func (c *Client) flush() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	for {
		p, frame := c.next()
		if frame == nil {
			return nil
		}
		if err := p.Write(frame); err != nil {
			return c.broken(p, err)
		}
	}
}

// next is the next frame for the connection: a Ping, if one is due, or a counted one.
func (c *Client) next() (*Pipe, []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pipe == nil {
		return nil, nil
	}
	if c.out.pingDue() {
		return c.pipe, c.ping()
	}
	return c.pipe, c.out.next()
}

// broken stops writing to a connection; the reading goroutine finds its end.
func (c *Client) broken(p *Pipe, err error) error {
	if c.o.Policy == Once {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pipe == p {
		c.pipe = nil
	}
	return nil
}

// say sends one of the runtime's own frames, if there is a connection.
func (c *Client) say(frame []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	p := c.pipe
	c.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.Write(frame); err != nil {
		return c.broken(p, err)
	}
	return nil
}

// goodbyeWithin bounds how long saying goodbye may take; a session that was not told ends by itself.
const goodbyeWithin = time.Second

// sayGoodbye tells the gate that the client has gone for good.
func (c *Client) sayGoodbye() {
	c.mu.Lock()
	p := c.pipe
	c.mu.Unlock()
	if p != nil && p.Conn().SetWriteDeadline(time.Now().Add(goodbyeWithin)) == nil {
		c.say(frameOf(wire.NumberClose, 0, wire.Close{Code: "LEFT"})) //nolint:errcheck // then it has gone already
	}
}

func (c *Client) unacknowledged() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.sent > 0
}

// pingSeq is that of every Ping: its Pong is as good as any other's.
const pingSeq = 1

func (c *Client) ping() []byte {
	return frameOf(wire.NumberPing, pingSeq, wire.Ping{Received: c.received.Load()})
}

// frameOf makes one of the runtime's own frames.
func frameOf(number, seq uint32, body any) []byte {
	b, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("client: a runtime body is strings and numbers: %v", err))
	}
	return wire.AppendFrame(nil, 0, number, seq, b)
}
