package gate_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// kicks is the order by which player/ann closes a session that lost against a bind of this number.
func (g *guest) kicks(number uint64) {
	g.visit.Session().Deliver(actors.RuntimeMessage(player.Ref("ann"), g.ref,
		&actors.KickOrder{Code: actors.TakenOver, Number: number}))
}

// numbers are those of the binds to player/ann that were routed, by session.
func (d *desk) numbers() map[actors.Ref]uint64 {
	d.t.Helper()
	all := map[actors.Ref]uint64{}
	for _, e := range d.cluster.take() {
		if e.Number != actors.NumberBound || e.To != player.Ref("ann") {
			continue
		}
		var b actors.Bound
		if err := json.Unmarshal(e.Body, &b); err != nil {
			d.t.Fatal(err)
		}
		all[b.Session] = b.Number
	}
	return all
}

// The gate closes all but one at once, and the account all but the highest number: they must mean the same one.
func TestOfSessionsThatClaimAnAccountAtOnceTheHighestNumberRemains(t *testing.T) {
	t.Parallel()
	for range 300 {
		d := newDesk(t, func(o *gate.Options) { o.Clock = realClock{} })
		var guests []*guest
		for range 4 {
			guests = append(guests, d.enters())
		}
		var all sync.WaitGroup
		for _, g := range guests {
			all.Go(func() { g.order(&actors.BindOrder{To: player.Ref("ann"), Login: true}) })
		}
		all.Wait()
		numbers := d.numbers()
		var highest, remains actors.Ref
		for session, n := range numbers {
			if n > numbers[highest] {
				highest = session
			}
		}
		for _, g := range guests {
			if len(g.frames()) == 0 {
				if !remains.IsZero() {
					t.Fatal("two remain")
				}
				remains = g.ref
			}
			g.visit.Leave()
		}
		if remains != highest {
			t.Fatalf("%v remains, and %v has the highest of %v", remains, highest, numbers)
		}
	}
}

// An order to close a session is about what it was when the account decided.
func TestALoserThatHasLetGoMeanwhileIsNotClosed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.enters()
	g.order(&actors.BindOrder{To: player.Ref("ann"), Login: true})
	first := d.numbers()[g.ref]
	g.order(&actors.BindOrder{To: player.Ref("bob"), Login: true})
	g.kicks(first + 1)
	g.order(&actors.BindOrder{To: player.Ref("ann"), Login: true})
	second := d.numbers()[g.ref]
	if second <= first+1 {
		t.Fatalf("bind %d, and %d has won", second, first+1)
	}
	g.kicks(first + 1) // for the first time that it was ann
	if all := g.frames(); len(all) > 0 {
		t.Fatalf("it was told %v", all)
	}
	g.kicks(second)
	g.closedWith(wire.CloseTakenOver)
}

func TestWhoeverIsBoundMeetsALoginAnew(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.enters()
	g.order(&actors.BindOrder{To: room.Ref("1")})
	g.order(&actors.BindOrder{To: player.Ref("ann"), Login: true})
	d.tells("bound to room/1 who session ears false", "unbound from room/1 ", "bound to room/1 who player ears false",
		"bound to player/ann who player ears false")
	g.order(&actors.BindOrder{To: door.Ref("bob"), Login: true})
	d.tells("unbound from room/1 ", "bound to room/1 who door ears false", "unbound from player/ann ",
		"bound to player/ann who door ears false", "bound to door/bob who door ears false")
}

func TestWhoLogsOutLetsGoOfAll(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	g.order(&actors.BindOrder{To: room.Ref("1")})
	g.order(&actors.BindOrder{To: room.Ref("2"), Ears: true})
	g.order(&actors.UnbindOrder{Kind: room})
	g.order(&actors.BindOrder{To: room.Ref("1")})
	d.cluster.take()
	g.order(&actors.UnbindOrder{Kind: player})
	d.tells("unbound from player/ann ", "unbound from room/1 ")
	g.send(110, 1, say{})
	if f := g.one(); f.code() != string(actors.NotBound) {
		t.Errorf("after logging out: %v", f)
	}
	d.plays("ann")
	if len(g.frames()) != 0 {
		t.Error("who has logged out was taken over")
	}
}

func TestWhatIsForEveryoneReachesWhoIsLoggedIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	stranger, ann := d.enters(), d.plays("ann")
	e := &actors.Envelope{Type: actors.Message, To: actors.SessionKind.Ref("*"), From: player.Ref("bob"), Number: 201,
		Codec: wire.JSON, Body: []byte(`{"text":"hi"}`), Fan: []actors.Ref{actors.EveryoneAt("gate-1", wire.JSON)}}
	stranger.visit.Session().Deliver(e)
	ann.visit.Session().Deliver(e)
	if f := ann.one(); f.Number != 201 || len(stranger.frames()) != 0 {
		t.Errorf("ann got %v, or the stranger something", f)
	}
}

// What Authenticate does with what strangers send costs nobody but them, and lets nobody in by mistake.
func TestATicketThatBreaksAuthenticateCostsItsOwnConnection(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) {
		o.Plays = func(kind actors.KindName) bool { return kind == player }
		o.Authenticate = func(_ context.Context, ticket string) (actors.Ref, error) {
			return actors.KindName(strings.Split(ticket, ".")[0]).Ref(strings.Split(ticket, ".")[1]), nil
		}
	})
	for _, ticket := range []string{"no dot", "room.1", ".", "player."} {
		g := d.connect()
		g.send(wire.NumberHello, 1, wire.Hello{Version: 2, Ticket: ticket})
		d.offload.work()
		g.closedWith(wire.CloseUnauthenticated)
		if g.last.Text != "the ticket was refused" {
			t.Errorf("for ticket %q the client was told %q", ticket, g.last.Text)
		}
	}
	g := d.connect()
	g.send(wire.NumberHello, 1, wire.Hello{Version: 2, Ticket: "player.ann"})
	d.offload.work()
	if f := g.one(); f.Number != wire.NumberWelcome {
		t.Errorf("a good ticket was answered by %v", f)
	}
}
