package actors

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// This file is how actors are found that wait for each other, so that none of them waits for its deadline.
//
// A question waits for others while a held mailbox keeps its message: for those that hold it. And while a handler has
// it: for those that the handler has asked. A circle of such waits is closed when a message comes to a held mailbox. So
// the actor sends probes along its questions then. Whoever gets a probe passes it on along the questions for which the
// last one of its path waits; it collects the path. Once the path bites itself, a second round goes along it. What is
// open in both rounds was so at the end of the first: all at once, so the circle is no mirage. The second round begins
// and ends at the newest question, whose asker is told CYCLE. Two probes that find one circle agree on whom to tell.
//
// A circle is never invented, but may be missed: one of more than MaxHops questions, or through a question to any of a
// kind, or whose probe was lost with a node. Deadlines end those.

const (
	searchEvery  = 100 * time.Millisecond // between two probes that begin with one question
	searchWithin = time.Second            // how long a probe may be on its way to an actor
	maxSearchers = 256                    // questions whose probes go along one question; others end there
)

// searches is what an entity remembers of its probes.
type searches struct {
	noticed   atomic.Bool // it will look for a cycle soon, because a question came
	searching bool        // it will look again, when the next probe may leave
}

// A search is what one question remembers of probes.
type search struct {
	last   time.Time
	rounds uint64            // probes that began with it
	passed map[uint64]uint64 // the newest round that went along it, of each question with which probes began
}

// A wait is an open question.
type wait struct {
	Who      Ref    `json:"who"` // whose it is
	Question uint64 `json:"question"`
	At       int64  `json:"at"` // Unix nanoseconds when it was asked
}

// isNewer gives the questions of a cycle an order that all its actors agree on.
func (a wait) isNewer(b wait) bool {
	switch {
	case a.At != b.At:
		return a.At > b.At
	case a.Who != b.Who:
		return compareRefs(a.Who, b.Who) > 0
	}
	return a.Question > b.Question
}

// A cycleProbe goes along questions, each of which waits for the next.
type cycleProbe struct {
	Path  []wait `json:"path"`
	Round uint64 `json:"round,omitempty"` // of the probes that begin with the first question
	Sure  int    `json:"sure,omitempty"`  // steps of a circle that the second round has come to; 0: it is the first
}

// notice has an entity look for a cycle, because a question has come to its mailbox while it is held.
func (p *process) notice() {
	n, ok := p.body.(*entity)
	if ok && n.noticed.CompareAndSwap(false, true) {
		p.post(func() {
			n.noticed.Store(false)
			n.searchNow((*question).holds)
		})
	}
}

func (q *question) holds() bool { return !q.meanwhile }

// wasSearched reports whether a probe has gone along the question.
func (q *question) wasSearched() bool { return q.search.rounds > 0 || len(q.search.passed) > 0 }

// searchOn looks again after one of several questions is over: a probe may have gone another one's way only.
func (n *entity) searchOn() {
	for _, q := range n.asked {
		if q.wasSearched() {
			n.searchNow((*question).wasSearched)
			return
		}
	}
}

// searchNow sends probes along questions. One along which a probe has left just now has to wait.
func (n *entity) searchNow(along func(*question) bool) {
	now, again := n.sys.o.Clock.Now(), time.Duration(0)
	for _, id := range sortedKeys(n.asked) {
		q := n.asked[id]
		if !along(q) || !n.leads(q) {
			continue
		}
		s := &q.search
		if early := s.last.Add(searchEvery).Sub(now); s.rounds > 0 && early > 0 {
			again = max(again, early)
			continue
		}
		s.last = now
		s.rounds++
		n.pass(&cycleProbe{Round: s.rounds}, q)
	}
	if again > 0 && !n.searching {
		n.searching = true
		n.sys.o.Clock.AfterFunc(again, func() {
			n.post(func() {
				n.searching = false
				n.searchNow((*question).wasSearched)
			})
		})
	}
}

// leads reports whether a question goes to an actor that may wait in its turn. Of a question to any of a kind nobody
// here knows who has it.
func (n *entity) leads(q *question) bool {
	k := n.sys.kinds[q.to.Kind]
	return q.work == nil && k != nil && k.Receiver == nil && q.to.ID != ""
}

