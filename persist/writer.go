package persist

import (
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
	queue   []*parcel  // oldest first
	rows    int        // of the queue
	bytes   int
	due     bool        // the queue has gathered long enough, or holds something urgent
	stop    func() bool // of the gathering's timer
	running int
}

// A parcel is an entity's place in the writers' queue. It holds one change: a newer one takes the
// place of an older one that nobody has taken yet, and waits at its keeper while one is under way.
type parcel struct {
	kind  actors.KindName
	role  string
	tell  func(c Change, o Outcome, err error) // what became of the change; from any goroutine
	state parcelState
	Change
	bytes int
	hasty bool // it is given back when the store goes down: whoever waits for it is told so at once
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
		w.rows, w.bytes = w.rows-len(p.Parts), w.bytes-p.bytes
	default:
		w.queue = append(w.queue, p)
	}
	p.state, p.Change, p.bytes, p.hasty = parcelQueued, c, bytes, hasty
	w.rows, w.bytes = w.rows+len(c.Parts), w.bytes+bytes
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

// free lets the entity queue its next change.
func (w *writers) free(p *parcel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.state, p.Change = parcelFree, Change{}
}

// withdraw takes an entity's change out of the queue, if nobody has taken it.
func (w *writers) withdraw(p *parcel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.state != parcelQueued {
		return
	}
	w.rows, w.bytes = w.rows-len(p.Parts), w.bytes-p.bytes
	w.queue = slices.DeleteFunc(w.queue, func(q *parcel) bool { return q == p })
	p.state, p.Change = parcelFree, Change{}
}

// recall gives hasty changes back that nobody has taken when the store went down: they are known not to be written.
func (w *writers) recall() {
	w.mu.Lock()
	if !w.health.down() { // any more
		w.mu.Unlock()
		return
	}
	var back []*parcel
	var changes []Change
	w.queue = slices.DeleteFunc(w.queue, func(p *parcel) bool {
		if !p.hasty {
			return false
		}
		p.state = parcelTaken
		w.rows, w.bytes = w.rows-len(p.Parts), w.bytes-p.bytes
		back, changes = append(back, p), append(changes, p.Change)
		return true
	})
	w.mu.Unlock()
	err := w.health.outage()
	for i, p := range back {
		p.tell(changes[i], 0, err)
	}
}

func (w *writers) gathered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop = nil
	w.due = len(w.queue) > 0
	w.start()
}

// wake starts what waited for the store to come back.
func (w *writers) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = len(w.queue) > 0
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

// take takes what one batch holds, sorted by table and key.
func (w *writers) take() []*parcel {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, rows, bytes := 0, 0, 0
	for _, p := range w.queue {
		rows, bytes = rows+len(p.Parts), bytes+p.bytes
		if n > 0 && (rows > w.limits.BatchRows || bytes > w.limits.BatchBytes) {
			break // one that is too big by itself has a batch of its own
		}
		p.state = parcelTaken
		w.rows, w.bytes = w.rows-len(p.Parts), w.bytes-p.bytes
		n++
	}
	taken := slices.Clone(w.queue[:n])
	w.queue = slices.Delete(w.queue, 0, n)
	if len(w.queue) == 0 {
		w.due = false
		if w.stop != nil {
			w.stop()
			w.stop = nil
		}
	}
	slices.SortFunc(taken, func(a, b *parcel) int {
		if c := strings.Compare(string(a.kind), string(b.kind)); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
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
	}, func(p *parcel, o Outcome, err error) { p.tell(p.Change, o, err) })
}

// close ends the gathering.
func (w *writers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != nil {
		w.stop()
	}
}
