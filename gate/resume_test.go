package gate_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// A wanderer is a client that loses its connections and comes back. It keeps what it has sent until that is
// acknowledged, as the protocol asks of it.
type wanderer struct {
	*guest
	welcome  wire.Welcome
	received uint64
	texts    []string // of pushes and replies, as they came

	unacked [][]byte // counted frames
	acked   uint64   // of all that were sent
	seq     uint32
}

// wanders is a wanderer who plays player/name.
func (d *desk) wanders(name string) *wanderer {
	d.t.Helper()
	w := &wanderer{guest: d.connect()}
	w.send(wire.NumberHello, 1, wire.Hello{Version: 2})
	w.read(100)
	w.ref = actors.SessionKind.Ref(w.welcome.Session)
	w.order(&actors.BindOrder{To: player.Ref(name), Login: true})
	d.cluster.take()
	return w
}

// read takes up to n frames in.
func (w *wanderer) read(n int) {
	w.d.t.Helper()
	for range n {
		raw, last := w.visit.Take(nil, 1)
		if w.last = last; len(raw) == 0 {
			return
		}
		for _, b := range raw {
			w.take(b)
		}
	}
}

func (w *wanderer) take(b []byte) {
	w.d.t.Helper()
	h, body, _, err := wire.CutFrame(b, wire.MaxBody)
	if err != nil {
		w.d.t.Fatal(err)
	}
	var m struct {
		Received uint64
		Text     string
	}
	if err := json.Unmarshal(body, &m); err != nil {
		w.d.t.Fatalf("frame %d: %q", h.Number, body)
	}
	switch h.Number {
	case wire.NumberWelcome:
		w.welcome = wire.Welcome{}
		if err := json.Unmarshal(body, &w.welcome); err != nil {
			w.d.t.Fatal(err)
		}
		w.acknowledged(m.Received)
	case wire.NumberPing:
		w.acknowledged(m.Received)
		w.send(wire.NumberPong, h.Seq, wire.Pong{Received: w.received})
	case wire.NumberPong:
		w.acknowledged(m.Received)
	default:
		w.received++
		w.texts = append(w.texts, m.Text)
	}
}

func (w *wanderer) acknowledged(n uint64) {
	w.unacked = w.unacked[n-w.acked:]
	w.acked = n
}

// ask sends a request. With lost it gets lost on its way.
func (w *wanderer) ask(text string, lost bool) {
	w.seq++
	frame := wire.AppendFrame(nil, 0, 110, w.seq, []byte(`{"text":"`+text+`"}`))
	w.unacked = append(w.unacked, frame)
	if !lost {
		w.visit.Receive(frame)
	}
}

// drop loses the connection, and the gate may hear of it or not.
func (w *wanderer) drop(heard bool) {
	if heard {
		w.visit.Lost()
	}
}

// back says Hello over a new connection and sends again what the gate does not have.
func (w *wanderer) back() {
	w.d.t.Helper()
	w.ask2(w.welcome.Token)
	w.read(1)
	for _, frame := range slices.Clone(w.unacked) {
		w.visit.Receive(frame)
	}
}

// ask2 asks for the session with a token.
func (w *wanderer) ask2(token string) {
	old := w.guest
	w.guest = w.d.connect()
	w.ref = old.ref
	w.send(wire.NumberHello, 1, wire.Hello{Version: 2, Resume: &wire.Resume{Session: w.welcome.Session,
		Token: token, Received: w.received}})
}

// push sends the session something through the cluster.
func (d *desk) push(to actors.Ref, text string) bool {
	return d.cluster.deliver(&actors.Envelope{Type: actors.Message, To: to, Number: 201, Codec: wire.JSON,
		Body: []byte(`{"text":"` + text + `"}`)})
}

// TestWhereverAConnectionIsLostNothingIsLostOrDoubled: the client and the cluster talk, connections are lost at any
// frame, with what was on its way in either direction, noticed by the gate or not; in the end each side has
// all that the other has sent, once, in order.
func TestWhereverAConnectionIsLostNothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		luck := rand.New(rand.NewPCG(seed, 1))
		d := newDesk(t, func(o *gate.Options) {
			o.Limits.UnackedFrames, o.Limits.Rate, o.Limits.Burst = 8, 1e6, 1e6
		})
		w := d.wanders("ann")
		var asked, pushed []string
		for i := range 120 {
			switch luck.IntN(8) {
			case 0, 1, 2:
				asked = append(asked, fmt.Sprint(i))
				w.ask(asked[len(asked)-1], false)
			case 3, 4, 5:
				pushed = append(pushed, fmt.Sprint(i))
				d.push(w.ref, pushed[len(pushed)-1])
			case 6:
				w.read(luck.IntN(5))
			default:
				for range luck.IntN(4) { // both sides write what will never arrive
					asked = append(asked, fmt.Sprint(i, "lost"))
					w.ask(asked[len(asked)-1], true)
				}
				w.visit.Take(nil, luck.IntN(1000))
				w.drop(luck.IntN(2) == 0)
				if luck.IntN(3) == 0 {
					pushed = append(pushed, fmt.Sprint(i, "away"))
					d.push(w.ref, pushed[len(pushed)-1])
				}
				w.back()
			}
		}
		w.read(1000)
		w.back()
		w.read(1000)
		var heard []string
		for _, e := range d.cluster.take() {
			var m said
			if e.Number == 110 && json.Unmarshal(e.Body, &m) == nil {
				heard = append(heard, m.Text)
			}
		}
		if !slices.Equal(heard, asked) || !slices.Equal(w.texts, pushed) {
			t.Fatalf("seed %d: asked\n%v\nheard\n%v\npushed\n%v\nhas\n%v", seed, asked, heard, pushed, w.texts)
		}
	}
}

