package cluster

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

func TestADoorThatIsClosedWaitsForWhoIsInside(t *testing.T) {
	t.Parallel()
	var d door
	if d.enter() {
		t.Fatal("a new door is open")
	}
	d.open()
	for range 2 {
		if !d.enter() {
			t.Fatal("an open door lets nobody in")
		}
	}
	empty := 0
	d.shut()
	d.empty(func() { empty++ })
	if d.enter() {
		t.Fatal("a closed door lets somebody in")
	}
	if d.leave(); empty != 0 {
		t.Fatal("it does not wait for the second who is inside")
	}
	if d.leave(); empty != 1 {
		t.Fatalf("when all were out it said so %d times", empty)
	}
	d.open()
	d.shut()
	d.empty(func() { empty++ })
	if empty != 2 {
		t.Fatal("with nobody inside it does not say so at once")
	}
}

// heldAt is a node whose watch stands still while envelopes of a later epoch come for its shard: all wait.
func heldAt(t *testing.T, change func(*Options)) (w *town, n *Cluster, put func(n uint64)) {
	w, _, one, two := trio(t, 31)
	change(&one.o)
	from := two.Self().Incarnation
	p := one.picture.Load().peers[from]
	shard := shardOf(one, "game-1")
	return w, one.Cluster, func(i uint64) {
		e := request(two, owned(t, one), i)
		for actors.KindName("player").Ref(e.To.ID).Shard(16) != shard {
			e.To.ID += "x"
		}
		e.Epoch = 2
		o := origin{member: from, book: &p.in.book, seq: i}
		one.arrive(&item{tag: tagEnvelope, e: e}, &o)
	}
}

func TestWhatWaitsForMovesIsBoundedInNumberAndBytes(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*Options){
		func(o *Options) { o.Held = 10 }, func(o *Options) { o.HeldBytes = 20 },
	} {
		w, n, put := heldAt(t, change)
		for i := range uint64(15) {
			put(i + 1)
		}
		r := n.Report()
		if r.Moves.Held != 10 || r.Moves.Overflow != 5 || r.Refused != 5 || r.Moves.Tenures != 1 {
			t.Errorf("of 15 where 10 may wait: %+v, refused %d", r.Moves, r.Refused)
		}
		w.settle()
	}
}

func TestTenuresAreBoundedInNumber(t *testing.T) {
	t.Parallel()
	_, n, put := heldAt(t, func(o *Options) { o.Tenures = 1 })
	n.tenancy.at[actors.Tenure{Role: "other"}] = newTenure(actors.Tenure{}, time.Time{})
	put(1)
	if r := n.Report(); r.Moves.Overflow != 1 || r.Moves.Tenures != 1 {
		t.Errorf("%+v", r.Moves)
	}
}

func TestStatesThatWaitAreBoundedAndABadOneIsRefused(t *testing.T) {
	t.Parallel()
	w := newVoyage(t, 1)
	w.registry.coordinator = 999
	a, b := w.join("game-1", "game"), w.join("game-2", "game")
	w.settleIn(a, b)
	source := a.n.self.Incarnation
	send := func(c *chunk) {
		c.of, c.intent = actors.Tenure{Role: "game", Shard: 0, Epoch: 1}, 1000 // later than all that b has seen
		b.n.arrive(&item{tag: tagChunk, chunk: c}, &origin{member: source})
		w.time.Settle()
	}
	send(&chunk{passage: passage{attempt: 1}, total: 1 << 62, bytes: []byte("x")})
	if n := b.n.Report().Moves.Staged; n != 0 || len(b.n.tenancy.stages) != 0 {
		t.Errorf("a state above the bound: %d bytes wait", n)
	}
	send(&chunk{passage: passage{attempt: 2}, total: 10, bytes: []byte("\x00\x00")})
	if n := b.n.Report().Moves.Staged; n != 2 {
		t.Errorf("after a piece of 2 bytes %d wait", n)
	}
	send(&chunk{passage: passage{attempt: 2}, total: 10, offset: 2, bytes: []byte("not state")}) // a byte too many
	send(&chunk{passage: passage{attempt: 2}, total: 10, offset: 7, bytes: []byte("hat")})       // behind a gap
	if n := b.n.Report().Moves.Staged; n != 2 {
		t.Errorf("after pieces that do not fit %d wait", n)
	}
	send(&chunk{passage: passage{attempt: 2}, total: 10, offset: 2, bytes: []byte("no state")})
	if n := b.n.Report().Moves.Staged; n != 0 || len(b.n.tenancy.stages) != 0 {
		t.Errorf("a torn state was kept: %d bytes", n)
	}
	send(&chunk{passage: passage{attempt: 3}, total: 4, bytes: []byte("\x00\x00{}")})
	if n := b.n.Report().Moves.Staged; n != 4 {
		t.Errorf("a good one: %d bytes wait", n)
	}
	send(&chunk{passage: passage{attempt: 3}})
	if n := b.n.Report().Moves.Staged; n != 0 {
		t.Errorf("it was taken back: %d bytes wait", n)
	}
	send(&chunk{passage: passage{attempt: 4}, total: 64 << 20, bytes: []byte("x")})
	if n := len(b.n.tenancy.stages); n != 1 {
		t.Fatalf("%d states are on their way", n)
	}
	other := &chunk{passage: passage{attempt: 5}, total: 1, bytes: []byte("x")}
	other.of, other.intent = actors.Tenure{Role: "game", Shard: 2, Epoch: 1}, 1000
	b.n.tenancy.chunk(other, source)
	if n := len(b.n.tenancy.stages); n != 1 {
		t.Errorf("one that is on its way is as large as the bound, and another was begun: %d", n)
	}
	for _, h := range w.crews {
		h.n.Close()
	}
}

