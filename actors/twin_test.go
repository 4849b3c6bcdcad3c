package actors

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/virtual"
	"github.com/fireflyrt/firefly/actors/wire"
)

// A twin is two nodes of one cluster in virtual time, over one store, between which shards move as the cluster moves
// them: what arrives for a shard on its way is kept, and goes to whoever has it then.
type twin struct {
	*virtual.Time
	t       testing.TB
	nodes   [2]*System
	owner   [twinShards]int
	epoch   [twinShards]uint64
	kept    [twinShards][]*Envelope
	moving  [twinShards]bool
	store   *memory
	witness *witness
	client  Ref
	got     []*Envelope // by the client
	seq     uint64
	moved   int   // actors' shards that have moved
	bytes   int   // of the newest state
	putOff  error // why the newest move was put off
	putOffs int
	taken   func(e *Envelope) bool
	takes   func() time.Duration // each step of a move; nil: no time
}

const twinShards = 4

func newTwin(t testing.TB, messages wire.Catalogue, kinds ...Kind) *twin {
	t.Helper()
	return newTwinWith(t, nil, messages, kinds...)
}

// newTwinWith makes a twin of which luck decides every order that is free.
func newTwinWith(t testing.TB, luck *rand.Rand, messages wire.Catalogue, kinds ...Kind) *twin {
	t.Helper()
	w := &twin{Time: virtual.New(time.Unix(1_000_000, 0), luck), t: t}
	behind := &world{Time: w.Time}
	w.store = &memory{w: behind, entities: map[Ref]Snapshot{}}
	w.store.fenced = func(ref Ref, t Tenure) bool { return t.Epoch < w.epoch[t.Shard] }
	w.witness = &witness{t: t, kinds: kinds, w: behind}
	ground := NewGround(slog.New(slog.DiscardHandler))
	for i := range w.nodes {
		sys, err := NewSystem(Options{Node: fmt.Sprintf("game-%d", i+1), Incarnation: uint64(7 + i), Seed: 7,
			Kinds: kinds, Catalogue: messages, Clock: w, Scheduler: w, Store: w.store, Tap: w.witness, Ground: ground,
			Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			t.Fatal(err)
		}
		w.nodes[i] = sys
		sys.Start(&side{w, i})
	}
	behind.sys = w.nodes[0]
	t.Cleanup(w.witness.proves)
	w.client = SessionRef("game-1", wire.JSON, 7, 1)
	w.nodes[0].Attach(w.client, func(e *Envelope) { w.got = append(w.got, e) })
	for i := range w.epoch {
		w.epoch[i] = 1
	}
	return w
}

// A side is what one of the nodes knows of the cluster.
type side struct {
	w *twin
	i int
}

func (s *side) Route(e *Envelope) { s.w.route(e) }
func (s *side) Shards() int       { return twinShards }

func (s *side) Tenure(_ string, shard int) (uint64, Hold) {
	if s.w.owner[shard] != s.i {
		return s.w.epoch[shard], Lost
	}
	return s.w.epoch[shard], Held
}

func (w *twin) route(e *Envelope) {
	if w.taken != nil && w.taken(e) {
		return
	}
	at, known := w.nodes[0].Placement(e.To.Kind)
	if len(e.Fan) > 0 || e.To.Kind == SessionKind || !known || at.How != OnePerID {
		w.nodes[0].Deliver(e)
		return
	}
	shard := ShardOf(e.To, at, twinShards)
	if w.moving[shard] {
		w.kept[shard] = append(w.kept[shard], e)
		return
	}
	w.nodes[w.owner[shard]].Deliver(e)
}

func (w *twin) tenure(shard int) Tenure {
	return Tenure{Role: "game", Shard: shard, Epoch: w.epoch[shard]}
}

// move begins to move a shard to the other node. Then, when its actors rest, looks at them, if it is not nil, and says
// whether they go.
func (w *twin) move(shard int, within time.Duration, then func(*Frozen) bool) {
	if w.moving[shard] {
		return
	}
	w.moving[shard] = true
	w.nodes[w.owner[shard]].Freeze(w.tenure(shard), within, func(f *Frozen, err error) {
		switch w.putOff = err; {
		case err != nil:
			w.putOffs++
			w.arrive(shard)
		case then == nil || then(f):
			w.later(func() { w.hand(shard, f) })
		default:
			w.later(func() {
				f.Thaw()
				w.arrive(shard)
			})
		}
	})
}

// hand hands what is frozen over.
func (w *twin) hand(shard int, f *Frozen) {
	state, err := f.State(1 << 30)
	if err != nil {
		w.t.Fatal(err)
	}
	w.bytes = len(state)
	next := w.tenure(shard)
	next.Epoch++
	w.later(func() {
		a, err := w.nodes[1-w.owner[shard]].Prepare(next, state)
		if err != nil {
			w.t.Fatal(err)
		}
		w.later(func() {
			w.owner[shard] = 1 - w.owner[shard]
			w.epoch[shard]++
			w.moved++
			f.Discard()
			a.Begin()
			w.arrive(shard)
		})
	})
}

// later does what is next of a move: at once, or after as long as it takes.
func (w *twin) later(f func()) {
	if w.takes == nil {
		f()
		return
	}
	w.AfterFunc(w.takes(), f)
}

// arrive lets what was kept for a shard go on.
func (w *twin) arrive(shard int) {
	kept := w.kept[shard]
	w.moving[shard], w.kept[shard] = false, nil
	for _, e := range kept {
		w.route(e)
	}
}

// moves moves the shard of an actor and lets everything settle.
func (w *twin) moves(ref Ref) {
	w.t.Helper()
	before := w.moved
	w.move(ref.Shard(twinShards), time.Second, nil)
	w.Advance(0)
	if w.moved != before+1 {
		w.t.Fatalf("%s has not moved: %v", ref, w.putOff)
	}
}

func (w *twin) home(ref Ref) *System { return w.nodes[w.owner[ref.Shard(twinShards)]] }

func (w *twin) entity(ref Ref) *entity {
	p := w.home(ref).stripe(ref).processes[ref]
	if p == nil {
		return nil
	}
	return p.body.(*entity)
}

// send hands a client's message to an entity.
func (w *twin) send(to Ref, msg any, wanted bool) uint64 {
	w.t.Helper()
	line := w.nodes[0].Messages().Of(msg)
	body, err := line.Encode(wire.JSON, msg)
	if err != nil {
		w.t.Fatal(err)
	}
	e := &Envelope{Type: Message, To: to, From: w.client, Session: w.client, Number: line.Number, Codec: wire.JSON,
		Body: body}
	if wanted {
		w.seq++
		e.Request = w.seq
	}
	w.route(e)
	return e.Request
}

func (w *twin) call(to Ref, msg any) string {
	w.t.Helper()
	id := w.send(to, msg, true)
	w.Settle()
	return w.answer(id)
}

// answer is what a request was answered with, as text; nothing if it was not.
func (w *twin) answer(id uint64) string {
	for _, e := range w.got {
		if e.Request == id && e.Type == Refused {
			return string(e.Refusal().Code)
		} else if e.Request == id && e.Type == Answered {
			return string(e.Body)
		}
	}
	return ""
}

func (w *twin) bind(session, to Ref, number uint64) {
	w.route(RuntimeMessage(session, to, &Bound{Session: session, Who: to, Number: number}))
	w.Settle()
}

// stateOf is the state of an entity as text, but for its luck.
func (w *twin) stateOf(ref Ref) string {
	w.t.Helper()
	n := w.entity(ref)
	if n == nil {
		return "not here"
	}
	i, err := n.Image(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := json.Marshal(i.State)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}
