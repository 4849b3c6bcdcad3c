package cluster

import (
	"maps"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// mournFor is how long after the end of a peer it is looked for requests that were with it although others were asked:
// who passed them on may say so later.
const mournFor = 10 * time.Second

// A loss is an owner that is gone: a peer, and the cluster before and after that; or such as no picture has ever shown.
type loss struct {
	incarnation uint64
	name        string
	views       []*View
	unseen      map[site]uint64 // of shards whose last owners were never shown: the epoch that came after them
	until       time.Time
}

// had reports whether a request that was sent to a shard at an epoch came to the owner that is gone.
func (l *loss) had(at site, epoch uint64) bool {
	return epoch < l.unseen[at] || slices.ContainsFunc(l.views, func(v *View) bool {
		o := v.Owner(at.role, at.shard)
		return o.Incarnation == l.incarnation && o.follows(epoch)
	})
}

// leave sees to what a peer was asked and told which is gone. What it had taken before it handed the shard over is with
// the next owner. Of everything else nobody knows whether it was handled.
func (p *peer) leave() {
	p.out.mu.Lock()
	open, settled, told := p.asked.takeAll(), p.out.settled, p.out.news
	p.out.news = nil
	p.out.mu.Unlock()
	p.c.doubt(told)
	for _, q := range open {
		if q.seq > settled || !p.c.follow(q.Envelope, p.member.Incarnation) {
			p.c.unknown(q.Envelope, p.member.Name)
		}
	}
	p.abandon()
}

// answered closes the question that an answer came for. Usually the peer that brings it was asked; when the shard has
// moved meanwhile it was another.
func (c *Cluster) answered(p *peer, answer *actors.Envelope) {
	if p.close(answer) {
		return
	}
	for _, other := range c.picture.Load().known {
		if other != p && other.close(answer) {
			return
		}
	}
}

func (p *peer) close(answer *actors.Envelope) bool {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.asked.close(answer)
}

// unknown answers a request that went to a peer that is gone.
func (c *Cluster) unknown(e *actors.Envelope, name string) {
	c.refuse(e, actors.Unavailable, "node %s is gone; whether it was handled is unknown", name)
}

// follow notes a request that somebody had taken as a question to whoever has its shard now by planned moves alone. It
// reports false if there is nobody.
func (c *Cluster) follow(e *actors.Envelope, gone uint64) bool {
	seen := c.picture.Load()
	t := c.locate(seen, e)
	if t.wrong != "" || t.shard < 0 {
		return false
	}
	o := seen.view.Owner(t.role, t.shard)
	if o.Incarnation == gone || !o.follows(e.Epoch) {
		return false
	}
	if o.Incarnation == c.self.Incarnation {
		return true // its actors answer, as those of any request that is asked and answered on one node; or see entrust
	}
	p := seen.peers[o.Incarnation]
	if p == nil {
		return false
	}
	p.out.mu.Lock()
	p.asked.add(e, 0, c.o.Clock.Now())
	p.out.mu.Unlock()
	return true
}

// entrust notes the requests of this node's own that have gone along with their shard as questions to its next owner.
// The caller holds the turn.
func (c *Cluster) entrust(all []*actors.Envelope, to *Intent) {
	seen, now := c.picture.Load(), c.o.Clock.Now()
	p := seen.known[to.Incarnation]
	for _, e := range all {
		switch {
		case !c.isHere(seen, asker(e)):
		case p == nil || !p.gone.IsZero():
			c.unknown(e, to.Name)
		default:
			p.out.mu.Lock()
			p.asked.add(e, 0, now)
			p.out.mu.Unlock()
		}
	}
}

// isHere reports whether an actor or a session lives on this node.
func (c *Cluster) isHere(seen *picture, who actors.Ref) bool {
	t := c.locate(seen, &actors.Envelope{To: who})
	if t.shard < 0 {
		return t.node == c.self.Name
	}
	return seen.view.Owner(t.role, t.shard).Incarnation == c.self.Incarnation
}

// bewail takes note of a peer that is gone. The caller holds the turn.
func (c *Cluster) bewail(p *peer, old, next *picture, now time.Time) {
	views := []*View{old.view, next.view} // the next one may be the first that shows what it was given
	gone := p.member.Incarnation
	if old.peers[gone] != nil && slices.ContainsFunc(views, func(v *View) bool { return inherited(v, gone) }) {
		c.mourned = append(c.mourned,
			loss{incarnation: gone, name: p.member.Name, views: views, until: now.Add(mournFor)})
		c.mourn(now)
	}
}

// miss takes note of owners that are gone and that this node never saw, because its watch has skipped them: since the
// owner that it did see, a shard has been handed over, and was then taken as from the dead. The caller holds the turn.
func (c *Cluster) miss(old, next *View, now time.Time) {
	unseen := map[site]uint64{}
	for role, is := range next.Roles {
		if was := old.Roles[role]; was == nil || was.Generation != is.Generation {
			continue
		}
		for s, o := range is.Owners {
			if old.Owner(role, s).Epoch+1 < o.Root {
				unseen[site{role, s}] = o.Root
			}
		}
	}
	if len(unseen) > 0 {
		c.mourned = append(c.mourned, loss{name: "that had its shard", unseen: unseen, until: now.Add(mournFor)})
		c.mourn(now)
	}
}

// inherited reports whether an incarnation had shards that others had handed over.
func inherited(v *View, incarnation uint64) bool {
	for _, a := range v.Roles {
		if slices.ContainsFunc(a.Owners, func(o Owner) bool { return o.Incarnation == incarnation && o.From != 0 }) {
			return true
		}
	}
	return false
}

// mourn answers requests that others had passed on to a peer that is gone. The caller holds the turn.
func (c *Cluster) mourn(now time.Time) {
	c.mourned = slices.DeleteFunc(c.mourned, func(l loss) bool { return !now.Before(l.until) })
	if len(c.mourned) == 0 {
		return
	}
	seen := c.picture.Load()
	for _, incarnation := range slices.Sorted(maps.Keys(seen.known)) {
		for _, l := range c.mourned {
			seen.known[incarnation].bury(seen, &l)
		}
	}
}

// bury answers the requests of this peer's that were with one that is gone: they are settled, and the shard had come
// there by planned moves alone.
func (p *peer) bury(seen *picture, l *loss) {
	p.out.mu.Lock()
	dead := p.asked.takeIf(func(q question) bool {
		if q.seq > p.out.settled || p.member.Incarnation == l.incarnation {
			return false
		}
		t := p.c.locate(seen, q.Envelope)
		return t.wrong == "" && t.shard >= 0 && l.had(site{t.role, t.shard}, q.Epoch)
	})
	p.out.mu.Unlock()
	for _, q := range dead {
		p.c.unknown(q.Envelope, l.name)
	}
}
