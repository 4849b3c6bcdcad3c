package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A call is a request that waits for its answer.
type call struct {
	number    uint32
	index     uint64 // of its frame
	began     time.Time
	abandoned bool
	answered  func(reply any, err error)
}

// Call sends a request and waits for its answer: the reply, nil if it has no body, or an error. A
// refusal is an *actors.Refusal, so errors.Is(err, code) works; a session that was lost with the
// request under way makes it a *Gone.
func (c *Client) Call(ctx context.Context, msg any) (any, error) {
	type answer struct {
		reply any
		err   error
	}
	answers := make(chan answer, 1)
	k, seq, err := c.request(msg, func(reply any, err error) { answers <- answer{reply, err} })
	if err != nil {
		return nil, err
	}
	select {
	case a := <-answers:
		return a.reply, a.err
	case <-ctx.Done():
		c.mu.Lock()
		k.abandoned = true
		c.mu.Unlock()
		return nil, fmt.Errorf("client: waiting for the answer to seq %d: %w", seq, ctx.Err())
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

// Ask is Call for whoever cannot wait. What came of it is told once, in order with pushes, in the
// reading goroutine; nobody is told if Ask itself returns an error.
func (c *Client) Ask(msg any, answered func(reply any, err error)) error {
	_, _, err := c.request(msg, answered)
	return err
}

// request opens a call before its request leaves. An error means that there is none.
func (c *Client) request(msg any, answered func(reply any, err error)) (*call, uint32, error) {
	t, body, err := c.encode(msg)
	if err != nil {
		return nil, 0, err
	}
	k := &call{number: t.Number, began: time.Now(), answered: answered}
	c.mu.Lock()
	k.index, err = c.queue(t.Number, c.seq+1, body)
	if err == nil {
		c.seq++
		c.calls[c.seq] = k
		c.made.Add(1)
	}
	seq := c.seq
	c.mu.Unlock()
	if err != nil {
		return nil, 0, err
	}
	if err := c.flush(); err != nil && c.settle(seq, func(*call) bool { return true }) != nil {
		return nil, 0, err
	}
	return k, seq, nil
}

// settle closes the call with this seq and returns it, or nil if there is none that is meant.
func (c *Client) settle(seq uint32, meant func(*call) bool) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.calls[seq]
	if k == nil || !meant(k) {
		return nil
	}
	delete(c.calls, seq)
	return k
}

// failAll answers calls with an error, in the order in which they were made.
func failAll(calls map[uint32]*call, why func(*call) error) {
	for _, seq := range slices.Sorted(maps.Keys(calls)) {
		calls[seq].answered(nil, why(calls[seq]))
	}
}
