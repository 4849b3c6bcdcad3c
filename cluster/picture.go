package cluster

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// absentFor is how long what waits for a peer without a record is kept, in case the same incarnation comes back.
const absentFor = time.Minute

// A picture is all that routing needs to know, at one moment. It never changes; a newer one takes its place.
type picture struct {
	view   *View
	peers  map[uint64]*peer    // the other members of the view, by incarnation
	known  map[uint64]*peer    // and those whose record is missing, but may come back
	byName map[string]*peer    // of peers
	byRole map[string][]string // names of those who take pieces of work, in order
	joined map[uint64]int64    // Since of this node and of the known
}

// reaches reports whether an owner is this node or a member.
func (s *picture) reaches(c *Cluster, o Owner) bool {
	return o.Incarnation == c.self.Incarnation || s.peers[o.Incarnation] != nil
}

// Changed brings a new record, as Witness says.
func (c *Cluster) Changed(r *Record) {
	c.turn.Lock()
	defer c.turn.Unlock()
	if r.Revision < c.record.Revision || c.closed.Load() {
		return
	}
	c.record = r
	if r.Dead[c.self.Incarnation] {
		c.condemn()
		return
	}
	old, now := c.picture.Load(), c.o.Clock.Now()
	next := c.paint(old, r, now)
	c.block(old.view, next.view, 1) // until gates have said who is bound, and sent again what they must
	c.tenancy.show(next)
	c.mark(old, next)
	c.settle(r)
	c.tenancy.judge(r, next.view)
	c.tell(old.view, next.view) // gates say who is bound, before they send again what the dead were asked
	gone := c.part(old, next, now)
	c.miss(old.view, next.view, now)
	c.tenancy.start(next)
	c.block(old.view, next.view, -1)
	c.unpark()
	c.coordinate(now)
	c.tenancy.begin(now)
	if gone {
		c.tellGone()
	}
}

// block lets envelopes wait for the shards that have a new owner from whom nobody handed them over, or, by -1, no
// longer.
func (c *Cluster) block(old, now *View, by int32) {
	for role := range now.Roles {
		if _, moved := changes(old, now, role, c.self.Incarnation); len(moved) > 0 {
			moved = slices.DeleteFunc(moved, func(s int) bool { return s >= c.o.Shards })
			c.parking(role).block(moved, by)
		}
	}
}

// Renewed says how long this node may act, as Witness says.
func (c *Cluster) Renewed(sent time.Time) {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.condemned || c.closed.Load() {
		return
	}
	c.coordinator.contact(sent)
	until := c.elapsed(sent.Add(c.o.Lease - c.o.margin()))
	if until > c.until.Load() {
		c.until.Store(until)
	}
	if held := c.elapsed(c.o.Clock.Now()) < until; held && c.lapsed {
		c.lapsed = false
		for _, fn := range c.onHeld {
			fn()
		}
		c.presume(c.o.Clock.Now())
		c.coordinate(c.o.Clock.Now())
	}
}

// condemn ends all that this incarnation may do. The caller holds the turn.
func (c *Cluster) condemn() {
	c.until.Store(0)
	if !c.condemned {
		c.condemned = true
		c.o.Log.Error("this process was declared dead and must end")
		if c.o.Condemned != nil {
			c.o.Condemned()
		}
	}
}

// tick looks after all that ripens without news: silence, repetitions, deadlines, absence.
func (c *Cluster) tick() {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.closed.Load() {
		return
	}
	now := c.o.Clock.Now()
	if !c.lapsed && c.elapsed(now) >= c.until.Load() {
		c.lapsed, c.lapsedAt = true, now
		c.o.Log.Warn("the lease may be over: actors pause")
	}
	current, gone := c.picture.Load(), false
	for _, incarnation := range slices.Sorted(maps.Keys(current.known)) {
		if p := current.known[incarnation]; current.peers[incarnation] != nil {
			p.tend(now)
		} else {
			gone = p.absent(now) || gone
		}
	}
	if gone {
		c.tellGone()
	}
	c.unpark()
	c.tenancy.look()
	c.mourn(now)
	c.coordinate(now)
	c.tenancy.begin(now)
	c.stopTick = c.o.Clock.AfterFunc(pingEvery, c.tick)
}

// paint makes the picture of a record. The caller holds the turn.
func (c *Cluster) paint(old *picture, r *Record, now time.Time) *picture {
	next := &picture{view: r.view(), peers: map[uint64]*peer{}, known: map[uint64]*peer{},
		byName: map[string]*peer{}, joined: map[uint64]int64{}}
	next.byRole = atWork(next.view.Members)
	next.joined[c.self.Incarnation] = old.joined[c.self.Incarnation]
	for _, m := range next.view.Members {
		next.joined[m.Incarnation] = m.Since
		if m.Incarnation == c.self.Incarnation {
			continue
		}
		p := old.known[m.Incarnation]
		if p == nil {
			p = newPeer(c, m, now)
			c.o.Carrier.Disconnect(m.Link) // from a life before: nothing more will come there
			c.o.Carrier.Connect(m.Link)
			p.ping()
		}
		p.present()
		next.peers[m.Incarnation], next.known[m.Incarnation], next.byName[m.Name] = p, p, p
	}
	for incarnation, p := range old.known {
		replaced := r.Dead[incarnation] || next.byName[p.member.Name] != nil
		if next.peers[incarnation] == nil && !replaced {
			next.known[incarnation], next.joined[incarnation] = p, old.joined[incarnation]
		}
	}
	return next
}

