package actors

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"time"
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

	active    bool      // loaded and started
	fresh     bool      // the instance has not had Loaded yet, or not well
	cold      bool      // nor has any instance of this activation had Started
	served    bool      // it has handled an item of its mailbox
	leaving   bool      // Stopped, then flush, then end
	isToLeave bool      // it will be leaving as soon as nothing is under way
	patience  time.Time // how long it waits for answers before that; zero: its node does not stop
	waiting   int       // questions that hold other messages back
	asked     map[uint64]*question
	timers    map[string]*timer
	bound     map[Ref]*Bound // by session
	posed     uint64         // questions so far
	tables    any            // the edition that this input's turns read, if one has asked
	woken     any            // the edition that the instance's Loaded read, if it did

	persistence
	tracing
	searches
	failures  []time.Time
	rest      time.Duration
	restUntil time.Time
	stopIdle  func() bool
}

// A request is somebody waiting for an answer, across all the turns that it takes to find it.
type request struct {
	envelope *Envelope
	open     int       // continuations still to come
	answer   *Envelope // as of the newest turn that gave one
	settled  bool
	once     bool // it may come again, and is not handled twice
}

func newEntity(p *process) *entity {
	return &entity{process: p, seed: mixed(seedOf(p.sys.o.Seed, p.ref) ^ p.sys.serial()), asked: map[uint64]*question{},
		timers: map[string]*timer{}, bound: map[Ref]*Bound{}}
}

// event runs the listeners of one of the runtime's events as a turn, and reports whether it did not fail.
func (n *entity) event(event any) bool {
	if !n.kind.listensTo(event) {
		return true
	}
	t := n.newTurn(0, fmt.Sprintf("%T", event))
	_, t.loading = event.(*Loaded)
	v, _ := n.run(t, func() (any, error) {
		t.Emit(event)
		return done, nil
	})
	return !v.isFault()
}

func (n *entity) newTurn(number uint32, name string) *turn {
	n.turns++
	return &turn{entity: n, number: number, name: name, now: n.last}
}

// message handles one message from elsewhere.
func (n *entity) message(e *Envelope) {
	req := (*request)(nil)
	if e.Request != 0 {
		req = &request{envelope: e}
	}
	switch {
	case e.Number < 100:
		n.order(e)
		return
	case e.Deadline != 0 && n.last.UnixNano() > e.Deadline:
		n.sys.expired.Add(1) // whoever asked has been told by its own clock
		return
	case n.rests():
		if req == nil {
			n.sys.lost.Add(1)
		}
		n.refuse(req, &Refusal{Code: Unavailable, Text: n.ref.String() + " rests after failures",
			RetryAfter: n.restUntil.Sub(n.last).Milliseconds()})
		return
	}
	known := n.kind.table.byNumber[e.Number]
	if known == nil {
		n.sys.unhandled(e)
		n.refuse(req, &Refusal{Code: UnknownNumber, Text: fmt.Sprintf("%s does not handle %d", n.ref.Kind, e.Number)})
		return
	}
	if seq, before, ok := placeOf(e.Key); ok && known.line.Latest == nil && e.Session.IsZero() {
		n.take(known, e, seq, before)
		return
	}
	if isOnce(known, e) {
		n.once(known, req)
		return
	}
	n.handle(known, req, e)
}

// handle handles a message that nobody has to settle.
func (n *entity) handle(known *entry, req *request, e *Envelope) {
	t := n.newTurn(e.Number, known.line.Name)
	t.from, t.session, t.request, t.hops = e.From, e.Session, req, e.Hops
	n.serve(known, t, e)
}

// serve decodes a message and runs its handler as a turn.
func (n *entity) serve(known *entry, t *turn, e *Envelope) (v Verdict, r *Refusal, readable bool) {
	began := n.sys.o.Clock.Now()
	readable = true
	v, r = n.run(t, func() (any, error) {
		msg, err := known.line.Decode(e.Codec, e.Body)
		if err != nil {
			readable = false
			return nil, BadBody.Refuse("%v", err)
		}
		if t.errand != nil {
			t.errand("")
		}
		if t.request != nil && t.request.once {
			n.props.kept.mark(e)
		}
		return n.call(known, t, msg)
	})
	took := n.sys.o.Clock.Now().Sub(began)
	n.sys.meter.count(n.kind.Name, known.line, took, v.isFault() || !readable)
	if took > n.sys.o.Limits.Slow {
		n.sys.o.Log.Warn("slow handler", "actor", n.ref.String(), "number", e.Number,
			"name", known.line.Name, "took", took)
	}
	return v, r, readable
}

