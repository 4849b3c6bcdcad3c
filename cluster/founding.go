package cluster

import (
	"maps"
	"slices"
	"time"
)

// A founding is the time before a cluster's first ownership key. A registry that knows nothing may be new, or may have
// been wiped, and whoever acted before that may do so until its lease is over. Who has joined does not act any more.
type founding struct {
	since      time.Time // when the coordinator saw that there is nothing; zero: not yet
	generation uint64    // of the cluster to be; 0: not drawn yet
}

// founded reports whether the first ownership key may be written, or is: every node that is expected has joined, or
// this coordinator has waited for a full lease in contact with the registry.
func (c *coordinator) founded(v *View, r *Record, now time.Time) bool {
	if len(r.Roles) > 0 {
		c.founding = founding{}
		return true
	}
	if c.founding.since.IsZero() {
		c.founding.since = now
	}
	return c.complete(v) || now.Sub(c.founding.since) >= c.lease
}

// complete reports whether every role has the members that are expected.
func (c *coordinator) complete(v *View) bool {
	for role, n := range c.expected {
		if len(v.With(role)) < n {
			return false
		}
	}
	return len(c.expected) > 0
}

// generation is that of a role's first assignment: the cluster's, or, of the first role, a new one.
func (c *coordinator) generation(r *Record) uint64 {
	if roles := slices.Sorted(maps.Keys(r.Roles)); len(roles) > 0 {
		return r.Roles[roles[0]].Generation
	}
	if c.founding.generation == 0 {
		c.founding.generation = c.draw()
	}
	return c.founding.generation
}
