package gate_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

func TestAFrameBecomesAnEnvelopeWithoutBeingRead(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	body := []byte("not even JSON \x00\xff")
	raw := wire.AppendFrame(nil, 0, 110, 5, body)
	g.visit.Receive(raw)
	clear(raw) // the connection reuses its buffer
	e := d.cluster.take()[0]
	want := actors.Envelope{Type: actors.Message, To: player.Ref("ann"), From: player.Ref("ann"),
		Session: g.ref, Number: 110, Codec: wire.JSON, Request: 5,
		Deadline: d.clock.now.Add(5 * time.Second).UnixNano(), At: d.clock.now.UnixNano()}
	if !bytes.Equal(e.Body, body) {
		t.Errorf("the body is %q", e.Body)
	}
	e.Body = nil
	if fmt.Sprint(*e) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", *e, want)
	}
}

func TestEachFrameThatGoesNowhereIsAnsweredWithItsCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		number uint32
		code   actors.Code
	}{
		{"a number that is not in the catalogue", 999, actors.UnknownNumber},
		{"a number that only servers send", 201, actors.UnknownNumber},
		{"a number between actors", 300, actors.UnknownNumber},
		{"a number of the runtime's", 50, actors.UnknownNumber},
		{"an order that only actors give", actors.NumberBind, actors.UnknownNumber},
		{"a number that nobody handles", 113, actors.UnknownNumber},
		{"a number whose kind the session is not bound to", 110, actors.NotBound},
	} {
		d := newDesk(t, nil)
		g := d.enters()
		g.send(c.number, 7, nil)
		if f := g.one(); f.code() != string(c.code) || f.Number != c.number || f.Seq != 7 {
			t.Errorf("%s: answered %v %s", c.name, f.Header, f.body)
		}
		g.send(c.number, 0, nil)
		if f := g.one(); f.code() != string(c.code) || f.Number != wire.NumberError || f.Seq != 0 {
			t.Errorf("%s without a seq: answered %v %s", c.name, f.Header, f.body)
		}
		if len(d.cluster.take()) != 0 {
			t.Errorf("%s: it was passed on", c.name)
		}
		if n := d.gate.Counters.Errors()[c.code]; n != 2 {
			t.Errorf("%s: counted %d times", c.name, n)
		}
	}
}

func TestOnlyPublicNumbersAreServedBeforeLogin(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.enters()
	g.order(&actors.BindOrder{To: player.Ref("ann")}) // bound, but as nobody
	d.cluster.take()
	g.send(110, 1, say{})
	if f := g.one(); f.code() != string(actors.NotBound) {
		t.Errorf("before login: %v", f)
	}
	g.send(101, 2, enter{"ann"})
	if e := d.cluster.take()[0]; e.To != (actors.Ref{Kind: door}) || e.From != g.ref {
		t.Errorf("the login went to %s from %s", e.To, e.From)
	}
}

func TestAnAnswerCarriesItsOwnNumberAndTheRequestsSeq(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	for seq := range uint32(3) {
		g.send(110, seq+1, say{})
	}
	asked := d.cluster.take()
	g.visit.Session().Deliver(asked[2].Answer(201, wire.JSON, []byte(`{"text":"c"}`)))
	g.visit.Session().Deliver(asked[0].Answer(0, 0, nil))
	g.visit.Session().Deliver(asked[1].Refuse(&actors.Refusal{Code: "WALLET_POOR", Text: "3 gold"}))
	got := g.frames()
	if len(got) != 3 || got[0].Number != 201 || got[0].Seq != 3 ||
		string(got[0].body) != `{"text":"c"}` ||
		got[1].Header != (wire.Header{Number: 110, Seq: 1}) ||
		got[2].Number != 110 || got[2].Seq != 2 || got[2].code() != "WALLET_POOR" {
		t.Errorf("%v", got)
	}
	if d.gate.Counters.Refused.Load() != 1 || d.gate.Sessions(1)[0].Out != 3 {
		t.Error("not counted")
	}
}

// A cluster may answer within Route, in the same goroutine.
func TestAnAnswerMayComeAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	d.cluster.then = func(e *actors.Envelope) {
		d.cluster.deliver(e.Refuse(&actors.Refusal{Code: actors.Unavailable}))
	}
	g.send(110, 1, say{})
	if f := g.one(); f.code() != string(actors.Unavailable) {
		t.Errorf("%v", f)
	}
}