func TestADrainSaysWhatNobodyElseCanTake(t *testing.T) {
	t.Parallel()
	w := newVoyage(t, 2)
	w.join("gate-1", "gate")
	one := w.join("game-1", "game")
	w.time.Advance(2 * DefaultLease)
	var ended []error
	one.n.Drain(time.Minute, func(err error) { ended = append(ended, err) })
	w.time.Advance(time.Second)
	if len(ended) != 1 || ended[0] == nil {
		t.Fatalf("draining the only game node ended with %v", ended)
	}
	for _, h := range w.crews {
		h.n.Close()
	}
}

// BenchmarkAnEnvelopeToAnActorOfThisNode is what routing costs beside the delivery itself. Budget: 500 ns.
func BenchmarkAnEnvelopeToAnActorOfThisNode(b *testing.B) {
	w := newTown(&testing.T{}, 1)
	one := w.join("game-1", "game")
	w.advance(2 * DefaultLease)
	one.hear = func(*actors.Envelope) {}
	e := oneWay("ann", 1)
	for b.Loop() {
		one.Route(e)
	}
}

// BenchmarkAnEnvelopeFromAnotherNode is what an envelope costs from the batch that brings it to its actor. Budget: a
// microsecond.
func BenchmarkAnEnvelopeFromAnotherNode(b *testing.B) {
	w := newTown(&testing.T{}, 1)
	one := w.join("game-1", "game")
	gate := w.join("gate-1", "gate")
	w.advance(2 * DefaultLease)
	one.hear = func(*actors.Envelope) {}
	e := oneWay("ann", 1)
	e.Epoch = 1
	p := one.picture.Load().byName[gate.name]
	bytes := (&item{tag: tagEnvelope, e: e}).append(nil)
	h := batch{}
	for range 100 {
		h.items = append(h.items, bytes...)
	}
	for b.Loop() {
		if err := p.deliver(&h); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(100*b.N), "ns/envelope")
}

// A sleeper is a clock whose next reading is held up.
type sleeper struct {
	actors.Clock
	sleep func()
}

func (s *sleeper) Now() time.Time {
	if f := s.sleep; f != nil {
		s.sleep = nil
		f()
	}
	return s.Clock.Now()
}

// Whoever looks whether a shard is the node's own, and is frozen in that until the node has lost it and has a lease
// again, does not take the new lease for one of the old owner.
func TestALookAtATenureThatOutlastsItDoesNotHold(t *testing.T) {
	w, _, one, _ := trio(t, 7)
	shard := shardOf(one, "game-1")
	epoch, _ := one.Tenure("game", shard)
	one.o.Clock = &sleeper{one.o.Clock, func() {
		w.registry.Cut(one.Self().Incarnation, true)
		w.advance(2 * DefaultLease)
		w.registry.Cut(one.Self().Incarnation, false)
		w.advance(3 * time.Second)
	}}
	if is, hold := one.Tenure("game", shard); hold == actors.Held {
		t.Errorf("the shard is held at %d, from before the freeze at %d", is, epoch)
	}
	if is, hold := one.Tenure("game", shard); is == epoch || hold == actors.Paused {
		t.Errorf("afterwards it stands at %d %v, as before the freeze: nothing was tested", is, hold)
	}
}
