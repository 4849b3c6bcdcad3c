package actors

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	defaultAsk = 5 * time.Second        // a question's deadline when its turn has none
	askReserve = 250 * time.Millisecond // what is kept of a request's deadline for the answer's way back
)

// A Pending is a question that is not asked yet: hand it to Then or Reply.
type Pending[R any] struct {
	to        Ref
	msg       any
	work      func() (any, error)
	within    time.Duration
	meanwhile bool
	convert   func(answer any) (any, error) // what its answer is made of; nil: of itself
}

// Ask is a question to another actor, whose answer is an R. Its default deadline is what is left of the request that is
// being handled, less 250 ms, or 5 s.
func Ask[R any](to Ref, msg any) Pending[R] { return Pending[R]{to: to, msg: msg} }

// Work runs fn off the actor, in a bounded pool: hashing, HTTP. It must not touch the entity's state. A panic in it is
// its error; it is not run at all when its deadline passes before the pool has room. Its result is recorded and must
// survive its JSON; of an error remains the refusal that is in it, or else its text.
func Work[R any](fn func() (R, error)) Pending[R] {
	return Pending[R]{work: func() (any, error) { return fn() }}
}

// Convert makes a question whose answer is an R of one whose answer is an A: read makes the one of the other, in the
// continuation's turn.
func Convert[A, R any](q Pending[A], read func(A) (R, error)) Pending[R] {
	return Pending[R]{to: q.to, msg: q.msg, within: q.within, meanwhile: q.meanwhile,
		convert: func(answer any) (any, error) {
			a, err := typed[A](answer, nil)
			if err != nil {
				return nil, err
			}
			return read(a)
		}}
}

// Within sets the deadline, after which the answer is the error DEADLINE.
func (q Pending[R]) Within(d time.Duration) Pending[R] { q.within = d; return q }

// Meanwhile lets the entity handle other messages while it waits. What it saw before may not hold any more when the
// answer comes.
func (q Pending[R]) Meanwhile() Pending[R] { q.meanwhile = true; return q }

// Then asks when this turn has succeeded, and hands the answer to a turn of its own. Until then no other message of the
// entity is handled, unless the question says Meanwhile; a request stays open until then has returned. What was edited
// before the question is kept whatever then does.
func Then[R any](ctx Context, q Pending[R], then func(Context, R, error) error) {
	turnOf(ctx).ask(&question{to: q.to, msg: q.msg, work: q.work, within: q.within, meanwhile: q.meanwhile,
		read: read[R], then: func(t *turn, answer any, err error) (any, error) {
			r, err := q.typed(answer, err)
			return nil, then(t, r, err)
		}})
}

// Reply is a Then whose result is the handler's: return actors.Reply(...).
func Reply[R, A any](ctx Context, q Pending[R], then func(Context, R, error) (A, error)) (A, error) {
	var none A
	t := turnOf(ctx)
	t.later = true
	t.ask(&question{to: q.to, msg: q.msg, work: q.work, within: q.within, meanwhile: q.meanwhile, replies: true,
		read: read[R], then: func(t *turn, answer any, err error) (any, error) {
			r, err := q.typed(answer, err)
			a, err := then(t, r, err)
			if any(a) == any(none) {
				return nil, err
			}
			return a, err
		}})
	return none, nil
}

// read makes the result of Work again from its JSON.
func read[R any](result []byte) (any, error) {
	var r R
	err := json.Unmarshal(result, &r)
	return r, err
}

func (q Pending[R]) typed(answer any, err error) (R, error) {
	if err == nil && q.convert != nil {
		answer, err = q.convert(answer)
	}
	return typed[R](answer, err)
}

// typed gives the answer its type back; another type than was asked for is an error, not a panic.
func typed[R any](answer any, err error) (R, error) {
	var none R
	if err != nil || answer == nil {
		return none, err
	}
	r, ok := answer.(R)
	if !ok {
		return none, Internal.Refuse("asked for %T, answered with %T", none, answer)
	}
	return r, nil
}

// A question is a Pending on its way: from the turn that asked to the turn that has the answer.
type question struct {
	to        Ref
	msg       any
	work      func() (any, error)
	within    time.Duration
	meanwhile bool
	replies   bool // its continuation's result is the reply
	then      func(t *turn, answer any, err error) (any, error)
	read      func(result []byte) (any, error)

	id       uint64
	name     string // of the message whose turn asked
	number   uint32
	from     Ref
	session  Ref
	hops     uint8
	request  *request
	envelope *Envelope
	forbid   func() bool // stops the deadline's timer
	over     atomic.Bool // nobody waits any more
	search   search
}

func (q *question) close() {
	q.forbid()
	q.over.Store(true)
}

