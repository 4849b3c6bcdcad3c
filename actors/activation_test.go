package actors

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

const plain KindName = "plain"

// one is a world with one kind.
func one(t *testing.T, k Kind) (*world, Ref) {
	t.Helper()
	k.Name = plain
	return newWorld(t, testMessages, k), plain.Ref("a")
}

// stop asks an entity to end, as passivation does.
func (w *world) stop(ref Ref) {
	p := w.sys.stripe(ref).processes[ref]
	p.post(p.body.leave)
	w.settle()
}

func (w *world) bind(session, to Ref, number uint64) {
	w.sys.Deliver(RuntimeMessage(session, to, &Bound{Session: session, Who: to, Number: number}))
	w.settle()
}

func TestAnEntityThatCommitsInStoppedEnds(t *testing.T) {
	w, a := one(t, Kind{New: func(p *Props) {
		n := State[int](p, "n")
		On(p, func(ctx Context, _ *Stopped) error {
			*n.Edit()++
			ctx.Commit()
			return nil
		})
		Answer(p, func(Context, *look) (*bought, error) { return &bought{n.View()}, nil })
	}})
	w.gold(a)
	w.store.fail = StoreUnavailable.Refuse("away")
	w.stop(a)
	if w.sys.Report().Actors[plain] != 1 {
		t.Error("ended before all was written")
	}
	w.store.fail = nil
	w.advance(time.Minute)
	if w.sys.Report().Actors[plain] != 0 {
		t.Error("it never ended")
	}
	w.gold(a)
	w.stop(a)
	if w.sys.Report().Actors[plain] != 0 || w.gold(a) != 1 {
		t.Errorf("ended with %s", w.store.entities[a].Cells)
	}
}

func TestAMessageThatMetAPauseIsAnsweredWhenTheActorEnds(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.gold(ann)
	w.holding = Paused
	id := w.send(ann, &look{}, true)
	w.settle()
	w.stop(ann)
	w.advance(time.Second)
	if _, err := w.answer(id); !errors.Is(err, Unavailable) {
		t.Errorf("got %v, want UNAVAILABLE", err)
	}
}

func TestWhatALostActorPassesOnKeepsItsOrder(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.gold(ann)
	var order []uint64
	w.routed = func(e *Envelope) bool { order = append(order, e.Request); return true }
	for range 3 {
		w.send(ann, &look{}, true)
	}
	w.epoch, w.holding = 2, Lost
	w.settle()
	if !slices.Equal(order, []uint64{2, 3, 4}) {
		t.Errorf("passed on in the order %v", order)
	}
}

func TestAnAnswerDoesNotWakeAnActorThatIsLost(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	id := w.send(ann, &relay{To: SessionKind.Ref("silent")}, true)
	w.settle()
	n := w.sys.stripe(ann).processes[ann].body.(*entity)
	question := sortedKeys(n.asked)[0]
	w.epoch, w.holding = 2, Lost
	w.routed = func(e *Envelope) bool { return e.To == ann } // goes to the new owner
	w.sys.Deliver(&Envelope{Type: Answered, To: ann, Request: question, Number: 201, Codec: wire.JSON,
		Body: []byte(`{"Gold":5}`)})
	w.settle()
	if r, err := w.answer(id); r != nil || !errors.Is(err, Unavailable) {
		t.Errorf("answered %v, %v", r, err)
	}
}

func TestWhoIsBoundStaysBoundWhenTheStoreEndsAnActivation(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.bind(w.client, ann, 1)
	w.store.fail = ErrUnknown
	w.send(ann, &buy{Price: 4}, true)
	w.advance(10 * time.Second)
	w.store.fail, w.got = nil, nil
	w.send(ann, &tell{"hello"}, false)
	w.settle()
	if len(w.got) != 1 || w.got[0].Number != 205 {
		t.Errorf("the audience was lost: %d envelopes", len(w.got))
	}
}