func TestTheTokenRotatesAndTheOldOneIsGoodUntilTheNewOneHasArrived(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	w := d.wanders("ann")
	first := w.welcome.Token
	w.visit.Lost()
	w.ask2(first)
	w.visit.Lost() // before Welcome could be read
	w.ask2(first)
	w.read(1)
	if !w.welcome.Resumed || w.welcome.Token == first {
		t.Fatalf("with the token that the client has: %+v", w.welcome)
	}
	second := w.welcome.Token
	w.ask("I have it", false)
	thief := *w
	thief.ask2(first)
	thief.read(1)
	if thief.welcome.Resumed || !strings.HasPrefix(thief.welcome.Reason, "BAD_TOKEN") ||
		thief.welcome.Session == w.welcome.Session {
		t.Errorf("with a stolen old token: %+v", thief.welcome)
	}
	w.ask("undisturbed", false)
	if routed := d.cluster.take(); len(routed) != 2 {
		t.Errorf("the owner was disturbed: %v", routed)
	}
	w.visit.Lost()
	w.ask2(second)
	if w.read(1); !w.welcome.Resumed {
		t.Errorf("the owner cannot come back: %+v", w.welcome)
	}
}

func TestASessionThatCannotBeResumedIsANewOneThatSaysWhy(t *testing.T) {
	t.Parallel()
	for want, ask := range map[string]wire.Resume{
		"OTHER_GATE":      {Session: actors.SessionRef("gate-2", wire.JSON, 7, 1).ID, Token: "x"},
		"SESSION_UNKNOWN": {Session: actors.SessionRef("gate-1", wire.JSON, 6, 1).ID, Token: "x"},
		"BAD_TOKEN":       {Session: actors.SessionRef("gate-1", wire.JSON, 7, 1).ID, Token: ""},
	} {
		d := newDesk(t, nil)
		d.wanders("ann")
		g := d.connect()
		g.send(wire.NumberHello, 1, wire.Hello{Version: 2, Resume: &ask})
		var m wire.Welcome
		if err := json.Unmarshal(g.one().body, &m); err != nil {
			t.Fatal(err)
		}
		if m.Resumed || !strings.HasPrefix(m.Reason, want+": ") || m.Token == "" {
			t.Errorf("%s: %+v", want, m)
		}
		if n := d.gate.Counters.Unresumed.Load(); n != 1 {
			t.Errorf("%s: counted %d times", want, n)
		}
	}
}

func TestAClientsCountThatCannotBeEndsItsSession(t *testing.T) {
	t.Parallel()
	for _, received := range []uint64{1, 2, 9} { // it had acknowledged 3 of 5
		d := newDesk(t, nil)
		w := d.wanders("ann")
		for range 5 {
			d.push(w.ref, "x")
		}
		w.read(100)
		w.send(wire.NumberPing, 0, wire.Ping{Received: 3})
		w.visit.Lost()
		w.received = received
		w.ask2(w.welcome.Token)
		w.read(1)
		if w.welcome.Resumed || !strings.HasPrefix(w.welcome.Reason, "TOO_MUCH_MISSED: ") {
			t.Errorf("with %d: %+v", received, w.welcome)
		}
		if told := d.cluster.take(); len(told) != 1 || told[0].Number != actors.NumberUnbound {
			t.Errorf("with %d the entity was told %v", received, told)
		}
	}
	d := newDesk(t, nil)
	w := d.wanders("ann")
	w.send(wire.NumberPong, 0, wire.Pong{Received: 1})
	w.closedWith(wire.CloseBadFrame)
}

