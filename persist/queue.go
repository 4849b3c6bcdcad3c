package persist

import (
	"slices"

	"github.com/fireflyrt/firefly/actors"
)

// A queue holds the parcels that wait for a writer. They are in bundles, each of one kind and shard, and bundles take
// turns: so a long queue makes statements that have few fences to look at, and few keepers to tell.
type queue struct {
	bundles map[bundleKey]*bundle
	turns   []*bundle // those that hold something
	length  int
}

type bundleKey struct {
	kind  actors.KindName
	shard int
}

// A bundle holds parcels, oldest first.
type bundle struct {
	key     bundleKey
	parcels []*parcel
}

func newQueue() *queue { return &queue{bundles: make(map[bundleKey]*bundle)} }

// add appends a parcel to its bundle.
func (q *queue) add(p *parcel) {
	key := bundleKey{p.kind, p.Shard}
	b := q.bundles[key]
	if b == nil {
		b = &bundle{key: key}
		q.bundles[key] = b
		q.turns = append(q.turns, b)
	}
	b.parcels = append(b.parcels, p)
	q.length++
}

// remove takes parcels out, and calls each with those that it takes.
func (q *queue) remove(which func(*parcel) bool, each func(*parcel)) {
	for _, b := range slices.Clone(q.turns) {
		q.removeFrom(b, which, each)
	}
}

// removeOne takes one parcel out.
func (q *queue) removeOne(p *parcel) {
	q.removeFrom(q.bundles[bundleKey{p.kind, p.Shard}], func(o *parcel) bool { return o == p }, func(*parcel) {})
}

func (q *queue) removeFrom(b *bundle, which func(*parcel) bool, each func(*parcel)) {
	b.parcels = slices.DeleteFunc(b.parcels, func(p *parcel) bool {
		if !which(p) {
			return false
		}
		q.length--
		each(p)
		return true
	})
	if len(b.parcels) == 0 {
		q.end(b)
	}
}

// next takes the parcel whose turn it is, if it suits.
func (q *queue) next(suits func(*parcel) bool) *parcel {
	if q.length == 0 || !suits(q.turns[0].parcels[0]) {
		return nil
	}
	b := q.turns[0]
	p := b.parcels[0]
	b.parcels[0] = nil
	b.parcels = b.parcels[1:]
	q.length--
	if len(b.parcels) == 0 {
		q.end(b)
	}
	return p
}

// pass lets the next bundle have its turn, if the one whose turn it is gave the parcel that was taken last. One that
// gave nothing keeps its turn: its first parcel may be too big for what was left of a batch.
func (q *queue) pass(last *parcel) {
	if last != nil && len(q.turns) > 1 && q.turns[0].key == (bundleKey{last.kind, last.Shard}) {
		q.turns = append(q.turns[1:], q.turns[0])
	}
}

// end forgets a bundle that is empty.
func (q *queue) end(b *bundle) {
	delete(q.bundles, b.key)
	at := slices.Index(q.turns, b) // most often it was its turn
	q.turns = slices.Delete(q.turns, at, at+1)
}
