package replay_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/persist"
)

func TestWhateverGoesWrongNothingIsLostDoubledOrOvertaken(t *testing.T) {
	t.Parallel()
	each(t, 10, func(t *testing.T, seed uint64) {
		d := newDay(t, seed, nil)
		d.hour(200, (*day).any)
		d.end()
	}, 215, 471, 756)
}

// booked are the deals in a trader's book.
func booked(y *trader) []int {
	return replay.Call[*book](y.Client, &audit{}).Deals
}

func TestAnActorThatDiesBetweenAQuestionAndItsAnswerAnswersWhoeverWaits(t *testing.T) {
	t.Parallel()
	d := newDay(t, 1, nil)
	y := d.traders[0]
	replay.Call[*dealt](y.Client, &deal{N: 1})
	d.w.Store().Slow(time.Second, time.Second) // who is asked must be loaded first
	r := y.Begin(&deal{N: 2, With: "sleeper"})
	d.w.Advance(300 * time.Millisecond)
	if r.Answered() || !d.w.CrashActor(traderKind.Ref(y.name)) {
		t.Fatal("there is nothing to die between")
	}
	if _, err := r.Answer(); !errors.Is(err, actors.Panicked) {
		t.Errorf("answered %v", err)
	}
	d.w.Heal()
	if replay.Call[*dealt](y.Client, &deal{N: 3}); !slices.Equal(booked(y), []int{1, 3}) {
		t.Errorf("the book has %v", booked(y))
	}
	if d.w.CrashActor(traderKind.Ref("nobody")) {
		t.Error("an actor that was not there has crashed")
	}
}

func TestAnActorThatCrashesLosesWhatItHadNotFlushedAndComesBackFromTheStore(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, hall)
	ann := login(w, "ann")
	replay.Call[*entered](ann, &add{N: 5})
	w.Advance(2 * time.Second) // longer than flush_every
	replay.Call[*entered](ann, &add{N: 1})
	w.CrashActor(personKind.Ref("ann"))
	if e := replay.Call[*entered](ann, &add{}); e.Loose != 5 {
		t.Errorf("ann came back with %+v", e)
	}
}

func TestWhatWasSentOverACutLinkArrivesAfterItWasHealedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	each(t, 6, func(t *testing.T, seed uint64) {
		d := newDay(t, seed, nil)
		y, heard := d.traders[0], d.traders[2] // at one stall
		for range 40 {
			switch d.luck.IntN(6) {
			case 0:
				d.w.Partition("gate-1", "game-1")
				d.w.Partition("gate-1", "game-2")
			case 1:
				d.w.Heal()
			}
			y.n++
			y.Send(&cry{y.n})
			d.w.Advance(time.Duration(d.luck.IntN(100)) * time.Millisecond)
		}
		d.w.Heal()
		d.w.Advance(5 * time.Second)
		cries := replay.All[*cried](heard.Client)
		for i, c := range cries {
			if c.N != i+1 {
				t.Fatalf("seed %d: cry %d was heard in place %d", seed, c.N, i+1)
			}
		}
		if len(cries) != y.n {
			t.Fatalf("seed %d: %d of %d cries were heard", seed, len(cries), y.n)
		}
	})
}

func TestANodeWithoutItsLeaseDoesNothingThoughItsLinksAreWell(t *testing.T) {
	t.Parallel()
	for _, victim := range []string{"game-1", "game-2"} { // one of them has the arena
		w := replay.NewWorld(t, match)
		ann := w.Connect()
		replay.Call[*joined](ann, &join{"ann"})
		ann.Send(&run{1 << 20})
		w.Advance(time.Second)
		w.Partition(victim, replay.Registry)
		w.Advance(15 * time.Second) // longer than two leases
		before := replay.Expect[*ran](ann).At
		for _, r := range replay.All[*ran](ann) {
			before = r.At
		}
		ann.Send(&run{1 << 20}) // to whoever has the arena now
		w.Advance(time.Second)
		for i, r := range replay.All[*ran](ann) {
			if before < 300 && r.At != i+1 || before >= 300 && r.At != before+i+1 { // it has died, or gone on
				t.Fatalf("without %s ann was at %d, and is at %d", victim, before, r.At)
			}
		}
		w.Heal()
		w.Advance(10 * time.Second)
		ann.Forget()
		if at := replay.Expect[*ran](ann).At; at < 300 {
			t.Fatalf("after %s had come back ann is at %d", victim, at)
		}
	}
}

