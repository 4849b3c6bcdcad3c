package persist

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/fireflyrt/firefly/actors"
)

// writers put what all keepers of the node have ready into statements, Limits.Writers at a time.
// While they write, more becomes ready: that is what makes batches, so commits need no timer.
type writers struct {
	sender
	db     Database
	clock  actors.Clock
	work   *backlog
	limits Limits

	mu      sync.Mutex // guards what follows, and the parcels
	urgent  *queue     // somebody waits for these
	later   *queue
	rows    int // of both
	bytes   int
	due     bool        // they have gathered long enough, or something is urgent
	stop    func() bool // of the gathering's timer
	running int
	batches uint64
}

// laterFirst: of so many batches, one begins with what nobody waits for, however much is urgent.
const laterFirst = 4

// A parcel is an entity's place in the writers' queue. It holds one change: a newer one takes the
// place of an older one that nobody has taken yet, and waits at its keeper while one is under way.
type parcel struct {
	kind   actors.KindName
	role   string
	keeper *keeper // is told what became of the change
	entity *entity
	state  parcelState
	Change
	bytes    int
	isUrgent bool
	hasty    bool // it is given back when the store goes down: whoever waits for it is told so at once
}

type parcelState uint8

const (
	parcelFree parcelState = iota
	parcelQueued
	parcelTaken // until its keeper has been told and frees it
)

// put queues a change, unless one of the same entity is under way, and returns what was there
// before.
func (w *writers) put(p *parcel, c Change, bytes int, urgent, hasty bool) (before parcelState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before = p.state
	switch before {
	case parcelTaken:
		return before
	case parcelQueued:
		if urgent && !p.isUrgent {
			w.leave(p)
			w.enter(p, c, bytes, true)
			break
		}
		w.rows, w.bytes = w.rows+len(c.Parts)-len(p.Parts), w.bytes+bytes-p.bytes
		p.Change, p.bytes = c, bytes
	default:
		w.enter(p, c, bytes, urgent)
	}
	p.hasty = hasty
	if hasty && w.health.down() { // it went down since the keeper looked
		w.work.offload(w.recall)
		return before
	}
	full := w.rows >= w.limits.BatchRows || w.bytes >= w.limits.BatchBytes
	if urgent || full {
		w.due = true
	}
	if !w.due && w.stop == nil {
		w.stop = w.clock.AfterFunc(w.limits.Gather, w.gathered)
	}
	w.start()
	return before
}

// enter queues a parcel. The caller holds the lock, as it does for leave and queueOf.
func (w *writers) enter(p *parcel, c Change, bytes int, urgent bool) {
	p.state, p.Change, p.bytes, p.isUrgent = parcelQueued, c, bytes, urgent
	w.rows, w.bytes = w.rows+len(c.Parts), w.bytes+bytes
	w.queueOf(p).add(p)
}

// leave takes a parcel out of its queue.
func (w *writers) leave(p *parcel) {
	w.rows, w.bytes = w.rows-len(p.Parts), w.bytes-p.bytes
	w.queueOf(p).removeOne(p)
}

func (w *writers) queueOf(p *parcel) *queue {
	if p.isUrgent {
		return w.urgent
	}
	return w.later
}

func (w *writers) isEmpty() bool { return w.urgent.length+w.later.length == 0 }

// free lets the entity queue its next change.
func (w *writers) free(p *parcel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.state, p.Change = parcelFree, Change{}
}

// has reports whether an entity's change waits here or is under way.
func (w *writers) has(p *parcel) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return p.state != parcelFree
}

// withdraw takes an entity's change out of the queue, if nobody has taken it.
func (w *writers) withdraw(p *parcel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.state != parcelQueued {
		return
	}
	w.leave(p)
	p.state, p.Change = parcelFree, Change{}
}

// recall gives hasty changes back that nobody has taken when the store went down: they are known not to be written.
func (w *writers) recall() {
	w.mu.Lock()
	if !w.health.down() { // any more
		w.mu.Unlock()
		return
	}
	var back []verdict
	err := w.health.outage()
	for _, q := range []*queue{w.urgent, w.later} {
		q.remove(func(p *parcel) bool { return p.hasty }, func(p *parcel) {
			p.state = parcelTaken
			w.rows, w.bytes = w.rows-len(p.Parts), w.bytes-p.bytes
			back = append(back, verdict{p, 0, err})
		})
	}
	w.mu.Unlock()
	tell(back)
}

