package cluster

import (
	"slices"
	"sync"
	"sync/atomic"
)

// A ledger knows which of a sequence of batches are not settled: envelopes of theirs wait here, or were passed on and
// are not settled there. A batch that stands in no ledger is settled as soon as it was delivered, so that the ordinary
// envelope costs nothing.
type ledger struct {
	count atomic.Int32 // of open, for those who look in passing
	mu    sync.Mutex
	open  []*receipt // by seq
	last  uint64     // the newest seq given by keep, where the ledger itself gives them
	news  func()     // called after the oldest has settled; never under mu
}

// A receipt is one batch that is not settled. Each kept envelope of it is to be settled once. What somebody else passed
// on stands in no batch's account: it is confirmed to that one by its number. (Accounts are settled in order; if what
// was passed on were in them, two nodes that pass on to each other could wait for each other for ever.)
type receipt struct {
	book   *ledger
	seq    uint64
	kept   int // guarded by book.mu
	passer *peer
	number uint64 // to confirm to the passer
}

// keep opens a receipt under the next number of the ledger's own: for what no batch brought.
func (l *ledger) keep() *receipt {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	r := &receipt{book: l, seq: l.last, kept: 1}
	l.open = append(l.open, r)
	l.count.Add(1)
	return r
}

// begin lets what is open come before all of another stream, whose numbers begin anew.
func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.open {
		r.seq = 1
	}
}

// newest is the number that was given last.
func (l *ledger) newest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// settled reports how far everything is settled, of what ends at last.
func (l *ledger) settled(last uint64) uint64 {
	if l.count.Load() == 0 {
		return last
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) > 0 && l.open[0].seq <= last {
		return l.open[0].seq - 1
	}
	return last
}

// settle says that one kept envelope has arrived where it was to, or never will. A nil receipt is nobody's.
func (r *receipt) settle() {
	if r == nil {
		return
	}
	if r.passer != nil {
		r.passer.add(&item{tag: tagDone, number: r.number})
		return
	}
	l := r.book
	l.mu.Lock()
	r.kept--
	first := false
	if r.kept == 0 {
		i := slices.Index(l.open, r)
		l.open = slices.Delete(l.open, i, i+1)
		l.count.Add(-1)
		first = i == 0
	}
	l.mu.Unlock()
	if first && l.news != nil {
		l.news()
	}
}

func settleAll(all []*receipt) {
	for _, r := range all {
		r.settle()
	}
}

// An origin is where an envelope came from, while it is being delivered: a batch of a peer's, or, with a book that
// gives its own numbers, this node itself.
type origin struct {
	member  uint64 // who sent it
	book    *ledger
	seq     uint64   // 0: the book gives one
	receipt *receipt // of the batch, once something of it was kept
	passer  *peer    // who passed the envelope on; nil: nobody
	number  uint64   // under which
}

// keep notes that the envelope is not settled yet. It is settled by the receipt. The batch is being delivered, so that
// none later stands in the book.
func (o *origin) keep() *receipt {
	if o.passer != nil {
		o.receipt = &receipt{passer: o.passer, number: o.number}
		return o.receipt
	}
	if o.seq == 0 {
		return o.book.keep()
	}
	o.book.mu.Lock()
	defer o.book.mu.Unlock()
	if o.receipt == nil {
		o.receipt = &receipt{book: o.book, seq: o.seq}
	}
	if o.receipt.kept++; o.receipt.kept == 1 {
		o.book.open = append(o.book.open, o.receipt)
		o.book.count.Add(1)
	}
	return o.receipt
}
