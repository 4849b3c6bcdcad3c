package cluster

import (
	"fmt"
	"strings"

	"github.com/fireflyrt/firefly/actors"
)

// A target is where an envelope has to go, by one picture of the cluster.
type target struct {
	node  string // a node by name; with shards: nothing
	role  string // with shards: whose
	shard int    // -1: addressed to a node
	wrong string // not empty: it can go nowhere, and this is why
}

// Route hands an envelope over to the node that its receiver lives on, as actors.Router says.
func (c *Cluster) Route(e *actors.Envelope) {
	if e.Hops > actors.MaxHops {
		c.refuse(e, actors.TooManyHops, "%s: passed on more than %d times", e.To, actors.MaxHops)
		return
	}
	if len(e.Body) > maxEnvelope {
		c.refuse(e, actors.TooBig, "%s: a body of %d bytes, the bound is %d", e.To, len(e.Body), maxEnvelope)
		return
	}
	for c.attempt(e) == stale {
	}
}

// attempt routes by the cluster as it is now, or reports that it has changed meanwhile.
func (c *Cluster) attempt(e *actors.Envelope) verdict {
	seen := c.picture.Load()
	t := c.locate(seen, e)
	if t.wrong != "" {
		c.refuse(e, actors.Unavailable, "%s: %s", e.To, t.wrong)
		return sent
	}
	if t.shard < 0 {
		return c.toNode(e, seen, t.node)
	}
	owner, k := seen.view.Owner(t.role, t.shard), c.parking(t.role)
	if !seen.reaches(c, owner) || k.occupied(t.shard) && !e.Announces() {
		return c.park(e, seen, t, 0)
	}
	return c.toOwner(e, seen, owner)
}

// locate finds out where the receiver lives.
func (c *Cluster) locate(seen *picture, e *actors.Envelope) target {
	to := e.To
	if len(e.Fan) > 0 {
		to = e.Fan[0]
	}
	switch to.Kind {
	case actors.NodeKind:
		return target{node: to.ID, shard: -1}
	case actors.SessionKind:
		return sessionTarget(to)
	}
	p, ok := c.local.Placement(to.Kind)
	if !ok {
		return target{wrong: "no such kind", shard: -1}
	}
	switch p.How {
	case actors.PerNode, actors.Workers:
		return c.nearest(seen, to, p.Role)
	case actors.PerSession:
		session := actors.SessionKind.Ref(to.ID)
		if to.ID == "" {
			session = e.Session
		}
		t := sessionTarget(session)
		if m, ok := seen.view.Member(t.node); ok && m.HasRole(p.Role) {
			return t
		}
		to.ID = session.ID
	}
	return target{role: p.Role, shard: actors.ShardOf(to, p, c.o.Shards)}
}

func sessionTarget(session actors.Ref) target {
	gate, _, ok := session.SessionPlace()
	if !ok {
		return target{wrong: "not the name of a session", shard: -1}
	}
	return target{node: gate, shard: -1}
}

// nearest picks who does a piece of work: the node of the worker that was named, else this node, else members by turns.
func (c *Cluster) nearest(seen *picture, to actors.Ref, role string) target {
	if to.ID != "" {
		node, _, _ := strings.Cut(to.ID, ".")
		return target{node: node, shard: -1}
	}
	if c.self.HasRole(role) {
		return target{node: c.self.Name, shard: -1}
	}
	able := seen.byRole[role]
	if len(able) == 0 {
		return target{wrong: fmt.Sprintf("no node with role %q is up", role), shard: -1}
	}
	return target{node: able[int(c.turnstile.Add(1)%uint64(len(able)))], shard: -1}
}

// toNode sends to a node by its name.
func (c *Cluster) toNode(e *actors.Envelope, seen *picture, name string) verdict {
	if name == c.self.Name {
		c.local.Deliver(e)
		return sent
	}
	p := seen.byName[name]
	if p == nil {
		c.refuse(e, actors.Unavailable, "%s: node %q is not up", e.To, name)
		return sent
	}
	return c.toPeer(e, seen, p)
}

