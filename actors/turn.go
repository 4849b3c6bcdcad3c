package actors

import (
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// maxEmits bounds how deep events may emit events.
const maxEmits = 16

// A turn is the Context of one envelope. It gathers effects, and lets them go or drops them all.
type turn struct {
	entity    *entity
	number    uint32 // what is being handled; 0 for events of the runtime
	name      string
	from      Ref
	session   Ref
	request   *request // whoever waits for the outcome; nil if nobody
	hops      uint8
	now       time.Time
	luck      *rand.Rand
	effects   []effect
	touched   []undoable
	questions []*question
	answer    *Envelope // what the handler gives the request
	later     bool      // the request's answer is not this turn's: a question brings it, or an earlier turn has
	failed    error     // the first error of a listener, or a receiver that cannot be
	emits     int
	commit    bool
	stop      bool
	loading   bool               // in Loaded: carried cells only, no effects
	errand    func(refused Code) // notes in the box that its message is settled; nil: it is an ordinary one
	again     func()             // what becomes of an errand that succeeded, but could not be written
	own       bool               // the runtime's, which always stands
	early     bool               // it is refused for what waits for the store, and may come again
	over      bool
	edits     []Edit // of the runtime's own, when somebody listens
}

// An effect is something that happens when the turn has succeeded: an envelope leaves, or a timer is set.
type effect struct {
	envelope *Envelope
	timer    *TimerOrder
}

// undoable is a cell or a group that the turn has changed.
type undoable interface {
	undo()
	keep()
	// edit is what the turn under way has changed, for whoever listens; with undoing, what undo will change back.
	edit(undoing bool) Edit
}

func (t *turn) check() {
	if t.over {
		panic(fmt.Sprintf("actors: the Context of %s was used after its turn in %s", t.name, t.entity.ref))
	}
}

func (t *turn) touch(u undoable) {
	if s, ok := u.(slot); ok && t.loading && s.isStored() {
		panic("actors: Loaded of " + t.entity.ref.String() + " edits the stored cell " + s.cellName() +
			"; it may rebuild what is derived only")
	}
	t.touched = append(t.touched, u)
}

func (t *turn) undo() {
	for _, u := range t.touched {
		u.undo()
	}
	t.touched = nil
}

func (t *turn) keep() {
	for _, u := range t.touched {
		u.keep()
	}
	t.touched = nil
}

func (t *turn) emit(e effect) {
	t.mayAct()
	t.effects = append(t.effects, e)
}

func (t *turn) mayAct() {
	t.check()
	if t.loading {
		panic("actors: Loaded of " + t.entity.ref.String() + " has effects; arm timers and send in Started")
	}
}

func (t *turn) Self() Ref    { return t.entity.ref }
func (t *turn) Sender() Ref  { return t.from }
func (t *turn) Session() Ref { return t.session }

func (t *turn) Now() time.Time {
	t.check()
	return t.now
}

func (t *turn) Rand() *rand.Rand {
	t.check()
	if t.luck == nil {
		t.luck = rand.New(rand.NewPCG(t.entity.seed, t.entity.turns))
	}
	return t.luck
}

func (t *turn) Log() *slog.Logger {
	return t.entity.sys.o.Log.With("actor", t.entity.ref.String(), "number", t.number)
}

func (t *turn) Tables() any {
	n := t.entity
	if n.tables == nil && n.sys.o.Tables != nil {
		n.tables = n.sys.o.Tables()
	}
	return n.tables
}

func (t *turn) Send(to Ref, msg any) {
	if !t.reaches(to) {
		return
	}
	line := t.entity.sys.line(msg)
	codec := line.Native()
	if line.Durable {
		t.mayAct()
		t.post(to, line, msg)
		return
	}
	if _, c, ok := to.SessionPlace(); ok {
		codec = c
	}
	t.emit(effect{envelope: t.envelope(to, line, codec, msg)})
}

// reaches reports whether to may be a receiver. Names often come from clients, and bad input costs only its sender: a
// turn that addresses what cannot be is refused with BAD_BODY.
func (t *turn) reaches(to Ref) bool {
	t.check()
	err := t.entity.sys.addressable(to)
	if err != nil && t.failed == nil {
		t.failed = BadBody.Refuse("%v", err)
	}
	return err == nil
}

// envelope encodes now, so that what the sender does to msg afterwards changes nothing.
func (t *turn) envelope(to Ref, line *wire.Type, codec wire.Codec, msg any) *Envelope {
	body, err := line.Encode(codec, msg)
	if err != nil {
		panic(fmt.Sprintf("actors: %s sends %s to %s: %v", t.entity.ref, line.Name, to, err))
	}
	e := &Envelope{Type: Message, To: to, From: t.entity.ref, Number: line.Number, Codec: codec, Body: body,
		At: t.now.UnixNano()}
	if line.Latest != nil {
		e.Key = line.Latest(msg)
	}
	return e
}

func (t *turn) Push(msg any) { t.fanOut(t.entity.clients(), msg) }

func (t *turn) Emit(event any) {
	t.check()
	e := t.entity.props.kind.table.byType[reflect.TypeOf(event).Elem()]
	if e == nil || t.failed != nil {
		return
	}
	if t.emits++; t.emits > maxEmits {
		panic(fmt.Sprintf("actors: %s emits %T from within %d events: a circle", t.entity.ref, event, maxEmits))
	}
	defer func() { t.emits-- }()
	for _, i := range e.on {
		if _, err := t.entity.props.handlers[i](t, event); err != nil && t.failed == nil {
			t.failed = err
			return
		}
	}
}

func (t *turn) After(d time.Duration, msg any) { t.arm(d, false, msg) }
func (t *turn) Every(d time.Duration, msg any) { t.arm(d, true, msg) }

func (t *turn) arm(d time.Duration, again bool, msg any) {
	line := t.entity.sys.line(msg)
	if again && d < time.Millisecond {
		panic(fmt.Sprintf("actors: %s wants %s every %v; the least is 1ms", t.entity.ref, line.Name, d))
	}
	body := t.envelope(t.entity.ref, line, line.Native(), msg).Body
	t.emit(effect{timer: &TimerOrder{Number: line.Number, Body: body, Wait: d, Every: again}})
}

func (t *turn) Cancel(msg any) {
	line := t.entity.sys.line(msg)
	body := t.envelope(t.entity.ref, line, line.Native(), msg).Body
	t.emit(effect{timer: &TimerOrder{Number: line.Number, Body: body, Cancel: true}})
	if b := t.entity.props.box; b != nil && slices.ContainsFunc(b.now.Due, func(r *Reminder) bool {
		return r.is(line.Number, body)
	}) {
		b.change().setReminder(line.Number, body, nil)
	}
}

func (t *turn) Remind(at time.Time, msg any) {
	t.mayAct()
	n, line := t.entity, t.entity.sys.line(msg)
	if n.props.box == nil {
		panic(fmt.Sprintf("actors: %s wants to be reminded of %s, but has no stored cell to keep it with", n.ref, line))
	}
	body := t.envelope(n.ref, line, line.Native(), msg).Body
	c := n.props.box.change()
	c.setReminder(line.Number, body, &Reminder{Number: line.Number, Body: body,
		At: max(at.Add(time.Millisecond-1).UnixMilli(), 1)}) // 0 is never, and what is below is not found
	if bound := n.sys.o.Limits.Box; (len(c.Due) > bound || c.bytes() > maxBoxBytes) && t.failed == nil {
		t.failed = Overloaded.Refuse("%s has %d reminders, the bound, or %d bytes in its box", n.ref, bound,
			maxBoxBytes)
	}
}

func (t *turn) Login(as Ref)      { t.bind(&BindOrder{To: as, Login: true}) }
func (t *turn) Bind(to Ref)       { t.bind(&BindOrder{To: to}) }
func (t *turn) Watch(to Ref)      { t.bind(&BindOrder{To: to, Ears: true}) }
func (t *turn) Unbind(k KindName) { m := &UnbindOrder{Kind: k}; t.orderTo(t.theSession(m), m) }

func (t *turn) Kick(session Ref, c Code) { t.orderTo(session, &KickOrder{Code: c}) }

func (t *turn) bind(o *BindOrder) {
	if session := t.theSession(o); t.reaches(o.To) {
		t.orderTo(session, o)
	}
}

func (t *turn) orderTo(session Ref, msg any) {
	if t.reaches(session) {
		t.emit(effect{envelope: RuntimeMessage(t.entity.ref, session, msg)})
	}
}

func (t *turn) theSession(msg any) Ref {
	t.check()
	if t.session.IsZero() {
		panic(fmt.Sprintf("actors: %s in %s: %T needs a session, and this turn comes from none",
			t.name, t.entity.ref, msg))
	}
	return t.session
}

func (t *turn) Commit() {
	t.mayAct()
	t.commit = true
}

func (t *turn) Stop() {
	t.mayAct()
	t.stop = true
}

// fanOut sends to several receivers in their order: sessions of one gate and codec share an envelope.
func (t *turn) fanOut(to []Ref, msg any) {
	t.check()
	if len(to) == 0 {
		return
	}
	type place struct {
		gate  string
		codec wire.Codec
	}
	line := t.entity.sys.line(msg)
	shared := map[place]*Envelope{}
	encoded := map[wire.Codec]*Envelope{}
	for _, ref := range to {
		gate, codec, ok := ref.SessionPlace()
		if !ok || line.Durable {
			t.Send(ref, msg)
			continue
		}
		at := place{gate, codec}
		if e := shared[at]; e != nil {
			e.Fan = append(e.Fan, ref)
			continue
		}
		if encoded[codec] == nil {
			encoded[codec] = t.envelope(Ref{}, line, codec, msg)
		}
		e := *encoded[codec]
		e.Fan = []Ref{ref}
		shared[at] = &e
		t.emit(effect{envelope: &e})
	}
}

// sendToAll sends to everyone; the Router finds the gates.
func (t *turn) sendToAll(msg any) {
	line := t.entity.sys.line(msg)
	if line.Durable {
		panic(fmt.Sprintf("actors: %s sends %s to all clients: a durable message is for an entity", t.entity.ref, line))
	}
	t.emit(effect{envelope: t.envelope(SessionKind.Ref(everyone), line, wire.JSON, msg)})
	if line.Proto() {
		t.emit(effect{envelope: t.envelope(SessionKind.Ref(everyone), line, wire.Proto, msg)})
	}
}

// seedOf gives each entity its own luck, from the node's seed and the entity's name.
func seedOf(seed uint64, ref Ref) uint64 {
	h := fnv.New64a()
	h.Write([]byte(ref.String()))
	return seed ^ h.Sum64()
}
