package actors

import (
	"slices"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// The lanes of a mailbox, first served first. A waiting actor holds its user lane; control always passes.
const (
	laneSystem  = iota // protoactor's own
	laneControl        // answers, outcomes of commits, the runtime's orders: functions run as part of the actor
	laneUser           // messages and timers
	lanes
)

// turnsPerRun is how many items a mailbox handles before it lets the next one have the processor.
const turnsPerRun = 256

// A mailbox is bounded in its user lane and never blocks a sender: at the bound, post says no. protoactor's own
// mailboxes either grow without bound or block whoever sends, which is the link's reader.
type mailbox struct {
	mu         sync.Mutex
	lane       [lanes]queue
	bound      int
	held       bool // the user lane waits
	suspended  bool // protoactor's wish after a failure of the runtime's own
	frozen     bool // the actor is at rest, and may go on elsewhere: nothing of it runs
	closed     bool // the actor has ended: nothing of it runs any more
	running    bool // run is scheduled or under way; this is the one race: set and cleared under mu only
	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher
}

func newMailbox(bound int) *mailbox { return &mailbox{bound: bound} }

// post appends to a lane; false means that the user lane is at its bound, or closed, and nothing was kept.
func (m *mailbox) post(lane int, item any) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed && lane != laneSystem || lane == laneUser && m.lane[laneUser].len() >= m.bound {
		return false
	}
	m.lane[lane].push(item)
	m.wake()
	return true
}

// tick appends to the user lane whatever its bound: a timer, which waits there at most once, or what was promised.
func (m *mailbox) tick(item any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.lane[laneUser].push(item)
	m.wake()
}

// putBack makes items the first of the user lane again, in their order and whatever its bound.
func (m *mailbox) putBack(items ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.lane[laneUser] = queue{items: append(slices.Clone(items), m.lane[laneUser].rest()...)}
	m.wake()
}

// hold closes or opens the user lane.
func (m *mailbox) hold(held bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = held
	m.wake()
}

func (m *mailbox) isHeld() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held
}

// freeze lets nothing run any more, or all that waits.
func (m *mailbox) freeze(frozen bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.frozen = frozen
	m.wake()
}

// waiting are the items of the user lane, in order.
func (m *mailbox) waiting() []any {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.lane[laneUser].rest())
}

// keeps reports whether a question waits in the user lane.
func (m *mailbox) keeps(from Ref, request uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.lane[laneUser].rest(), func(item any) bool {
		e, ok := item.(*Envelope)
		return ok && e.Request == request && e.From == from && e.isQuestion()
	})
}

// drain takes everything out of the user lane.
func (m *mailbox) drain() []any {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.lane[laneUser].rest()
	m.lane[laneUser] = queue{}
	return all
}

// close drains, and lets nothing more in: what comes later for an actor that has ended runs nowhere.
func (m *mailbox) close() []any {
	all := m.drain()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.lane[laneControl] = queue{}
	return all
}

// wake schedules a run if there is something to run. The caller has the lock.
func (m *mailbox) wake() {
	if !m.running && m.invoker != nil && m.ready() >= 0 {
		m.running = true
		m.dispatcher.Schedule(m.run)
	}
}

// ready is the lane to serve next, or -1. The caller has the lock.
func (m *mailbox) ready() int {
	for lane := range m.lane {
		if m.lane[lane].len() == 0 || lane > laneSystem && (m.suspended || m.frozen) || lane == laneUser && m.held {
			continue
		}
		return lane
	}
	return -1
}

func (m *mailbox) next() (item any, lane int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if lane = m.ready(); lane < 0 {
		m.running = false
		return nil, lane
	}
	return m.lane[lane].pop(), lane
}

func (m *mailbox) run() {
	for range turnsPerRun {
		item, lane := m.next()
		if lane < 0 {
			return
		}
		m.invoke(item, lane)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = false
	m.wake()
}

// invoke hands one item to protoactor. Handlers' panics end in their turn; one that arrives here is the runtime's own
// fault, and protoactor's supervision restarts the actor.
func (m *mailbox) invoke(item any, lane int) {
	defer func() {
		if reason := recover(); reason != nil {
			m.invoker.EscalateFailure(reason, item)
		}
	}()
	switch item.(type) {
	case *actor.SuspendMailbox:
		m.suspend(true)
	case *actor.ResumeMailbox:
		m.suspend(false)
	default:
		if lane == laneSystem {
			m.invoker.InvokeSystemMessage(item)
		} else {
			m.invoker.InvokeUserMessage(item)
		}
	}
}

func (m *mailbox) suspend(s bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suspended = s
}

// The rest is protoactor's Mailbox.

func (m *mailbox) PostUserMessage(item any)   { m.tick(item) }
func (m *mailbox) PostSystemMessage(item any) { m.post(laneSystem, item) }
func (m *mailbox) Start()                     {}

func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lane[laneUser].len()
}

func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.invoker, m.dispatcher = invoker, dispatcher
}

// A queue is first in, first out, and gives memory back when it empties.
type queue struct {
	items []any
	head  int
}

func (q *queue) len() int      { return len(q.items) - q.head }
func (q *queue) push(item any) { q.items = append(q.items, item) }
func (q *queue) rest() []any   { return q.items[q.head:] }

func (q *queue) pop() any {
	item := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	switch {
	case q.head == len(q.items) && cap(q.items) > 64:
		q.items, q.head = nil, 0
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
	case q.head > 1024 && q.head*2 > len(q.items):
		q.items, q.head = append([]any(nil), q.items[q.head:]...), 0
	}
	return item
}