// toOwner sends to the owner of a shard, which can be reached.
func (c *Cluster) toOwner(e *actors.Envelope, seen *picture, owner Owner) verdict {
	if e.Epoch != owner.Epoch {
		e.Epoch = owner.Epoch
	}
	if owner.Incarnation == c.self.Incarnation {
		c.local.Deliver(e)
		return sent
	}
	return c.toPeer(e, seen, seen.peers[owner.Incarnation])
}

func (c *Cluster) toPeer(e *actors.Envelope, seen *picture, p *peer) verdict {
	switch v := p.send(e, seen); v {
	case full:
		p.missed.Add(1)
		c.refuse(e, actors.Overloaded, "%s: the link to %s is full", e.To, p.member.Name)
		return sent
	case silent:
		c.refuse(e, actors.Unavailable, "%s: node %s does not answer", e.To, p.member.Name)
		return sent
	default:
		return v
	}
}

// park lets an envelope wait until its shard has an owner that can be reached, of this epoch at least.
func (c *Cluster) park(e *actors.Envelope, seen *picture, t target, epoch uint64) verdict {
	current := func() bool { return c.picture.Load() == seen }
	v := c.parking(t.role).add(e, t.shard, epoch, c.o.Clock.Now(), current)
	if v == full {
		c.refuse(e, actors.Overloaded, "%s: too many wait for shards of %q", e.To, t.role)
		return sent
	}
	return v
}

// unpark lets all go that can. The caller holds the turn, so that the picture does not change meanwhile.
func (c *Cluster) unpark() {
	seen, now := c.picture.Load(), c.o.Clock.Now()
	for _, role := range c.parked() {
		ready := func(p parked) bool {
			owner := seen.view.Owner(role, p.shard)
			return owner.Epoch >= p.epoch && seen.reaches(c, owner)
		}
		c.parking(role).drain(now, ready, func(p parked, late bool) {
			if late {
				c.refuse(p.e, actors.Unavailable, "%s: its shard has no owner", p.e.To)
				return
			}
			c.toOwner(p.e, seen, seen.view.Owner(role, p.shard))
		})
	}
}

// arrive takes an envelope from another node. It goes to the actors here, or, if its shard has another owner by now,
// on to that one. An envelope is passed on only to a later epoch than it was sent to, so it never goes in circles.
func (c *Cluster) arrive(e *actors.Envelope) {
	for c.admit(e) == stale {
	}
}

func (c *Cluster) admit(e *actors.Envelope) verdict {
	seen := c.picture.Load()
	t := c.locate(seen, e)
	switch {
	case t.wrong != "":
		c.refuse(e, actors.Unavailable, "%s: %s", e.To, t.wrong)
		return sent
	case t.shard < 0 && (t.node == c.self.Name || e.To.ID == "" && len(e.Fan) == 0):
		c.local.Deliver(e)
		return sent
	case t.shard < 0:
		c.refuse(e, actors.Unavailable, "%s: this is %s", e.To, c.self.Name)
		return sent
	}
	owner := seen.view.Owner(t.role, t.shard)
	switch mine := owner.Incarnation == c.self.Incarnation; {
	case e.Epoch > owner.Epoch, mine && c.parking(t.role).occupied(t.shard):
		return c.park(e, seen, t, e.Epoch)
	case mine:
		c.local.Deliver(e)
		return sent
	case e.Epoch == owner.Epoch && owner.Incarnation != 0:
		c.refuse(e, actors.Unavailable, "%s: %s owns its shard", e.To, owner.Name)
		return sent
	}
	return c.attempt(e)
}

// refuse answers whoever asked. What nobody asked is counted.
func (c *Cluster) refuse(e *actors.Envelope, code actors.Code, format string, args ...any) {
	if !isRequest(e) || asker(e).IsZero() {
		c.lost.Add(1)
		return
	}
	c.refused.Add(1)
	c.Route(e.Refuse(&actors.Refusal{Code: code, Text: "cluster: " + fmt.Sprintf(format, args...)}))
}
