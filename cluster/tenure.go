package cluster

import (
	"maps"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// A phase is how far a tenure of this node has come.
type phase uint8

const (
	coming   phase = iota // somebody addresses it, but my picture does not show it yet: all waits
	running               // what comes is delivered; one that has nobody to hold back needs no tenure, but a door
	freezing              // its actors come to rest: answers they wait for are delivered, all else waits
	frozen                // its actors are at rest and all waits; what waits will go along with their state
	shipping              // the state is on its way: what comes from now on is settled when an owner has it
	over                  // somebody else's: what comes is passed on
)

// String names the phase.
func (p phase) String() string {
	return [...]string{"coming", "running", "freezing", "frozen", "shipping", "over"}[p]
}

// A tenure is one ownership of one shard by one incarnation, while anything about it is out of the ordinary: it is
// being moved, it was moved here and must keep back what would overtake, or it is over and passes on what still comes.
// It is a state without a lock, a clock or a network; the tenancy guards it and does what it says.
type tenure struct {
	actors.Tenure
	phase  phase
	owner  Owner             // as the picture shows it; zero while it is coming
	chain  []uint64          // incarnations that may still pass something on to it
	free   bool              // nobody is held: the first of a chain, or the chain is broken
	opened map[uint64]bool   // members that send nothing more to the tenures before
	done   map[uint64]bool   // members that send nothing more to this one, nor through it
	held   map[uint64][]kept // by member: what must wait until the member is opened
	queue  []kept            // what is to be delivered or passed on, in order
	aside  []kept            // markers for later tenures that came while it ran
	went   int               // so many at the front of the queue went along with the state
	next   Owner             // whose it is when it is over; zero: nobody's that could be named
	ended  int64             // the registry's revision that ended it; 0: the watch skipped it, or it is not over
	since  time.Time         // when the present phase began
	busy   bool              // somebody delivers or passes on
	inside int               // answers that are being delivered while its actors come to rest
	rest   func()            // to be called when nobody does any more
}

// kept is something that waits at a tenure: an envelope or a marker.
type kept struct {
	e       *actors.Envelope
	marker  *marker
	receipt *receipt // of the envelope; nil if it counts as settled
}

func newTenure(t actors.Tenure, now time.Time) *tenure {
	return &tenure{Tenure: t, since: now, opened: map[uint64]bool{}, done: map[uint64]bool{},
		held: map[uint64][]kept{}}
}

// enter begins a phase.
func (t *tenure) enter(p phase, now time.Time) { t.phase, t.since = p, now }

// holds reports whether what a member sends to this tenure directly must wait for what the member sent to the tenures
// before. since is when the member joined: who joined later than the tenure began never sent to one before.
func (t *tenure) holds(member uint64, since int64) bool {
	return !t.free && !t.opened[member] && (t.phase == coming || since < t.owner.At)
}

// hold keeps something back that came from a member directly.
func (t *tenure) hold(k kept, member uint64) { t.held[member] = append(t.held[member], k) }

// pass queues something, in order. A marker for this tenure ends here; one for a later tenure is passed on when this
// one is over. Either says that its member's own envelopes need not be held any more.
func (t *tenure) pass(k kept) {
	if k.marker == nil || k.marker.next > t.Epoch {
		t.queue = append(t.queue, k)
	}
	if k.marker != nil {
		t.open(k.marker.member)
	}
}

// open ends the hold of a member.
func (t *tenure) open(member uint64) {
	t.opened[member] = true
	waiting := t.held[member]
	delete(t.held, member)
	for _, k := range waiting {
		t.pass(k)
	}
}

// release lets go of members that need not be held: all, if the tenure is free.
func (t *tenure) release(since func(member uint64) int64) {
	for _, member := range slices.Sorted(maps.Keys(t.held)) {
		if !t.holds(member, since(member)) {
			t.open(member)
		}
	}
}

// acts reports whether what is queued can be delivered or passed on now.
func (t *tenure) acts() bool { return t.phase == running || t.phase == over }

// take returns what is queued, for whoever does it.
func (t *tenure) take() []kept {
	all := t.queue
	t.queue = nil
	return all
}

// aboard returns the receipts of what is queued, which counts as settled from now on.
func (t *tenure) aboard() []*receipt {
	var all []*receipt
	for i := range t.queue {
		all = append(all, t.queue[i].receipt)
		t.queue[i].receipt = nil
	}
	return all
}

// back puts in front again what could not go.
func (t *tenure) back(left []kept) { t.queue = append(slices.Clone(left), t.queue...) }

// end makes it somebody else's. What went along with the state is there already.
func (t *tenure) end(next Owner, now time.Time) {
	for _, k := range t.queue[:t.went] {
		if k.marker != nil {
			t.done[k.marker.member] = true
		}
	}
	t.queue = append(t.aside, t.queue[t.went:]...)
	t.next, t.aside, t.went = next, nil, 0
	t.enter(over, now)
	if next.Incarnation == 0 { // nobody passes anything on to it any more, either
		t.free = true
		t.release(func(uint64) int64 { return 0 })
	}
}

// idle reports whether nothing waits here.
func (t *tenure) idle() bool { return !t.busy && len(t.queue)+len(t.held)+len(t.aside) == 0 }
