package actors

import (
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A Kind is what the runtime must know to run actors of one name.
type Kind struct {
	Name       KindName
	Role       string        // the role of the nodes that run it; default "game"
	New        func(*Props)  // makes a behaviour: declares its handlers and cells, and does nothing else
	IdleAfter  time.Duration // passivate, timers and all, after so long without a turn; default 5 minutes, < 0: never
	Workers    int           // stateless: so many per node, the nearest serves; 0: one actor per id in the cluster
	PerNode    bool          // one on every node of the role; its id is the node's name
	PerSession bool          // one per session; its id is the session's

	// Receiver makes an actor of the runtime's own instead of New, one that sees envelopes whole.
	Receiver func(Runner) Receiver
	ByShard  bool // one actor per shard: an id is its decimal number, or any text, whose hash is the shard
}

// A Receiver is an actor of the runtime itself. It is handed one envelope at a time and answers when it likes.
type Receiver interface {
	Receive(e *Envelope)
	// Stop finishes what is under way and then calls done, once; no envelope arrives after it.
	Stop(done func())
	// Lost says that the shard is another node's now: give up what is under way. Nothing more arrives.
	Lost()
	// Freeze begins nothing new, finishes what is under way and then calls done, once: the Receiver may go on
	// elsewhere, with what waits in its mailbox and nothing else. What is left goes before that: it is handed to
	// whoever goes on, there or here. No envelope arrives until Thaw, which may come before done; Lost ends it for
	// good.
	Freeze(done func(left ...*Envelope))
	Thaw()
}

// A Runner is what a Receiver may use of the runtime.
type Runner interface {
	Self() Ref
	Tenure() Tenure
	// Post runs f as part of the actor, before waiting messages; it may be called from any goroutine.
	Post(f func())
	// Send routes an envelope.
	Send(e *Envelope)
}

// How says how many actors a kind has and where.
type How uint8

// The ways to be placed.
const (
	OnePerID   How = iota // one per id in the whole cluster, on the owner of its shard
	PerNode               // one per node, named after it
	Workers               // several per node, all alike; the empty id means any of the nearest node
	PerSession            // one per session, as near to its gate as the role allows; its id is the session's
)

// A Placement is what a Router must know of a kind.
type Placement struct {
	Role    string
	How     How
	ByShard bool
}

const (
	defaultRole = "game"
	defaultIdle = 5 * time.Minute
)

// A kind is a Kind after its constructor was probed: the tables that all its instances share.
type kind struct {
	Kind
	placement Placement
	table     *table
	next      atomic.Uint32 // Workers: whose turn it is
}

func (k *kind) stored() bool { return k.table != nil && k.table.stored }

// listensTo reports whether anybody in actors of the kind listens to an event.
func (k *kind) listensTo(event any) bool {
	return k.table != nil && k.table.byType[reflect.TypeOf(event).Elem()] != nil
}

// probe runs the constructor once, without an entity, and keeps what it declared.
func probe(k Kind, messages wire.Catalogue) (made *kind, err error) {
	if k.Role == "" {
		k.Role = defaultRole
	}
	if k.IdleAfter == 0 {
		k.IdleAfter = defaultIdle
	}
	made = &kind{Kind: k, placement: Placement{Role: k.Role, ByShard: k.ByShard}}
	switch {
	case k.PerNode:
		made.placement.How = PerNode
	case k.Workers > 0:
		made.placement.How = Workers
	case k.PerSession:
		made.placement.How = PerSession
	}
	if err := k.Name.Ref("any").Check(); err != nil {
		return nil, fmt.Errorf("actors: the name of kind %q: %w", k.Name, err)
	}
	if k.Receiver != nil {
		return made, nil
	}
	made.table = newTable(k.Name, messages)
	p := &Props{kind: made, table: made.table, probing: true}
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("actors: constructor of kind %s: %v", k.Name, reason)
		}
	}()
	if k.New == nil {
		return nil, fmt.Errorf("actors: kind %s has no New", k.Name)
	}
	k.New(p)
	if made.stored() && made.placement.How != OnePerID {
		made.table.errs = append(made.table.errs, fmt.Errorf("actors: kind %s is no entity and keeps nothing: "+
			"use Carry instead of State, and let an entity handle what is durable", k.Name))
	}
	if made.table.retries && made.placement.How != OnePerID {
		made.table.errs = append(made.table.errs, fmt.Errorf("actors: kind %s is no entity and would not know a "+
			"request that comes again: let an entity handle its Retry numbers", k.Name))
	}
	return made, errors.Join(made.table.errs...)
}