func TestEveryRequestGetsExactlyOneReplyWithinItsDeadline(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	g.send(110, 1, say{})
	g.send(111, 2, hurry{})
	g.send(110, 3, say{})
	asked := d.cluster.take()
	d.clock.advance(300 * time.Millisecond)
	if f := g.one(); f.code() != string(actors.DeadlinePassed) || f.Number != 111 || f.Seq != 2 {
		t.Fatalf("after its own 300 ms: %v", f)
	}
	g.visit.Session().Deliver(asked[0].Answer(201, wire.JSON, []byte(`{}`)))
	g.visit.Session().Deliver(asked[0].Answer(201, wire.JSON, []byte(`{}`))) // twice
	g.visit.Session().Deliver(asked[1].Answer(201, wire.JSON, []byte(`{}`))) // late
	if f := g.one(); f.Seq != 1 {
		t.Fatalf("answered: %v", f)
	}
	d.clock.advance(4700 * time.Millisecond)
	if f := g.one(); f.code() != string(actors.DeadlinePassed) || f.Seq != 3 {
		t.Fatalf("after the gate's 5 s: %v", f)
	}
	g.visit.Session().Deliver(asked[2].Answer(201, wire.JSON, []byte(`{}`)))
	stray := asked[2].Answer(201, wire.JSON, nil)
	stray.Request = 1<<32 + 3
	g.visit.Session().Deliver(stray)
	if n := d.gate.Counters.Late.Load(); len(g.frames()) != 0 || n != 4 {
		t.Errorf("%d late answers were counted, want 4", n)
	}
}

func TestDeadlinesThatPassTogetherAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	for seq := range uint32(20) {
		g.send(110, seq+1, say{})
	}
	d.clock.advance(5 * time.Second)
	for i, f := range g.frames() {
		if f.Seq != uint32(i+1) {
			t.Fatalf("frame %d answers seq %d", i, f.Seq)
		}
	}
}

func TestOpenRequestsAreBounded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.Requests = 3 })
	g := d.plays("ann")
	for seq := range uint32(3) {
		g.send(110, seq+1, say{})
	}
	if asked := d.cluster.take(); len(asked) != 3 || len(g.frames()) != 0 {
		t.Fatalf("%d were passed on within the bound", len(asked))
	}
	g.send(110, 4, say{})
	f := g.one()
	if f.code() != string(actors.Overloaded) || f.Seq != 4 || len(d.cluster.take()) != 0 {
		t.Errorf("over the bound: %v", f)
	}
	g.send(110, 0, say{}) // wants no answer, so nothing is kept for it
	if len(d.cluster.take()) != 1 {
		t.Error("a one-way message needed room")
	}
}

func TestASeqThatDoesNotRiseIsNamedAndTheThirdCloses(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	g.send(110, 5, say{})
	g.send(110, 0, say{}) // exempt
	g.send(110, 9, say{}) // steps are allowed
	if n := len(d.cluster.take()); n != 3 {
		t.Fatalf("%d were passed on", n)
	}
	for _, seq := range []uint32{9, 1} {
		g.send(110, seq, say{})
		f := g.one()
		want := fmt.Sprintf("seq %d ", seq)
		if f.code() != string(actors.BadSeq) || f.Number != wire.NumberError || f.Seq != 0 ||
			!bytes.Contains(f.body, []byte(want)) {
			t.Errorf("seq %d: %v %s", seq, f.Header, f.body)
		}
	}
	if len(d.cluster.take()) != 0 {
		t.Error("a bad seq was passed on")
	}
	g.send(110, 8, say{})
	if in := g.d.gate.Counters.FramesIn.Load(); in != 7 {
		t.Errorf("%d frames counted", in)
	}
	g.closedWith(wire.CloseBadFrame)
}

func TestTooManyMessagesAreAnsweredAndThenClosed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	seq := uint32(0)
	burst := func(n int) (limited int) {
		for range n {
			seq++
			g.send(110, seq, say{})
			for _, e := range d.cluster.take() {
				d.cluster.deliver(e.Answer(0, 0, nil))
			}
		}
		for _, f := range g.frames() {
			if f.code() == string(actors.RateLimited) {
				limited++
			}
		}
		return limited
	}
	if n := burst(120); n != 0 {
		t.Fatalf("%d of the burst were refused", n)
	}
	if n := burst(5); n != 5 {
		t.Fatalf("%d of 5 over the burst were refused", n)
	}
	d.clock.advance(1100 * time.Millisecond) // a pause ends the bout
	if n := burst(70); n != 4 && n != 5 {    // 66 tokens came
		t.Fatalf("%d of 70 were refused after 1.1 s", n)
	}
	for range 5 {
		d.clock.advance(500 * time.Millisecond)
		burst(40)
	}
	if g.last != nil {
		t.Fatal("closed before 3 s of it")
	}
	d.clock.advance(500 * time.Millisecond)
	for range 40 {
		seq++
		g.send(110, seq, say{})
	}
	g.closedWith(wire.CloseRateLimited)
}

