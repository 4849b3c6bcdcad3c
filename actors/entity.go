package actors

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strconv"
	"time"
)

// Failures of one entity within failureWindow before it rests, and for how long, doubling each time.
const (
	maxFailures   = 5
	failureWindow = time.Minute
	firstRest     = time.Second
	longestRest   = 30 * time.Second
)

// An entity is an actor of a game: it loads its cells, runs one turn at a time over them, and sees to it that what they
// promised is written. All its methods run in its own mailbox, one at a time.
type entity struct {
	*process
	props *Props
	turn  *turn // under way, else nil
	seed  uint64
	turns uint64
	last  time.Time // Now of the newest turn

	active   bool // loaded and started
	leaving  bool // Stopped is over: flush, then end
	stopping bool // asked to end
	waiting  int  // questions that hold other messages back
	asked    map[uint64]*question
	timers   map[string]*timer
	bound    map[Ref]*Bound // by session

	persistence
	failures  []time.Time
	rest      time.Duration
	restUntil time.Time
	stopIdle  func() bool
}

// A request is somebody waiting for an answer, across all the turns that it takes to find it.
type request struct {
	envelope *Envelope
	open     int // continuations still to come
	result   any // of the newest turn
	settled  bool
}

func newEntity(p *process) *entity {
	return &entity{process: p, seed: seedOf(p.sys.o.Seed, p.ref), asked: map[uint64]*question{},
		timers: map[string]*timer{}, bound: map[Ref]*Bound{}}
}

func (n *entity) construct() *Props {
	p := &Props{kind: n.kind, entity: n}
	n.kind.New(p)
	if len(p.handlers) != n.kind.table.handlers || len(p.cells)+len(p.groups) != len(n.kind.table.cells) {
		panic("actors: the constructor of " + string(n.kind.Name) + " declares other things than it did at start")
	}
	return p
}

// start loads the cells; the user lane is closed until they are there.
func (n *entity) start() {
	n.rehold()
	n.props = n.construct()
	if !n.kind.stored() {
		n.begin()
		return
	}
	n.sys.o.Store.Load(n.ref, n.tenure, func(s Snapshot, err error) {
		n.post(func() { n.loaded(s, err) })
	})
}

func (n *entity) loaded(s Snapshot, err error) {
	if err == nil {
		err = n.fill(s)
	}
	if err == nil {
		n.begin()
		return
	}
	n.sys.o.Log.Warn("entity not loaded", "actor", n.ref.String(), "error", err)
	r, ok := refusalOf(err)
	if !ok {
		r = &Refusal{Code: Internal, Text: err.Error()}
	}
	n.end(r)
}

// begin gives the instance its first events and opens the user lane.
func (n *entity) begin() {
	n.active = true
	n.event(&Loaded{})
	n.event(&Started{})
	n.armIdle()
	n.rehold()
}

// event runs the listeners of one of the runtime's events as a turn.
func (n *entity) event(event any) {
	if n.kind.table.byType[reflect.TypeOf(event).Elem()] == nil {
		return
	}
	t := n.newTurn(0, fmt.Sprintf("%T", event))
	_, t.loading = event.(*Loaded)
	n.run(t, func() (any, error) {
		t.Emit(event)
		return done, t.failed
	})
}

func (n *entity) newTurn(number uint32, name string) *turn {
	now := n.sys.o.Clock.Now()
	if now.Before(n.last) {
		now = n.last
	}
	n.last = now
	n.turns++
	return &turn{entity: n, number: number, name: name, now: now}
}

// receive handles one item of the user lane.
func (n *entity) receive(item any) {
	switch m := item.(type) {
	case *Envelope:
		n.message(m)
	case *timer:
		n.fire(m)
	}
}

