package gate_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// arrives is a guest whose session begins with its connection.
func (d *desk) arrives(o gate.Original) *guest {
	d.t.Helper()
	if o.Codec == 0 {
		o.Codec = wire.JSON
	}
	g := &guest{d: d}
	g.visit = d.gate.Enter(g, "10.0.0.1:1", &o)
	g.ref = g.visit.Session().Ref()
	if said := g.frames(); len(said) > 0 {
		d.t.Fatalf("it was greeted: %v", said)
	}
	return g
}

func TestAnOldClientMayBeSilentForEver(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.arrives(gate.Original{})
	d.clock.advance(24 * time.Hour)
	if said := g.frames(); len(said) > 0 || g.cut || d.gate.Counters.Sessions.Load() != 1 {
		t.Errorf("it was told %v", said)
	}
	g.visit.Lost()
	if c := &d.gate.Counters; c.Sessions.Load()+c.Handshakes.Load()+c.Connections.Load() != 0 {
		t.Error("something is left of it")
	}
}

func TestAnOldClientsFirstFrameMayHaveABound(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	late, early := d.arrives(gate.Original{First: 20 * time.Second}), d.arrives(gate.Original{First: 20 * time.Second})
	early.send(777, 1, nil) // whatever it says
	early.one()
	d.clock.advance(20*time.Second - 1)
	if said := late.frames(); len(said) > 0 {
		t.Errorf("too early it was told %v", said)
	}
	d.clock.advance(1)
	late.closedWith(wire.CloseHelloTimeout)
	d.clock.advance(time.Hour)
	if said := early.frames(); len(said) > 0 || early.cut {
		t.Errorf("who spoke in time was told %v", said)
	}
}

// What holds for clients of firefly/2 holds for theirs.
func TestAnOldClientIsHeldToTheSameLimits(t *testing.T) {
	t.Parallel()
	limits := func(o *gate.Options) {
		o.Limits.Rate, o.Limits.Burst, o.Limits.Requests = 2, 4, 3
	}
	d := newDesk(t, limits)
	g := d.arrives(gate.Original{})
	g.order(&actors.BindOrder{To: player.Ref("ann"), Login: true})
	for seq := range uint32(4) {
		g.send(110, seq+1, say{"?"})
	}
	if f := g.one(); f.code() != string(actors.Overloaded) || f.Number != 110 {
		t.Errorf("one request too many is answered %+v %s", f.Header, f.body)
	}
	g.send(110, 5, say{"?"})
	if f := g.one(); f.code() != string(actors.RateLimited) {
		t.Errorf("too fast is answered %+v %s", f.Header, f.body)
	}
	for seq := uint32(6); g.last == nil && seq < 100; seq++ { // for three seconds, ten a second
		d.clock.advance(100 * time.Millisecond)
		g.send(110, seq, say{"?"})
		g.frames()
	}
	if g.last == nil || g.last.Number != wire.CloseRateLimited {
		t.Errorf("who goes on is closed with %+v", g.last)
	}

	slow := d.arrives(gate.Original{})
	slow.visit.Full()
	for i := range gate.DefaultLimits().QueueFrames + 1 {
		d.cluster.deliver(&actors.Envelope{Type: actors.Message, To: slow.ref, Number: 201, Codec: wire.JSON,
			Body: fmt.Appendf(nil, `{"text":"%d"}`, i)})
	}
	slow.closedWith(wire.CloseSlowClient)
}

// Their replies have the number of the request, also if there is another for the reply's type; and
// none of their numbers means to the gate what it does in firefly/2.
func TestAnOldClientsNumbersAreItsOwn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.arrives(gate.Original{})
	g.order(&actors.BindOrder{To: player.Ref("ann"), Login: true})
	d.cluster.take()
	g.send(110, 1, say{"?"})
	asked := d.cluster.take()
	if len(asked) != 1 || asked[0].Codec != wire.JSON {
		t.Fatalf("routed: %v", asked)
	}
	d.cluster.deliver(asked[0].Answer(201, wire.JSON, []byte(`{"text":"!"}`)))
	if f := g.one(); f.Number != 110 || f.Seq != 1 || f.Flags != 0 || string(f.body) != `{"text":"!"}` {
		t.Errorf("answered %+v %s", f.Header, f.body)
	}
	for i, number := range []uint32{0, 1, 2, 3, 4, 5, 6, 99} {
		g.send(number, uint32(2+i), wire.Hello{Version: 2})
		if f := g.one(); f.code() != string(actors.UnknownNumber) || f.Number != number {
			t.Errorf("%d is answered %+v %s", number, f.Header, f.body)
		}
	}
}

func TestABodyCodecIsTheListenersToSay(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.arrives(gate.Original{Codec: wire.Proto})
	if _, c, ok := g.ref.SessionPlace(); !ok || c != wire.Proto {
		t.Errorf("%s speaks %v", g.ref, c)
	}
	g.send(101, 1, nil)
	if sent := d.cluster.take(); len(sent) != 1 || sent[0].Codec != wire.Proto {
		t.Errorf("routed: %v", sent)
	}
}
