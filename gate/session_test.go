package gate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

func TestAFirstFrameThatIsNotAGoodHelloCloses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		frame []byte
		want  wire.CloseNumber
	}{
		"a game's number, with Hello's body": {
			wire.AppendFrame(nil, 0, 110, 1, []byte(`{"version":2}`)), wire.CloseBadFrame},
		"a ping":  {wire.AppendFrame(nil, 0, 5, 1, nil), wire.CloseBadFrame},
		"no JSON": {wire.AppendFrame(nil, 0, 1, 1, []byte("hi")), wire.CloseBadFrame},
		"another version": {wire.AppendFrame(nil, 0, 1, 1, []byte(`{"version":3}`)),
			wire.CloseVersion},
		"no version": {wire.AppendFrame(nil, 0, 1, 1, []byte(`{}`)), wire.CloseVersion},
		"a flag": {wire.AppendFrame(nil, 1, 1, 1, []byte(`{"version":2}`)),
			wire.CloseBadFrame},
		"reserved bits": {[]byte{64, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}, wire.CloseBadFrame},
		"a body over bounds": {wire.AppendFrame(nil, 0, 1, 1, make([]byte, 64<<10+1)),
			wire.CloseBadFrame},
		"half a frame":      {[]byte{0, 0, 0}, wire.CloseBadFrame},
		"more than a frame": {make([]byte, 24), wire.CloseBadFrame},
		"a ticket that nobody checks": {
			wire.AppendFrame(nil, 0, 1, 1, []byte(`{"version":2,"ticket":"t"}`)),
			wire.CloseUnauthenticated},
	} {
		d := newDesk(t, nil)
		g := d.connect()
		g.visit.Receive(c.frame)
		t.Log(name)
		g.closedWith(c.want)
		if n := d.gate.Counters.Closes()[actors.Code(c.want.String())]; n != 1 {
			t.Errorf("%s: the close was counted %d times", name, n)
		}
		g.visit.Receive(wire.AppendFrame(nil, 0, 1, 1, []byte(`{"version":2}`)))
		if len(d.cluster.sessions) != 0 {
			t.Errorf("%s: a closed connection became a session", name)
		}
	}
}

func TestWelcomeSaysWhatWasGranted(t *testing.T) {
	t.Parallel()
	for asked, granted := range map[string]string{
		"": "json", "json": "json", "proto": "proto", "xml": "json"} {
		d := newDesk(t, nil)
		g := d.connect()
		g.send(wire.NumberHello, 9, wire.Hello{Version: 2, Codec: asked, Resume: &wire.Resume{}})
		f := g.one()
		var w wire.Welcome
		if err := json.Unmarshal(f.body, &w); err != nil {
			t.Fatal(err)
		}
		if f.Seq != 9 || w.Codec != granted || w.Heartbeat != 15 || w.FrameMax != 65536 ||
			w.Time != d.clock.now.UnixMilli() || w.Resumed || w.Reason == "" {
			t.Errorf("asked for %q: seq %d, %+v", asked, f.Seq, w)
		}
		ref := actors.SessionKind.Ref(w.Session)
		if node, c, ok := ref.SessionPlace(); !ok || node != "gate-1" || c.String() != granted {
			t.Errorf("the session's name %s does not tell where it is and how it speaks", ref)
		}
		if d.cluster.sessions[ref] == nil {
			t.Error("the session cannot be reached")
		}
	}
}

func TestASilentConnectionIsClosedAfterTheHelloTimeout(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.connect()
	d.clock.advance(4999 * time.Millisecond)
	if len(g.frames()) != 0 {
		t.Fatal("it was closed too early")
	}
	d.clock.advance(time.Millisecond)
	g.closedWith(wire.CloseHelloTimeout)
}

func TestATicketLogsInBeforeTheClientsOtherFrames(t *testing.T) {
	t.Parallel()
	ann := player.Ref("ann")
	d := newDesk(t, func(o *gate.Options) {
		o.Authenticate = authenticates(map[string]actors.Ref{"t": ann})
	})
	g := d.connect()
	g.send(wire.NumberHello, 1, wire.Hello{Version: 2, Ticket: "t"})
	g.send(110, 1, say{"early"})
	if len(g.frames()) != 0 || len(d.cluster.take()) != 0 {
		t.Fatal("something happened before the ticket was checked")
	}
	d.offload.work()
	if f := g.one(); f.Number != wire.NumberWelcome {
		t.Fatalf("the ticket was answered by %v", f)
	}
	routed := d.cluster.take()
	if len(routed) != 2 || routed[0].Number != actors.NumberBound || routed[0].To != ann ||
		routed[1].Number != 110 || routed[1].From != ann {
		t.Fatalf("routed: %v", routed)
	}
}

func TestABadTicketClosesAndSaysNoMoreThanItsCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{actors.Code("BANNED").Refuse("until May"), "BANNED: until May"},
		{fmt.Errorf("dial tcp 10.0.0.9: password leaked"), "the ticket was refused"},
	} {
		d := newDesk(t, func(o *gate.Options) {
			o.Authenticate = func(context.Context, string) (actors.Ref, error) {
				return actors.Ref{}, c.err
			}
		})
		g := d.connect()
		g.send(wire.NumberHello, 1, wire.Hello{Version: 2, Ticket: "t"})
		d.offload.work()
		g.closedWith(wire.CloseUnauthenticated)
		if g.last.Text != c.want {
			t.Errorf("the client was told %q, want %q", g.last.Text, c.want)
		}
	}
}

func TestAuthenticationThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	var d *desk
	d = newDesk(t, func(o *gate.Options) {
		o.Authenticate = func(ctx context.Context, _ string) (actors.Ref, error) {
			d.clock.advance(5 * time.Second)
			if ctx.Err() == nil {
				t.Error("the game was not told to give up")
			}
			return player.Ref("late"), nil
		}
	})
	g := d.connect()
	g.send(wire.NumberHello, 1, wire.Hello{Version: 2, Ticket: "t"})
	d.offload.work()
	g.closedWith(wire.CloseUnauthenticated)
	if len(d.cluster.sessions) != 0 {
		t.Error("it became a session all the same")
	}
}

func TestFramesBeforeTheTicketIsCheckedAreBounded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) {
		o.Limits.Held = 2
		o.Authenticate = authenticates(nil)
	})
	g := d.connect()
	g.send(wire.NumberHello, 1, wire.Hello{Version: 2, Ticket: "t"})
	for seq := range uint32(2) {
		g.send(110, seq+1, say{})
	}
	if len(g.frames()) != 0 {
		t.Fatal("closed within the bound")
	}
	g.send(110, 3, say{})
	g.closedWith(wire.CloseRateLimited)
}

func TestASilentClientIsPingedAndThenGivenUp(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.enters()
	d.clock.advance(15 * time.Second)
	if f := g.one(); f.Number != wire.NumberPing || f.Seq != 0 {
		t.Fatalf("after 15 s came %v", f)
	}
	g.send(wire.NumberPong, 0, wire.Pong{})
	d.clock.advance(44 * time.Second)
	if got := len(g.frames()); got != 2 || g.cut {
		t.Fatalf("%d pings in 44 s, cut: %v", got, g.cut)
	}
	d.clock.advance(time.Second)
	if c := &d.gate.Counters; !g.cut || c.Closes()[gate.Silent] != 1 || c.Sessions.Load() != c.Away.Load() {
		t.Error("a client that was silent for 45 s still counts")
	}
}

func TestAPingIsAnsweredUnderItsSeqAlsoWithNone(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	g.send(110, 1, say{})
	for _, seq := range []uint32{0, 7, 7} {
		g.send(wire.NumberPing, seq, wire.Ping{})
		f := g.one()
		if f.Number != wire.NumberPong || f.Seq != seq || string(f.body) != `{"received":1}` {
			t.Errorf("ping %d was answered by %v %s", seq, f, f.body)
		}
	}
}

func TestTheEndOfASessionReachesAllItsEntitiesOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	g.order(&actors.BindOrder{To: room.Ref("1"), Ears: true})
	d.cluster.take()
	g.visit.Leave()
	g.visit.Session().Close(wire.CloseKicked, "twice")
	var told []string
	for _, e := range d.cluster.take() {
		m, err := actors.ReadRuntimeMessage(e)
		if err != nil {
			t.Fatal(err)
		}
		u := m.(*actors.Unbound)
		told = append(told, e.To.String()+" "+string(u.Code)+" "+u.Session.ID[:6])
	}
	want := []string{"player/ann DISCONNECTED gate-1", "room/1 DISCONNECTED gate-1"}
	if !slices.Equal(told, want) {
		t.Errorf("told: %q", told)
	}
	if len(d.cluster.sessions) != 0 || len(d.gate.Sessions(10)) != 0 || len(d.clock.timers) != 0 {
		t.Error("something of the session is left")
	}
	g.visit.Session().Deliver(&actors.Envelope{Type: actors.Message, Number: 201, Codec: wire.JSON})
	if d.gate.Counters.Gone.Load() != 1 || len(g.frames()) != 0 {
		t.Error("an ended session took a push")
	}
}

func TestAPanicBehindTheGateLeavesNoLockBehind(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	d.cluster.then = func(*actors.Envelope) { panic("a bug") }
	func() {
		defer func() { _ = recover() }()
		g.send(110, 1, say{})
	}()
	d.cluster.then = nil
	g.visit.Leave() // would wait for ever
	if routed := d.cluster.take(); len(routed) != 2 || routed[1].Number != actors.NumberUnbound {
		t.Errorf("routed: %v", routed)
	}
}

func TestASessionIsReportedAndCanBeKicked(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.connect() // no session yet
	ann, bob := d.plays("ann"), d.plays("bob")
	ann.send(110, 1, say{})
	all := d.gate.Sessions(10)
	if len(all) != 2 || all[0].Session != ann.ref || all[0].Who != player.Ref("ann") ||
		all[0].In != 1 || all[0].Requests != 1 || len(all[0].Bound) != 1 ||
		all[1].Session != bob.ref {
		t.Fatalf("%+v", all)
	}
	if len(d.gate.Sessions(1)) != 1 {
		t.Error("the bound of a report does not hold")
	}
	if !d.gate.Kick(bob.ref, "CHEATER", "seen") || d.gate.Kick(room.Ref("1"), "X", "") {
		t.Error("Kick does not know who is there")
	}
	bob.closedWith(wire.CloseKicked)
	if bob.last.Text != "CHEATER: seen" {
		t.Errorf("the text is %q", bob.last.Text)
	}
}
