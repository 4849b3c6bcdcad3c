package actors

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A hostel is a world with an entity that notes who comes, goes, is away and is back.
type hostel struct {
	*world
	ann  Ref
	told []string
}

func newHostel(t *testing.T, listens bool) *hostel {
	w := &hostel{world: newWorld(t, testMessages), ann: plain.Ref("ann")}
	w.boot(testMessages, Kind{Name: plain, New: func(p *Props) {
		State[int](p, "n")
		note := func(format string, args ...any) error {
			w.told = append(w.told, fmt.Sprintf(format, args...))
			return nil
		}
		On(p, func(_ Context, m *Bound) error { return note("bound %v", m.Away) })
		On(p, func(_ Context, m *Unbound) error { return note("unbound %s", m.Code) })
		if listens {
			On(p, func(ctx Context, m *Away) error { return note("away %v", ctx.Session() == m.Session) })
			On(p, func(ctx Context, _ *Back) error { return note("back %s", ctx.Sender()) })
		}
		Answer(p, func(Context, *look) (*bought, error) { return &bought{}, nil })
		Handle(p, func(Context, *boom) error { panic("on purpose") })
	}})
	return w
}

func (w *hostel) hears(msg any) {
	w.sys.Deliver(RuntimeMessage(w.client, w.ann, msg))
	w.settle()
}

func (w *hostel) tells(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.told, want) {
		w.t.Errorf("told %q, want %q", w.told, want)
	}
	w.told = nil
}

func TestAnEntityKnowsWhoseClientIsAway(t *testing.T) {
	t.Parallel()
	w := newHostel(t, true)
	w.hears(&Away{Session: w.client})
	w.tells() // nobody it knows
	w.hears(&Bound{Session: w.client, Who: w.ann, Number: 1})
	w.hears(&Away{Session: w.client})
	w.hears(&Away{Session: w.client}) // is said once
	w.hears(&Back{Session: w.client})
	w.hears(&Back{Session: w.client})
	w.tells("bound false", "away true", "back "+w.ann.String())
	w.hears(&Away{Session: w.client})
	w.hears(&Unbound{Session: w.client, Who: w.ann, Code: "DISCONNECTED"})
	w.hears(&Back{Session: w.client})
	w.tells("away true", "unbound DISCONNECTED")
}

func TestANewInstanceKnowsWhoIsAway(t *testing.T) {
	t.Parallel()
	w := newHostel(t, true)
	w.hears(&Bound{Session: w.client, Who: w.ann, Number: 1})
	w.hears(&Away{Session: w.client})
	w.tells("bound false", "away true")
	w.send(w.ann, &boom{}, true) // is built anew
	w.settle()
	w.tells("bound true")
	w.sys.Crash(w.ann)
	w.settle()
	w.call(w.ann, &look{}) //nolint:errcheck // it has only to come up
	w.tells("bound true")
	w.hears(&Back{Session: w.client})
	w.tells("back " + w.ann.String())
}

func TestWhoDoesNotListenIsNotToldOfAbsence(t *testing.T) {
	t.Parallel()
	w := newHostel(t, false)
	w.hears(&Bound{Session: w.client, Who: w.ann, Number: 1})
	w.hears(&Away{Session: w.client})
	w.tells("bound false")
	if w.sys.Listens(plain, &Away{}) || !w.sys.Listens(plain, &Bound{}) || w.sys.Listens("nobody", &Bound{}) {
		t.Error("the system does not know who listens to what")
	}
}

// A gate that says Bound again cannot know that this instance has heard of the session, and of its client perhaps not.
func TestASessionThatIsAnnouncedAgainWhileItsClientIsAwayIsBoundOnce(t *testing.T) {
	t.Parallel()
	for listens, want := range map[bool][]string{
		true: {"bound false", "away true", "back " + plain.Ref("ann").String()}, false: {"bound false"}} {
		w := newHostel(t, listens)
		w.hears(&Bound{Session: w.client, Who: w.ann, Number: 1})
		w.hears(&Bound{Session: w.client, Who: w.ann, Number: 1, Away: true})
		w.hears(&Bound{Session: w.client, Who: w.ann, Number: 1})
		w.tells(want...)
	}
}

// A node whose lease may be over brings nobody up. It may stay the owner, and then no gate would say it again: the
// entity hears it as soon as it may, for another session may have claimed it meanwhile.
func TestWhoIsBoundWhileANodePausesIsToldWhenItGoesOn(t *testing.T) {
	t.Parallel()
	w := newHostel(t, true)
	w.holding = Paused
	w.hears(&Bound{Session: w.client, Who: w.ann, Number: 1})
	w.hears(&Away{Session: w.client})
	w.tells()
	w.holding = Held
	w.advance(holdPoll)
	w.tells("bound false", "away true")
}

// Who missed the end of a session hears of it when it closes or doubts that session, not only when it sends to it.
func TestWhoClosesOrDoubtsASessionThatHasEndedHearsSo(t *testing.T) {
	t.Parallel()
	for _, order := range []any{&KickOrder{Code: TakenOver}, &Doubt{}} {
		w := newHostel(t, true)
		ended := SessionRef("gate-1", wire.JSON, 1, 77)
		w.hears(&Bound{Session: ended, Who: w.ann, Number: 1})
		w.tells("bound false")
		w.sys.Deliver(RuntimeMessage(w.ann, ended, order))
		w.settle()
		w.tells("unbound UNAVAILABLE")
	}
}

func TestWhatIsForEveryoneReachesEachSessionOnceInTheOrderInWhichTheyCame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testMessages, Kind{Name: plain, New: func(p *Props) {
		Handle(p, func(ctx Context, m *tell) error { SendToAll(ctx, m); return nil })
	}})
	var got []int
	for i := range 40 {
		codec := wire.JSON
		if i%4 == 0 {
			codec = wire.Proto // would not understand it
		}
		detach := w.sys.Attach(SessionRef("game-1", codec, 7, uint64(i)), func(e *Envelope) { got = append(got, i) })
		if i%4 == 1 {
			detach()
		}
	}
	w.send(plain.Ref("x"), &tell{"all"}, false)
	w.settle()
	if len(got) != 20 || !slices.IsSorted(got) {
		t.Errorf("%d got it: %v", len(got), got)
	}
}
