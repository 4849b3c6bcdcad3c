package cluster

import (
	"slices"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// Bounds of one link. A batch that is full is sealed and the next one begun; an envelope above batchSize gets a
// batch of its own.
const (
	batchSize    = 256 << 10              // bytes
	maxEnvelope  = 12 << 20               // bytes; above it TOO_BIG
	resendFirst  = time.Second            // without any progress
	resendLast   = 8 * time.Second        // the longest pause between two repetitions
	repeatAtMost = 100 * time.Millisecond // how often a gap may make us send again
)

// outbound is the sending half of a stream: items become batches, batches are kept until they are acknowledged. What
// was passed on for others is remembered until it is settled, which may be later.
//
// Everything between unsent and acknowledged stands in queue, in order. A cursor says how much of it was handed to the
// carrier; to send again is to put the cursor back.
type outbound struct {
	mu       sync.Mutex
	head     batch  // what all headers have in common
	open     []byte // the batch that envelopes are appended to; empty if there is none
	queue    []sealed
	cursor   int // queue[cursor:] was not handed over
	seq      uint64
	bytes    int // of open and queue together
	limit    int
	flushing bool          // a flush is under way or scheduled
	pause    time.Duration // until the next repetition without progress
	progress time.Time     // when something was last acknowledged, or sent after idleness, or sent again
	rewound  time.Time     // when it was last sent again
	oneWay   int           // envelopes in open and queue together that nobody would miss an answer to
	inOpen   int           // of them in open
	resent   uint64
	settled  uint64            // how far the peer has settled the stream
	passed   map[uint64]passed // envelopes passed on and not confirmed, by the numbers they were given
	passes   uint64            // the newest such number
	news     []news            // that is not settled, in the order in which it was sent
}

// passed is an envelope that this node passed on for somebody else.
type passed struct {
	receipt *receipt
	stub    *actors.Envelope // of a request or of news: without its body; else nil
}

// sealed is a batch that got its place in the stream. Its bytes never change again: the carrier may still be reading
// them when they are sent a second time.
type sealed struct {
	seq    uint64
	bytes  []byte
	oneWay int
}

// append adds an item, or says that there is no room. The caller holds mu.
func (o *outbound) append(i *item) bool {
	if o.bytes >= o.limit {
		return false
	}
	o.add(i)
	return true
}

// add adds an item whatever room there is. The caller holds mu.
func (o *outbound) add(i *item) {
	if len(o.open) == 0 {
		o.open = o.head.appendHead(make([]byte, 0, 4<<10))
		o.bytes += len(o.open)
	}
	before := len(o.open)
	o.open = i.append(o.open)
	o.bytes += len(o.open) - before
	if i.e != nil && !isRequest(i.e) {
		o.oneWay++
		o.inOpen++
	}
}

// next is the seq of the batch that is added to. The caller holds mu.
func (o *outbound) next() uint64 { return o.seq + 1 }

// full reports whether the open batch must be sealed before anything is added. The caller holds mu.
func (o *outbound) full() bool { return len(o.open) >= batchSize }

// seal gives the open batch its place. The caller holds mu.
func (o *outbound) seal(at position, now time.Time) {
	if len(o.open) == 0 {
		return
	}
	if len(o.queue) == 0 {
		o.progress, o.pause = now, resendFirst
	}
	o.seq++
	stamp(o.open, o.seq, at)
	o.queue = append(o.queue, sealed{seq: o.seq, bytes: o.open, oneWay: o.inOpen})
	o.open, o.inOpen = nil, 0
}

// take returns what is to be handed to the carrier now. The caller holds mu.
func (o *outbound) take() []sealed {
	due := slices.Clone(o.queue[o.cursor:])
	o.cursor = len(o.queue)
	return due
}

// acknowledge drops what has arrived. Numbers that were never sent are ignored. The caller holds mu.
func (o *outbound) acknowledge(ack uint64, now time.Time) {
	n := 0
	for n < len(o.queue) && o.queue[n].seq <= ack && ack <= o.seq {
		o.bytes -= len(o.queue[n].bytes)
		o.oneWay -= o.queue[n].oneWay
		n++
	}
	if n == 0 {
		return
	}
	clear(o.queue[:n]) // lets go of the bytes
	o.queue = o.queue[n:]
	o.cursor = max(o.cursor-n, 0)
	o.progress, o.pause = now, resendFirst
}

// settle notes how far the peer has settled the stream, and reports whether that is further than before. Numbers that
// were never sent are ignored. The caller holds mu.
func (o *outbound) settle(upTo uint64) bool {
	if upTo <= o.settled || upTo > o.seq {
		return false
	}
	o.settled = upTo
	n := 0
	for n < len(o.news) && o.news[n].seq <= upTo {
		n++
	}
	if o.news = o.news[n:]; len(o.news) == 0 {
		o.news = nil
	}
	return true
}

// rewind makes everything unacknowledged due again. The caller holds mu.
func (o *outbound) rewind(now time.Time) {
	o.resent += uint64(o.cursor)
	o.cursor, o.progress, o.rewound = 0, now, now
}

// overdue reports whether nothing has been acknowledged for so long that it is time to send again, and makes the next
// time later. The caller holds mu.
func (o *outbound) overdue(now time.Time) bool {
	if o.cursor == 0 || now.Sub(o.progress) < o.pause {
		return false
	}
	o.pause = min(2*o.pause, resendLast)
	return true
}

// drop throws everything away and says how many envelopes that nobody will answer were among it. What is sent after it
// is another stream, which has no gap. The caller holds mu.
func (o *outbound) drop() int {
	n := o.oneWay
	o.head.stream++
	o.seq, o.settled, o.news = 0, 0, nil
	o.open, o.queue, o.cursor, o.bytes, o.oneWay, o.inOpen = nil, nil, 0, 0, 0, 0
	return n
}
