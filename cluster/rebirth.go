package cluster

import (
	"maps"
	"slices"

	"github.com/fireflyrt/firefly/actors"
)

// This file is the end of a cluster that its registry does not know any more: it was wiped, or has another generation.
// Each node finds that out for itself, ends this life and begins another one, as a member nobody has seen before.

// Forgotten ends all that this incarnation may do, as Witness says.
func (c *Cluster) Forgotten() {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.condemned || c.closed.Load() {
		return
	}
	c.condemned, c.lapsed = true, true
	c.forgotten.Store(true)
	c.until.Store(0)
	c.o.Log.Warn("the registry has forgotten this cluster: it forms anew")
	switch {
	case c.o.Reborn != nil:
		c.o.Reborn()
	case c.o.Condemned != nil:
		c.o.Condemned()
	}
}

// Alone reports whether no other member that is asked for answers any more.
func (c *Cluster) Alone(asked func(*Member) bool) bool {
	for _, p := range c.picture.Load().peers {
		if asked(&p.member) && !p.down.Load() {
			return false
		}
	}
	return true
}

// Abandon gives up everybody else: requests that are open are answered UNAVAILABLE, and what waited for an owner goes
// to next, in order. It may be called again, for what was on its way meanwhile. Close follows.
func (c *Cluster) Abandon(next func(*actors.Envelope)) {
	c.turn.Lock()
	defer c.turn.Unlock()
	c.condemned = true
	c.until.Store(0)
	old := c.picture.Load()
	c.picture.Store(&picture{view: &View{Revision: old.view.Revision}, known: old.known, joined: old.joined})
	for _, incarnation := range slices.Sorted(maps.Keys(old.known)) {
		old.known[incarnation].forget()
	}
	c.tenancy.empty(next)
	for _, role := range c.parked() {
		c.parking(role).drain(c.o.Clock.Now(), func(parked) bool { return true }, func(p parked, _ bool) { next(p.e) })
	}
}
