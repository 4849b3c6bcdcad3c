package cluster

import (
	"maps"
	"slices"

	"github.com/fireflyrt/firefly/actors"
)

// mark ends what this node sends to tenures that its new picture shows to be over: to each a marker behind all that it
// sent there, also if it sent nothing. Whoever sends from now on does so by the new picture. The caller holds the turn.
func (c *Cluster) mark(old, next *picture) {
	for _, role := range slices.Sorted(maps.Keys(next.view.Roles)) {
		was, is := old.view.Roles[role], next.view.Roles[role]
		if was == is || was != nil && was.Generation != is.Generation {
			continue
		}
		for shard, b := range is.Owners {
			a := old.view.Owner(role, shard)
			if a.Epoch == b.Epoch {
				continue
			}
			m := &marker{to: actors.Tenure{Role: role, Shard: shard, Epoch: a.Epoch}, next: b.Epoch,
				member: c.self.Incarnation}
			if a.Incarnation != 0 {
				c.end(next, a.Incarnation, m)
			}
			cut := !b.follows(a.Epoch) || next.lost(c, a.Incarnation) // that marker comes through nowhere
			if b.From != 0 && cut && next.since(c.self.Incarnation) < b.At {
				c.beginAt(next, m)
			}
		}
	}
}

// end sends a marker to a node, if it lives.
func (c *Cluster) end(seen *picture, to uint64, m *marker) {
	if to == c.self.Incarnation {
		c.tenancy.marked(m, c.tenancy.self(), tagMarker)
	} else if p := seen.known[to]; p != nil {
		p.add(&item{tag: tagMarker, marker: m})
	}
}

// beginAt says that this node sends nothing to the tenures before that of its picture: it did not see how their chain
// began, or whoever it sent to is gone with all that was sent there. It is a marker to all, for this node does not know
// whose the earlier ones are.
func (c *Cluster) beginAt(seen *picture, m *marker) {
	first := *m
	first.to.Epoch = m.next
	c.end(seen, c.self.Incarnation, &first)
	for _, incarnation := range slices.Sorted(maps.Keys(seen.known)) {
		c.end(seen, incarnation, &first)
	}
}

// since is when a member joined; 0 if it is not known.
func (s *picture) since(incarnation uint64) int64 { return s.joined[incarnation] }

// everybody lists the members that may still send, in no order: this node, those of the view, and those whose record is
// missing but who have not said farewell and still talk.
func (s *picture) everybody(c *Cluster) []Member {
	all := []Member{{Incarnation: c.self.Incarnation, Since: s.since(c.self.Incarnation)}}
	for incarnation, p := range s.known {
		if s.peers[incarnation] != nil || !p.silent() {
			all = append(all, Member{Incarnation: incarnation, Since: s.since(incarnation)})
		}
	}
	return all
}

// lost reports whether an incarnation can be heard of no more: its life is over, or its record is missing and it is
// silent.
func (s *picture) lost(c *Cluster, incarnation uint64) bool {
	if incarnation == c.self.Incarnation || s.peers[incarnation] != nil {
		return false
	}
	p := s.known[incarnation]
	return p == nil || p.silent()
}

// silent reports whether nothing is to be expected of a peer whose record is missing: it left in order, or it has said
// nothing for a while.
func (p *peer) silent() bool { return p.left.Load() || p.down.Load() }
