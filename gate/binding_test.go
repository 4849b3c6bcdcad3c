package gate_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// story tells what was routed, in a word each.
func story(t *testing.T, routed []*actors.Envelope) []string {
	t.Helper()
	var all []string
	for _, e := range routed {
		if e.Number >= wire.FirstGameNumber {
			all = append(all, fmt.Sprintf("%d to %s", e.Number, e.To))
			continue
		}
		msg, err := actors.ReadRuntimeMessage(e)
		if err != nil {
			t.Fatal(err)
		}
		switch m := msg.(type) {
		case *actors.Bound:
			all = append(all, fmt.Sprintf("bound to %s who %s ears %v", e.To, m.Who.Kind, m.Ears))
		case *actors.Unbound:
			all = append(all, fmt.Sprintf("unbound from %s %s", e.To, m.Code))
		case *actors.Away:
			all = append(all, fmt.Sprintf("away to %s", e.To))
		case *actors.Back:
			all = append(all, fmt.Sprintf("back to %s", e.To))
		}
	}
	return all
}

func (d *desk) tells(want ...string) {
	d.t.Helper()
	if got := story(d.t, d.cluster.take()); !slices.Equal(got, want) {
		d.t.Errorf("routed\n%q, want\n%q", got, want)
	}
}

func TestBoundIsTheFirstThingAnEntityHearsOfASession(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.enters()
	g.order(&actors.BindOrder{To: player.Ref("ann"), Login: true})
	g.send(110, 1, say{})
	g.order(&actors.BindOrder{To: room.Ref("1"), Ears: true})
	g.order(&actors.BindOrder{To: room.Ref("2"), Ears: true})
	d.tells("bound to player/ann who player ears false", "110 to player/ann",
		"bound to room/1 who player ears true", "bound to room/2 who player ears true")
}

// An actor's order and the client's frames come from different goroutines. While one is still
// telling the cluster what it decided, the other's must not overtake it.
func TestWhatIsDecidedLaterIsToldLater(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	reached, goOn, done := make(chan bool), make(chan bool), make(chan bool)
	d.cluster.then = func(e *actors.Envelope) {
		if e.Number == actors.NumberUnbound {
			close(reached)
			<-goOn
		}
	}
	go func() {
		defer close(done)
		g.order(&actors.BindOrder{To: player.Ref("bob"), Login: true})
	}()
	<-reached
	g.send(110, 1, say{}) // returns at once, though the other goroutine is held up
	close(goOn)
	<-done
	d.tells("unbound from player/ann ", "bound to player/bob who player ears false",
		"110 to player/bob")
}

func TestOfEachKindOneEntityIsSpokenToAndManyAreHeard(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	g.order(&actors.BindOrder{To: player.Ref("bob"), Ears: true})
	g.order(&actors.BindOrder{To: player.Ref("cat")})
	g.send(110, 1, say{})
	d.tells("bound to player/bob who player ears true", "unbound from player/ann ",
		"bound to player/cat who player ears false", "110 to player/cat")
	g.order(&actors.BindOrder{To: player.Ref("cat")})             // as it is
	g.order(&actors.BindOrder{To: player.Ref("cat"), Ears: true}) // less than it is
	d.tells()
	g.order(&actors.BindOrder{To: player.Ref("bob")}) // from ears to whole
	d.tells("unbound from player/cat ", "bound to player/bob who player ears false")
	g.order(&actors.UnbindOrder{Kind: player})
	g.send(110, 2, say{})
	d.tells("unbound from player/bob ")
	if f := g.one(); f.code() != string(actors.NotBound) {
		t.Errorf("after unbinding: %v", f)
	}
}

func TestBindingsAreBoundedAndMustBeValid(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.Bindings = 2 })
	g := d.plays("ann")
	g.order(&actors.BindOrder{To: room.Ref("1"), Ears: true})
	g.order(&actors.BindOrder{To: room.Ref("2"), Ears: true}) // one too many
	g.order(&actors.BindOrder{To: room.Ref("3"), Login: true, Ears: true})
	g.order(&actors.BindOrder{To: player.Ref("bob")}) // replaces, so it needs no room
	d.tells("bound to room/1 who player ears true", "unbound from player/ann ",
		"bound to player/bob who player ears false")
	if n := d.gate.Counters.BindRefused.Load(); n != 2 {
		t.Errorf("%d refused binds were counted", n)
	}
}

func TestASecondLoginTakesOver(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	first := d.plays("ann")
	second := d.enters()
	second.order(&actors.BindOrder{To: player.Ref("ann"), Login: true})
	first.closedWith(wire.CloseTakenOver)
	d.tells("bound to player/ann who player ears false", "unbound from player/ann TAKEN_OVER")
	first.visit.Leave()
	third := d.plays("ann") // the first one's end did not hide the second
	second.closedWith(wire.CloseTakenOver)
	if third.last != nil {
		t.Error("the newest was closed")
	}
}

func TestLoggingInAsAnotherGivesTheFirstUp(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	g.order(&actors.BindOrder{To: player.Ref("bob"), Login: true})
	d.plays("ann")
	if len(g.frames()) != 0 {
		t.Error("it was closed by a login as whom it was before")
	}
	d.cluster.take()
	g.send(110, 1, say{})
	if e := d.cluster.take()[0]; e.To != player.Ref("bob") || e.From != player.Ref("bob") {
		t.Errorf("it speaks to %s as %s", e.To, e.From)
	}
}

