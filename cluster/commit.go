package cluster

import (
	"errors"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// retryCommit is how soon a transaction is tried again whose outcome is unknown, or that failed although the record
// shows no reason.
const retryCommit = 50 * time.Millisecond

// commit writes, in one transaction, all moves of a role whose states are staged, and gives up the intents that are to
// be. It is conditional on the record that it was made from, and on source and targets still being members. While one
// is under way the next waits.
func (n *tenancy) commit(role string) {
	c := n.c
	c.turn.Lock()
	a, view := c.record.Roles[role], c.record.view()
	if c.closed.Load() || a == nil {
		c.turn.Unlock()
		return
	}
	n.mu.Lock()
	d, some := n.decree(role, a, view)
	if some {
		n.writes[role] = a.Revision
	}
	n.mu.Unlock()
	c.turn.Unlock()
	if some {
		c.o.Registry.Assign(d, func(err error) { n.written(role, a.Revision, err) })
	}
}

// decree makes the transaction from the record's assignment. The caller holds the turn and mu.
func (n *tenancy) decree(role string, a *Assignment, view *View) (d Decree, some bool) {
	if n.writes[role] != 0 {
		return d, false
	}
	next, me := a.clone(), n.c.self.Incarnation
	for _, m := range n.sortedMoves() {
		s := m.of.Shard
		if m.of.Role != role || m.step != prepared || !n.stands(m, a) {
			continue
		}
		m.base, m.gives, some = a.Revision, m.why == nil, true
		next.abandon(s)
		if m.gives {
			o := next.Owners[s]
			next.Owners[s] = Owner{Name: m.target.Name, Incarnation: m.target.Incarnation, Epoch: o.Epoch + 1, From: me,
				Root: o.Root}
			d.Alive = append(d.Alive, me, m.target.Incarnation)
		}
	}
	for _, i := range a.Intents {
		at := site{role, i.Shard}
		if n.given[at] == i.At && a.Owners[i.Shard].Incarnation == me {
			next.abandon(i.Shard)
			some = true
		}
	}
	slices.Sort(d.Alive)
	d.Role, d.Next, d.Alive = role, next, slices.Compact(d.Alive)
	return d, some
}

// stands reports whether the record still wants a move: owner, epoch and intent of this shard are as they were.
func (n *tenancy) stands(m *move, a *Assignment) bool {
	if m.of.Shard >= len(a.Owners) {
		return false
	}
	o, i := a.Owners[m.of.Shard], a.intent(m.of.Shard)
	return o.Incarnation == n.c.self.Incarnation && o.Epoch == m.of.Epoch && i != nil && i.At == m.intent
}

// written hears the outcome of a transaction. Only two are certain: that it was written, and, from a record of a later
// revision, that it was not.
func (n *tenancy) written(role string, base int64, err error) {
	c := n.c
	c.turn.Lock()
	defer c.turn.Unlock()
	n.mu.Lock()
	if n.writes[role] == base {
		delete(n.writes, role)
	}
	n.mu.Unlock()
	if err == nil {
		n.decided(role, base)
		if a := c.record.Roles[role]; a != nil && a.Revision > base { // else the record will come, and be judged
			c.o.Scheduler.Run(func() { n.commit(role) })
		}
		return
	}
	if !errors.Is(err, ErrConflict) {
		c.o.Log.Warn("whether shards were handed over is unknown", "role", role, "error", err)
	}
	c.o.Clock.AfterFunc(retryCommit, func() { n.commit(role) })
}

// decided ends the moves of a transaction that was written. The caller holds the turn.
func (n *tenancy) decided(role string, base int64) {
	n.mu.Lock()
	all := n.sortedMoves()
	n.mu.Unlock()
	for _, m := range all {
		n.mu.Lock()
		mine, gives, why := m.of.Role == role && m.base == base, m.gives, m.why
		if mine && !gives {
			m.base = 0
		}
		n.mu.Unlock()
		switch {
		case !mine:
		case gives:
			n.won(m)
		default:
			n.off(m, why)
		}
	}
	n.begin(n.c.o.Clock.Now())
}

// judge looks what a new record means for the moves from here. The caller holds the turn.
func (n *tenancy) judge(r *Record, view *View) {
	n.mu.Lock()
	all := n.sortedMoves()
	n.mu.Unlock()
	for _, m := range all {
		n.judgeOne(m, r.Roles[m.of.Role], view)
	}
}

func (n *tenancy) judgeOne(m *move, a *Assignment, view *View) {
	if a == nil || m.of.Shard >= len(a.Owners) {
		n.lost(m)
		return
	}
	o, me := a.Owners[m.of.Shard], n.c.self.Incarnation
	if o.Epoch != m.of.Epoch || o.Incarnation != me {
		first := o.Epoch == m.of.Epoch+1 // else others moved it on, from whom I had handed it to
		if n.isWritten(m) && o.follows(m.of.Epoch) && (!first || o.Incarnation == m.target.Incarnation) {
			n.won(m)
		} else {
			n.lost(m)
		}
		return
	}
	n.mu.Lock()
	if m.base != 0 && a.Revision > m.base {
		m.base = 0 // it was not written, and never will be
	}
	why := m.why
	n.mu.Unlock()
	target, there := view.Member(m.target.Name)
	switch {
	case why != nil:
	case !n.stands(m, a):
		why = errUnwanted
	case !there || target.Incarnation != m.target.Incarnation:
		why = errNoTarget
	}
	if why != nil {
		n.off(m, why)
	}
	n.mu.Lock()
	ready := m.base != 0 || m.step == prepared
	n.mu.Unlock()
	if ready {
		n.c.o.Scheduler.Run(func() { n.commit(m.of.Role) })
	}
}

// isWritten reports whether the transaction of a move may have been written.
func (n *tenancy) isWritten(m *move) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return m.base != 0
}

// won ends a move that has taken place: from now on this node passes on what still comes.
func (n *tenancy) won(m *move) {
	now := n.c.o.Clock.Now()
	n.mu.Lock()
	if n.moves[m.of] != m {
		n.mu.Unlock()
		return
	}
	n.drop(m)
	delete(n.deferred, site{m.of.Role, m.of.Shard})
	n.moved++
	t := n.at[m.of]
	n.longest = max(n.longest, now.Sub(t.since))
	asked := m.frozen.Asked()
	for _, k := range t.queue[:t.went] {
		if k.e != nil && isRequest(k.e) {
			asked = append(asked, k.e)
		}
	}
	n.mu.Unlock()
	n.c.entrust(asked, &m.target)
	m.frozen.Discard()
	n.mu.Lock()
	n.discharge(t.queue[:t.went])
	t.end(Owner{Name: m.target.Name, Incarnation: m.target.Incarnation, Epoch: m.of.Epoch + 1}, now)
	n.mu.Unlock()
	n.work(t)
}

// lost ends a move of a shard that was taken away as from the dead.
func (n *tenancy) lost(m *move) {
	n.mu.Lock()
	if n.moves[m.of] != m {
		n.mu.Unlock()
		return
	}
	n.drop(m)
	free := !m.engaged && m.frozen != nil
	n.mu.Unlock()
	if free {
		m.frozen.Discard()
	}
	n.forsake(m.of)
}

// forsake ends a tenure that was not handed over by this node: what waits is routed anew.
func (n *tenancy) forsake(of actors.Tenure) {
	n.mu.Lock()
	t := n.at[of]
	if t == nil || t.phase == over {
		n.mu.Unlock()
		return
	}
	t.went = 0
	t.end(Owner{}, n.c.o.Clock.Now())
	n.mu.Unlock()
	n.work(t)
}
