package actors

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is how envelopes find their receivers on this node.

// counters are what befell envelopes here; see Report.
type counters struct {
	late           atomic.Uint64
	expired        atomic.Uint64
	lost           atomic.Uint64
	unhandledCount atomic.Uint64
	fencedCount    atomic.Uint64
	full           atomic.Uint64
	messagesCount  atomic.Uint64
	attaches       atomic.Uint64
	hung           atomic.Int64

	probes, cycles atomic.Uint64

	stuck atomic.Int64

	again, outcomeUnknown atomic.Uint64 // requests with Retry numbers that came again

	delivered, undelivered, resent, repeated, gaps, reminded atomic.Uint64 // durable messages and reminders
}

// Deliver takes an envelope whose receiver lives on this node.
func (s *System) Deliver(e *Envelope) {
	switch {
	case len(e.Fan) > 0 || e.To.Kind == SessionKind:
		s.toSessions(e)
	case e.To.Kind == NodeKind:
		s.toNode(e)
	case e.Type == Message && e.Number == NumberProbe:
		s.probe(e)
	case e.Type == Message:
		s.messagesCount.Add(1)
		s.toActor(e)
	default:
		s.answerTo(e)
	}
}

// toActor puts a message into its receiver's mailbox, and brings the receiver up if need be.
func (s *System) toActor(e *Envelope) {
	k := s.kinds[e.To.Kind]
	if k == nil {
		s.refuseTo(e, &Refusal{Code: UnknownNumber, Text: "there is no kind " + string(e.To.Kind)})
		return
	}
	ref := s.resolve(e, k)
	st := s.stripe(ref)
	st.mu.Lock()
	p := st.processes[ref]
	if p == nil {
		tenure, hold := s.tenure(ref, k)
		waits := hold == Paused && isBinding(e) // it may stay ours, and its gate would not say it again
		if hold != Held && !waits || s.isClosedTo(k) {
			st.mu.Unlock()
			s.notHere(e, hold)
			return
		}
		p = s.spawn(ref, k, tenure)
	}
	kept := true
	if isBinding(e) { // as many as sessions; a gate that was not heard would not say it again
		p.box.tick(e)
	} else {
		kept = p.box.post(laneUser, e)
	}
	depth := p.box.UserMessageCount()
	st.mu.Unlock()
	if e.isQuestion() && p.box.isHeld() {
		p.notice()
	}
	if depth == s.o.Limits.MailboxWarn {
		s.o.Log.Warn("mailbox fills up", "actor", ref.String(), "depth", depth, "bound", s.o.Limits.Mailbox)
	}
	if !kept {
		s.full.Add(1)
		s.refuseTo(e, &Refusal{Code: MailboxFull, Text: "the mailbox of " + ref.String() + " is full"})
	}
}

// resolve completes the name of a receiver that was addressed as any of its kind.
func (s *System) resolve(e *Envelope, k *kind) Ref {
	ref := e.To
	switch {
	case k.placement.ByShard:
		ref.ID = strconv.Itoa(ShardOf(ref, k.placement, s.router.Shards()))
	case ref.ID != "":
	case k.placement.How == PerSession:
		ref.ID = e.Session.ID
	case k.placement.How == PerNode:
		ref.ID = s.o.Node
	case k.placement.How == Workers:
		ref.ID = s.o.Node + "." + strconv.Itoa(int(k.next.Add(1))%k.Workers)
	}
	return ref
}

func (s *System) tenure(ref Ref, k *kind) (Tenure, Hold) {
	t := Tenure{Role: k.Role}
	if k.placement.How != OnePerID {
		return t, Held
	}
	t.Shard = ShardOf(ref, k.placement, s.router.Shards())
	epoch, hold := s.router.Tenure(t.Role, t.Shard)
	t.Epoch = epoch
	return t, hold
}

// addressable says what is wrong with a Ref as a receiver. That of a kind of which any will do needs no id.
func (s *System) addressable(to Ref) error {
	if k := s.kinds[to.Kind]; k != nil && to.ID == "" && (k.placement.How == Workers || k.placement.How == PerNode) {
		return nil
	}
	if to.Kind == SessionKind && strings.HasSuffix(to.ID, everyone) {
		return fmt.Errorf("actors: %q is not one session: use SendToAll", to)
	}
	return to.Check()
}