// message handles one message from elsewhere.
func (n *entity) message(e *Envelope) {
	req := (*request)(nil)
	if e.Request != 0 {
		req = &request{envelope: e}
	}
	now := n.sys.o.Clock.Now()
	switch {
	case e.Number < 100:
		n.order(e)
		return
	case e.Deadline != 0 && now.UnixNano() > e.Deadline:
		n.sys.expired.Add(1) // whoever asked has been told by its own clock
		return
	case now.Before(n.restUntil):
		n.refuse(req, &Refusal{Code: Unavailable, Text: n.ref.String() + " rests after failures",
			RetryAfter: n.restUntil.Sub(now).Milliseconds()})
		return
	}
	known := n.kind.table.byNumber[e.Number]
	if known == nil {
		n.sys.unhandled(e)
		n.refuse(req, &Refusal{Code: UnknownNumber, Text: fmt.Sprintf("%s does not handle %d", n.ref.Kind, e.Number)})
		return
	}
	msg, err := known.line.Decode(e.Codec, e.Body)
	if err != nil {
		n.sys.meter.count(n.kind.Name, known.line, 0, true)
		n.refuse(req, &Refusal{Code: BadBody, Text: err.Error()})
		return
	}
	n.handle(known, req, e, msg)
}

func (n *entity) handle(known *entry, req *request, e *Envelope, msg any) {
	t := n.newTurn(e.Number, known.line.Name)
	t.from, t.session, t.request, t.hops = e.From, e.Session, req, e.Hops
	failed := n.run(t, func() (any, error) { return n.call(known, t, msg) })
	took := n.sys.o.Clock.Now().Sub(t.now)
	n.sys.meter.count(n.kind.Name, known.line, took, failed)
	if took > n.sys.o.Limits.Slow {
		n.sys.o.Log.Warn("slow handler", "actor", n.ref.String(), "number", e.Number,
			"name", known.line.Name, "took", took)
	}
}

// call runs the handler of a message, or its listeners.
func (n *entity) call(known *entry, t *turn, msg any) (result any, err error) {
	if known.answer < 0 {
		t.Emit(msg)
		return done, t.failed
	}
	result, err = n.props.handlers[known.answer](t, msg)
	if err == nil {
		err = t.failed
	}
	return result, err
}

// errPanic is a handler's panic on its way to the answer.
type errPanic struct {
	reason any
	stack  []byte
}

func (e *errPanic) Error() string { return fmt.Sprintf("panic: %v", e.reason) }

// run executes fn as a turn and settles what comes of it. It reports whether the turn failed by our fault.
func (n *entity) run(t *turn, fn func() (any, error)) (failed bool) {
	n.turn = t
	n.busy.begin(t.number, t.now)
	result, err := n.guard(t, fn)
	n.busy.end()
	t.over, n.turn = true, nil
	refusal, refused := refusalOf(err)
	keeps := err == nil || errors.As(err, new(kept))
	switch {
	case keeps:
		n.stand(t, result, refusal)
	case refused:
		t.undo()
		n.refuse(t.request, refusal)
	default:
		t.undo()
		n.fail(t, err)
		failed = true
	}
	n.rehold()
	return failed
}

// guard turns a panic into an error, and labels the profile.
func (n *entity) guard(t *turn, fn func() (any, error)) (result any, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = &errPanic{reason, debug.Stack()}
		}
	}()
	if !n.sys.o.Limits.Profile {
		return fn()
	}
	labels := pprof.Labels("kind", string(n.ref.Kind), "number", strconv.Itoa(int(t.number)))
	pprof.Do(context.Background(), labels, func(context.Context) { result, err = fn() })
	return result, err
}

// stand lets a turn take effect: at once, or when the store has it.
func (n *entity) stand(t *turn, result any, refusal *Refusal) {
	release := func() { n.release(t, result, refusal) }
	if t.commit && n.kind.stored() {
		n.commit(t, release)
		return
	}
	t.keep()
	release()
	n.flushSoon()
}