// A flood is over as soon as it is seen to be one: each answer costs the others.
func TestAFloodIsClosedBeforeItsTime(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.Burst, o.Limits.Refusals = 1, 4 })
	g := d.plays("ann")
	floods := func(n int) {
		for range n {
			g.send(wire.NumberPong, 0, wire.Ping{})
		}
		g.frames()
	}
	floods(1 + 3)
	if g.last != nil {
		t.Fatal("closed at three refusals of four")
	}
	d.clock.advance(1100 * time.Millisecond) // a pause ends the bout
	floods(1 + 3)
	if g.last != nil {
		t.Fatal("refusals of before the pause count")
	}
	g.send(wire.NumberPong, 0, wire.Ping{})
	g.closedWith(wire.CloseRateLimited)
}

func TestANumberMayHaveARateOfItsOwn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	for seq := range uint32(3) {
		g.send(112, seq+1, knock{})
	}
	f := g.one()
	if f.code() != string(actors.RateLimited) || f.Seq != 3 ||
		!bytes.Contains(f.body, []byte(`"retry_after_ms":30001`)) {
		t.Errorf("the third of two a minute: %v %s", f.Header, f.body)
	}
	d.clock.advance(5 * time.Second)
	g.frames()
	d.clock.advance(25 * time.Second)
	g.frames()
	g.send(112, 4, knock{})
	if len(g.frames()) != 0 {
		t.Error("the bucket does not fill again")
	}
}

func TestAReplyThatIsTooBigOrInAnotherCodecIsAnErrorOfOurs(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.ReplyMax = 10 })
	g := d.plays("ann")
	g.send(110, 1, say{})
	g.send(110, 2, say{})
	g.send(110, 3, say{})
	asked := d.cluster.take()
	g.visit.Session().Deliver(asked[0].Answer(201, wire.JSON, make([]byte, 11)))
	g.visit.Session().Deliver(asked[1].Answer(201, wire.Proto, []byte{1}))
	g.visit.Session().Deliver(asked[2].Answer(201, wire.JSON, make([]byte, 10)))
	got := g.frames()
	if got[0].code() != string(actors.TooBig) || got[1].code() != string(actors.Internal) ||
		got[2].Flags != 0 || len(got) != 3 {
		t.Errorf("%v", got)
	}
}

func TestAPushOfAFanOutIsMadeOnceForAllItsSessions(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	ann, bob := d.plays("ann"), d.plays("bob")
	e := &actors.Envelope{Type: actors.Message, From: room.Ref("1"), Number: 201, Codec: wire.JSON,
		Body: []byte(`{"text":"hi"}`), Fan: []actors.Ref{ann.ref, bob.ref}}
	if !d.cluster.deliver(e) {
		t.Fatal("a session was not found")
	}
	a, _ := ann.visit.Take(nil, 1<<20)
	b, _ := bob.visit.Take(nil, 1<<20)
	if len(a) != 1 || len(b) != 1 || &a[0][0] != &b[0][0] {
		t.Error("the frame was made twice")
	}
	if h, _ := wire.ParseHeader(a[0], 100); h != (wire.Header{Length: 13, Number: 201}) {
		t.Errorf("a push has the header %+v", h)
	}
}

func TestWhatAClientMustNotGetIsCountedAndNotSent(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.ReplyMax = 10 })
	g := d.plays("ann")
	push := func(number uint32, c wire.Codec, n int) {
		g.visit.Session().Deliver(&actors.Envelope{Type: actors.Message, From: room.Ref("1"),
			Number: number, Codec: c, Body: make([]byte, n)})
	}
	push(300, wire.JSON, 1)  // between actors
	push(110, wire.JSON, 1)  // a client's own
	push(999, wire.JSON, 1)  // in no catalogue
	push(201, wire.Proto, 1) // in a codec it does not speak
	push(201, wire.JSON, 11) // too long
	g.order(&actors.Bound{})
	if len(g.frames()) != 0 {
		t.Error("something was sent")
	}
	if c := &d.gate.Counters; c.Forbidden.Load() != 5 || c.Oversized.Load() != 1 {
		t.Errorf("counted %d and %d", c.Forbidden.Load(), c.Oversized.Load())
	}
}
