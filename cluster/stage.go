package cluster

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// How states travel.
const (
	chunkSize = 128 << 10            // bytes of a chunk
	shipPause = 5 * time.Millisecond // until it is looked whether the link has room again
)

// A stage is a shard's state that came from another node and waits for the transaction that makes this one its owner.
// The tenancy guards it.
type stage struct {
	passage
	source  uint64
	total   uint64
	size    int    // bytes of it that came
	state   []byte // until it was prepared
	chain   []uint64
	luggage []kept
	arrival Arrival // once it was prepared
}

// ship sends as much of a state as the link takes now.
func (n *tenancy) ship(m *move) {
	p := n.c.picture.Load().known[m.target.Incarnation]
	for {
		n.mu.Lock()
		if n.moves[m.of] != m || m.step != staging || m.sent >= len(m.state) || p == nil {
			n.mu.Unlock()
			return // if the target is gone, the record will say so
		}
		end := min(m.sent+chunkSize, len(m.state))
		c := &chunk{passage: m.passage, total: uint64(len(m.state)), offset: uint64(m.sent), bytes: m.state[m.sent:end]}
		if !p.load(&item{tag: tagChunk, chunk: c}) {
			n.mu.Unlock()
			n.c.o.Clock.AfterFunc(shipPause, func() { n.ship(m) })
			return
		}
		m.sent = end
		n.mu.Unlock()
	}
}

// load adds a chunk to the stream, while half of its room is left for envelopes.
func (p *peer) load(i *item) bool {
	p.out.mu.Lock()
	if p.out.bytes >= p.out.limit/2 {
		p.out.mu.Unlock()
		return false
	}
	if p.out.full() {
		p.sealOpen()
	}
	p.out.add(i)
	p.wake(p.flush)
	return true
}

// chunk takes a piece of a state.
func (n *tenancy) chunk(c *chunk, from uint64) {
	to := c.of
	to.Epoch++
	n.mu.Lock()
	s, refusal := n.stageFor(to, c, from)
	whole := false
	if s != nil && c.offset == uint64(s.size) && c.offset+uint64(len(c.bytes)) <= s.total {
		s.state = append(s.state, c.bytes...)
		s.size += len(c.bytes)
		n.staged += len(c.bytes)
		whole = uint64(s.size) == s.total && len(c.bytes) > 0 // and has just become so
	}
	n.mu.Unlock()
	if refusal != "" {
		n.answer(c.passage, from, refusal)
	}
	if whole {
		n.c.o.Scheduler.Run(func() { n.prepare(to, s) })
	}
}

// stageFor finds what a chunk belongs to, or begins it with the first. The caller holds mu.
func (n *tenancy) stageFor(to actors.Tenure, c *chunk, from uint64) (s *stage, refusal string) {
	s = n.stages[to]
	if s != nil && s.source == from && s.attempt == c.attempt {
		if c.total > 0 {
			return s, ""
		}
		n.unstage(to)
		return nil, ""
	}
	switch {
	case c.total == 0 || c.offset != 0:
		return nil, "" // of an attempt that is over
	case n.c.mover == nil:
		return nil, "actors cannot be moved to this node"
	case n.stays:
		return nil, "the node stops"
	case n.drains:
		return nil, "the node is draining"
	}
	if s != nil {
		n.unstage(to)
	}
	if others := n.promised(); others+min(c.total, 1<<40) > uint64(n.c.o.Staged) {
		return nil, fmt.Sprintf("%d bytes are more than there is room for beside %d of others", c.total, others)
	}
	s = &stage{passage: c.passage, source: from, total: c.total}
	n.stages[to] = s
	return s, ""
}

// promised is how many bytes the states that have begun to come will have. The caller holds mu.
func (n *tenancy) promised() (bytes uint64) {
	for _, s := range n.stages {
		bytes += s.total
	}
	return bytes
}

// unstage forgets a state. The caller holds mu.
func (n *tenancy) unstage(to actors.Tenure) {
	s := n.stages[to]
	delete(n.stages, to)
	n.staged -= s.size
	if s.arrival != nil {
		n.c.o.Scheduler.Run(s.arrival.Drop)
	}
}

