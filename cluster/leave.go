package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Leaving in order.
const (
	leaveCheck  = 10 * time.Millisecond  // how often to look whether all has arrived
	leaveFlush  = time.Second            // how long to wait for the acknowledgement of what was sent
	leaveLinger = time.Second            // how long to pass on what still arrives
	leaveTries  = 20                     // how often the record may change under the farewell
	leaveBid    = 200 * time.Millisecond // how long to wait for the last word to be acknowledged
)

// Stop leaves the cluster in order: what was sent is acknowledged, shards are given up and the record is removed, so
// that successors start at once; what still arrives is passed on to them for a moment. Then it closes. The actors of
// this node must have stopped. An error means that the others learn of the end by its lease.
func (c *Cluster) Stop(ctx context.Context) error {
	left := make(chan error, 1)
	c.Leave(func(err error) { left <- err })
	defer c.Close()
	select {
	case err := <-left:
		return err
	case <-ctx.Done():
		return fmt.Errorf("cluster: leave: %w", ctx.Err())
	}
}

// Leave does what Stop does, but does not wait and does not close: done is called once, from any goroutine.
func (c *Cluster) Leave(done func(error)) {
	c.when(leaveFlush, c.flushed, func() {
		c.farewell(leaveTries, func(err error) {
			if err != nil {
				done(fmt.Errorf("cluster: leave: %w", err))
				return
			}
			c.when(leaveLinger, func() bool { return c.flushed() && c.idle() }, func() { c.bid(done) })
		})
	})
}

// bid says to all that nothing will come from here any more, so that nobody waits until this node has fallen silent.
func (c *Cluster) bid(done func(error)) {
	known := c.picture.Load().known
	for _, incarnation := range slices.Sorted(maps.Keys(known)) {
		known[incarnation].add(&item{tag: tagLeft})
	}
	c.when(leaveBid, c.flushed, func() { done(nil) })
}

// when calls then as soon as ready reports true, or when the time is over.
func (c *Cluster) when(within time.Duration, ready func() bool, then func()) {
	if c.closed.Load() || within <= 0 || ready() {
		then()
		return
	}
	c.o.Clock.AfterFunc(leaveCheck, func() { c.when(within-leaveCheck, ready, then) })
}

// flushed reports whether everything sent to peers that answer has been acknowledged.
func (c *Cluster) flushed() bool {
	for _, p := range c.picture.Load().peers {
		p.out.mu.Lock()
		waits := p.out.bytes > 0 && !p.down.Load()
		p.out.mu.Unlock()
		if waits {
			return false
		}
	}
	return true
}

// idle reports whether this node owns nothing by its own view and nothing waits for an owner.
func (c *Cluster) idle() bool {
	for _, role := range c.parked() {
		if c.parking(role).len() > 0 {
			return false
		}
	}
	_, member := c.View().Member(c.self.Name)
	return !member
}

// farewell gives up everything in one step, again if somebody else wrote meanwhile.
func (c *Cluster) farewell(tries int, done func(error)) {
	if c.closed.Load() {
		done(errClosed)
		return
	}
	c.turn.Lock()
	var without []Decree
	for _, role := range slices.Sorted(maps.Keys(c.record.Roles)) {
		if next, had := c.record.Roles[role].without(c.self.Incarnation); had {
			without = append(without, Decree{Role: role, Next: next})
		}
	}
	c.turn.Unlock()
	c.o.Registry.Leave(without, func(err error) {
		if errors.Is(err, ErrConflict) && tries > 1 {
			c.o.Clock.AfterFunc(leaveCheck, func() { c.farewell(tries-1, done) })
			return
		}
		done(err)
	})
}