// ShardOf is the shard of an actor: the number that its id is, or the hash of its name.
func ShardOf(ref Ref, at Placement, shards int) int {
	if at.ByShard {
		if n, err := strconv.Atoi(ref.ID); err == nil && n >= 0 && n < shards {
			return n
		}
	}
	return ref.Shard(shards)
}

// notHere deals with a message for an actor that this node may not bring up now.
func (s *System) notHere(e *Envelope, hold Hold) {
	if hold == Lost {
		s.bounce(e)
		return
	}
	s.refuseTo(e, &Refusal{Code: Unavailable, Text: s.o.Node + " takes no actors up now", RetryAfter: 1000})
}

// answerTo hands an answer to the actor that asked, before the messages that wait for it.
func (s *System) answerTo(e *Envelope) {
	st := s.stripe(e.To)
	st.mu.Lock()
	p := st.processes[e.To]
	st.mu.Unlock()
	if p == nil {
		s.late.Add(1)
		return
	}
	p.post(func() {
		if n, ok := p.body.(*entity); ok {
			n.answered(e.Request, outcome{envelope: e})
		}
	})
}

// toSessions hands an envelope to sessions of this node; the sender is told of those that have ended.
func (s *System) toSessions(e *Envelope) {
	if e.To.IsEveryone() {
		s.toEveryone(e)
		return
	}
	to := e.Fan
	if len(to) == 0 {
		to = []Ref{e.To}
	}
	var gone []Ref
	for _, ref := range to {
		at, ok := s.sessions.Load(ref)
		if !ok {
			gone = append(gone, ref)
			continue
		}
		at.(*attached).deliver(e)
	}
	owed := e.Number >= wire.FirstGameNumber || e.Number == NumberKick || e.Number == NumberDoubt
	if len(gone) > 0 && owed && e.Type == Message && e.From.Kind != SessionKind {
		s.Route(RuntimeMessage(NodeKind.Ref(s.o.Node), e.From, &Gone{Sessions: gone}))
	}
}

// An attached is a session of this node.
type attached struct {
	serial  uint64 // they came in this order
	codec   wire.Codec
	deliver func(*Envelope)
}

// toEveryone hands an envelope to all sessions of this node that speak its codec, in the order in which they came.
func (s *System) toEveryone(e *Envelope) {
	var all []*attached
	s.sessions.Range(func(_, at any) bool {
		if a := at.(*attached); a.codec == e.Codec {
			all = append(all, a)
		}
		return true
	})
	slices.SortFunc(all, func(a, b *attached) int { return cmp.Compare(a.serial, b.serial) })
	for _, a := range all {
		a.deliver(e)
	}
}

// Attach makes a session known: deliver is called from any goroutine with what is sent to it, and must not block.
func (s *System) Attach(session Ref, deliver func(*Envelope)) (detach func()) {
	_, codec, _ := session.SessionPlace()
	s.sessions.Store(session, &attached{s.attaches.Add(1), codec, deliver})
	return func() { s.sessions.Delete(session) }
}

// A pendingRequest is a question of the runtime's own code.
type pendingRequest struct {
	done func(*Envelope)
	stop func() bool
}

// Request asks an actor on behalf of the runtime. done is called exactly once, from any goroutine, with an Answered or
// a Refused envelope; DEADLINE when none came within d.
func (s *System) Request(e *Envelope, d time.Duration, done func(*Envelope)) {
	e.From, e.Request = NodeKind.Ref(s.o.Node), s.serial()
	now := s.o.Clock.Now()
	e.At, e.Deadline = now.UnixNano(), now.Add(d).UnixNano()
	id := e.Request
	s.mu.Lock()
	s.pending[id] = &pendingRequest{done: done, stop: s.o.Clock.AfterFunc(d, func() {
		s.finishRequest(id, e.Refuse(&Refusal{Code: DeadlinePassed, Text: "no answer from " + e.To.String()}))
	})}
	s.mu.Unlock()
	s.Route(e)
}

func (s *System) finishRequest(id uint64, answer *Envelope) {
	s.mu.Lock()
	p := s.pending[id]
	delete(s.pending, id)
	s.mu.Unlock()
	if p == nil {
		s.late.Add(1)
		return
	}
	p.stop()
	p.done(answer)
}

// Serve answers requests of one of the runtime's numbers that are addressed to this node itself.
func (s *System) Serve(number uint32, fn func(*Envelope)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served[number] = fn
}