// prepare makes actors of a state, and tells the source what came of it.
func (n *tenancy) prepare(to actors.Tenure, s *stage) {
	chain, luggage, state, err := readLuggage(s.state)
	var arrival Arrival
	if err == nil {
		arrival, err = n.c.mover.Prepare(to, state)
	}
	n.mu.Lock()
	if n.stages[to] != s {
		n.mu.Unlock()
		if err == nil {
			arrival.Drop()
		}
		return
	}
	refusal := ""
	if err != nil {
		refusal = err.Error()
		n.unstage(to)
	} else {
		s.arrival, s.chain, s.luggage, s.state = arrival, chain, luggage, nil
	}
	n.mu.Unlock()
	n.answer(s.passage, s.source, refusal)
}

// answer tells a source what became of its state.
func (n *tenancy) answer(of passage, source uint64, refusal string) {
	if p := n.c.picture.Load().known[source]; p != nil {
		p.add(&item{tag: tagVerdict, verdict: &verdict{passage: of, refusal: refusal}})
	}
}

// judged hears what the target says of a state.
func (n *tenancy) judged(v *verdict, from uint64) {
	n.mu.Lock()
	m := n.moves[v.of]
	if m == nil || m.passage != v.passage || m.step != staging || m.target.Incarnation != from {
		n.mu.Unlock()
		return
	}
	if v.refusal == "" {
		m.step = prepared
	}
	n.mu.Unlock()
	if v.refusal != "" {
		n.off(m, fmt.Errorf("cluster: %s refused the state: %s", m.target.Name, v.refusal))
		return
	}
	n.c.o.Clock.AfterFunc(commitFor, func() { n.late(m, prepared, errUnwritten) })
	n.c.o.Scheduler.Run(func() { n.commit(m.of.Role) })
}

// clear drops the states whose transaction cannot come any more: the intent is gone, or another is the owner. Who
// becomes the owner now takes its state in start. The caller holds the turn.
func (n *tenancy) clear(view *View) {
	n.mu.Lock()
	defer n.mu.Unlock()
	me := n.c.self.Incarnation
	for _, to := range slices.SortedFunc(maps.Keys(n.stages), compareTenures) {
		a, s := view.Roles[to.Role], n.stages[to]
		o := view.Owner(to.Role, to.Shard)
		if a == nil || o.Epoch < to.Epoch-1 {
			continue // my picture is older than the intent
		}
		i := a.intent(to.Shard)
		waits := o.Epoch == to.Epoch-1 && (a.Revision < s.intent || i != nil && i.At == s.intent && i.Incarnation == me)
		arrives := o.Epoch == to.Epoch && o.Incarnation == me && o.From == s.source
		if !waits && !arrives {
			n.unstage(to)
		}
	}
}

// appendLuggage writes what goes before the state: the chain, and what has come for the actors since they came to rest.
func appendLuggage(b []byte, chain []uint64, queue []kept) []byte {
	b = appendNumbers(b, uint64(len(chain)))
	b = appendNumbers(b, chain...)
	b = appendNumbers(b, uint64(len(queue)))
	for _, k := range queue {
		i := item{tag: tagPassed, e: k.e}
		if k.marker != nil {
			i = item{tag: tagPassedEnd, marker: k.marker}
		}
		b = i.append(b)
	}
	return b
}

// readLuggage reads what appendLuggage wrote, and returns the state behind it.
func readLuggage(b []byte) (chain []uint64, queue []kept, state []byte, err error) {
	r := cursorOf(b)
	for range min(r.Uvarint(), uint64(len(b))) {
		chain = append(chain, r.Uvarint())
	}
	items := r.Uvarint()
	for range min(items, uint64(len(b))) {
		i, rest, err := readItem(r.B)
		if err != nil || i.e == nil && i.marker == nil {
			return nil, nil, nil, errMalformed
		}
		queue = append(queue, kept{e: i.e, marker: i.marker})
		r.B = rest
	}
	if r.Torn {
		return nil, nil, nil, errMalformed
	}
	return chain, queue, r.B, nil
}
