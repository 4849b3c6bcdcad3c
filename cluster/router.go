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
	if e.To.IsEveryone() && len(e.Fan) == 0 {
		c.toGates(e)
		return
	}
	for c.attempt(e) == stale {
	}
}

// toGates sends to the sessions of all gates that are up, to each gate once.
func (c *Cluster) toGates(e *actors.Envelope) {
	told := map[string]bool{}
	for f := stale; f == stale; {
		f = sent
		seen := c.picture.Load()
		for _, gate := range seen.view.With(RoleGate) {
			if told[gate] {
				continue
			}
			there := *e
			there.Fan = []actors.Ref{actors.EveryoneAt(gate, e.Codec)}
			if f = c.toNode(&there, seen, gate); f == stale {
				break
			}
			told[gate] = true
		}
	}
}

// reroute routes an envelope of another node anew, whose way ended here.
func (c *Cluster) reroute(e *actors.Envelope) {
	for c.attempt(e) == stale {
	}
}

// attempt routes by the cluster as it is now, or reports that it has changed meanwhile.
func (c *Cluster) attempt(e *actors.Envelope) fate {
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
		return c.park(e, seen, t)
	}
	return c.toOwner(e, seen, t, owner, k)
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
func (c *Cluster) toNode(e *actors.Envelope, seen *picture, name string) fate {
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
func (c *Cluster) toOwner(e *actors.Envelope, seen *picture, t target, owner Owner, k *parking) fate {
	if e.Epoch != owner.Epoch {
		e.Epoch = owner.Epoch
	}
	if owner.Incarnation != c.self.Incarnation {
		return c.toPeer(e, seen, seen.peers[owner.Incarnation])
	}
	at := actors.Tenure{Role: t.role, Shard: t.shard, Epoch: owner.Epoch}
	f := c.tenancy.deliver(&k.doors[t.shard], seen, at, e, nil, true)
	if f == full {
		c.refuse(e, actors.Overloaded, "%s: too many wait while its shard moves", e.To)
		return sent
	}
	return f
}

func (c *Cluster) toPeer(e *actors.Envelope, seen *picture, p *peer) fate {
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

// park lets an envelope wait until its shard has an owner that can be reached.
func (c *Cluster) park(e *actors.Envelope, seen *picture, t target) fate {
	waits := func() bool {
		return c.picture.Load() == seen && !seen.reaches(c, seen.view.Owner(t.role, t.shard))
	}
	p := parked{e: e, shard: t.shard, receipt: c.tenancy.own.keep()}
	f := c.parking(t.role).add(p, c.o.Clock.Now(), waits)
	if f != sent {
		p.receipt.settle()
	}
	if f == full {
		c.refuse(e, actors.Overloaded, "%s: too many wait for shards of %q", e.To, t.role)
		return sent
	}
	return f
}

// unpark lets all go that can. The caller holds the turn, so that the picture does not change meanwhile.
func (c *Cluster) unpark() {
	seen, now := c.picture.Load(), c.o.Clock.Now()
	for _, role := range c.parked() {
		k := c.parking(role)
		ready := func(p parked) bool {
			return seen.reaches(c, seen.view.Owner(role, p.shard)) && !k.isShut(p.shard)
		}
		k.drain(now, ready, func(p parked, late bool) {
			if late {
				c.refuse(p.e, actors.Unavailable, "%s: its shard has no owner", p.e.To)
			} else {
				c.unparked(seen, target{role: role, shard: p.shard}, p.e)
			}
			p.receipt.settle()
		})
	}
}

func (c *Cluster) unparked(seen *picture, t target, e *actors.Envelope) {
	k := c.parking(t.role)
	for c.toOwner(e, seen, t, seen.view.Owner(t.role, t.shard), k) == stale { // its tenure is just becoming ordinary
	}
}

// arrive takes an item from another node. One of a shard that there is not comes from nobody who knows this cluster.
func (c *Cluster) arrive(i *item, from *origin) {
	if i.shard() >= c.o.Shards {
		c.malformed.Add(1)
		return
	}
	switch i.tag {
	case tagEnvelope, tagPassed:
		for c.admit(i.e, from, i.tag == tagEnvelope) == stale {
		}
	case tagMarker, tagPassedEnd, tagBelated:
		c.tenancy.marked(i.marker, from, i.tag)
	case tagChunk:
		c.tenancy.chunk(i.chunk, from.member)
	case tagVerdict:
		c.tenancy.judged(i.verdict, from.member)
	}
}

// admit brings an envelope from another node to the tenure that it is for. If nobody knows that tenure any more, it is
// routed anew: its sender went by a picture that is older than a death.
func (c *Cluster) admit(e *actors.Envelope, from *origin, direct bool) fate {
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
	at := actors.Tenure{Role: t.role, Shard: t.shard, Epoch: e.Epoch}
	owner := seen.view.Owner(t.role, t.shard)
	f := stale
	if owner.Epoch == e.Epoch && owner.Incarnation == c.self.Incarnation {
		f = c.tenancy.deliver(c.tenancy.door(t.role, t.shard), seen, at, e, from, direct)
	} else {
		f = c.tenancy.put(seen, at, kept{e: e}, from, direct)
	}
	switch f {
	case astray:
		return c.attempt(e)
	case foreign:
		c.refuse(e, actors.Unavailable, "%s: %s owns its shard", e.To, owner.Name)
	case full:
		c.refuse(e, actors.Overloaded, "%s: too many wait while its shard moves", e.To)
	case late:
		c.tenancy.refuse(e)
	default:
		return f
	}
	return sent
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
