package cluster

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// drainCheck is how often it is looked whether all has been handed over, and tried again what failed.
const drainCheck = 50 * time.Millisecond

// Drain hands over all shards of this node by planned moves, and passes on what still comes, until nobody sends
// anything to it any more. Then it is done: the node owns nothing, and Leave loses nothing. done is called once, from
// any goroutine; an error says what the node still has: no other can take it, or the time is over. The node goes on to
// work in either case, but gets no shards any more.
func (c *Cluster) Drain(within time.Duration, done func(error)) {
	c.drainOn(c.o.Clock.Now().Add(within), done)
}

func (c *Cluster) drainOn(until time.Time, done func(error)) {
	rest, hopeless := c.undrained()
	switch late := !c.o.Clock.Now().Before(until); {
	case c.closed.Load():
		done(errClosed)
		return
	case rest == nil:
		c.confirmAll()
		done(nil)
		return
	case late || hopeless:
		done(fmt.Errorf("cluster: drain: %w", rest))
		return
	}
	again := func() { c.o.Clock.AfterFunc(drainCheck, func() { c.drainOn(until, done) }) }
	if me, here := c.View().Member(c.self.Name); here && me.Draining {
		again()
		return
	}
	c.o.Registry.Drain(func(err error) {
		if err != nil {
			c.o.Log.Warn("this node could not be marked as draining", "node", c.self.Name, "error", err)
		}
		again()
	})
}

// undrained says what this node still has; nil: nothing. It is hopeless if no other node may take it.
func (c *Cluster) undrained() (rest error, hopeless bool) {
	seen := c.picture.Load()
	if me, here := seen.view.Member(c.self.Name); !here || !me.Draining {
		return errors.New("it is not marked as draining"), false
	}
	for _, role := range slices.Sorted(maps.Keys(seen.view.Roles)) {
		owned := 0
		for _, o := range seen.view.Roles[role].Owners {
			if o.Incarnation == c.self.Incarnation {
				owned++
			}
		}
		able := slices.ContainsFunc(seen.view.Members, func(m Member) bool { return m.HasRole(role) && takes(&m) })
		switch {
		case owned > 0 && (!able || c.mover == nil):
			return fmt.Errorf("nobody else can take the %d shards of %q", owned, role), true
		case owned > 0:
			return fmt.Errorf("%d shards of %q are still here", owned, role), false
		}
	}
	if n := c.tenancy.unforgotten(); n > 0 {
		return fmt.Errorf("others may still send to %d shards that were here", n), false
	}
	for _, p := range seen.known {
		if p.in.book.count.Load() > 0 {
			return errors.New("something that came is not where it was to go"), false
		}
	}
	return nil, false
}

// unforgotten counts the tenures that are not forgotten.
func (n *tenancy) unforgotten() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.at)
}

// confirmAll tells all peers how far everything is settled, with something that is sent again until it arrives: when
// this node is gone, they must know that what they asked here is with others.
func (c *Cluster) confirmAll() {
	known := c.picture.Load().known
	for _, incarnation := range slices.Sorted(maps.Keys(known)) {
		known[incarnation].add(&item{tag: tagDone})
	}
}
