package actors

import (
	"maps"
	"slices"
)

// This file is how a node gives shards up.

// Release ends the actors of shards that this node lost: they write nothing more, and what waits for them is routed
// to the new owner.
func (s *System) Release(role string, shards []int) {
	for _, p := range s.all() {
		if p.kind.placement.How == OnePerID && p.tenure.Role == role && slices.Contains(shards, p.tenure.Shard) {
			p.post(func() {
				if p.hold() == Lost {
					p.fenced("the shard was given to another node")
				}
			})
		}
	}
	for i := range s.stripes {
		s.stripes[i].forget(role, shards)
	}
}

// forget drops who was bound to entities of shards that are another node's now: gates tell that one.
func (st *stripe) forget(role string, shards []int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	maps.DeleteFunc(st.farewells, func(_ Ref, f farewell) bool {
		return f.tenure.Role == role && slices.Contains(shards, f.tenure.Shard)
	})
}
