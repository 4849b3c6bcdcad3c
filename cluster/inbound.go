package cluster

import (
	"sync"
	"sync/atomic"
)

// inbound is the receiving half of a stream: it lets every batch through once, in order.
type inbound struct {
	mu        sync.Mutex               // held while a batch is delivered: the next one waits
	place     atomic.Pointer[position] // how far the stream has come; written under mu, read by anyone
	delivered atomic.Uint64            // the newest batch whose items were all handed on; never ahead of place
	book      ledger                   // the batches whose envelopes are not all settled
	owed      atomic.Int64             // bytes let through since the sender last heard from us
	gap       atomic.Bool              // something behind a gap was dropped, and the sender may not know
	doubled   atomic.Uint64            // batches dropped because they had come before
	early     atomic.Uint64            // batches dropped because one before them was missing
}

// position is a place in a stream: everything up to arrived has been let through, and up to settled it is where it was
// to go.
type position struct{ stream, arrived, settled uint64 }

func (i *inbound) position() position {
	p := i.place.Load()
	if p == nil {
		return position{}
	}
	at := *p
	at.settled = min(i.book.settled(i.delivered.Load()), at.arrived)
	return at
}

// admit says whether the batch is the next one. The caller holds mu, and says with let that it was delivered.
func (i *inbound) admit(h *batch) bool {
	var at position
	if p := i.place.Load(); p != nil {
		at = *p
	}
	switch {
	case h.stream > at.stream:
		at = position{stream: h.stream}
		i.delivered.Store(0)
		i.book.begin()
		i.place.Store(&at)
		i.gap.Store(false)
	case h.stream < at.stream:
		i.doubled.Add(1)
		return false
	}
	switch {
	case h.seq == 0:
		return false
	case h.seq <= at.arrived:
		i.doubled.Add(1)
		i.owed.Add(1) // the sender does not seem to know
		return false
	case h.seq > at.arrived+1:
		i.early.Add(1)
		i.gap.Store(true)
		return false
	}
	i.place.Store(&position{stream: h.stream, arrived: h.seq})
	i.gap.Store(false)
	i.owed.Add(int64(len(h.items)))
	return true
}