// pass sends a probe along a question of this entity.
func (n *entity) pass(m *cycleProbe, q *question) {
	path := append(slices.Clone(m.Path), wait{n.ref, q.id, q.envelope.At})
	passed := &q.search.passed
	if *passed == nil {
		*passed = map[uint64]uint64{}
	}
	first := path[0].Question
	if round, known := (*passed)[first]; round >= m.Round || !known && len(*passed) >= maxSearchers {
		return
	}
	(*passed)[first] = m.Round
	n.sendProbe(q.to, &cycleProbe{Path: path, Round: m.Round})
}

// sendProbe sends past the Trace: what comes of probes is an answer, and only that is an input.
func (n *entity) sendProbe(to Ref, m *cycleProbe) {
	n.sys.probes.Add(1)
	e := RuntimeMessage(n.ref, to, m)
	e.Deadline = n.sys.o.Clock.Now().Add(searchWithin).UnixNano()
	n.sys.Route(e)
}

// probe hands a probe to its actor, before the messages that wait there. It brings no actor up: one that is not here
// does not wait.
func (s *System) probe(e *Envelope) {
	k := s.kinds[e.To.Kind]
	m, err := ReadRuntimeMessage(e)
	if err != nil || k == nil {
		s.unhandled(e)
		return
	}
	ref := s.resolve(e, k)
	st := s.stripe(ref)
	st.mu.Lock()
	p := st.processes[ref]
	st.mu.Unlock()
	if p == nil {
		return
	}
	if n, ok := p.body.(*entity); ok {
		p.post(func() { n.probed(m.(*cycleProbe)) })
	}
}

// probed passes a probe on, and notices when its path has become a circle.
func (n *entity) probed(m *cycleProbe) {
	switch steps := len(m.Path); {
	case steps == 0 || m.Sure < 0 || m.Sure > steps:
	case m.Sure > 0:
		n.confirm(m)
	default:
		for _, q := range n.waitsOf(m.Path[steps-1]) {
			at := slices.IndexFunc(m.Path, func(w wait) bool { return w.Who == n.ref && w.Question == q.id })
			switch {
			case at >= 0:
				n.suspect(m.Path[at:])
			case steps < MaxHops && n.leads(q):
				n.pass(m, q)
			}
		}
	}
}

// waitsOf are the questions of this entity for which a question to it waits, in order.
func (n *entity) waitsOf(w wait) (waits []*question) {
	isKept := n.waiting > 0 && n.box.keeps(w.Who, w.Question)
	for _, id := range sortedKeys(n.asked) {
		q := n.asked[id]
		handled := q.request != nil && !q.request.settled && q.request.envelope.isQuestion() &&
			q.request.envelope.From == w.Who && q.request.envelope.Request == w.Question
		if handled || isKept && q.holds() {
			waits = append(waits, q)
		}
	}
	return waits
}

// suspect begins the second round of a circle with its newest question.
func (n *entity) suspect(circle []wait) {
	first := 0
	for i, w := range circle {
		if w.isNewer(circle[first]) {
			first = i
		}
	}
	path := slices.Concat(circle[first:], circle[:first])
	n.sendProbe(path[1%len(path)].Who, &cycleProbe{Path: path, Sure: 1})
}

// confirm checks one step of a circle again. When all have stood, it is at the newest question, which is answered.
func (n *entity) confirm(m *cycleProbe) {
	steps := len(m.Path)
	mine := m.Path[m.Sure%steps].Question
	stands := slices.ContainsFunc(n.waitsOf(m.Path[m.Sure-1]), func(q *question) bool { return q.id == mine })
	switch {
	case !stands:
	case m.Sure < steps:
		n.sendProbe(m.Path[(m.Sure+1)%steps].Who, &cycleProbe{Path: m.Path, Sure: m.Sure + 1})
	default:
		n.breaks(m.Path)
	}
}

// breaks answers the first question of a circle, which is this entity's own.
func (n *entity) breaks(circle []wait) {
	var path strings.Builder
	for _, w := range circle {
		path.WriteString(w.Who.String() + " -> ")
	}
	path.WriteString(n.ref.String())
	n.sys.cycles.Add(1)
	n.sys.o.Log.Warn("actors wait for each other", "path", path.String())
	n.answered(circle[0].Question, outcome{err: Cycle.Refuse("%s", path.String())})
}