// A table says, for all instances of a kind alike, which handler serves which message. Handlers are known by the order
// in which the constructor declares them, so an instance needs a slice of functions only.
type table struct {
	kind      KindName
	messages  wire.Catalogue
	byNumber  map[uint32]*entry
	byType    map[reflect.Type]*entry
	handlers  int
	cells     map[string]bool
	redactors map[string]*wire.Redactor // by cell
	scales    map[string]scale          // of stored cells, by name
	forms     map[string]storedForm     // of stored cells, by name
	indexes   []Index
	stored    bool
	retries   bool // handles a Retry number
	errs      []error
}

// An entry is one message or event of a kind: either one handler that answers, or any number of listeners.
type entry struct {
	line   *wire.Type // nil for an event that is only emitted
	answer int        // index of the handler; -1: none
	reply  *wire.Type // what the handler answers with; nil: an empty body
	on     []int      // indexes of listeners, in order of mounting
}

func newTable(k KindName, messages wire.Catalogue) *table {
	return &table{kind: k, messages: messages, byNumber: map[uint32]*entry{},
		byType: map[reflect.Type]*entry{}, cells: map[string]bool{}, redactors: map[string]*wire.Redactor{},
		scales: map[string]scale{}, forms: map[string]storedForm{}}
}

// declare adds the next handler, for messages of type m (a pointer) with results of type r (nil: none).
func (t *table) declare(m, r reflect.Type, listens bool) {
	index := t.handlers
	t.handlers++
	if m.Kind() != reflect.Pointer || m.Elem().Kind() != reflect.Struct {
		t.refuse("handles %s: messages are pointers to structs", m)
		return
	}
	e := t.byType[m.Elem()]
	if e == nil {
		e = &entry{line: t.messages.ByGoType(m.Elem()), answer: -1}
		t.byType[m.Elem()] = e
		if e.line != nil {
			t.byNumber[e.line.Number] = e
			t.stored = t.stored || e.line.Durable // what was taken is stored
			t.retries = t.retries || e.line.Retry
		}
	}
	switch {
	case listens && e.answer >= 0, !listens && len(e.on) > 0:
		t.refuse("%s has a handler and listeners; take one or the other", m)
	case listens:
		e.on = append(e.on, index)
	case e.answer >= 0:
		t.refuse("%s has two handlers", m)
	case e.line != nil && e.line.Number < wire.FirstGameNumber:
		t.refuse("answers %s, which is an event of the runtime: listen to it with On", m)
	case e.line == nil:
		t.refuse("answers %s, which is not in the catalogue: give it a number", m)
	default:
		e.answer = index
	}
	if r == nil {
		return
	}
	if r.Kind() == reflect.Pointer {
		e.reply = t.messages.ByGoType(r.Elem())
	}
	if e.reply == nil {
		t.refuse("answers %s with %s, which is not in the catalogue: give it a number", m, r)
	}
}

func (t *table) cell(name string, stored bool) {
	if len(name) > maxName {
		t.refuse("cell %.40q...: a name is at most %d bytes", name, maxName)
	}
	if name == boxName {
		t.refuse("cell %q: the name is the runtime's own", name)
	}
	if t.cells[name] {
		t.refuse("cell %q is declared twice", name)
	}
	t.cells[name] = true
	t.stored = t.stored || stored
}

func (t *table) refuse(format string, args ...any) {
	t.errs = append(t.errs, fmt.Errorf("actors: kind %s: "+format, append([]any{t.kind}, args...)...))
}

// Replies says what a number of the clients' is answered with; nil: an empty body. False: no kind handles it.
func (s *System) Replies(number uint32) (reply *wire.Type, handled bool) {
	k, ok := s.handles[number]
	if !ok {
		return nil, false
	}
	return s.kinds[k].table.byNumber[number].reply, true
}
