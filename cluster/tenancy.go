package cluster

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// forgetAfter is how long a tenure that is over is kept when nobody can say any more who may still send to it.
const forgetAfter = 10 * time.Second

// A tenancy is what a node knows of the tenures that are or were its own. Only those stand in it that are out of the
// ordinary; see tenure. What is delivered or passed on, is so without its lock: whoever queues something does the work,
// unless another is at it.
type tenancy struct {
	c     *Cluster
	own   ledger       // of envelopes routed on this node that wait here
	count atomic.Int64 // envelopes that wait at tenures
	waits atomic.Int32 // moves that wait for what was sent to be settled

	overflow atomic.Uint64 // envelopes refused because too many waited at tenures
	strays   atomic.Uint64 // envelopes for tenures that nobody could name any more, routed anew
	overdue  atomic.Uint64 // envelopes refused because they came through a chain that had broken

	mu       sync.Mutex // guards what follows
	stays    bool       // no move begins any more
	drains   bool       // nor any to here
	at       map[actors.Tenure]*tenure
	bytes    int // of the bodies of those that wait
	moves    map[actors.Tenure]*move
	breaches map[site]uint64 // up to which epoch what is passed on comes too late
	deferred map[site]delay
	given    map[site]int64   // intents that this node gives up, by their date
	writes   map[string]int64 // roles whose transaction is under way, and the revision it was made from
	stages   map[actors.Tenure]*stage
	staged   int // bytes of states that wait for their transaction
	attempts uint64
	moved    uint64
	putOff   uint64
	taken    uint64
	longest  time.Duration // the longest silence of a shard that was moved away
}

// A site is a shard of a role.
type site struct {
	role  string
	shard int
}

func newTenancy(c *Cluster) *tenancy {
	n := &tenancy{c: c, at: map[actors.Tenure]*tenure{}, moves: map[actors.Tenure]*move{},
		breaches: map[site]uint64{}, deferred: map[site]delay{}, given: map[site]int64{}, writes: map[string]int64{},
		stages: map[actors.Tenure]*stage{}}
	n.own.news = c.settling
	return n
}

// door is how envelopes come to a shard's actors.
func (n *tenancy) door(role string, shard int) *door {
	return &n.c.parking(role).doors[shard]
}

// self is the origin of what is routed on this node.
func (n *tenancy) self() *origin { return &origin{member: n.c.self.Incarnation, book: &n.own} }

// deliver brings an envelope to the present tenure of a shard of this node, unless the picture has changed. A nil
// origin is this node itself.
func (n *tenancy) deliver(d *door, seen *picture, t actors.Tenure, e *actors.Envelope, from *origin,
	direct bool) fate {
	if !d.enter() {
		if from == nil {
			from = n.self()
		}
		return n.put(seen, t, kept{e: e}, from, direct)
	}
	if n.c.picture.Load() != seen {
		d.leave()
		return stale
	}
	if !direct && n.comesLate(t, e) {
		d.leave()
		return late
	}
	n.c.local.Deliver(e)
	d.leave()
	return sent
}

// put lets something wait at a tenure, and does what is to be done now. The fate astray means that there is no such
// tenure any more, foreign that it is another's.
func (n *tenancy) put(seen *picture, at actors.Tenure, k kept, from *origin, direct bool) fate {
	n.mu.Lock()
	if k.e != nil && !direct && n.isLate(at, k.e) {
		n.mu.Unlock()
		return late
	}
	t, f := n.find(seen, at)
	if t == nil {
		n.mu.Unlock()
		return f
	}
	if t.phase == freezing && k.e != nil && k.e.Type != actors.Message {
		t.inside++
		n.mu.Unlock()
		n.c.local.Deliver(k.e) // its actors may wait for this answer to come to rest
		n.mu.Lock()            // their state is not taken before it is with them
		t.inside--
		n.mu.Unlock()
		n.settling()
		return sent
	}
	if k.e != nil && !n.admit(k.e) {
		n.mu.Unlock()
		n.overflow.Add(1)
		return full
	}
	member := from.member
	if k.marker != nil {
		member = k.marker.member
	}
	first := k.marker != nil && k.marker.next == at.Epoch // that never sent to a tenure before
	held := direct && !first && t.holds(member, seen.since(member))
	if k.e != nil && (held || t.phase != freezing && t.phase != frozen) {
		k.receipt = from.keep()
	}
	if held {
		t.hold(k, member)
	} else {
		t.pass(k)
	}
	n.mu.Unlock()
	n.work(t)
	return sent
}

