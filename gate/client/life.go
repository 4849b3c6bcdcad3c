package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is the client's reading goroutine: Dial starts it, the end of the last connection ends
// it, Close waits for it. Between two connections it waits, by the client's policy.

// live hears one connection after another.
func (c *Client) live(p *Pipe) {
	defer close(c.done)
	defer close(c.pushes)
	for {
		err := c.hear(p)
		if p, err = c.again(err); err != nil {
			c.fail(err)
			c.end()
			c.bury()
			return
		}
	}
}

// hear takes what a connection brings until it ends, and returns why. First of all it sends what has
// waited for the connection.
func (c *Client) hear(p *Pipe) error {
	stop := context.AfterFunc(c.life, func() { p.Close() })
	defer p.Close()
	defer stop()
	c.pulse = feel(c, p)
	defer c.pulse.stop()
	defer c.hangUp()
	if err := c.flush(); err != nil {
		return err
	}
	for {
		h, body, err := p.Read()
		if err == nil {
			c.pulse.felt()
			err = c.take(h, body)
		}
		if err != nil {
			return err
		}
	}
}

// hangUp has frames wait for the next connection. If there will be none, they shall fail.
func (c *Client) hangUp() {
	if c.o.Policy == Once {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pipe = nil
}

// again connects again, if the policy and what ended the last connection let it, or returns why the
// client has to end.
func (c *Client) again(why error) (*Pipe, error) {
	began := time.Now()
	for failed := 0; ; failed++ {
		if !c.returns(why) {
			return nil, why
		}
		wait := c.pause.next(advice(why))
		if time.Since(began)+wait > c.o.GiveUp {
			return nil, fmt.Errorf("client: gave up after %v: %w", time.Since(began).Round(time.Millisecond), why)
		}
		c.tell(Change{State: Lost, Session: c.Welcome().Session, Err: why, Failed: failed, Wait: wait})
		if err := sleep(c.life, wait); err != nil {
			return nil, ErrClosed
		}
		within, cancel := context.WithTimeout(c.life, greetWithin)
		p, err := c.connect(within)
		cancel()
		if err == nil {
			return p, nil
		}
		why = err
	}
}

// returns says whether there is any use in connecting again after a connection has ended like this.
func (c *Client) returns(why error) bool {
	gone, closed := (*Gone)(nil), (*Closed)(nil)
	switch {
	case c.o.Policy == Once, c.Err() != nil, errors.As(why, &gone), errors.Is(why, errNonsense):
		return false
	case errors.As(why, &closed):
		return closed.Number.Advice() != wire.ReturnNever
	}
	return true
}

// advice is what the end of a connection says of when to come back: at once, unless the gate said later.
func advice(why error) wire.Return {
	closed := (*Closed)(nil)
	if errors.As(why, &closed) {
		return closed.Number.Advice()
	}
	return wire.ReturnNow
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