// call runs the handler of a message, or its listeners.
func (n *entity) call(known *entry, t *turn, msg any) (result any, err error) {
	if known.answer < 0 {
		t.Emit(msg)
		return done, nil
	}
	return n.props.handlers[known.answer](t, msg)
}

// errPanic is a handler's panic on its way to the answer.
type errPanic struct {
	reason any
	stack  []byte
}

func (e *errPanic) Error() string { return fmt.Sprintf("panic: %v", e.reason) }

// run executes fn as a turn and settles what comes of it. It returns how the turn ended, and its refusal if it refused.
func (n *entity) run(t *turn, fn func() (any, error)) (Verdict, *Refusal) {
	n.turn = t
	n.busy.begin(t.number, t.now)
	err := n.guard(t, fn)
	n.busy.end()
	t.over, n.turn = true, nil
	n.report(t, err)
	refusal, _ := refusalOf(err)
	v := verdictOf(err)
	switch v {
	case Stood, Kept:
		n.stand(t, refusal)
	case Declined:
		t.undo()
		n.decline(t.request, refusal)
	default:
		t.undo()
		n.fail(t, err)
	}
	n.rehold()
	return v, refusal
}

// guard runs fn and encodes its result, turns a panic into an error, and labels the profile.
func (n *entity) guard(t *turn, fn func() (any, error)) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = &errPanic{reason, debug.Stack()}
		}
	}()
	all := func(context.Context) {
		var result any
		if result, err = fn(); t.failed != nil {
			err = t.failed // the first error is the answer
		}
		if r, refused := refusalOf(err); refused && t.errand != nil && errors.As(err, new(kept)) {
			t.errand(r.Code)
		}
		if err == nil && t.request != nil && !t.later {
			t.answer, err = n.answerWith(t.request.envelope, result)
		}
		n.keepAnswer(t, err)
		if err == nil || errors.As(err, new(kept)) {
			if why := n.overflow(t); why != nil {
				err = why
			}
		}
	}
	if !n.sys.o.Limits.Profile {
		all(context.Background())
		return err
	}
	labels := pprof.Labels("kind", string(n.ref.Kind), "number", strconv.Itoa(int(t.number)))
	pprof.Do(context.Background(), labels, all)
	return err
}

// answerWith encodes a handler's result while its turn is under way, so that nothing changes it afterwards.
func (n *entity) answerWith(asked *Envelope, result any) (*Envelope, error) {
	switch result {
	case nil:
		r := &Refusal{Code: NoReply, Text: n.ref.String() + " handled the request and gave no result"}
		return asked.Refuse(r), nil
	case done:
		return asked.Answer(0, asked.Codec, nil), nil
	}
	line := n.sys.line(result)
	codec := line.Native()
	if !asked.Session.IsZero() {
		codec = asked.Codec
	}
	body, err := line.Encode(codec, result)
	if err != nil {
		return nil, fmt.Errorf("actors: answer with %s: %w", line, err)
	}
	return asked.Answer(line.Number, codec, body), nil
}

// stand lets a turn take effect: at once, or when the store has it.
func (n *entity) stand(t *turn, refusal *Refusal) {
	release := func() { n.release(t, refusal) }
	if t.commit && n.kind.stored() {
		n.commit(t, release)
		return
	}
	t.keep()
	release()
	n.flushSoon()
}

// release lets the effects of a turn leave, in order, and answers.
func (n *entity) release(t *turn, refusal *Refusal) {
	for _, e := range t.effects {
		if e.envelope != nil {
			n.route(e.envelope)
		} else {
			n.arm(e.timer, t.now)
		}
	}
	for _, q := range t.questions {
		n.pose(q)
	}
	switch req := t.request; {
	case refusal != nil && req != nil && req.once && !req.settled:
		n.give(req, t.answer)
	case refusal != nil:
		n.refuse(req, refusal)
	case req != nil:
		if !t.later {
			req.answer = t.answer
		}
		n.settle(req)
	}
	if t.stop && len(n.asked) > 0 {
		n.post(n.leave) // how long it waits for answers hangs on its node
	} else if t.stop {
		n.leave()
	}
}

// settle answers a request when no continuation of it is still to come.
func (n *entity) settle(req *request) {
	if req.open > 0 || req.settled {
		return
	}
	n.give(req, req.answer)
}

func (n *entity) refuse(req *request, r *Refusal) {
	if req == nil || req.settled {
		return
	}
	n.give(req, req.envelope.Refuse(r))
}