func TestASessionWaitsForItsClientAndThenEnds(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	w := d.wanders("ann")
	w.visit.Lost()
	c := &d.gate.Counters
	if all := d.gate.Sessions(9); c.Away.Load() != 1 || len(all) != 1 || all[0].Away.IsZero() {
		t.Fatalf("away: %d, %+v", c.Away.Load(), all)
	}
	d.clock.advance(time.Minute - 1)
	if told := d.cluster.take(); len(told) != 0 {
		t.Fatalf("too early: %v", told)
	}
	d.clock.advance(1)
	told := d.cluster.take()
	if len(told) != 1 || told[0].Number != actors.NumberUnbound || c.Away.Load()+c.Sessions.Load() != 0 ||
		len(d.clock.timers) != 0 || c.Closes()[gate.Disconnected] != 1 {
		t.Fatalf("told %v; %d away, %d sessions, closes %v", told, c.Away.Load(), c.Sessions.Load(), c.Closes())
	}
	w.ask2(w.welcome.Token)
	w.read(1)
	if w.welcome.Resumed || !strings.HasPrefix(w.welcome.Reason, "SESSION_UNKNOWN") {
		t.Errorf("%+v", w.welcome)
	}
}

// What a client said first may have been on its way.
func TestASessionInWhichNothingWasSaidYetWaitsToo(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	w := &wanderer{guest: d.connect()}
	w.send(wire.NumberHello, 1, wire.Hello{Version: 2})
	w.read(1)
	w.visit.Lost()
	if w.back(); !w.welcome.Resumed {
		t.Errorf("%+v", w.welcome)
	}
}

func TestStrangersTakeHalfOfThePlacesOfThoseWhoWait(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.Away = 4 })
	waiting := func(what string, want int64) {
		t.Helper()
		if n := d.gate.Counters.Away.Load(); n != want {
			t.Errorf("%s: %d wait, want %d", what, n, want)
		}
	}
	for range 3 {
		d.enters().visit.Lost()
	}
	waiting("three strangers", 2)
	for i := range 3 {
		d.wanders(fmt.Sprint(i)).visit.Lost()
	}
	waiting("and three players", 4)
}

func TestASilentClientsSessionWaitsForIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	w := d.wanders("ann")
	d.clock.advance(45 * time.Second)
	if c := &d.gate.Counters; !w.cut || c.Away.Load() != 1 || c.Closes()[gate.Silent] != 1 {
		t.Fatalf("cut: %v, %d away, closes %v", w.cut, c.Away.Load(), c.Closes())
	}
	if w.back(); !w.welcome.Resumed {
		t.Errorf("%+v", w.welcome)
	}
}

func TestTheOldConnectionIsNotHeardAfterTheNewOne(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	w := d.wanders("ann")
	old := w.guest
	w.ask2(w.welcome.Token)
	w.read(1)
	old.send(110, 1, said{"unread"})
	old.visit.Close(wire.CloseBadFrame, "unread, and malformed")
	old.visit.Lost()
	w.ask("heard", false)
	if routed := d.cluster.take(); len(routed) != 1 || string(routed[0].Body) != `{"text":"heard"}` {
		t.Errorf("routed %v", routed)
	}
	if n := d.gate.Counters.Closes()[gate.Replaced]; !old.cut || n != 1 {
		t.Errorf("cut: %v, counted %d", old.cut, n)
	}
}

func TestWhoWasClosedForGoodWhileAwayIsToldSo(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	w := d.wanders("ann")
	w.visit.Lost()
	d.plays("ann") // takes over
	w.ask2("another's")
	if w.read(1); w.welcome.Resumed || w.last != nil {
		t.Fatal("told to whom it does not concern")
	}
	w = d.wanders("bob")
	w.visit.Lost()
	d.plays("bob")
	w.ask2(w.welcome.Token)
	w.closedWith(wire.CloseTakenOver)
}

func TestNotMoreIsSentThanTheBoundBeforeItIsAcknowledged(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) {
		o.Limits.UnackedBytes, o.Limits.ReplyMax, o.Limits.QueueBytes = 100_000, 60_000, 1<<20
	})
	g := d.plays("ann")
	for range 300 {
		d.push(g.ref, "x")
	}
	pings := 0
	got := g.frames()
	for _, f := range got {
		if f.Number == wire.NumberPing {
			pings++
		}
	}
	if len(got)-pings != 256 || pings != 4 {
		t.Fatalf("%d frames and %d pings went to a client that says nothing", len(got)-pings, pings)
	}
	wakes := g.wakes
	g.send(wire.NumberPong, 0, wire.Pong{Received: 250})
	if more := g.frames(); g.wakes != wakes+1 || len(more) != 44 {
		t.Errorf("woken %d times, %d more", g.wakes-wakes, len(more))
	}
	g.send(wire.NumberPong, 0, wire.Pong{Received: 300})
	for range 3 {
		d.push(g.ref, strings.Repeat("x", 49_000))
	}
	if got := g.frames(); len(got) != 3 || got[1].Number != 201 || got[2].Number != wire.NumberPing {
		t.Errorf("of three big ones went %v", got)
	}
}

