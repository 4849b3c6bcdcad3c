package cluster

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A coordinator decides who owns which shard, while its node holds the election. It is a function of the records and
// times that it is shown: no clock, no registry, no goroutine. Its owner writes what it decides; a decision that
// conflicts is dropped and made anew from the record that follows.
//
// It takes shards from an owner only when nobody can doubt that it is gone: it gave them up, it has a death
// certificate, or it was absent for a full lease while this coordinator was in contact with the registry all the time.
type coordinator struct {
	me       uint64
	shards   int
	lease    time.Duration
	expected map[string]int       // how many nodes of a role are to come
	draw     func() uint64        // a new generation
	absent   map[uint64]time.Time // owners that are not registered, and since when I know
	heard    time.Time            // when the newest answered keep-alive was sent
	waiting  map[string]time.Time // roles whose nodes are still to come, and since when
	served   map[string]bool      // roles that had somebody to take over when I last looked
	founding founding
}

// retire forgets what it was waiting for: an election starts all waiting anew. It keeps in mind which roles a member
// plays while somebody else coordinates: who leaves in order gives up its shards and the election in one step, and its
// successor must not take that for a cluster that starts.
func (c *coordinator) retire(r *Record) {
	c.absent, c.waiting, c.founding = nil, nil, founding{}
	if r.Coordinator == 0 {
		return // between two coordinators
	}
	members := map[uint64]bool{}
	for _, m := range r.Members {
		members[m.Incarnation] = true
	}
	c.served = map[string]bool{}
	for role, a := range r.Roles {
		c.served[role] = slices.ContainsFunc(a.Owners, func(o Owner) bool { return members[o.Incarnation] })
	}
}

// contact notes an answered keep-alive. A gap of a lease or more means that the registry may have been away: whoever
// seemed absent may have had no way to say otherwise.
func (c *coordinator) contact(sent time.Time) {
	if sent.Sub(c.heard) >= c.lease {
		c.absent, c.founding = nil, founding{}
	}
	c.heard = sent
}

// step looks at the record and returns what is to be written. It must be called for every record and from time to
// time, because absence ripens without any news.
func (c *coordinator) step(r *Record, now time.Time) []Decree {
	if r.Coordinator != c.me {
		c.retire(r)
		return nil
	}
	if c.absent == nil {
		c.absent = map[uint64]time.Time{}
	}
	if c.waiting == nil {
		c.waiting = map[string]time.Time{}
	}
	if c.served == nil {
		c.served = map[string]bool{}
	}
	v := r.view()
	c.watch(r, now)
	var decrees []Decree
	for _, role := range c.roles(v) {
		if d, ok := c.decide(role, v, r, now); ok {
			decrees = append(decrees, d)
		}
	}
	if !c.founded(v, r, now) {
		return nil
	}
	return decrees
}

// roles lists those with shards that anybody plays or is expected to play.
func (c *coordinator) roles(v *View) []string {
	found := map[string]bool{}
	for role := range c.expected {
		found[role] = sharded(role)
	}
	for _, m := range v.Members {
		for _, role := range m.Roles {
			found[role] = sharded(role)
		}
	}
	maps.DeleteFunc(found, func(_ string, has bool) bool { return !has })
	return slices.Sorted(maps.Keys(found))
}

// watch keeps the times since when owners are absent.
func (c *coordinator) watch(r *Record, now time.Time) {
	owners := map[uint64]bool{}
	for _, a := range r.Roles {
		for _, o := range a.Owners {
			owners[o.Incarnation] = true
		}
	}
	for _, m := range r.Members {
		delete(owners, m.Incarnation)
	}
	delete(owners, 0)
	for incarnation := range c.absent {
		if !owners[incarnation] {
			delete(c.absent, incarnation)
		}
	}
	for incarnation := range owners {
		if _, known := c.absent[incarnation]; !known {
			c.absent[incarnation] = now
		}
	}
}

// decide makes the decree for one role, if there is anything to decide.
func (c *coordinator) decide(role string, v *View, r *Record, now time.Time) (Decree, bool) {
	old := r.Roles[role]
	if old == nil {
		old = &Assignment{Generation: c.generation(r), Owners: make([]Owner, c.shards)}
	} else if len(old.Owners) != c.shards { // epochs begin anew
		old = &Assignment{Generation: c.draw(), Owners: make([]Owner, c.shards), Revision: old.Revision}
	}
	var members, candidates []Member
	for _, m := range v.Members {
		if m.HasRole(role) {
			members = append(members, m)
		}
		if m.HasRole(role) && !m.Draining {
			candidates = append(candidates, m)
		}
	}
	orphaned := func(o Owner) bool { return c.orphaned(o, r, now) }
	hold := c.hold(role, old, candidates, orphaned, now)
	c.served[role] = len(candidates) > 0
	if hold {
		return Decree{}, false
	}
	next := place(old, candidates, orphaned)
	if next == nil {
		next = c.arrange(old, members)
	}
	if next == nil {
		return Decree{}, false
	}
	return Decree{Role: role, Next: next, Coordinator: true, Absent: c.missing(old, orphaned, r)}, true
}

// arrange drops intents that cannot be, and adds those that are wanted. It returns nil if all is as it should be.
func (c *coordinator) arrange(old *Assignment, members []Member) *Assignment {
	next := tidy(old, members)
	if !c.calm(old) {
		return next
	}
	return cmp.Or(balance(cmp.Or(next, old), members), next)
}

// calm reports whether all owners of a role are there: who moves shards for balance while somebody is away may have to
// move them again.
func (c *coordinator) calm(a *Assignment) bool {
	return !slices.ContainsFunc(a.Owners, func(o Owner) bool {
		_, away := c.absent[o.Incarnation]
		return away || o.Incarnation == 0
	})
}

func (c *coordinator) orphaned(o Owner, r *Record, now time.Time) bool {
	if o.Incarnation == 0 || r.Dead[o.Incarnation] {
		return true
	}
	since, gone := c.absent[o.Incarnation]
	return gone && now.Sub(since) >= c.lease
}

// hold reports whether to wait for more nodes before a role whose shards all lack an owner is spread over them: a
// cluster that starts, or starts again, gets its share for each node. It waits a lease at most, and not at all when
// there was somebody to take over all the time.
func (c *coordinator) hold(role string, old *Assignment, candidates []Member, orphaned func(Owner) bool,
	now time.Time) bool {
	owned := slices.ContainsFunc(old.Owners, func(o Owner) bool { return !orphaned(o) })
	since, waits := c.waiting[role]
	switch {
	case owned || len(candidates) == 0 || len(candidates) >= c.expected[role]:
		delete(c.waiting, role)
		return false
	case waits:
		return now.Sub(since) < c.lease
	case c.served[role]:
		return false
	}
	c.waiting[role] = now
	return true
}

// missing lists the owners whose absence, and not a certificate, is why their shards are taken: the registry checks
// at the moment of writing that none of them has come back.
func (c *coordinator) missing(old *Assignment, orphaned func(Owner) bool, r *Record) []uint64 {
	found := map[uint64]bool{}
	for _, o := range old.Owners {
		if o.Incarnation != 0 && !r.Dead[o.Incarnation] && orphaned(o) {
			found[o.Incarnation] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
