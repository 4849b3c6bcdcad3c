package cluster

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// A Memory is a registry in memory, shared by the nodes of one process: a World, a test. It keeps leases by the clock
// it is given, starts no goroutine, and can be cut off from a node, as a network would.
type Memory struct {
	clock     actors.Clock
	scheduler actors.Scheduler
	lease     time.Duration

	mu          sync.Mutex
	revision    int64
	members     []Member
	roles       map[string]*Assignment
	dead        map[uint64]bool
	coordinator uint64
	nodes       []*memoryNode
}

// NewMemory makes an empty registry whose leases last so long.
func NewMemory(c actors.Clock, s actors.Scheduler, lease time.Duration) *Memory {
	return &Memory{clock: c, scheduler: s, lease: lease, roles: map[string]*Assignment{}, dead: map[uint64]bool{}}
}

// errCutOff is what a node hears that cannot reach the registry.
var errCutOff = errors.New("cluster: the registry cannot be reached")

// Node returns the registry as one node sees it.
func (y *Memory) Node() Registry { return &memoryNode{shared: y} }

// Certify declares an incarnation dead, as a supervisor does that saw the process end.
func (y *Memory) Certify(incarnation uint64) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.dead[incarnation] = true
	y.remove(incarnation)
	y.publish()
}

// Cut separates an incarnation from the registry, or joins them again: then it hears the newest record, and no record
// that it missed.
func (y *Memory) Cut(incarnation uint64, cut bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, n := range y.of(incarnation) {
		n.cut = cut
		if n.blind = n.blind && cut; !cut { // whoever may act again has heard the record before
			n.hear(y.record())
		}
	}
}

// Blind lets an incarnation's watch stand still, or go on with the newest record. Its lease is kept up meanwhile.
func (y *Memory) Blind(incarnation uint64, blind bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, n := range y.of(incarnation) {
		saw := !n.blind
		if n.blind = blind; !blind && !saw && !n.cut {
			n.hear(y.record())
		}
	}
}

// of finds an incarnation's way to the registry. The caller holds mu.
func (y *Memory) of(incarnation uint64) []*memoryNode {
	var found []*memoryNode
	for _, n := range y.nodes {
		if n.member.Incarnation == incarnation && !n.closed {
			found = append(found, n)
		}
	}
	return found
}

// enter makes a member, in the order of first joining. The caller holds mu.
func (y *Memory) enter(m Member) {
	at, _ := slices.BinarySearchFunc(y.members, m, bySince)
	y.members = slices.Insert(slices.Clone(y.members), at, m)
}

// remove ends an incarnation's membership. The caller holds mu.
func (y *Memory) remove(incarnation uint64) {
	y.members = slices.DeleteFunc(slices.Clone(y.members), func(m Member) bool { return m.Incarnation == incarnation })
	if y.coordinator == incarnation {
		y.coordinator = 0
	}
}

// publish makes a revision of what has changed, holds the election, and tells all who can hear. The caller holds mu.
func (y *Memory) publish() {
	y.revision++
	for _, m := range y.members {
		if y.coordinator == 0 {
			y.coordinator = m.Incarnation
		}
	}
	r := y.record()
	for _, n := range y.nodes {
		if !n.closed && !n.cut && !n.blind {
			n.hear(r)
		}
	}
}

// record is what a node that can hear hears. The caller holds mu.
func (y *Memory) record() *Record {
	return &Record{Revision: y.revision, Members: y.members, Roles: maps.Clone(y.roles), Dead: maps.Clone(y.dead),
		Coordinator: y.coordinator}
}

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
	left    bool
	closed  bool
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

// hear lets the witness hear a record later. The caller holds mu.
func (n *memoryNode) hear(r *Record) { n.tell(func() { n.witness.Changed(r) }) }

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
			y.enter(n.member)
			y.publish()
		}
		n.tell(func() { n.witness.Renewed(sent) })
	}
	y.clock.AfterFunc(y.lease/3, func() {
		y.mu.Lock()
		defer y.mu.Unlock()
		if !n.closed && !n.left {
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

func (y *Memory) registered(incarnation uint64) bool {
	return slices.ContainsFunc(y.members, func(m Member) bool { return m.Incarnation == incarnation })
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
	case revision != d.Next.Revision,
		d.Coordinator && y.coordinator != n.member.Incarnation,
		slices.ContainsFunc(d.Absent, y.registered),
		slices.ContainsFunc(d.Alive, func(n uint64) bool { return !y.registered(n) }):
		return ErrConflict
	}
	return nil
}

// write puts an assignment into the next revision. The caller holds mu.
func (y *Memory) write(d Decree) {
	y.roles[d.Role] = d.Next.dated(y.revision + 1)
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