// A client that reads and speaks but never says what it has gets no more than the window holds. It is told why, while
// one that says so slowly is waited for.
func TestAClientThatNeverAcknowledgesIsToldSo(t *testing.T) {
	t.Parallel()
	for _, slow := range []bool{true, false} {
		d := newDesk(t, func(o *gate.Options) { o.Limits.UnackedFrames = 8 })
		w := d.wanders("ann")
		for i := range 12 {
			d.push(w.ref, fmt.Sprint(i))
		}
		w.received = uint64(len(w.guest.frames()) - 1) // one is a Ping
		for at := range 10 {
			d.clock.advance(10 * time.Second)
			has := uint64(0)
			if slow {
				has = uint64(1 + at/4)
			}
			if w.send(wire.NumberPong, 0, wire.Pong{Received: has}); slow {
				w.guest.frames()
			}
			if gone := d.gate.Counters.Closes()["SLOW_CLIENT"] > 0; gone && (slow || at < 4) || at > 5 && gone == slow {
				t.Fatalf("%d s, slow: %v, closed: %v", 10*(at+1), slow, gone)
			}
		}
		if slow {
			continue
		}
		if w.closedWith(wire.CloseSlowClient); !strings.Contains(w.last.Text, "4 frames wait") ||
			!strings.Contains(w.last.Text, "in 45s none of the 8 before them was acknowledged") {
			t.Errorf("it was told %q", w.last.Text)
		}
		w.visit.Lost()
		w.back()
		if w.read(100); !w.welcome.Resumed || strings.Join(w.texts, "") != "891011" {
			t.Errorf("resumed: %v, and had %v", w.welcome.Resumed, w.texts)
		}
	}
}

func TestWhatWaitsForAnAbsentClientIsBounded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.QueueFrames = 4 })
	w := d.wanders("ann")
	w.visit.Lost()
	for i := range 8 {
		if !d.push(w.ref, fmt.Sprint(i)) {
			t.Fatalf("push %d found no session", i)
		}
	}
	lossy := &actors.Envelope{Type: actors.Message, To: w.ref, Number: 202, Codec: wire.JSON, Body: []byte("{}")}
	d.cluster.deliver(lossy)
	if c := &d.gate.Counters; c.Dropped.Load() != 1 || c.Away.Load() != 1 {
		t.Errorf("%d dropped, %d away", c.Dropped.Load(), c.Away.Load())
	}
	d.push(w.ref, "8")
	if c := &d.gate.Counters; c.Missed.Load() != 1 || c.Away.Load() != 0 {
		t.Errorf("at the bound: %d missed, %d away", c.Missed.Load(), c.Away.Load())
	}
	w.ask2(w.welcome.Token)
	if w.read(1); w.welcome.Resumed {
		t.Error("it came back to what is not whole")
	}
}

func TestASlowClientComesBackForAllOfIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.QueueFrames = 4 })
	w := d.wanders("ann")
	w.visit.Full()
	for i := range 6 {
		d.push(w.ref, fmt.Sprint(i))
	}
	w.closedWith(wire.CloseSlowClient)
	w.visit.Lost()
	w.back()
	w.read(100)
	if got := strings.Join(w.texts, ""); !w.welcome.Resumed || got != "012345" {
		t.Errorf("resumed: %v, has %s", w.welcome.Resumed, got)
	}
}

func TestNotMoreSessionsWaitThanTheBound(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.Away = 2 })
	for i := range 3 {
		d.wanders(fmt.Sprint(i)).visit.Lost()
	}
	if c := &d.gate.Counters; c.Away.Load() != 2 || c.Sessions.Load() != 2 {
		t.Errorf("%d away of %d", c.Away.Load(), c.Sessions.Load())
	}
	if told := d.cluster.take(); len(told) != 1 || told[0].To != player.Ref("2") {
		t.Errorf("told %v", told)
	}
}

func TestASessionWithoutHelloEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := &guest{d: d}
	g.visit = d.gate.Enter(g, "10.0.0.1:1", &gate.Original{Codec: wire.JSON})
	g.ref = g.visit.Session().Ref()
	g.order(&actors.BindOrder{To: player.Ref("ann"), Login: true})
	d.cluster.take()
	for i := range 300 {
		d.push(g.ref, fmt.Sprint(i))
	}
	if got := g.frames(); len(got) != 300 {
		t.Errorf("%d of 300 frames", len(got))
	}
	d.clock.advance(time.Hour)
	if got := g.frames(); len(got) != 0 || g.cut {
		t.Errorf("a client that cannot be pinged: %v, cut %v", got, g.cut)
	}
	g.visit.Lost()
	if told := d.cluster.take(); len(told) != 1 || told[0].Number != actors.NumberUnbound {
		t.Errorf("told %v", told)
	}
}