func TestWhoIsBoundStaysBoundWhenTheEntityCannotBeLoaded(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.store.noLoad = StoreUnavailable.Refuse("away")
	w.bind(w.client, ann, 1)
	if w.sys.Report().Actors[shopperKind] != 0 {
		t.Fatal("it came up, or tries for ever")
	}
	w.store.noLoad = nil
	w.send(ann, &tell{"hello"}, false)
	w.settle()
	if len(w.got) != 1 {
		t.Errorf("the audience was lost: %d envelopes", len(w.got))
	}
	w.stop(ann)
	w.epoch = 2 // lost and regained meanwhile: gates tell anew who is bound
	w.sys.Release("game", []int{ann.Shard(16)})
	w.send(ann, &tell{"hello"}, false)
	w.settle()
	if len(w.got) != 1 {
		t.Error("who was bound in an earlier tenure is bound still")
	}
}

func TestABindingPassesAFullMailbox(t *testing.T) {
	w := shop(t)
	w.sys.o.Limits.Mailbox = 1
	ann := w.rich("ann", 10)
	w.send(ann, &look{}, true)
	w.bind(w.client, ann, 1)
	w.send(ann, &tell{"hello"}, false)
	w.settle()
	if w.got[len(w.got)-1].Number != 205 {
		t.Error("a full mailbox lost who is bound")
	}
}

func TestEachEndedSessionIsToldInATurnThatMayCommit(t *testing.T) {
	other := SessionRef("game-1", wire.JSON, 7, 2)
	w, a := one(t, Kind{New: func(p *Props) {
		n := State[int](p, "n")
		On(p, func(ctx Context, _ *Unbound) error {
			*n.Edit()++
			ctx.Commit()
			ctx.Send(plain.Ref("board"), &nap{})
			return nil
		})
		Handle(p, func(Context, *nap) error { *n.Edit() += 10; return nil })
		Answer(p, func(Context, *look) (*bought, error) { return &bought{n.View()}, nil })
	}})
	w.bind(w.client, a, 1)
	w.bind(other, a, 2)
	w.sys.Deliver(RuntimeMessage(NodeKind.Ref("game-1"), a, &Gone{Sessions: []Ref{w.client, other}}))
	w.settle()
	if n := w.gold(a); n != 2 {
		t.Errorf("%d of 2 ended sessions were told", n)
	}
	if n := w.gold(plain.Ref("board")); n != 20 {
		t.Errorf("what two committed turns sent came to %d", n)
	}
}