func (s *System) toNode(e *Envelope) {
	if e.Type != Message {
		s.finishRequest(e.Request, e)
		return
	}
	s.mu.Lock()
	fn := s.served[e.Number]
	s.mu.Unlock()
	if fn == nil {
		s.unhandled(e)
		s.refuseTo(e, &Refusal{Code: UnknownNumber, Text: "a node does not handle this number"})
		return
	}
	fn(e)
}

func (s *System) refuseTo(e *Envelope, r *Refusal) {
	if e.Request != 0 {
		s.Route(e.Refuse(r))
		return
	}
	s.lost.Add(1)
}

// unhandled counts a message that nobody handles; nothing disappears.
func (s *System) unhandled(e *Envelope) {
	s.unhandledCount.Add(1)
	s.o.Log.Warn("message without a handler", "to", e.To.String(), "from", e.From.String(), "number", e.Number)
}

// A Report is what a node's actors have done since it started, and how they are now.
type Report struct {
	Actors    map[KindName]int
	Numbers   []NumberReport
	Messages  uint64 // that reached actors
	Deepest   int    // messages in the fullest mailbox
	DeepestOf string // whose it is
	Late      uint64 // answers that nobody waited for any more
	Expired   uint64 // requests whose deadline had passed before they were handled
	Lost      uint64 // one-way messages that could not be kept
	Full      uint64 // messages refused by a full mailbox
	Unhandled uint64
	Fenced    uint64 // actors that ended because another node owns them
	Hung      int    // handlers that have been running for longer than Limits.Slow

	Probes uint64 // that looked for actors which wait for each other
	Cycles uint64 // questions that were answered CYCLE

	Again          uint64 // requests with Retry numbers that came again, and had been handled before
	OutcomeUnknown uint64 // of them, those whose reply was not kept

	Delivered   uint64 // durable messages that were confirmed to their senders, refused ones among them
	Undelivered uint64 // of them, those that were refused
	Resent      uint64 // durable messages that were sent again
	Repeated    uint64 // durable messages that came again, and had been taken before
	Gaps        uint64 // durable messages that could not be taken yet: one before them is missing, or the box is full
	Reminded    uint64 // reminders that fired
	Stuck       int    // receivers, of entities that are here, which have not taken a message after 5 tries
}

// Report counts.
func (s *System) Report() Report {
	r := Report{Actors: map[KindName]int{}, Numbers: s.meter.report(), Messages: s.messagesCount.Load(),
		Late: s.late.Load(), Expired: s.expired.Load(), Lost: s.lost.Load(), Full: s.full.Load(),
		Unhandled: s.unhandledCount.Load(), Fenced: s.fencedCount.Load(),
		Hung: int(s.hung.Load()), Probes: s.probes.Load(), Cycles: s.cycles.Load(),
		Delivered: s.delivered.Load(), Undelivered: s.undelivered.Load(),
		Resent: s.resent.Load(), Repeated: s.repeated.Load(), Gaps: s.gaps.Load(), Reminded: s.reminded.Load(),
		Stuck: int(s.stuck.Load()), Again: s.again.Load(), OutcomeUnknown: s.outcomeUnknown.Load()}
	for _, p := range s.all() {
		r.Actors[p.ref.Kind]++
		if depth := p.box.UserMessageCount(); depth > r.Deepest {
			r.Deepest, r.DeepestOf = depth, p.ref.String()
		}
	}
	return r
}

// Listen runs f with the Trace of an entity that runs here, between two of its inputs; with nil if nobody listens to
// it. It reports whether the entity is here.
func (s *System) Listen(ref Ref, f func(Trace)) bool {
	st := s.stripe(ref)
	st.mu.Lock()
	p := st.processes[ref]
	st.mu.Unlock()
	if p == nil {
		return false
	}
	n, ok := p.body.(*entity)
	if ok {
		p.post(func() { f(n.trace) })
	}
	return ok
}

// Peek copies a cell (its T, or a map of its rows) out of an entity that runs here. It is for tests, while nothing
// else runs.
func (s *System) Peek(ref Ref, cell string) (contents any, running bool) {
	st := s.stripe(ref)
	st.mu.Lock()
	defer st.mu.Unlock()
	p := st.processes[ref]
	if p == nil {
		return nil, false
	}
	n, ok := p.body.(*entity)
	if !ok || !n.active {
		return nil, false
	}
	for _, c := range n.props.cells {
		if c.cellName() == cell {
			return c.peek(), true
		}
	}
	return nil, false
}
