package cluster

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// How long the steps of a move may take, and what follows when one takes longer.
const (
	freezeFor  = 250 * time.Millisecond // for open questions of the shard's actors
	settleFor  = time.Second            // until what they sent has arrived
	stageFor   = 5 * time.Second        // until the target has their state
	commitFor  = 5 * time.Second        // until the transaction is written
	deferFirst = 250 * time.Millisecond // a move that was put off is tried again after so long
	deferLast  = 8 * time.Second        // at most
	tries      = 5                      // and so often; then the intent is given up, and the coordinator decides anew
)

// A step is how far a move has come.
type step uint8

const (
	resting  step = iota // its actors come to rest
	settling             // what they sent is on its way
	staging              // their state is on its way to the target
	prepared             // the target has it: the transaction may be written
)

// A move is one attempt to hand a shard over, seen from its source. The tenancy guards it.
type move struct {
	passage
	target  Intent
	step    step
	began   time.Time
	engaged bool // Freeze or State is under way: what else happens to the move waits for it
	frozen  Frozen
	own     uint64            // what waits on this node must be settled up to here, and then
	marks   map[uint64]uint64 // by peer: what it was sent, up to this batch. What has waited here is in it
	state   []byte
	sent    int
	base    int64 // a transaction made from this revision is under way or its outcome unknown; 0: none
	gives   bool  // that transaction hands the shard over; else it gives the intent up
	why     error // it is given up as soon as it can be
}

// A delay is how long a shard stays where it is after moves that were put off.
type delay struct {
	times int
	until time.Time
}

// Reasons to put a move off.
var (
	errUnsettled = errors.New("cluster: what was sent before was not taken in time")
	errUnstaged  = errors.New("cluster: the target did not take the state in time")
	errUnwritten = errors.New("cluster: the transaction was not written in time")
	errUnwanted  = errors.New("cluster: the intent is gone")
	errNoTarget  = errors.New("cluster: the target is gone")
)

// begin starts the moves that this node is to make and can make now. The caller holds the turn.
func (n *tenancy) begin(now time.Time) {
	c := n.c
	if c.mover == nil || c.elapsed(now) >= c.until.Load() {
		return
	}
	seen := c.picture.Load()
	if seen.isUnheard() {
		return
	}
	for _, role := range slices.Sorted(maps.Keys(seen.view.Roles)) {
		a := seen.view.Roles[role]
		for _, i := range a.Intents {
			o := a.Owners[i.Shard]
			if p := seen.peers[i.Incarnation]; o.Incarnation == c.self.Incarnation && p != nil && !p.down.Load() {
				n.try(actors.Tenure{Role: role, Shard: i.Shard, Epoch: o.Epoch}, i, o, now)
			}
		}
	}
}

// isUnheard reports whether a member is silent that has not taken all that it was sent: no move could be settled, and
// its actors would rest in vain until that is known.
func (s *picture) isUnheard() bool {
	for _, p := range s.peers {
		if p.down.Load() && p.taken() < p.mark() {
			return true
		}
	}
	return false
}

// try starts one move, unless it is under way or to wait.
func (n *tenancy) try(of actors.Tenure, i Intent, o Owner, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := site{of.Role, of.Shard}
	if n.stays || n.moves[of] != nil || n.given[at] == i.At || now.Before(n.deferred[at].until) ||
		len(n.at) >= n.c.o.Tenures {
		return
	}
	t := n.at[of]
	if t == nil {
		t = newTenure(of, now)
		t.owner, t.free = o, true
		n.at[of] = t
	} else if t.phase != running {
		return
	}
	n.attempts++
	m := &move{passage: passage{of: of, intent: i.At, attempt: n.attempts}, target: i, began: now, engaged: true}
	n.moves[of] = m
	t.enter(freezing, now)
	n.c.o.Scheduler.Run(func() { n.close(t, func() { n.freeze(m) }) })
}

// close lets nothing through to a tenure's actors any more, and calls then when nothing is on the way to them. It does
// nothing if the shard is lost: the door is another tenure's then.
func (n *tenancy) close(t *tenure, then func()) {
	n.mu.Lock()
	if !n.isPresent(t) {
		n.mu.Unlock()
		return
	}
	n.door(t.Role, t.Shard).shut()
	n.mu.Unlock()
	n.door(t.Role, t.Shard).empty(func() {
		n.mu.Lock()
		if t.busy {
			t.rest = then
			n.mu.Unlock()
			return
		}
		n.mu.Unlock()
		then()
	})
}

// isPresent reports whether a tenure is the one that the picture shows. The caller holds mu.
func (n *tenancy) isPresent(t *tenure) bool {
	o := n.c.picture.Load().view.Owner(t.Role, t.Shard)
	return o.Incarnation == n.c.self.Incarnation && o.Epoch == t.Epoch
}

// freeze asks the actors to come to rest.
func (n *tenancy) freeze(m *move) {
	n.c.o.Scheduler.Run(func() {
		n.c.mover.Freeze(m.of, freezeFor, func(f Frozen, err error) { n.frozen(m, f, err) })
	})
}

// frozen goes on when the actors are at rest: all that they sent must have arrived before they send from elsewhere.
func (n *tenancy) frozen(m *move, f Frozen, err error) {
	if !n.disengage(m, f, err) {
		return
	}
	n.mu.Lock()
	t := n.at[m.of]
	t.enter(frozen, t.since) // the silence began when the door was closed
	m.step, m.own = settling, n.own.newest()
	n.waits.Add(1)
	here := t.aboard() // what waits for them goes where they go
	n.mu.Unlock()
	settleAll(here)
	n.c.o.Clock.AfterFunc(settleFor, func() { n.late(m, settling, errUnsettled) })
	n.settling()
}