func TestAnEnvelopeWaitsForTheOwnerToSeeThatItIsOne(t *testing.T) {
	t.Parallel()
	d := newDay(t, 3, nil)
	for _, y := range d.traders { // a call lets them come up
		booked(y)
	}
	d.w.Blind("game-2")
	d.w.Crash("game-1") // its shards are game-2's now, which does not know it
	d.w.Advance(100 * time.Millisecond)
	waiting := 0
	for _, y := range d.traders {
		y.asked[1] = y.Begin(&deal{N: 1})
	}
	d.w.Advance(time.Second)
	for _, y := range d.traders {
		if !y.asked[1].Answered() {
			waiting++
		}
	}
	if waiting == 0 {
		t.Fatal("nobody had to wait: the test tests nothing")
	}
	d.w.Heal()
	for _, y := range d.traders {
		if _, err := y.asked[1].Answer(); err != nil {
			t.Errorf("%s was answered %v", y.name, err)
		}
	}
}

func TestAGateThatMissedEpochsAnnouncesItsSessionsToTheNewestOwners(t *testing.T) {
	t.Parallel()
	d := newDay(t, 4, nil)
	d.w.Blind("gate-1")
	d.w.Crash("game-1")
	d.w.Advance(time.Second)
	d.w.Crash("game-2")
	d.w.Advance(time.Second)
	d.w.Heal()
	d.w.Advance(10 * time.Second)
	for i, y := range d.traders {
		neighbour := d.traders[(i+2)%4]
		neighbour.Forget()
		y.Send(&cry{9})
		if c := replay.Expect[*cried](neighbour.Client); c.Who != y.name {
			t.Errorf("heard %+v", c)
		}
	}
}

func TestACommitThatTheStoreRefusesNeverWas(t *testing.T) {
	t.Parallel()
	for fault, code := range map[error]actors.Code{persist.ErrDown: actors.StoreUnavailable,
		persist.ErrRejected: actors.StoreRefused} {
		d := newDay(t, 5, nil)
		y := d.traders[0]
		replay.Call[*dealt](y.Client, &deal{N: 1})
		d.w.Store().Refuse(1, fault)
		y.Refused(&deal{N: 2}, code)
		d.w.Advance(5 * time.Second)
		if got := booked(y); !slices.Equal(got, []int{1}) {
			t.Errorf("%v: the book has %v", fault, got)
		}
		for _, n := range []string{"game-1", "game-2", "persist-1"} {
			d.w.Crash(n)
		}
		if got := booked(y); !slices.Equal(got, []int{1}) {
			t.Errorf("%v: the stored book has %v", fault, got)
		}
	}
}

func TestACommitThatLosesAgainstOthersIsTriedAgain(t *testing.T) {
	t.Parallel()
	d := newDay(t, 6, nil)
	d.w.Store().Refuse(4, persist.ErrContended)
	replay.Call[*dealt](d.traders[0].Client, &deal{N: 1})
}

func TestACommitOfUnknownOutcomeIsMadeOnceOrNotAtAllAndUndoesNothingLater(t *testing.T) {
	t.Parallel()
	each(t, 12, func(t *testing.T, seed uint64) {
		d := newDay(t, seed, nil)
		y := d.traders[0]
		for n := 1; n <= 6; n++ {
			d.w.Store().Lose(d.luck.IntN(5))
			y.n++
			y.asked[n] = y.Begin(&deal{N: n})
			_, _ = y.asked[n].Answer()
			d.w.Advance(time.Duration(d.luck.IntN(3000)) * time.Millisecond)
		}
		d.w.Heal()
		for _, name := range []string{"game-1", "game-2"} {
			d.w.Crash(name)
		}
		d.end()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	})
}