func (w *writers) gathered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop = nil
	w.due = !w.isEmpty()
	w.start()
}

// wake starts what waited for the store to come back.
func (w *writers) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = !w.isEmpty()
	w.start()
}

// start starts a writer if there is work for one more. The caller holds the lock.
func (w *writers) start() {
	most := w.limits.Writers
	switch w.health.is() {
	case down:
		return
	case onTrial:
		most = 1
	}
	if w.due && w.running < most {
		w.running++
		w.work.offload(w.batch)
	}
}

// batch writes one batch.
func (w *writers) batch() {
	taken := w.take()
	for len(taken) > 0 {
		n := 1
		for n < len(taken) && taken[n].kind == taken[0].kind {
			n++
		}
		w.write(taken[:n])
		taken = taken[n:]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running--
	w.start()
}

// take takes what one batch holds: kind by kind, as their turns came, each sorted by key.
func (w *writers) take() []*parcel {
	w.mu.Lock()
	defer w.mu.Unlock()
	first, second := w.urgent, w.later
	if w.batches++; w.batches%laterFirst == 0 {
		first, second = second, first
	}
	var taken []*parcel
	rows, bytes := 0, 0
	fits := func(p *parcel) bool { // one that is too big by itself has a batch of its own
		return len(taken) == 0 || rows+len(p.Parts) <= w.limits.BatchRows && bytes+p.bytes <= w.limits.BatchBytes
	}
	for _, q := range []*queue{first, second} {
		var last *parcel
		for p := q.next(fits); p != nil; p = q.next(fits) {
			p.state = parcelTaken
			rows, bytes = rows+len(p.Parts), bytes+p.bytes
			taken, last = append(taken, p), p
		}
		q.pass(last)
	}
	w.rows, w.bytes = w.rows-rows, w.bytes-bytes
	if w.isEmpty() {
		w.due = false
		if w.stop != nil {
			w.stop()
			w.stop = nil
		}
	}
	order := make(map[actors.KindName]int) // kinds in their order: each is a statement, one after the other
	for _, p := range taken {
		if _, ok := order[p.kind]; !ok {
			order[p.kind] = len(order)
		}
	}
	slices.SortFunc(taken, func(a, b *parcel) int {
		return cmp.Or(cmp.Compare(order[a.kind], order[b.kind]), strings.Compare(a.ID, b.ID))
	})
	return taken
}

// write writes parcels of one kind in one statement.
func (w *writers) write(ps []*parcel) {
	send(w.sender, ps, func(p *parcel) int { return len(p.Parts) }, func(ps []*parcel) ([]Outcome, error) {
		b := Batch{Kind: ps[0].kind, Role: ps[0].role, At: w.clock.Now().UnixMilli()}
		for _, p := range ps {
			b.Changes = append(b.Changes, p.Change)
		}
		return w.db.Write(context.Background(), b)
	}, func(ps []*parcel, outcomes []Outcome, err error) {
		told := make([]verdict, len(ps))
		for i, p := range ps {
			told[i] = verdict{p, outcomes[i], err}
		}
		tell(told)
	})
}

// A verdict is what became of a parcel's change.
type verdict struct {
	*parcel
	outcome Outcome
	err     error
}

// tell tells each keeper what became of its changes, in one turn.
func tell(all []verdict) {
	var keepers []*keeper // in the order of their first changes
	told := make(map[*keeper][]verdict)
	for _, v := range all {
		if told[v.keeper] == nil {
			keepers = append(keepers, v.keeper)
		}
		told[v.keeper] = append(told[v.keeper], v)
	}
	for _, k := range keepers {
		k.runner.Post(func() {
			for _, v := range told[k] {
				if k.retired.Load() { // by the verdict before
					return
				}
				k.told(v.entity, v.Change, v.outcome, v.err)
			}
		})
	}
}

// close ends the gathering.
func (w *writers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != nil {
		w.stop()
	}
}