// disengage notes that Freeze or State has answered, and does what had to wait for that. It reports whether the move
// goes on.
func (n *tenancy) disengage(m *move, f Frozen, err error) bool {
	n.mu.Lock()
	m.engaged = false
	if f != nil {
		m.frozen = f
	}
	if n.moves[m.of] != m { // the shard was lost meanwhile
		n.mu.Unlock()
		if m.frozen != nil {
			m.frozen.Discard()
		}
		return false
	}
	if m.why == nil {
		m.why = err
	}
	why := m.why
	n.mu.Unlock()
	if why != nil {
		n.off(m, why)
	}
	return why == nil
}

// mark is the batch up to which the stream holds what was sent until now.
func (p *peer) mark() uint64 {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	if len(p.out.open) > 0 {
		return p.out.next()
	}
	return p.out.seq
}

// taken is how far the peer has settled the stream.
func (p *peer) taken() uint64 {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.out.settled
}

// askBack lets the peer say at once what of the stream is settled.
func (p *peer) askBack() {
	p.asks.Store(true)
	p.ping()
}

// settling looks which moves have waited long enough for what was sent.
func (n *tenancy) settling() {
	if n.waits.Load() == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range n.sortedMoves() {
		if m.step == settling && n.at[m.of].inside == 0 && n.arrived(m) {
			m.step, m.engaged = staging, true
			n.waits.Add(-1)
			n.c.o.Scheduler.Run(func() { n.pack(m) })
		}
	}
}

// arrived reports whether all that this node had sent when the actors came to rest is settled. The caller holds mu.
func (n *tenancy) arrived(m *move) bool {
	if m.marks == nil && n.own.settled(m.own) < m.own {
		return false
	}
	seen := n.c.picture.Load()
	if m.marks == nil {
		m.marks = markAll(seen.known)
	}
	for incarnation, mark := range m.marks {
		if seen.lost(n.c, incarnation) {
			continue // nobody to receive it any more
		}
		if seen.known[incarnation].taken() < mark {
			return false
		}
	}
	return true
}

// markAll notes how far all peers were sent anything, and lets them say how far it is settled.
func markAll(peers map[uint64]*peer) map[uint64]uint64 {
	marks := map[uint64]uint64{}
	for _, incarnation := range slices.Sorted(maps.Keys(peers)) {
		marks[incarnation] = peers[incarnation].mark()
		peers[incarnation].askBack()
	}
	return marks
}

// pack takes the state, and all that has come for the actors since they came to rest. What comes later waits.
func (n *tenancy) pack(m *move) {
	state, err := m.frozen.State(n.c.o.Staged)
	if !n.disengage(m, nil, err) {
		return
	}
	n.mu.Lock()
	t := n.at[m.of]
	t.enter(shipping, t.since)
	t.went = len(t.queue)
	m.state = append(appendLuggage(nil, n.chainOf(t), t.queue), state...)
	here := t.aboard() // what was held and is free by now
	n.mu.Unlock()
	settleAll(here)
	n.c.o.Clock.AfterFunc(stageFor, func() { n.late(m, staging, errUnstaged) })
	n.ship(m)
}

// chainOf is the incarnations that may still pass something on to the tenure after this one. The caller holds mu.
func (n *tenancy) chainOf(t *tenure) []uint64 {
	var chain []uint64
	if !n.settledIn(t) {
		chain = append(chain, t.chain...)
	}
	return append(chain, n.c.self.Incarnation)
}

// late puts a move off that is still at a step.
func (n *tenancy) late(m *move, at step, why error) {
	n.mu.Lock()
	still := n.moves[m.of] == m && m.step == at
	n.mu.Unlock()
	if still {
		n.off(m, why)
	}
}

// off puts a move off: the actors go on here. A move whose transaction may have been written goes on until that is
// known, unless nobody will ever know.
func (n *tenancy) off(m *move, why error) {
	now := n.c.o.Clock.Now()
	n.mu.Lock()
	if m.why = why; n.moves[m.of] != m || m.base != 0 && !n.c.forgotten.Load() || m.engaged {
		n.mu.Unlock()
		return
	}
	n.drop(m)
	n.putOff++
	n.postpone(m, now)
	t := n.at[m.of]
	t.enter(running, now)
	t.went = 0
	n.mu.Unlock()
	n.c.o.Log.Info("a move was put off", "role", m.of.Role, "shard", m.of.Shard, "target", m.target.Name, "error", why)
	if m.frozen != nil {
		m.frozen.Thaw()
	}
	if p := n.c.picture.Load().known[m.target.Incarnation]; p != nil && len(m.state) > 0 {
		p.add(&item{tag: tagChunk, chunk: &chunk{passage: m.passage}}) // it need not keep the state
	}
	n.work(t)
}

// drop ends a move. The caller holds mu.
func (n *tenancy) drop(m *move) {
	delete(n.moves, m.of)
	if m.step == settling {
		n.waits.Add(-1)
	}
}

// postpone lets a shard stay for a while, longer each time, and at last for as long as the coordinator pleases. The
// caller holds mu.
func (n *tenancy) postpone(m *move, now time.Time) {
	at := site{m.of.Role, m.of.Shard}
	d := n.deferred[at]
	d.times++
	d.until = now.Add(min(deferFirst<<min(d.times-1, 10), deferLast))
	n.deferred[at] = d
	if d.times%tries == 0 {
		n.given[at] = m.intent
		n.c.o.Scheduler.Run(func() { n.commit(m.of.Role) })
	}
}

// sortedMoves lists the moves in an order that does not depend on luck. The caller holds mu.
func (n *tenancy) sortedMoves() []*move {
	return slices.SortedFunc(maps.Values(n.moves), func(a, b *move) int { return compareTenures(a.of, b.of) })
}
