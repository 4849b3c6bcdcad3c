package cluster

import (
	"context"
	"errors"
	"slices"
	"time"
)

// memoryNode is one node's way to the shared registry. All of it is guarded by the shared mu.
type memoryNode struct {
	shared  *Memory
	member  Member
	witness Witness
	news    []func() // what the witness has yet to hear, in order
	telling bool
	renewed time.Time
	cut     bool
	blind   bool // it hears no records
	strange bool // the registry is another than the one that was joined
	left    bool
	closed  bool
	seen    int64 // the newest revision that was brought
	roles   map[string]*Assignment
}

// Join registers the member, as Registry says.
func (n *memoryNode) Join(_ context.Context, m Member, w Witness) error {
	y := n.shared
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.dead[m.Incarnation] {
		return ErrCondemned
	}
	m.Since = y.revision + 1
	n.member, n.witness = m, w
	y.nodes = append(y.nodes, n)
	y.enter(m)
	y.publish()
	n.renew()
	return nil
}

// read brings the record, or, if this is not the registry that was joined any more, the end. The caller holds mu.
func (n *memoryNode) read() {
	if n.closed || n.strange {
		return
	}
	r := n.shared.record()
	before := etcdState{roles: n.roles}
	if _, other := before.reborn(etcdState{roles: r.Roles}); other || r.Revision < n.seen {
		n.strange = true
		n.tell(n.witness.Forgotten)
		return
	}
	n.seen, n.roles = r.Revision, r.Roles
	n.tell(func() { n.witness.Changed(r) })
}

// tell queues a call of the witness; one at a time is under way. The caller holds mu.
func (n *memoryNode) tell(f func()) {
	n.news = append(n.news, f)
	if !n.telling {
		n.telling = true
		n.shared.scheduler.Run(n.next)
	}
}

func (n *memoryNode) next() {
	for {
		n.shared.mu.Lock()
		if len(n.news) == 0 || n.closed {
			n.telling = false
			n.shared.mu.Unlock()
			return
		}
		f := n.news[0]
		n.news = n.news[1:]
		n.shared.mu.Unlock()
		f()
	}
}

// renew is the keep-alive: answered at once unless the node is cut off. The caller holds mu.
func (n *memoryNode) renew() {
	y := n.shared
	if !n.cut {
		sent := y.clock.Now()
		n.renewed = sent
		if !n.left && !y.dead[n.member.Incarnation] && !y.registered(n.member.Incarnation) {
			if n.read(); n.strange {
				return
			}
			y.enter(n.member)
			y.publish()
		}
		n.tell(func() { n.witness.Renewed(sent) })
	}
	y.clock.AfterFunc(y.lease/3, func() {
		y.mu.Lock()
		defer y.mu.Unlock()
		if !n.closed && !n.left && !n.strange {
			n.renew()
		}
	})
	expires := n.renewed.Add(y.lease)
	y.clock.AfterFunc(expires.Sub(y.clock.Now()), func() { n.expire(expires) })
}

// expire ends the membership if the lease was not renewed.
func (n *memoryNode) expire(at time.Time) {
	y := n.shared
	y.mu.Lock()
	defer y.mu.Unlock()
	if n.renewed.Add(y.lease).After(at) || !y.registered(n.member.Incarnation) {
		return
	}
	y.remove(n.member.Incarnation)
	y.publish()
}

// Drain marks the member, as Registry says.
func (n *memoryNode) Drain(done func(error)) {
	y := n.shared
	y.mu.Lock()
	defer y.mu.Unlock()
	err := errCutOff
	if !n.cut {
		err, n.member.Draining = nil, true
		if y.registered(n.member.Incarnation) {
			at := slices.IndexFunc(y.members, func(m Member) bool { return m.Incarnation == n.member.Incarnation })
			y.members = slices.Clone(y.members)
			y.members[at].Draining = true
			y.publish()
		}
	}
	y.scheduler.Run(func() { done(err) })
}

// Assign writes an assignment, as Registry says.
func (n *memoryNode) Assign(d Decree, done func(error)) {
	y := n.shared
	y.mu.Lock()
	defer y.mu.Unlock()
	err := n.check(d)
	if err == nil {
		y.write(d)
		y.publish()
	}
	y.scheduler.Run(func() { done(err) })
}

// check says why a decree cannot be written. The caller holds mu.
func (n *memoryNode) check(d Decree) error {
	y := n.shared
	revision := int64(0)
	if a := y.roles[d.Role]; a != nil {
		revision = a.Revision
	}
	switch {
	case n.cut:
		return errCutOff
	case revision != d.Next.Revision, !y.registered(n.member.Incarnation),
		d.Coordinator && y.coordinator != n.member.Incarnation,
		slices.ContainsFunc(d.Absent, y.registered),
		slices.ContainsFunc(d.Alive, func(n uint64) bool { return !y.registered(n) }):
		return ErrConflict
	}
	return nil
}

// Leave removes the member, as Registry says.
func (n *memoryNode) Leave(without []Decree, done func(error)) {
	y := n.shared
	y.mu.Lock()
	defer y.mu.Unlock()
	var err error
	for _, d := range without {
		err = errors.Join(err, n.check(d))
	}
	if err == nil && n.cut {
		err = errCutOff
	}
	if err == nil {
		for _, d := range without {
			y.write(d)
		}
		n.left = true
		y.remove(n.member.Incarnation)
		y.publish()
	}
	y.scheduler.Run(func() { done(err) })
}

// Close ends the watch and leaves the member to its lease, as Registry says.
func (n *memoryNode) Close() {
	n.shared.mu.Lock()
	defer n.shared.mu.Unlock()
	n.closed = true
}