func TestBindNumbersRiseAlsoWhenTheClockDoesNot(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	var last uint64
	for i := range 5 {
		g := d.enters()
		g.order(&actors.BindOrder{To: player.Ref("ann"), Login: true})
		var b actors.Bound
		if err := json.Unmarshal(d.cluster.take()[0].Body, &b); err != nil {
			t.Fatal(err)
		}
		if b.Number <= last || i == 0 && b.Number != uint64(d.clock.now.UnixMilli()) {
			t.Errorf("bind %d has number %d after %d", i, b.Number, last)
		}
		last = b.Number
	}
}

func TestAGateWhoseClockIsBehindLosesATakeoverOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	number := func() uint64 {
		var b actors.Bound
		if err := json.Unmarshal(d.cluster.take()[0].Body, &b); err != nil {
			t.Fatal(err)
		}
		return b.Number
	}
	g := d.enters()
	g.order(&actors.BindOrder{To: player.Ref("ann"), Login: true})
	winner := number() + 5000
	g.visit.Session().Deliver(actors.RuntimeMessage(player.Ref("ann"), g.ref,
		&actors.KickOrder{Code: actors.TakenOver, Number: winner}))
	g.closedWith(wire.CloseTakenOver)
	d.cluster.take()
	g = d.enters()
	g.order(&actors.BindOrder{To: player.Ref("ann"), Login: true})
	if n := number(); n <= winner {
		t.Errorf("the next bind has number %d, and %d has won", n, winner)
	}
}

func TestAnActorMayCloseASessionWithItsOwnCodeOrOneOfOurs(t *testing.T) {
	t.Parallel()
	for code, want := range map[actors.Code]wire.CloseNumber{
		"CHEATER": wire.CloseKicked, actors.TakenOver: wire.CloseTakenOver} {
		d := newDesk(t, nil)
		g := d.plays("ann")
		g.order(&actors.KickOrder{Code: code})
		g.closedWith(want)
		if want == wire.CloseKicked && g.last.Text != "CHEATER" {
			t.Errorf("the text is %q", g.last.Text)
		}
		d.tells("unbound from player/ann " + want.String())
	}
}

func TestAfterADeathTheNewOwnerIsToldWhoIsBound(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	ann, bob := d.plays("ann"), d.plays("bob")
	ann.order(&actors.BindOrder{To: room.Ref("1"), Ears: true})
	d.connect()
	numbers := func() (all []uint64) {
		for _, e := range d.cluster.take() {
			var b actors.Bound
			if err := json.Unmarshal(e.Body, &b); err != nil {
				t.Fatal(err)
			}
			all = append(all, b.Number)
		}
		return all
	}
	d.cluster.take()
	everything := func(actors.Ref) bool { return true }
	d.gate.Announce(everything, func() {})
	first := numbers()
	d.gate.Announce(everything, func() {})
	if again := numbers(); len(first) != 3 || !slices.Equal(first, again) {
		t.Errorf("announced %v, then %v: the numbers are the old ones", first, again)
	}
	d.gate.Announce(func(to actors.Ref) bool { return to == player.Ref("bob") }, func() {})
	bob.send(110, 1, say{})
	d.tells("bound to player/bob who player ears false", "110 to player/bob")
}

// A node may have died with news of a session in it. The session says how things are, whatever it has said.
func TestWhatMayBeLostIsSaidAgainAsItIsNow(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	ann := d.plays("ann")
	ann.order(&actors.BindOrder{To: room.Ref("1"), Ears: true})
	ann.order(&actors.UnbindOrder{Kind: room})
	d.cluster.take()
	for _, who := range []actors.Ref{player.Ref("ann"), room.Ref("1")} {
		ann.visit.Session().Deliver(actors.RuntimeMessage(who, ann.ref, &actors.Doubt{}))
	}
	d.tells("bound to player/ann who player ears false", "unbound from room/1 ")
}

// TestAnnouncementsAreToldWhenTheyHaveLeft: of a session that another goroutine is serving, they leave after what that
// one has decided before.
func TestAnnouncementsAreToldWhenTheyHaveLeft(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	ann := d.plays("ann")
	d.plays("bob")
	d.cluster.take()
	var left [][]*actors.Envelope
	d.cluster.then = func(e *actors.Envelope) {
		if e.Number == 110 {
			d.gate.Announce(func(actors.Ref) bool { return true }, func() { left = append(left, d.cluster.take()) })
			if left != nil {
				t.Error("told before the session's own has left")
			}
		}
	}
	ann.send(110, 0, say{})
	if len(left) != 1 || len(left[0]) != 3 || left[0][0].Announces() == left[0][2].Announces() {
		t.Errorf("told %d times, when these had left: %v", len(left), left)
	}
	told := false
	d.gate.Announce(func(actors.Ref) bool { return false }, func() { told = true })
	if !told {
		t.Error("nobody is told when there is nobody to announce")
	}
}

func TestARestartTellsEveryClientToComeBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	early, ann := d.connect(), d.plays("ann")
	d.gate.Close(wire.CloseRestarting, "back soon")
	early.closedWith(wire.CloseRestarting)
	ann.closedWith(wire.CloseRestarting)
	d.tells("unbound from player/ann RESTARTING")
}
