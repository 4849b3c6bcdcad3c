package actors

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/virtual"
	"github.com/fireflyrt/firefly/actors/wire"
)

// A world is one System in one goroutine and in virtual time, with a store in memory and a router that knows this node
// only.
type world struct {
	*virtual.Time
	t       *testing.T
	sys     *System
	serial  int // of work that was done
	store   *memory
	holding Hold
	epoch   uint64
	got     []*Envelope // what was sent to the client
	client  Ref
	seq     uint64
	routed  func(*Envelope) (taken bool) // sees what is routed, and may keep it from going on
	witness *witness
	impure  bool // its behaviours cannot be run again
	limits  Limits
}

func newWorld(t *testing.T, messages wire.Catalogue, kinds ...Kind) *world {
	t.Helper()
	w := &world{Time: virtual.New(time.Unix(1_000_000, 0), nil), t: t, holding: Held, epoch: 1}
	w.store = &memory{w: w, entities: map[Ref]Snapshot{}}
	w.boot(messages, kinds...)
	return w
}

func (w *world) boot(messages wire.Catalogue, kinds ...Kind) {
	w.t.Helper()
	w.witness = &witness{t: w.t, kinds: kinds, w: w}
	w.t.Cleanup(w.witness.proves)
	sys, err := NewSystem(Options{Node: "game-1", Incarnation: 7, Seed: 7, Kinds: kinds, Catalogue: messages,
		Clock: w, Scheduler: w, Store: w.store, Limits: w.limits,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Tap: w.witness})
	if err != nil {
		w.t.Fatal(err)
	}
	w.sys = sys
	sys.Start(w)
	w.client = SessionRef("game-1", wire.JSON, 7, 1)
	sys.Attach(w.client, func(e *Envelope) { w.got = append(w.got, e) })
}

func (w *world) Route(e *Envelope) {
	if w.routed != nil && w.routed(e) {
		return
	}
	if e.Hops > MaxHops {
		w.t.Fatalf("%v went round in circles", e.To)
	}
	w.sys.Deliver(e)
}
func (w *world) Tenure(string, int) (uint64, Hold) { return w.epoch, w.holding }
func (w *world) Shards() int                       { return 16 }
func (w *world) settle()                           { w.Settle() }
func (w *world) advance(d time.Duration)           { w.Advance(d) }

// seeds are as many as a test asks for, or as FIREFLY_SEEDS says: make chaos.
func seeds(n uint64) uint64 {
	if asked, err := strconv.ParseUint(os.Getenv("FIREFLY_SEEDS"), 10, 64); err == nil {
		return asked
	}
	return n
}

// send hands a client's message to an entity; with an answer wanted it returns the id of the request.
func (w *world) send(to Ref, msg any, wanted bool) uint64 {
	w.t.Helper()
	line := w.sys.Messages().Of(msg)
	body, err := line.Encode(wire.JSON, msg)
	if err != nil {
		w.t.Fatal(err)
	}
	e := &Envelope{Type: Message, To: to, From: w.client, Session: w.client, Number: line.Number,
		Codec: wire.JSON, Body: body}
	if wanted {
		w.seq++
		e.Request = w.seq
	}
	w.sys.Deliver(e)
	return e.Request
}

// call sends a request, lets everything settle, and returns the answer.
func (w *world) call(to Ref, msg any) (any, error) {
	w.t.Helper()
	id := w.send(to, msg, true)
	w.settle()
	return w.answer(id)
}

func (w *world) answer(id uint64) (any, error) {
	w.t.Helper()
	for _, e := range w.got {
		if e.Request != id {
			continue
		}
		if e.Type == Refused {
			return nil, e.Refusal()
		}
		if e.Number == 0 {
			return done, nil
		}
		msg, err := w.sys.Messages().ByNumber(e.Number).Decode(e.Codec, e.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		return msg, nil
	}
	return nil, nil
}

// A memory is a Store that answers in the world's queue, and can be told to fail.
type memory struct {
	w        *world
	entities map[Ref]Snapshot
	saves    int
	fail     error
	noLoad   error
	silent   bool
	waiting  []func()
	due      map[Ref]int64 // when they are to be woken
	seen     func(Change)  // what is to be written; nil: nobody looks
	seenOf   func(Ref, Change)
	slow     bool // loads are answered when the test says so
	fenced   func(Ref, Tenure) bool
}

func (m *memory) Load(ref Ref, t Tenure, done func(Snapshot, error)) {
	s, err := m.entities[ref], m.noLoad
	s.Fence = t.Epoch
	if m.slow {
		m.waiting = append(m.waiting, func() { done(s, err) })
		return
	}
	m.w.Run(func() { done(s, err) })
}

func (m *memory) Save(ref Ref, t Tenure, c Change, done func(error)) {
	if m.saves++; m.seen != nil {
		m.seen(c)
	}
	if m.seenOf != nil {
		m.seenOf(ref, c)
	}
	answer := func() {
		err := m.fail
		if m.fenced != nil && m.fenced(ref, t) {
			err = ErrFenced
		}
		if size := c.Size(ref.ID); size > MaxChange && err == nil {
			err = TooBig.Refuse("%d bytes", size)
		}
		if err == nil {
			m.write(ref, c)
		}
		done(err)
	}
	if m.silent {
		m.waiting = append(m.waiting, answer)
		return
	}
	m.w.Run(answer)
}

func (m *memory) write(ref Ref, c Change) {
	s := m.entities[ref]
	s.Version, s.Cells, s.Box = c.Version, c.Cells, c.Box
	if m.due == nil {
		m.due = map[Ref]int64{}
	}
	m.due[ref] = c.DueAt
	if s.Parts == nil {
		s.Parts = map[string]json.RawMessage{}
	}
	for k, v := range c.Parts {
		if v == nil {
			delete(s.Parts, k)
		} else {
			s.Parts[k] = v
		}
	}
	m.entities[ref] = s
}