// release lets the effects of a turn leave, in order, and answers.
func (n *entity) release(t *turn, result any, refusal *Refusal) {
	for _, e := range t.effects {
		if e.envelope != nil {
			n.sys.Route(e.envelope)
		} else {
			e.act()
		}
	}
	for _, q := range t.questions {
		n.pose(q)
	}
	switch req := t.request; {
	case refusal != nil:
		n.refuse(req, refusal)
	case req != nil && !t.later:
		req.result = result
		n.settle(req)
	}
	if t.stop {
		n.leave()
	}
}

// settle answers a request when no continuation of it is still to come.
func (n *entity) settle(req *request) {
	if req.open > 0 || req.settled {
		return
	}
	switch req.result {
	case nil:
		n.refuse(req, &Refusal{Code: NoReply, Text: n.ref.String() + " handled the request and gave no result"})
		return
	case done:
		req.settled = true
		n.sys.Route(req.envelope.Answer(0, req.envelope.Codec, nil))
		return
	}
	line := n.sys.line(req.result)
	codec := line.Native()
	if !req.envelope.Session.IsZero() {
		codec = req.envelope.Codec
	}
	body, err := line.Encode(codec, req.result)
	if err != nil {
		n.refuse(req, &Refusal{Code: Internal, Text: err.Error()})
		return
	}
	req.settled = true
	n.sys.Route(req.envelope.Answer(line.Number, codec, body))
}

func (n *entity) refuse(req *request, r *Refusal) {
	if req == nil || req.settled {
		return
	}
	req.settled = true
	n.sys.Route(req.envelope.Refuse(r))
}

// fail ends a turn that went wrong by our fault: the caller is told an incident that the log explains, and the instance
// is built anew from the cells as they were before the turn.
func (n *entity) fail(t *turn, err error) {
	incident := fmt.Sprintf("%x-%x", n.seed>>40, n.turns)
	r := &Refusal{Code: Internal, Text: "the handler failed", Incident: incident}
	attributes := []any{"actor", n.ref.String(), "number", t.number, "name", t.name, "incident", incident,
		"error", err.Error()}
	if p := (*errPanic)(nil); errors.As(err, &p) {
		r.Code, r.Text = Panicked, "the handler panicked"
		attributes = append(attributes, "stack", string(p.stack))
	}
	n.sys.o.Log.Error("handler failed", attributes...)
	n.refuse(t.request, r)
	n.rebuild()
	n.restIfOften(t.now)
}

// rebuild makes a fresh instance that keeps cells and groups. Continuations of the old one are dropped.
func (n *entity) rebuild() {
	for _, id := range sortedKeys(n.asked) {
		q := n.asked[id]
		q.stop()
		delete(n.asked, id)
		n.refuse(q.request, &Refusal{Code: Restarted, Text: n.ref.String() + " was rebuilt after a failure"})
	}
	n.waiting = 0
	old := n.props
	n.props = n.construct()
	for i, c := range n.props.cells {
		c.adopt(old.cells[i])
	}
	for i, g := range n.props.groups {
		g.members = old.groups[i].members
	}
	if len(n.failures) <= maxFailures { // a Loaded that always fails must not rebuild for ever
		n.failures = append(n.failures, n.last)
		n.event(&Loaded{})
	}
}

func (n *entity) restIfOften(now time.Time) {
	n.failures = slices.DeleteFunc(n.failures, func(at time.Time) bool { return now.Sub(at) > failureWindow })
	if len(n.failures) <= maxFailures {
		n.rest = 0
		return
	}
	n.rest = min(max(n.rest*2, firstRest), longestRest)
	n.restUntil = now.Add(n.rest)
	n.sys.o.Log.Error("entity rests after failures", "actor", n.ref.String(), "for", n.rest)
}

// rehold closes the user lane while something must come first, and opens it after.
func (n *entity) rehold() {
	n.box.hold(!n.active || n.leaving || n.waiting > 0 || n.committing != nil || n.paused)
}
