package cluster

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// parkFor is how long an envelope without a deadline waits for its shard to have an owner. One that says who is bound
// waits for absentFor: an owner that comes back as who it was would never hear it otherwise.
const parkFor = 5 * time.Second

// A parking holds, for one role, the envelopes whose shard has no owner that can be reached, in the order they came.
// While one of a shard waits, those that follow wait behind it.
type parking struct {
	mu      sync.Mutex
	waiting []parked
	busy    []atomic.Int32 // by shard: how many wait or are on their way out
	limit   int
	shut    []atomic.Int32 // by shard: how many have not said yet who is bound to its actors
	doors   []door         // by shard: how envelopes come to its actors on this node
}

type parked struct {
	e       *actors.Envelope
	shard   int
	receipt *receipt // whoever moves a shard waits until what its actors sent has gone
	until   int64    // Unix nanoseconds
}

func newParking(shards, limit int) *parking {
	return &parking{busy: make([]atomic.Int32, shards),
		shut: make([]atomic.Int32, shards), doors: make([]door, shards), limit: limit}
}

// occupied reports whether envelopes for the shard wait, so that later ones must not overtake them.
func (k *parking) occupied(shard int) bool { return k.busy[shard].Load() > 0 || k.isShut(shard) }

func (k *parking) isShut(shard int) bool { return k.shut[shard].Load() > 0 }

// close lets envelopes for some shards wait, but announcements, until they are opened as often as they were closed.
func (k *parking) close(shards []int) { k.reckon(shards, 1) }

func (k *parking) open(shards []int) { k.reckon(shards, -1) }

func (k *parking) reckon(shards []int, by int32) {
	for _, s := range shards {
		if s < len(k.shut) {
			k.shut[s].Add(by)
		}
	}
}

// block makes envelopes for shards wait although their owner can be reached; by -1 ends that.
func (k *parking) block(shards []int, by int32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range shards {
		k.busy[s].Add(by)
	}
}

// add lets an envelope wait. waits is asked, under the lock, whether it must by the newest news, also if nothing else
// of its shard waits.
func (k *parking) add(p parked, now time.Time, waits func() bool) fate {
	p.until = p.e.Deadline
	switch {
	case p.e.Binds():
		p.until = now.Add(absentFor).UnixNano()
	case p.until == 0:
		p.until = now.Add(parkFor).UnixNano()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !waits() && !k.occupied(p.shard) {
		return stale
	}
	if len(k.waiting) >= k.limit && !p.e.Binds() {
		return full
	}
	k.waiting = slices.Insert(k.waiting, k.place(p), p)
	k.busy[p.shard].Add(1)
	return sent
}

// place is where an envelope gets in line: at the end. What a gate sends again was sent before whatever waits of that
// client for the same entity, and what it announces comes before all else.
func (k *parking) place(of parked) int {
	at, e := -1, of.e
	switch {
	case e.Announces():
		at = slices.IndexFunc(k.waiting, func(p parked) bool { return p.shard == of.shard && !p.e.Announces() })
	case e.Attempt > 0:
		at = slices.IndexFunc(k.waiting, func(p parked) bool {
			return p.e.Session == e.Session && p.e.To == e.To && p.e.Attempt == 0
		})
	}
	if at < 0 {
		return len(k.waiting)
	}
	return at
}

// drain lets go of all that are ready or too old, in order, until none is left that is. There is one drain at a time.
func (k *parking) drain(now time.Time, ready func(parked) bool, let func(p parked, late bool)) {
	for {
		leaving := k.pick(now, ready)
		if len(leaving) == 0 {
			return
		}
		for _, p := range leaving {
			let(p, p.until <= now.UnixNano() && !ready(p))
		}
		k.mu.Lock()
		for _, p := range leaving {
			k.busy[p.shard].Add(-1)
		}
		k.mu.Unlock()
	}
}

func (k *parking) pick(now time.Time, ready func(parked) bool) []parked {
	k.mu.Lock()
	defer k.mu.Unlock()
	var leaving, staying []parked
	for _, p := range k.waiting {
		if ready(p) || p.until <= now.UnixNano() {
			leaving = append(leaving, p)
		} else {
			staying = append(staying, p)
		}
	}
	k.waiting = staying
	return leaving
}

// len is how many wait.
func (k *parking) len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.waiting)
}
