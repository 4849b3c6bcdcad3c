package actors

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A Rerun is one entity alone, which is given its recorded inputs again: the code is that of today, and time, luck,
// tables, answers and the store's word are those of the recording. It has no node, and nothing leaves it.
type Rerun struct {
	*entity
	stage *stage
	rests any  // the tables that its Loaded reads; nil: those of the first input
	fresh bool // it has had no input yet
	last  *Step
}

// RerunOptions say what an entity is made of.
type RerunOptions struct {
	Kinds     []Kind
	Catalogue wire.Catalogue
	Log       *slog.Logger // of the behaviour; nil: discarded
}

// NewRerun makes the entity as an Image shows it. What the present constructor does not know of it is an error that
// names the cell.
func NewRerun(o RerunOptions, i *Image) (r *Rerun, err error) {
	stage := &stage{now: time.Unix(0, i.At)}
	s, err := NewSystem(Options{Node: "rerun", Kinds: o.Kinds, Catalogue: o.Catalogue, Clock: stage, Scheduler: stage,
		Store: stage, Tables: func() any { return stage.tables }, Log: o.Log})
	if err != nil {
		return nil, err
	}
	s.router = stage
	k := s.kinds[i.Ref.Kind]
	if k == nil || k.table == nil {
		return nil, fmt.Errorf("actors: rerun of %s: there is no such kind", i.Ref)
	}
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("actors: rerun of %s: %v", i.Ref, reason)
		}
	}()
	p := &process{sys: s, ref: i.Ref, kind: k, box: newMailbox(1)}
	p.box.close() // what the runtime would do later is an input here
	n := newEntity(p)
	p.body = n
	r = &Rerun{entity: n, stage: stage, rests: i.Tables, fresh: true}
	n.props = n.construct()
	return r, r.restore(i)
}

// restore brings the entity into the state that the image shows.
func (r *Rerun) restore(i *Image) error {
	n := r.entity
	n.active, n.fresh, n.trace, n.rerun = true, true, r, true
	return n.become(i)
}

// Step gives the entity its next input and returns what it did. Tables are read as in.Tables has them.
func (r *Rerun) Step(in Input) (*Step, error) {
	n := r.entity
	r.stage.now, r.stage.tables, r.last = time.Unix(0, in.At), in.Tables, nil
	if r.fresh && in.Type != InputGreet {
		if r.rests != nil {
			r.stage.tables = r.rests
		}
		if err := r.wake(); err != nil {
			return nil, fmt.Errorf("actors: rerun of %s: Loaded: %w", n.ref, err)
		}
		n.woken, r.stage.tables = n.tables, in.Tables
	}
	r.fresh = false
	act, err := r.act(&in)
	if err != nil {
		return nil, fmt.Errorf("actors: rerun of %s: %w", n.ref, err)
	}
	if r.give(&in, act); r.last == nil {
		return nil, fmt.Errorf("actors: rerun of %s: it has ended, and is given an input", n.ref)
	}
	return r.last, nil
}

// give lets the entity have an input; a panic outside of handlers ends it, as it does in a process.
func (r *Rerun) give(in *Input, act func()) {
	defer func() {
		if reason := recover(); reason != nil {
			r.broke(reason)
			r.entity.trace = nil
		}
	}()
	r.input(in, act)
}

// SkipTo says how many turns the entity had had before its next input. Luck hangs on it: where inputs were left out,
// those that follow draw what they drew.
func (r *Rerun) SkipTo(turns uint64) { r.turns = turns }

// wake makes the instance one that has lived: Loaded rebuilds what is derived, and Bound tells of who is there, as to
// any new instance. The cells stay as the image has them, and nothing leaves.
func (r *Rerun) wake() error {
	n := r.entity
	turns := n.turns
	n.fresh = false
	err := r.hears(&Loaded{}, Ref{}, Ref{})
	for _, session := range sortedSet(maps.Keys(n.bound)) {
		b := n.bound[session]
		r.hears(b, session, b.Who) //nolint:errcheck // it said what it had to say when it happened
	}
	n.turns = turns
	return err
}