func TestARebuiltInstanceHearsLoadedAndWhoIsBound(t *testing.T) {
	var heard []string
	w, a := one(t, Kind{New: func(p *Props) {
		ready := false
		On(p, func(Context, *Loaded) error { ready = true; return nil })
		On(p, func(Context, *Started) error { heard = append(heard, "started"); return nil })
		On(p, func(ctx Context, _ *Bound) error { heard = append(heard, "bound"); return nil })
		Handle(p, func(Context, *tell) error { panic("on purpose") })
		Handle(p, func(Context, *look) error {
			if !ready {
				t.Error("an instance without Loaded handles a message")
			}
			heard = append(heard, "look")
			return nil
		})
	}})
	w.bind(w.client, a, 1)
	for range 9 {
		heard = nil
		w.send(a, &tell{}, false)
		w.settle()
		w.advance(3 * time.Second)
		w.advance(w.sys.stripe(a).processes[a].body.(*entity).rest)
		if _, err := w.call(a, &look{}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(heard, []string{"bound", "look"}) {
			t.Fatalf("the new instance heard %v", heard)
		}
	}
}

func TestAnEntityWhoseLoadedFailsIsUnavailableUntilItDoesNot(t *testing.T) {
	broken, started := true, 0
	w, a := one(t, Kind{New: func(p *Props) {
		On(p, func(Context, *Loaded) error {
			if broken {
				return errors.New("on purpose")
			}
			return nil
		})
		On(p, func(Context, *Started) error { started++; return nil })
		Answer(p, func(Context, *look) (*bought, error) { return &bought{}, nil })
	}})
	w.impure = true // what the behaviour does hangs on a variable of the test
	if _, err := w.call(a, &look{}); !errors.Is(err, Unavailable) || started != 0 {
		t.Fatalf("got %v, started %d times", err, started)
	}
	w.advance(time.Minute)
	if _, err := w.call(a, &look{}); !errors.Is(err, Unavailable) {
		t.Fatalf("got %v after a minute", err)
	}
	broken = false
	w.advance(time.Minute)
	if _, err := w.call(a, &look{}); err != nil || started != 1 {
		t.Errorf("got %v, started %d times", err, started)
	}
}

func TestTimersOfAnEntityThatRestsWait(t *testing.T) {
	ticks := 0
	w, a := one(t, Kind{New: func(p *Props) {
		Handle(p, func(ctx Context, _ *nap) error { ctx.Every(100*time.Millisecond, &beat{}); return nil })
		Handle(p, func(Context, *beat) error { ticks++; return errors.New("on purpose") })
	}})
	w.send(a, &nap{}, false)
	w.advance(time.Minute)
	if ticks > maxFailures+10 {
		t.Errorf("%d failing ticks in a minute", ticks)
	}
}

func TestAPanicOutsideOfHandlersIsAnswered(t *testing.T) {
	w, a := one(t, Kind{New: func(p *Props) {
		State[newCoat](p, "coat", From(1, func(oldCoat) (newCoat, error) { panic("on purpose") }))
		Answer(p, func(Context, *look) (*bought, error) { return &bought{7}, nil })
	}})
	w.store.entities[a] = Snapshot{Version: 1, Cells: []byte(`{"coat":{"v":1,"d":{"Colour":"red"}}}`)}
	if _, err := w.call(a, &look{}); !errors.Is(err, Panicked) {
		t.Errorf("got %v, want PANIC", err)
	}
	delete(w.store.entities, a)
	if g := w.gold(a); g != 7 {
		t.Errorf("it does not come up again: %d", g)
	}
}

func TestLoadedHasNoEffects(t *testing.T) {
	for name, act := range map[string]func(Context){
		"commit": Context.Commit, "stop": Context.Stop, "send": func(ctx Context) { ctx.Send(ctx.Self(), &nap{}) },
		"ask": func(ctx Context) {
			Then(ctx, Ask[*bought](ctx.Self(), &look{}), func(Context, *bought, error) error { return nil })
		},
	} {
		w, a := one(t, Kind{New: func(p *Props) {
			On(p, func(ctx Context, _ *Loaded) error { act(ctx); return nil })
			Answer(p, func(Context, *look) (*bought, error) { return &bought{}, nil })
		}})
		if _, err := w.call(a, &look{}); !errors.Is(err, Unavailable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestLuckDiffersFromActivationToActivation(t *testing.T) {
	w, a := one(t, Kind{New: func(p *Props) {
		Answer(p, func(ctx Context, _ *look) (*bought, error) { return &bought{ctx.Rand().IntN(1 << 40)}, nil })
	}})
	first := w.gold(a)
	w.stop(a)
	if w.gold(a) == first {
		t.Error("an entity that comes up again draws the same")
	}
}

func TestAnAnswerToAnEarlierProcessFindsNoQuestion(t *testing.T) {
	seen := map[uint64]bool{}
	for incarnation := range uint64(5) {
		sys, err := NewSystem(Options{Node: "n", Incarnation: incarnation + 1})
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			id := sys.serial()
			if seen[id] {
				t.Fatal("two processes of one node give a question the same id")
			}
			seen[id] = true
		}
	}
}

func TestANameThatCannotBeAReceiverCostsOnlyItsSender(t *testing.T) {
	w, a := one(t, Kind{New: func(p *Props) {
		Answer(p, func(ctx Context, m *tell) (*bought, error) {
			ctx.Bind(plain.Ref(m.Text))
			return &bought{}, nil
		})
		Answer(p, func(ctx Context, m *relay) (*bought, error) {
			return Reply(ctx, Ask[*bought](m.To, &look{}), func(_ Context, b *bought, err error) (*bought, error) {
				return b, err
			})
		})
		Answer(p, func(ctx Context, m *buy) (*bought, error) {
			ctx.Send(plain.Ref(""), &nap{})
			return &bought{}, nil
		})
	}})
	for range 2 * maxFailures {
		for _, msg := range []any{&tell{strings.Repeat("x", MaxRef)}, &relay{}, &buy{}} {
			if _, err := w.call(a, msg); !errors.Is(err, BadBody) {
				t.Fatalf("%T: got %v, want BAD_BODY", msg, err)
			}
		}
	}
}

func TestANodeThatStopsDoesNotLoseChangesOverALongQuestion(t *testing.T) {
	w, a := one(t, Kind{New: func(p *Props) {
		n := State[int](p, "n")
		Handle(p, func(ctx Context, _ *nap) error {
			*n.Edit() = 7
			Then(ctx, Ask[*bought](SessionKind.Ref("silent"), &look{}).Within(time.Hour),
				func(Context, *bought, error) error { return nil })
			return nil
		})
	}})
	id := w.send(a, &nap{}, true)
	w.settle()
	w.sys.stopping = true
	w.stop(a)
	w.advance(time.Minute)
	if _, err := w.answer(id); !errors.Is(err, Restarted) || w.sys.Report().Actors[plain] != 0 {
		t.Errorf("answered %v, %d actors left", err, w.sys.Report().Actors[plain])
	}
	if got := string(w.store.entities[a].Cells); got != `{"n":{"v":1,"d":7}}` {
		t.Errorf("the store has %s", got)
	}
}

func TestAnEntityThatStopsInStartedEndsOnceForEachMessage(t *testing.T) {
	stopped := 0
	w, a := one(t, Kind{New: func(p *Props) {
		On(p, func(ctx Context, _ *Started) error { ctx.Stop(); return nil })
		On(p, func(Context, *Stopped) error { stopped++; return nil })
		Handle(p, func(Context, *nap) error { return nil })
	}})
	w.sys.Deliver(RuntimeMessage(w.client, a, &Bound{Session: w.client, Who: a, Number: 1}))
	id := w.send(a, &nap{}, true)
	for range 100 {
		w.Step()
	}
	if _, err := w.answer(id); err == nil || stopped != 1 || w.Step() {
		t.Errorf("answered %v, stopped %d times, or it goes on for ever", err, stopped)
	}
}

func TestAKeeperComesUpForEntitiesThatAreStopping(t *testing.T) {
	w := newWorld(t, testMessages, Kind{Name: plain, New: func(p *Props) {
		Handle(p, func(Context, *nap) error { return nil })
	}}, Kind{Name: "keeper", Receiver: func(r Runner) Receiver { return echo{r} }})
	w.sys.stopping = true
	if _, err := w.call(plain.Ref("a"), &nap{}); !errors.Is(err, Unavailable) {
		t.Errorf("an entity of a node that stops: %v", err)
	}
	if _, err := w.call(KindName("keeper").Ref("a"), &nap{}); err != nil {
		t.Errorf("a keeper: %v", err)
	}
	w.sys.closing = true
	if _, err := w.call(KindName("keeper").Ref("b"), &nap{}); !errors.Is(err, Unavailable) {
		t.Errorf("a keeper after the entities: %v", err)
	}
}

// An echo is a Receiver that answers at once.
type echo struct{ Runner }

func (e echo) Receive(m *Envelope)            { e.Send(m.Answer(0, m.Codec, nil)) }
func (e echo) Stop(done func())               { done() }
func (e echo) Lost()                          {}
func (e echo) Freeze(done func(...*Envelope)) { done() }
func (e echo) Thaw()                          {}

func TestAnEntityThatHasJustComeUpIsNotIdle(t *testing.T) {
	w := shop(t)
	w.gold(w.rich("ann", 10))
	if at, any := w.Next(); any && at.Before(w.Now().Add(watchEvery)) {
		t.Errorf("something is due in %v: whoever waits longer finds the entity passivated", at.Sub(w.Now()))
	}
}
