package cluster

import (
	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// A breach is where a chain of planned moves has broken: somebody who may still have passed something on was given up,
// because its life is over, or its record is missing and it is silent. From then on nobody waits for what it had, and
// who follows it handles what its senders have sent since. So what comes through the chain after all, from one who was
// only silent or because a link had been cut, comes too late: it is refused, as if it had been lost with the dead.
// Handled, it would come after what was sent later.

// breach lets a tenure hold nobody back any more if somebody of its chain was given up. Of one who left in order
// nothing comes any more. The caller holds mu.
func (n *tenancy) breach(seen *picture, t *tenure) {
	free, broken := t.free, false
	for _, earlier := range t.chain {
		if seen.lost(n.c, earlier) {
			p := seen.known[earlier]
			free, broken = true, broken || p == nil || !p.left.Load()
		}
	}
	if broken && (t.free || !n.settledIn(t)) { // else all that was to come has come
		at := site{t.Role, t.Shard}
		n.breaches[at] = max(n.breaches[at], t.Epoch)
	}
	t.free = free
}

// isLate reports whether an envelope that was passed on to a tenure comes too late. The caller holds mu.
func (n *tenancy) isLate(at actors.Tenure, e *actors.Envelope) bool {
	return isOrdered(e) && at.Epoch <= n.breaches[site{at.Role, at.Shard}]
}

// comesLate is isLate for who does not hold mu.
func (n *tenancy) comesLate(at actors.Tenure, e *actors.Envelope) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.isLate(at, e)
}

// refuse answers an envelope that comes too late.
func (n *tenancy) refuse(e *actors.Envelope) {
	n.overdue.Add(1)
	n.c.refuse(e, actors.Unavailable, "%s: an owner that had it is gone; others have overtaken it", e.To)
}

// isOrdered reports whether an envelope must not come after what its sender has sent later. Answers know what they are
// for, and the runtime's own messages may come at any time: an entity must hear of the end of a session.
func isOrdered(e *actors.Envelope) bool {
	return e.Type == actors.Message && e.Number >= wire.FirstGameNumber
}