// find returns a tenure, which may begin with this; or nil and what that means. The caller holds mu.
func (n *tenancy) find(seen *picture, at actors.Tenure) (*tenure, fate) {
	if n.c.picture.Load() != seen {
		return nil, stale
	}
	if t := n.at[at]; t != nil {
		return t, sent
	}
	if at.Shard >= n.c.o.Shards {
		return nil, astray
	}
	owner := seen.view.Owner(at.Role, at.Shard)
	switch mine := owner.Incarnation == n.c.self.Incarnation; {
	case at.Epoch > owner.Epoch:
		if len(n.at) >= n.c.o.Tenures {
			n.overflow.Add(1)
			return nil, full
		}
		t := newTenure(at, n.c.o.Clock.Now())
		n.at[at] = t
		return t, sent
	case at.Epoch == owner.Epoch && mine:
		return nil, stale // it has just become ordinary
	case at.Epoch == owner.Epoch && owner.Incarnation != 0:
		return nil, foreign
	}
	return nil, astray
}

// admit counts one more that waits, or says that there is no room. The caller holds mu.
func (n *tenancy) admit(e *actors.Envelope) bool {
	if !e.Binds() && (n.count.Load() >= int64(n.c.o.Held) || n.bytes >= n.c.o.HeldBytes) {
		return false
	}
	n.count.Add(1)
	n.bytes += len(e.Body)
	return true
}

// discharge counts some less. The caller holds mu.
func (n *tenancy) discharge(gone []kept) {
	for _, k := range gone {
		if k.e != nil {
			n.count.Add(-1)
			n.bytes -= len(k.e.Body)
		}
	}
}

// marked takes a marker. One for a tenure that nobody knows is for one that is forgotten, or never was out of the
// ordinary.
func (n *tenancy) marked(m *marker, from *origin, by tag) {
	direct := by == tagMarker
	if direct && m.member != from.member {
		return // nobody ends what others send
	}
	if m.to.Epoch == m.next {
		n.neverSent(m)
	}
	for {
		switch n.put(n.c.picture.Load(), m.to, kept{marker: m}, from, direct) {
		case astray:
			if by != tagBelated {
				n.belated(m)
			}
			return
		case stale:
			owner := n.c.picture.Load().view.Owner(m.to.Role, m.to.Shard)
			if owner.Epoch == m.to.Epoch && n.door(m.to.Role, m.to.Shard).isOpen() {
				return
			}
		default:
			return
		}
	}
}

// belated passes on a marker of somebody who was not waited for, because it was silent and its record was gone: its
// tenure is forgotten here, but later ones, up to the one that the member sends to from now on, may hold its envelopes
// back until it comes, or wait for it. Whose they are, is forgotten too: so it goes to all, who do not pass it on.
func (n *tenancy) belated(m *marker) {
	seen := n.c.picture.Load()
	if m.next <= m.to.Epoch || !seen.view.Owner(m.to.Role, m.to.Shard).follows(m.to.Epoch) {
		return
	}
	last := *m
	last.to.Epoch = m.next
	for _, incarnation := range slices.Sorted(maps.Keys(seen.known)) {
		seen.known[incarnation].add(&item{tag: tagBelated, marker: &last})
	}
}