// atWork lists, by role, who takes pieces of work: whoever drains only if nobody else is there.
func atWork(members []Member) map[string][]string {
	stays, leaves := map[string][]string{}, map[string][]string{}
	for _, m := range members {
		to := stays
		if m.Draining {
			to = leaves
		}
		for _, role := range m.Roles {
			to[role] = append(to[role], m.Name)
		}
	}
	for role, names := range leaves {
		if stays[role] == nil {
			stays[role] = names
		}
	}
	return stays
}

// part takes leave of the peers that are no longer members, after the picture without them was put up. It reports
// whether any of them will not come back. The caller holds the turn.
func (c *Cluster) part(old, next *picture, now time.Time) (gone bool) {
	for _, incarnation := range slices.Sorted(maps.Keys(old.known)) {
		p := old.known[incarnation]
		switch {
		case next.peers[incarnation] != nil:
		case next.known[incarnation] == nil:
			c.bewail(p, old, next, now)
			p.forget()
			c.disconnect(next, p.member.Link)
			gone = true
		case p.gone.IsZero():
			p.gone = now
			c.bewail(p, old, next, now)
			p.leave()
		}
	}
	return gone
}

// tellGone says that some will not come back. The caller holds the turn.
func (c *Cluster) tellGone() {
	for _, fn := range c.onGone {
		fn()
	}
}

// disconnect ends the connection to an address that no member has any more. The caller holds the turn.
func (c *Cluster) disconnect(next *picture, address string) {
	for _, p := range next.known {
		if p.member.Link == address {
			return
		}
	}
	c.o.Carrier.Disconnect(address)
}

// tell brings the news to those who asked for it. The caller holds the turn.
func (c *Cluster) tell(old, now *View) {
	roles := maps.Clone(old.Roles)
	if roles == nil {
		roles = map[string]*Assignment{}
	}
	maps.Copy(roles, now.Roles)
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		lost, moved := changes(old, now, role, c.self.Incarnation)
		if len(lost)+len(moved) == 0 {
			continue
		}
		c.inform(role, lost, moved)
	}
	for _, fn := range c.onView {
		fn(old, now)
	}
}

// inform brings news of a role's shards. What is for those that have a new owner waits until all that hear it have said
// what must come first. The caller holds the turn, and unparks.
func (c *Cluster) inform(role string, lost, moved []int) {
	var present atomic.Bool // the caller is still here
	present.Store(true)
	k := c.parking(role)
	for _, fn := range c.onOwners {
		k.close(moved)
		fn(role, lost, moved, func() {
			if k.open(moved); !present.Load() {
				c.o.Scheduler.Run(c.release)
			}
		})
	}
	present.Store(false)
}

// presume takes it that others have forgotten this node, if it was not heard of for long, and lets its sessions be
// announced to everybody. The caller holds the turn.
func (c *Cluster) presume(now time.Time) {
	if c.lapsedAt.IsZero() || now.Sub(c.lapsedAt) < absentFor {
		return
	}
	view := c.picture.Load().view
	for _, role := range slices.Sorted(maps.Keys(view.Roles)) {
		var all []int
		for shard := range view.Roles[role].Owners {
			all = append(all, shard)
		}
		c.inform(role, nil, all)
	}
	c.unpark()
}

// release lets go what waited for announcements.
func (c *Cluster) release() {
	c.turn.Lock()
	defer c.turn.Unlock()
	if !c.closed.Load() {
		c.unpark()
	}
}

// coordinate lets the coordinator decide, if this node is the one. The caller holds the turn.
func (c *Cluster) coordinate(now time.Time) {
	if c.elapsed(now) >= c.until.Load() {
		return // what I know may be old
	}
	for _, d := range c.coordinator.step(c.record, now) {
		if _, busy := c.writing[d.Role]; busy {
			continue
		}
		c.writing[d.Role] = d.Next.Revision
		c.o.Registry.Assign(d, func(err error) {
			if err == nil {
				return // settled when the record shows it
			}
			c.turn.Lock()
			defer c.turn.Unlock()
			delete(c.writing, d.Role)
			c.o.Log.Info("an assignment was not written", "role", d.Role, "error", err)
		})
	}
}

// settle forgets the decrees that the record shows, or that it shows to be overtaken. The caller holds the turn.
func (c *Cluster) settle(r *Record) {
	maps.DeleteFunc(c.writing, func(role string, from int64) bool {
		a := r.Roles[role]
		return a != nil && a.Revision > from
	})
}
