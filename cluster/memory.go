package cluster

import (
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
			n.read()
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
			n.read()
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
	for _, n := range y.nodes {
		if !n.cut && !n.blind && y.revision > n.seen { // after a wipe, old watches stay silent
			n.read()
		}
	}
}

// Wipe loses all that the registry holds. Nobody is told: revisions begin anew, and leases are not found any more.
func (y *Memory) Wipe() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.revision, y.members, y.coordinator = 0, nil, 0
	y.roles, y.dead = map[string]*Assignment{}, map[uint64]bool{}
}

// Intend writes intents for shards of a role as its coordinator would, and leaves out those that it would not: of a
// shard that has one already, or that is where it is to go, and those whose target takes none.
func (y *Memory) Intend(role string, all ...Intent) {
	y.mu.Lock()
	defer y.mu.Unlock()
	a := y.roles[role]
	if a == nil {
		return
	}
	next, some := a.clone(), false
	for _, i := range all {
		at := slices.IndexFunc(y.members, func(m Member) bool { return m.Incarnation == i.Incarnation && takes(&m) })
		o := a.Owners[i.Shard]
		if at >= 0 && next.intent(i.Shard) == nil && o.Incarnation != i.Incarnation && y.registered(o.Incarnation) {
			next.intend(i)
			some = true
		}
	}
	if some {
		y.write(Decree{Role: role, Next: next})
		y.publish()
	}
}

// record is what a node that can hear hears. The caller holds mu.
func (y *Memory) record() *Record {
	return &Record{Revision: y.revision, Members: y.members, Roles: maps.Clone(y.roles), Dead: maps.Clone(y.dead),
		Coordinator: y.coordinator}
}

func (y *Memory) registered(incarnation uint64) bool {
	return slices.ContainsFunc(y.members, func(m Member) bool { return m.Incarnation == incarnation })
}

// write puts an assignment into the next revision. The caller holds mu.
func (y *Memory) write(d Decree) {
	y.roles[d.Role] = d.Next.dated(y.revision + 1)
}