func (t *turn) ask(q *question) {
	t.check()
	if t.loading || t.entity.leaving {
		panic("actors: " + t.name + " of " + t.entity.ref.String() + " asks; Loaded and Stopped may not")
	}
	if t.errand != nil {
		panic("actors: " + t.name + " of " + t.entity.ref.String() + " asks; what is durable, and a reminder, is " +
			"handled in one turn: send a message to yourself instead")
	}
	q.name, q.number, q.from, q.session, q.request, q.hops = t.name, t.number, t.from, t.session, t.request, t.hops
	if q.within == 0 {
		q.within = defaultAsk
		if t.request != nil && t.request.envelope.Deadline != 0 {
			q.within = time.Unix(0, t.request.envelope.Deadline).Sub(t.now) - askReserve
		}
	}
	if q.work == nil {
		if !t.reaches(q.to) {
			return
		}
		line := t.entity.sys.line(q.msg)
		q.envelope = t.envelope(q.to, line, line.Native(), q.msg)
		q.envelope.Deadline = t.now.Add(q.within).UnixNano()
		q.envelope.Hops = t.hops + 1
	}
	t.questions = append(t.questions, q)
}

// pose sends a question whose turn has succeeded.
func (n *entity) pose(q *question) {
	n.posed++
	q.id = n.seed + n.posed // seeds differ: an answer to an earlier activation finds no question here
	n.asked[q.id] = q
	if q.request != nil {
		q.request.open++
	}
	if !q.meanwhile {
		n.waiting++
		n.rehold() // before it leaves: whoever comes after it meets a mailbox that is held
	}
	q.forbid = n.sys.o.Clock.AfterFunc(q.within, func() {
		n.post(func() {
			err := DeadlinePassed.Refuse("%s asked %s and waited %v", n.ref, q.target(), q.within)
			n.answered(q.id, outcome{err: err})
		})
	})
	if q.work != nil {
		n.sys.o.Scheduler.Offload(func() {
			if q.over.Load() {
				return
			}
			result, err := q.run()
			n.post(func() { n.answered(q.id, outcome{result: result, err: err}) })
		})
		return
	}
	q.envelope.Request = q.id
	n.route(q.envelope)
}

func (q *question) target() string {
	if q.work != nil {
		return "for work"
	}
	return q.to.String()
}

// run does the work of a question; a panic in it is the work's error.
func (q *question) run() (answer any, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("actors: work of %s panicked: %v", q.name, reason)
		}
	}()
	return q.work()
}

// An outcome is what became of a question: an envelope with the answer, or the result of Work, or an error.
type outcome struct {
	envelope *Envelope
	result   any
	err      error
}

// input is the outcome as a Trace hears it.
func (o outcome) input(id uint64) *Input {
	in := &Input{Type: InputAnswer, Question: id, Envelope: o.envelope}
	if o.err != nil {
		in.Refusal = recordedError(o.err)
	} else if o.envelope == nil {
		in.Result, _ = json.Marshal(o.result) // what cannot be written is not there on replay, and is named then
	}
	return in
}

// recordedError is what a recording holds of an error: the refusal that is in it, or else its text.
func recordedError(err error) *Refusal {
	if r, ok := refusalOf(err); ok {
		return r
	}
	return &Refusal{Text: err.Error()}
}

// heardError is an error as a continuation hears it, from what a recording holds of it.
func heardError(r *Refusal) error {
	if r.Code == "" {
		return errors.New(r.Text)
	}
	return r
}

// answered is handed an answer in the control lane; one that nobody waits for any more is counted.
func (n *entity) answered(id uint64, o outcome) {
	q := n.asked[id]
	if q == nil {
		n.sys.late.Add(1)
		return
	}
	if n.committing != nil {
		n.deferred = append(n.deferred, func() { n.answered(id, o) })
		return
	}
	if n.hold() != Held {
		n.whenHeld(func() { n.answered(id, o) })
		return
	}
	in := &Input{}
	if n.trace != nil {
		in = o.input(id)
	}
	n.input(in, func() { n.goOnWith(q, o) })
}

// goOnWith runs the continuation of a question.
func (n *entity) goOnWith(q *question, o outcome) {
	q.close()
	delete(n.asked, q.id)
	if !q.meanwhile {
		n.waiting--
	}
	if q.request != nil {
		q.request.open--
	}
	t := n.newTurn(q.number, q.name)
	t.from, t.session, t.request, t.hops = q.from, q.session, q.request, q.hops
	t.later = !q.replies // the handler's own answer is kept since, or another question brings it
	answer, err := o.result, o.err
	if err != nil {
		err = heardError(recordedError(err))
	} else if o.envelope != nil {
		answer, err = n.answerOf(o.envelope)
	}
	n.run(t, func() (any, error) { return q.then(t, answer, err) })
	n.searchOn()
}

// dropQuestions forgets open questions, and answers whoever waits for what would have come of them.
func (n *entity) dropQuestions(r *Refusal) {
	for _, id := range sortedKeys(n.asked) {
		q := n.asked[id]
		q.close()
		delete(n.asked, id)
		n.refuse(q.request, r)
	}
	n.waiting = 0
}

// answerOf decodes an answer envelope.
func (n *entity) answerOf(e *Envelope) (any, error) {
	if e.Type == Refused {
		return nil, e.Refusal()
	}
	if e.Number == 0 {
		return nil, nil
	}
	line := n.sys.messages.ByNumber(e.Number)
	if line == nil {
		return nil, UnknownNumber.Refuse("%s answered with number %d", e.From, e.Number)
	}
	return line.Decode(e.Codec, e.Body)
}
