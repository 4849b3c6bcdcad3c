package cluster

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// How a link behaves in time.
const (
	pingEvery = 500 * time.Millisecond // also how often links are looked after
	silence   = 2 * time.Second        // nothing heard for so long: the peer is down
	stuck     = 3 * time.Second        // and for so long: the connection is given up
	ackWithin = 20 * time.Millisecond  // an acknowledgement waits so long for a batch to travel with
	ackBytes  = 256 << 10              // or until so much is owed
	yields    = 2                      // a flush lets others run so often, so that it finds more to gather
)

// A peer is another process of the cluster, and the ordered stream to and from it. It belongs to one incarnation of
// each side; another life of the same node is another peer.
type peer struct {
	member Member
	c      *Cluster
	out    outbound
	in     inbound
	asked  questions     // guarded by out.mu
	heard  atomic.Int64  // nanoseconds of the cluster's time when a batch last came
	down   atomic.Bool   // nothing came for a while, or nobody waits for it any more
	tired  atomic.Bool   // it stands in no view for so long that nobody waits for it
	left   atomic.Bool   // it has said that nothing will come any more
	talks  atomic.Bool   // a ping is under way or scheduled
	asks   atomic.Bool   // the next ping asks for one in return
	owing  atomic.Bool   // an acknowledgement is scheduled
	gone   time.Time     // since when it stands in no view; zero while it does. Guarded by the cluster's turn
	reset  time.Time     // when its connection was last given up. Guarded by the cluster's turn
	missed atomic.Uint64 // one-way envelopes that were not sent or not confirmed
}

func newPeer(c *Cluster, m Member, now time.Time) *peer {
	p := &peer{member: m, c: c}
	p.out.limit = c.o.Outbound
	p.in.book.news = p.ping // whoever moves something waits for it
	p.out.head = batch{from: c.self.Incarnation, to: m.Incarnation, stream: uint64(now.UnixNano()),
		name: c.self.Name}
	p.heard.Store(c.elapsed(now))
	return p
}

// fate is what became of an envelope that was to be sent.
type fate uint8

const (
	sent    fate = iota
	stale        // the cluster has changed: look the owner up again
	full         // no room
	silent       // nobody waits for an answer from somebody who says nothing
	astray       // the tenure it is for is forgotten
	foreign      // the tenure it is for is another's
	late         // it was passed on to a tenure that has handled what was sent after it
)

// send appends an envelope to the stream, if seen is still how the cluster looks: looking the owner up and appending
// are one step, so that a change of owners divides each stream into a before and an after.
func (p *peer) send(e *actors.Envelope, seen *picture) fate {
	request := isRequest(e)
	p.out.mu.Lock()
	if p.c.picture.Load() != seen {
		p.out.mu.Unlock()
		return stale
	}
	if request && p.down.Load() {
		p.out.mu.Unlock()
		return silent
	}
	if request && len(p.asked.open) >= p.c.o.Questions {
		p.out.mu.Unlock()
		return full
	}
	if p.out.full() {
		p.sealOpen()
	}
	if i := (&item{tag: tagEnvelope, e: e}); e.Binds() {
		p.out.add(i)
	} else if !p.out.append(i) {
		p.out.mu.Unlock()
		return full
	}
	switch {
	case request:
		p.asked.add(e, p.out.next(), p.c.o.Clock.Now())
	case isNews(e):
		p.out.news = append(p.out.news, news{p.out.next(), e.From, e.To})
	}
	p.wake(p.gather)
	return sent
}

// wake unlocks out.mu and lets what was added leave, by gather or flush.
func (p *peer) wake(by func()) {
	asleep := !p.out.flushing
	p.out.flushing = true
	p.out.mu.Unlock()
	if asleep {
		p.c.o.Scheduler.Run(by)
	}
}

// sealOpen gives the open batch its place in the stream. The caller holds out.mu.
func (p *peer) sealOpen() {
	p.out.seal(p.in.position(), p.c.o.Clock.Now())
	p.in.owed.Store(0)
}

// gather lets the goroutines that are ready append first, and then flushes. It never waits for more.
func (p *peer) gather() {
	for range yields {
		runtime.Gosched()
	}
	p.flush()
}

// flush hands everything that is due to the carrier, in order. There is one flush of a peer at a time.
func (p *peer) flush() {
	for {
		p.out.mu.Lock()
		p.sealOpen()
		due := p.out.take()
		if len(due) == 0 {
			p.out.flushing = false
			p.out.mu.Unlock()
			return
		}
		p.out.mu.Unlock()
		for _, b := range due {
			p.c.carry(p.member.Link, b.bytes)
		}
	}
}

// again makes everything unacknowledged due. It never blocks.
func (p *peer) again() {
	p.out.mu.Lock()
	p.out.rewind(p.c.o.Clock.Now())
	p.wake(p.flush)
}

// ping tells the peer that this node lives and how far it has received. It never blocks.
func (p *peer) ping() {
	if p.talks.Swap(true) {
		return
	}
	p.c.o.Scheduler.Run(func() {
		p.talks.Store(false)
		p.in.owed.Store(0)
		p.out.mu.Lock()
		h := p.out.head
		p.out.mu.Unlock()
		at := p.in.position()
		h.ackStream, h.ack, h.settled, h.gap = at.stream, at.arrived, at.settled, p.in.gap.Load()
		h.ask = p.asks.Swap(false)
		p.c.carry(p.member.Link, h.appendHead(make([]byte, 0, headSize+len(h.name))))
	})
}