// hears lets the listeners of an event run, and undoes what they did to the cells.
func (r *Rerun) hears(event any, session, from Ref) error {
	n := r.entity
	t := n.newTurn(0, fmt.Sprintf("%T", event))
	_, t.loading = event.(*Loaded)
	t.session, t.from, n.turn = session, from, t
	err := n.guard(t, func() (any, error) {
		t.Emit(event)
		return done, nil
	})
	t.undo()
	t.over, n.turn = true, nil
	return err
}

// act is what the runtime does with an input.
func (r *Rerun) act(in *Input) (act func(), err error) {
	n := r.entity
	if (in.Type == InputMessage || in.Type == InputTimer) && in.Envelope == nil {
		return nil, errors.New("a message without an envelope")
	}
	switch in.Type {
	case InputGreet:
		return n.greeting, nil
	case InputMessage:
		return func() { n.message(in.Envelope) }, nil
	case InputTimer:
		return func() { n.tick(in.Envelope) }, nil
	case InputUnbound, InputReminded:
		b := n.bound[in.Session]
		if b == nil {
			return nil, fmt.Errorf("session %s is not bound here", in.Session)
		}
		if in.Type == InputReminded {
			return func() { n.tell(b.Session, b.Who, b) }, nil
		}
		return func() { n.unbind(&Unbound{Session: b.Session, Who: b.Who, Code: Unavailable}) }, nil
	case InputStop:
		return n.stop, nil
	case InputAnswer:
		return r.answer(in)
	case InputWritten:
		if n.props.box == nil {
			return nil, errors.New("what it sends is durable, but it stores nothing any more")
		}
		return func() { n.props.box.leave(in.Question) }, nil
	case InputStored, InputUnknown:
		if n.committing == nil {
			return nil, errors.New("the store answers, but no turn has asked to be committed")
		}
		if in.Type == InputUnknown {
			return func() { n.giveUp(in.Refusal) }, nil
		}
		return func() { n.stored(in.Refusal) }, nil
	}
	return nil, fmt.Errorf("input of type %d: this build does not know it", in.Type)
}

// answer finds the question that an answer is to.
func (r *Rerun) answer(in *Input) (func(), error) {
	q := r.asked[in.Question]
	if q == nil {
		return nil, errors.New("an answer comes, but its question was not asked")
	}
	o := outcome{envelope: in.Envelope}
	switch {
	case in.Refusal != nil:
		o.err = heardError(in.Refusal)
	case in.Envelope == nil:
		result, err := q.read(in.Result)
		if err != nil {
			return nil, fmt.Errorf("the result of Work does not survive its JSON: %w", err)
		}
		o.result = result
	}
	return func() { r.goOnWith(q, o) }, nil
}

// Heard and Closed make a Rerun the Trace of its own entity.
func (r *Rerun) Heard(s *Step) { r.last = s }
func (r *Rerun) Closed()       {}

// A stage is what a Rerun has instead of a node: its time stands still, its store is silent, and nothing leaves it.
type stage struct {
	now    time.Time
	tables any
}

func (g *stage) Now() time.Time                                  { return g.now }
func (g *stage) AfterFunc(time.Duration, func()) (s func() bool) { return func() bool { return true } }
func (g *stage) Run(func())                                      {}
func (g *stage) Offload(func())                                  {}
func (g *stage) Route(*Envelope)                                 {}
func (g *stage) Tenure(string, int) (epoch uint64, hold Hold)    { return 0, Held }
func (g *stage) Shards() int                                     { return 1 }
func (g *stage) Load(Ref, Tenure, func(Snapshot, error))         {}
func (g *stage) Save(Ref, Tenure, Change, func(error))           {}
func (g *stage) Number(Tenure) (number uint64, sure bool)        { return 0, true }
