package actors

import (
	"maps"
	"slices"
	"time"
)

// This file is how sessions end whose gates do not come back: nobody else says Unbound for them.

// expelAfter is when it is looked again whether a session has ended whose gate this node did not know.
const expelAfter = 10 * time.Second

// Expel tells all entities which of their sessions have ended with their gates, as Options.Ended says. To each entity
// that is as if a gate had told it: the sessions leave its groups, and of those that were bound it hears Unbound, with
// UNAVAILABLE, after all that they have sent.
func (s *System) Expel() {
	for _, p := range s.living(false) {
		if n, ok := p.body.(*entity); ok {
			p.post(n.expel)
		}
	}
}

// expel puts the news behind all that waits.
func (n *entity) expel() {
	if n.props == nil || n.ended {
		return
	}
	known := map[Ref]bool{}
	for session := range n.bound {
		known[session] = true
	}
	for _, g := range n.props.groups {
		for member := range g.members {
			known[member] = true
		}
	}
	for _, item := range n.box.waiting() {
		if e, ok := item.(*Envelope); ok && isBinding(item) {
			known[e.From] = true
		}
	}
	maps.DeleteFunc(known, func(r Ref, _ bool) bool { return r.Kind != SessionKind || !n.sys.o.Ended(r) })
	if len(known) > 0 {
		gone := slices.SortedFunc(maps.Keys(known), compareRefs)
		n.box.tick(RuntimeMessage(NodeKind.Ref(n.sys.o.Node), n.ref, &Gone{Sessions: gone}))
	}
}

// isOfEnded reports whether an item of a mailbox says of a session whose gate is gone that it is bound, or not.
func (s *System) isOfEnded(item any) bool {
	e, ok := item.(*Envelope)
	return ok && isBinding(item) && s.o.Ended(e.From)
}