// receive takes a batch from the peer. An error means that it is malformed.
func (p *peer) receive(h *batch) error {
	now := p.c.o.Clock.Now()
	p.heard.Store(p.c.elapsed(now))
	if !p.tired.Load() {
		p.down.Store(false) // what was not acknowledged is overdue, and is sent again at the next look
	}
	p.acknowledged(h, now)
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	gap := p.in.gap.Load()
	if p.in.admit(h) {
		if err := p.deliver(h); err != nil {
			return err
		}
		p.in.delivered.Store(h.seq)
	}
	switch {
	case p.in.gap.Load() && !gap, p.in.owed.Load() >= ackBytes, h.ask:
		p.ping()
	case p.in.owed.Load() > 0:
		p.owe()
	}
	return nil
}

// acknowledged takes note of what the peer says it has, and what of it is settled.
func (p *peer) acknowledged(h *batch, now time.Time) {
	if p.note(h, now) {
		p.c.settling()
	}
}

// note reports whether more is settled than before.
func (p *peer) note(h *batch, now time.Time) (further bool) {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	switch h.ackStream {
	case p.out.head.stream:
		p.out.acknowledge(h.ack, now)
		further = p.out.settle(h.settled)
	case 0: // it has taken nothing yet: it may not have known me when I began
		h.gap = true
	default:
		return false
	}
	if h.gap && p.out.cursor > 0 && now.Sub(p.out.rewound) >= repeatAtMost {
		p.out.rewind(now)
		if !p.out.flushing {
			p.out.flushing = true
			p.c.o.Scheduler.Run(p.flush)
		}
	}
	return further
}

// deliver hands the items of a batch on, one after another.
func (p *peer) deliver(h *batch) error {
	from := origin{member: p.member.Incarnation, book: &p.in.book, seq: h.seq}
	for b := h.items; len(b) > 0; {
		i, rest, err := readItem(b)
		if err != nil {
			return fmt.Errorf("%w from %s: %w", errMalformed, p.member.Name, err)
		}
		if i.e != nil && i.e.Type != actors.Message {
			p.c.answered(p, i.e)
		}
		switch i.tag {
		case tagPassed:
			passed := origin{member: p.member.Incarnation, passer: p, number: i.number}
			if p.c.arrive(&i, &passed); passed.receipt == nil {
				p.add(&item{tag: tagDone, number: i.number})
			}
		case tagDone:
			p.confirmed(i.number)
		case tagLeft:
			p.left.Store(true)
			p.ping() // it waits for that
		default:
			p.c.arrive(&i, &from)
		}
		b = rest
	}
	return nil
}

// owe sends an acknowledgement soon, if by then none has travelled with a batch.
func (p *peer) owe() {
	if p.owing.Swap(true) {
		return
	}
	p.c.o.Clock.AfterFunc(ackWithin, func() {
		p.owing.Store(false)
		if p.in.owed.Load() > 0 && !p.c.closed.Load() {
			p.ping()
		}
	})
}

// listen notices silence, and returns how long it has lasted.
func (p *peer) listen(now time.Time) time.Duration {
	quiet := time.Duration(p.c.elapsed(now) - p.heard.Load())
	if quiet >= silence && !p.down.Swap(true) && p.gone.IsZero() {
		p.c.o.Log.Warn("peer is silent", "peer", p.member.Name, "for", quiet)
	}
	return quiet
}

// tend is called every pingEvery: it notices silence, sends again what got lost, and pings.
func (p *peer) tend(now time.Time) {
	quiet := p.listen(now)
	if quiet >= stuck && now.Sub(p.reset) >= stuck {
		p.reset = now
		p.c.o.Carrier.Disconnect(p.member.Link)
		p.c.o.Carrier.Connect(p.member.Link)
	}
	p.out.mu.Lock()
	p.asked.expire(now, p.c.o.Questions/2)
	overdue := !p.down.Load() && p.out.overdue(now)
	p.out.mu.Unlock()
	if overdue {
		p.again()
	}
	p.ping()
}

// absent looks after a peer without a record. It may have left: then nobody waits for what it might still send. What is
// to go to it is thrown away now and then. How far its own stream has come stays known for as long as nobody else has
// its name: should it come back after all, it goes on from there. It reports whether nobody waits for that from now on.
func (p *peer) absent(now time.Time) (tired bool) {
	p.listen(now)
	if now.Sub(p.gone) < absentFor {
		return false
	}
	p.gone = now
	tired = !p.tired.Swap(true)
	p.down.Store(true)
	p.forget()
	return tired
}

// present notes that a peer has a record. The caller holds the turn.
func (p *peer) present() {
	p.gone = time.Time{}
	p.tired.Store(false)
}

// forget throws away what was not acknowledged: nobody believes any more that the incarnation will come back.
func (p *peer) forget() {
	p.leave()
	p.out.mu.Lock()
	lost := p.out.drop()
	p.out.mu.Unlock()
	p.missed.Add(uint64(lost))
	p.c.lost.Add(uint64(lost))
}