// neverSent notes that a member sends to no tenure of a shard before this one.
func (n *tenancy) neverSent(m *marker) {
	n.mu.Lock()
	var all []*tenure
	for _, t := range n.sorted() {
		if t.Role == m.to.Role && t.Shard == m.to.Shard && t.Epoch < m.next {
			t.open(m.member)
			t.done[m.member] = true
			all = append(all, t)
		}
	}
	n.mu.Unlock()
	for _, t := range all {
		n.work(t)
	}
}

// sorted lists the tenures in an order that does not depend on luck. The caller holds mu.
func (n *tenancy) sorted() []*tenure {
	return slices.SortedFunc(maps.Values(n.at), func(a, b *tenure) int { return compareTenures(a.Tenure, b.Tenure) })
}

func compareTenures(a, b actors.Tenure) int {
	return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.Epoch, b.Epoch))
}

// work delivers or passes on what is queued, until nothing is.
func (n *tenancy) work(t *tenure) {
	for {
		n.mu.Lock()
		if t.busy || !t.acts() || len(t.queue) == 0 {
			n.part(t)
			n.mu.Unlock()
			return
		}
		all, passes, next := t.take(), t.phase == over, t.next
		t.busy = true
		n.mu.Unlock()
		left := n.do(t, all, passes, next)
		n.mu.Lock()
		t.busy = false
		t.back(left)
		n.discharge(all[:len(all)-len(left)])
		rest := t.rest
		t.rest = nil
		n.mu.Unlock()
		if rest != nil {
			rest()
		}
		if len(left) > 0 {
			n.c.o.Clock.AfterFunc(retryPass, func() { n.work(t) })
			return
		}
	}
}

// part forgets a tenure that is ordinary again, or that nobody sends to any more. The caller holds mu.
func (n *tenancy) part(t *tenure) {
	if n.at[t.Tenure] != t || !t.idle() {
		return
	}
	switch {
	case t.phase == running && n.settledIn(t):
		delete(n.at, t.Tenure)
		n.door(t.Role, t.Shard).open()
	case t.phase == over && n.deserted(t):
		delete(n.at, t.Tenure)
	}
}

// empty takes out all envelopes that wait, in order: the registry has forgotten the cluster, and nobody owns anything.
func (n *tenancy) empty(next func(*actors.Envelope)) {
	n.mu.Lock()
	all := n.sorted()
	clear(n.at)
	n.mu.Unlock()
	for _, t := range all {
		n.mu.Lock()
		t.went = 0
		t.end(Owner{}, n.c.o.Clock.Now())
		waiting := t.take()
		n.discharge(waiting)
		n.mu.Unlock()
		for _, k := range waiting {
			if k.e != nil {
				next(k.e)
			}
		}
	}
}

// settledIn reports whether no member's envelopes need to be held any more. The caller holds mu.
func (n *tenancy) settledIn(t *tenure) bool {
	seen := n.c.picture.Load()
	for _, m := range seen.everybody(n.c) {
		if t.holds(m.Incarnation, m.Since) {
			return false
		}
	}
	return true
}

// deserted reports whether nobody sends to a tenure that is over any more: a marker of everybody who could has passed
// through it. The caller holds mu.
func (n *tenancy) deserted(t *tenure) bool {
	if t.next.Incarnation == 0 {
		return true
	}
	if n.c.picture.Load().view.Owner(t.Role, t.Shard).Epoch <= t.Epoch {
		return false
	}
	return len(n.awaited(t)) == 0
}

// awaited lists the members of whom a marker is still to pass through a tenure that is over, in no order: those that
// are older than its end. The caller holds mu.
func (n *tenancy) awaited(t *tenure) []uint64 {
	seen, old := n.c.picture.Load(), n.c.o.Clock.Now().Sub(t.since) >= forgetAfter
	end := cmp.Or(t.ended, seen.view.Owner(t.Role, t.Shard).At) // of a later end more members are older
	if old && (t.free || t.ended == 0) {
		return nil
	}
	var all []uint64
	for _, m := range seen.everybody(n.c) {
		if m.Since < end && !t.done[m.Incarnation] {
			all = append(all, m.Incarnation)
		}
	}
	return all
}
