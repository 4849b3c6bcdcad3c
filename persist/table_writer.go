package persist

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
)

// rowWriters put the rows that all keepers of the node have ready into statements, Limits.Writers at a time. Somebody
// waits for each of them, so there is no timer: while a statement is under way the next one's rows gather.
type rowWriters struct {
	sender
	db     Database
	work   *backlog
	limits Limits

	mu      sync.Mutex // guards what follows
	queue   []*rowParcel
	running int
}

// A rowParcel is one row on its way to a statement.
type rowParcel struct {
	table *Mapping
	verb  RowVerb
	names []int // of an update, sorted
	write RowWrite
	bytes int
	tell  func(RowOutcome, error) // what became of it; from any goroutine
}

// fits reports whether two rows can share a statement.
func (p *rowParcel) fits(q *rowParcel) bool {
	return p.table == q.table && p.verb == q.verb && slices.Equal(p.names, q.names)
}

func (p *rowParcel) key() string { return *p.write.Values[p.table.Key] }

// put queues a row. A keeper has at most one of each row here.
func (w *rowWriters) put(p *rowParcel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, p)
	w.start()
}

// start starts a writer if there is work for one more. The caller holds the lock.
func (w *rowWriters) start() {
	if len(w.queue) > 0 && w.running < w.limits.Writers {
		w.running++
		w.work.offload(w.batch)
	}
}

// batch writes one batch: the oldest row, and what shares its statement.
func (w *rowWriters) batch() {
	w.write(w.take())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running--
	w.start()
}

// take takes what one batch holds, sorted by key, the order in which every writer takes its locks.
func (w *rowWriters) take() []*rowParcel {
	w.mu.Lock()
	defer w.mu.Unlock()
	var taken, left []*rowParcel
	bytes, isFull := 0, false
	keys := make(map[string]bool)
	for _, p := range w.queue {
		if isFull = isFull || len(taken) == w.limits.BatchRows ||
			len(taken) > 0 && bytes+p.bytes > w.limits.BatchBytes; isFull ||
			len(taken) > 0 && !p.fits(taken[0]) || keys[p.key()] {
			left = append(left, p)
			continue
		}
		bytes += p.bytes
		keys[p.key()] = true
		taken = append(taken, p)
	}
	w.queue = left
	slices.SortFunc(taken, func(a, b *rowParcel) int {
		return cmp.Or(cmp.Compare(len(a.key()), len(b.key())), strings.Compare(a.key(), b.key()))
	})
	return taken
}

// write writes rows in one statement.
func (w *rowWriters) write(ps []*rowParcel) {
	if len(ps) == 0 {
		return
	}
	send(w.sender, ps, func(*rowParcel) int { return 1 }, func(ps []*rowParcel) ([]RowOutcome, error) {
		b := RowBatch{Table: ps[0].table, Verb: ps[0].verb, Names: ps[0].names}
		for _, p := range ps {
			b.Rows = append(b.Rows, p.write)
		}
		return w.db.WriteRows(context.Background(), b)
	}, func(ps []*rowParcel, outcomes []RowOutcome, err error) {
		for i, p := range ps {
			p.tell(outcomes[i], err)
		}
	})
}