func TestACommitThatMayBeWrittenIsNotSaidToBeUndone(t *testing.T) {
	t.Parallel()
	d := newDay(t, 9, nil)
	y := d.traders[0]
	replay.Call[*dealt](y.Client, &deal{N: 1})
	d.w.Store().Slow(400*time.Millisecond, 400*time.Millisecond)
	r := y.Begin(&deal{N: 2})
	d.w.Advance(300 * time.Millisecond) // it is written, and its keeper does not know
	d.w.Heal()
	d.w.Store().Down(time.Second)
	d.w.Crash("persist-1")
	if _, err := r.Answer(); err != nil && !errors.Is(err, actors.CommitUnknown) {
		t.Errorf("answered %v", err)
	}
	if got := booked(y); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("the book has %v", got)
	}
}

func TestAStatementThatArrivesAfterItsOwnerHasDiedWritesNothing(t *testing.T) {
	t.Parallel()
	each(t, 12, func(t *testing.T, seed uint64) { // the seed decides when it arrives, if it does
		d := newDay(t, seed, nil)
		y := d.traders[0]
		replay.Call[*dealt](y.Client, &deal{N: 1})
		d.w.Store().Lose(1)
		d.w.Store().Slow(time.Second, time.Second) // so that all are dead before it is sent again
		y.Begin(&deal{N: 2})
		for _, n := range []string{"game-1", "game-2", "persist-1"} {
			d.w.Crash(n)
		}
		d.w.Heal()
		before := booked(y)
		d.w.Advance(21 * time.Second)
		d.w.CrashActor(traderKind.Ref(y.name)) // so that it reads the store
		if after := booked(y); !slices.Equal(before, after) {
			t.Fatalf("seed %d: the book had %v, and has %v", seed, before, after)
		}
	})
}

func TestAnAnswerWaitsForASlowStore(t *testing.T) {
	t.Parallel()
	d := newDay(t, 7, nil)
	d.w.Store().Slow(400*time.Millisecond, 600*time.Millisecond)
	began := d.w.Now()
	replay.Call[*dealt](d.traders[0].Client, &deal{N: 1})
	if took := d.w.Now().Sub(began); took < 400*time.Millisecond || took > 2*time.Second {
		t.Errorf("the commit took %v", took)
	}
}

func TestWhatChangedWhileTheStoreWasDownIsWrittenWhenItIsBack(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, hall)
	ann := login(w, "ann")
	replay.Call[*entered](ann, &add{N: 1, Save: true})
	w.Store().Down(4 * time.Second)
	ann.Refused(&add{N: 1, Save: true}, actors.StoreUnavailable)
	replay.Call[*entered](ann, &add{N: 5})
	w.Advance(8 * time.Second)
	w.Crash("game-1")
	w.Crash("game-2")
	if e := replay.Call[*entered](ann, &add{}); *e != (entered{Saved: 1, Loose: 5}) {
		t.Errorf("ann has %+v", e)
	}
}

// A judge is a test that is meant to fail: it keeps what it is told.
type judge struct {
	replay.TB
	said   string
	closes []func()
}

func (j *judge) Cleanup(f func())                  { j.closes = append(j.closes, f) }
func (j *judge) Errorf(format string, args ...any) { j.said += fmt.Sprintf(format, args...) + "\n" }
func (j *judge) Failed() bool                      { return j.said != "" }
func (j *judge) Fatalf(format string, args ...any) {
	j.Errorf(format, args...)
	runtime.Goexit()
}

// verdict runs a test and returns what it failed with.
func verdict(t *testing.T, test func(replay.TB)) string {
	t.Helper()
	j, over := &judge{TB: t}, make(chan struct{})
	go func() {
		defer close(over)
		test(j)
	}()
	<-over
	for _, f := range slices.Backward(j.closes) {
		f()
	}
	return j.said
}

func TestAnActorThatStopsTimeIsNamed(t *testing.T) {
	t.Parallel()
	app := node.App{Name: "top", Game: node.Module{Name: "top", Messages: wire.Messages(wire.Internal[*beat](401)),
		Kinds: []actors.Kind{{Name: "top", New: func(p *actors.Props) {
			actors.Handle(p, func(ctx actors.Context, _ *beat) error { ctx.After(0, &beat{}); return nil })
		}}}}}
	said := verdict(t, func(t replay.TB) {
		w := replay.NewWorld(t, app)
		w.Tell(actors.KindName("top").Ref("spins"), &beat{})
		w.Advance(time.Second)
	})
	if !strings.Contains(said, "goes round for ever") || !strings.Contains(said, "top/spins has had") {
		t.Errorf("it failed with %q", said)
	}
}
