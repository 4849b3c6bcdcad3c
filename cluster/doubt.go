package cluster

import "github.com/fireflyrt/firefly/actors"

// Gates tell entities who is bound to them, and tell it again to the next owner after a death. But when shards have
// moved by plan, news may still be on its way through the owners before: it is lost if one of those
// dies, and the present owner, who lives, would never miss it. So each node remembers the news that a
// peer has not settled, and when that peer is gone has the sessions say again how things are.

// news is what a session has told an entity, in one batch of a stream.
type news struct {
	seq             uint64
	session, entity actors.Ref
}

// isNews reports whether a session tells an entity by an envelope that it came, went, is away or back.
func isNews(e *actors.Envelope) bool {
	return e.Binds() && e.From.Kind == actors.SessionKind && e.To.Kind != actors.SessionKind
}

// doubt has sessions tell entities again how things are, in the order in which they told it first.
func (c *Cluster) doubt(all []news) {
	asked := map[news]bool{}
	for _, n := range all {
		if n.seq = 0; !asked[n] {
			asked[n] = true
			e := actors.RuntimeMessage(n.entity, n.session, &actors.Doubt{})
			c.o.Scheduler.Run(func() { c.reroute(e) })
		}
	}
}
