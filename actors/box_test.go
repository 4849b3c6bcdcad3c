package actors

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A sender that cannot be reached for more than an hour is told again now and then, and not at once for ever.
func TestASenderThatIsAwayForLongIsToldAgainNowAndThen(t *testing.T) {
	t.Parallel()
	w := bank(t)
	ann, bob := accountKind.Ref("ann"), accountKind.Ref("bob")
	told := 0
	w.routed = func(e *Envelope) bool {
		if e.Number == NumberDelivered && e.To == ann {
			if told++; told > 1000 {
				t.Fatalf("told %d times by %v", told, w.Now())
			}
			return true
		}
		return e.From == ann && told > 0
	}
	w.call(ann, &transfer{To: bob, Amount: 3})
	w.pass(5 * time.Hour)
	if told > 20 {
		t.Errorf("told %d times in 5 h", told)
	}
	w.routed = nil
	w.pass(5 * time.Hour)
	if a, b := w.boxOf("ann"), w.boxOf("bob"); len(a.Out)+len(a.Twice)+len(b.In) != 0 || w.vaultOf("bob").Gold != 3 {
		t.Errorf("%s %s", w.store.entities[ann].Box, w.store.entities[bob].Box)
	}
}

// What was edited while the store was away stays, though a commit was tried meanwhile.
func TestACommitThatWasNotSentCostsNothingButItself(t *testing.T) {
	w := bank(t)
	ann := accountKind.Ref("ann")
	w.store.fail = ErrUnknown.Refuse("away")
	w.call(ann, &set{Text: "a", In: time.Hour}) // a change is under way, and nobody knows what becomes of it
	w.advance(time.Second)
	w.call(ann, &set{Text: "b", In: 2 * time.Hour}) // stands, and is not sent yet
	w.advance(20 * time.Second)
	id := w.send(ann, &transfer{To: accountKind.Ref("bob"), Amount: 7, Commit: true}, true)
	w.advance(10 * time.Second)
	if _, err := w.answer(id); !errors.Is(err, StoreUnavailable) {
		t.Error(err)
	}
	w.store.fail = nil
	w.advance(10 * time.Second)
	if c := w.boxOf("ann"); len(c.Due) != 2 || len(c.Out) != 0 || w.vaultOf("ann").Gold != 0 {
		t.Errorf("ann has %+v and %s", w.vaultOf("ann"), w.store.entities[ann].Box)
	}
}

var lateMessages = wire.Messages(wire.In[*transfer](200), wire.Internal[*credit](201).Durable(),
	wire.Internal[*bell](205), wire.In[*set](206))

func lateWorld(t *testing.T, build func(w *world, p *Props)) *world {
	w := newWorld(t, lateMessages)
	w.boot(lateMessages, Kind{Name: accountKind, New: func(p *Props) { build(w, p) }})
	return w
}

// What the last event sends leaves when it is durable, also of an entity that ends with a commit.
func TestTheLastMessageOfAnEntityThatCommitsAndStopsLeavesWhenItIsDurable(t *testing.T) {
	ann, bob := accountKind.Ref("ann"), accountKind.Ref("bob")
	w := lateWorld(t, func(w *world, p *Props) {
		v := State[vault](p, "vault")
		Handle(p, func(ctx Context, m *transfer) error {
			v.Edit().Gold = 7
			ctx.Commit()
			ctx.Stop()
			return nil
		})
		Handle(p, func(ctx Context, m *credit) error { v.Edit().Gold += m.Amount; return nil })
		On(p, func(ctx Context, _ *Stopped) error {
			if v.View().Gold == 7 && ctx.Self() == ann {
				v.Edit().Gold = 0
				ctx.Send(bob, &credit{Amount: 7})
			}
			return nil
		})
	})
	w.store.silent = true
	left := 0
	w.routed = func(e *Envelope) bool {
		if e.Number == 201 {
			left++
		}
		return false
	}
	w.call(ann, &transfer{})
	if len(w.store.waiting) != 1 || left != 0 {
		t.Fatal(len(w.store.waiting), left)
	}
	w.store.waiting[0]() // the commit is durable, the last event's turn is not
	w.settle()
	if left != 0 {
		t.Error("the message of Stopped left before it was durable")
	}
}

// A reminder that is set again by the turn that it reminds of stays, also if that turn keeps a refusal.
func TestAReminderThatIsSetAgainByATurnThatKeepsARefusalStays(t *testing.T) {
	t.Parallel()
	ann := accountKind.Ref("ann")
	w := lateWorld(t, func(w *world, p *Props) {
		v := State[vault](p, "vault")
		Handle(p, func(ctx Context, m *set) error { ctx.Remind(ctx.Now().Add(m.In), &bell{m.Text}); return nil })
		Handle(p, func(ctx Context, m *bell) error {
			v.Edit().Rings++
			ctx.Remind(ctx.Now().Add(time.Hour), m)
			return Keep(closed)
		})
	})
	w.call(ann, &set{In: time.Second})
	w.pass(10*time.Hour + time.Minute)
	if v := w.vaultOf("ann"); v.Rings < 9 {
		t.Errorf("rang %d times: %s", v.Rings, w.store.entities[ann].Box)
	}
}

// An instance that has not had Loaded hears of no message that was refused.
func TestAnInstanceThatRestsHearsOfNothingThatWasRefused(t *testing.T) {
	ann, bob := accountKind.Ref("ann"), accountKind.Ref("closed")
	w := lateWorld(t, func(w *world, p *Props) {
		v, isLoaded := State[vault](p, "vault"), false
		On(p, func(Context, *Loaded) error { isLoaded = true; return nil })
		Handle(p, func(ctx Context, m *transfer) error { ctx.Send(m.To, &credit{}); return nil })
		Handle(p, func(ctx Context, m *set) error { panic("broken") })
		Handle(p, func(ctx Context, m *credit) error { return closed })
		On(p, func(ctx Context, u *Undelivered) error {
			v.Edit().Back++
			if !isLoaded {
				w.t.Error("an instance without Loaded hears Undelivered")
			}
			return nil
		})
	})
	var kept []*Envelope
	w.routed = func(e *Envelope) bool {
		if e.Number == NumberDelivered && kept == nil {
			kept = append(kept, e)
			return true
		}
		return false
	}
	w.call(ann, &transfer{To: bob})
	for range 6 {
		w.call(ann, &set{})
	}
	w.sys.Deliver(kept[0])
	w.settle()
	w.pass(2 * time.Minute)
	if v := w.vaultOf("ann"); v.Back != 1 {
		t.Errorf("%+v", v)
	}
}

// A number that is durable no more in a new build is settled nevertheless.
func TestAMessageOfANumberThatIsDurableNoMoreTakesEffectOnce(t *testing.T) {
	ann, bob := accountKind.Ref("ann"), accountKind.Ref("bob")
	build := func(w *world) func(p *Props) {
		return func(p *Props) {
			v := State[vault](p, "vault")
			Handle(p, func(ctx Context, m *transfer) error { ctx.Send(m.To, &credit{Amount: m.Amount}); return nil })
			Handle(p, func(ctx Context, m *credit) error { v.Edit().Gold += m.Amount; return nil })
		}
	}
	w := newWorld(t, lateMessages)
	w.impure = true // it is of two builds
	w.boot(lateMessages, Kind{Name: accountKind, New: build(w)})
	w.routed = func(e *Envelope) bool { return e.Number == 201 }
	w.call(ann, &transfer{To: bob, Amount: 3})
	w.advance(100 * time.Millisecond)
	for _, p := range w.sys.all() {
		p.ended = true
	}
	w.sys.Abandon()
	w.routed = nil
	plain := wire.Messages(wire.In[*transfer](200), wire.Internal[*credit](201), wire.Internal[*bell](205),
		wire.In[*set](206))
	w.boot(plain, Kind{Name: accountKind, New: build(w)})
	w.pass(10 * time.Minute)
	if v := w.vaultOf("bob"); v.Gold != 3 || len(w.boxOf("ann").Out) != 0 {
		t.Errorf("bob has %+v, ann %s", v, w.store.entities[ann].Box)
	}
}

// What was refused is forgotten when the sender knows it, also if there is always something else under way.
func TestWhatWasRefusedIsForgottenThoughSomethingIsAlwaysUnderWay(t *testing.T) {
	t.Parallel()
	w := bank(t)
	ann, shut := accountKind.Ref("ann"), accountKind.Ref("closed")
	worst, first := 0, true
	w.routed = func(e *Envelope) bool {
		if e.Number == 201 && first { // one copy is lost
			first = false
			return true
		}
		return false
	}
	for range 150 {
		w.call(ann, &transfer{To: shut, Amount: 1})
		w.advance(2 * time.Second)
		if in := w.boxOf("closed").In[ann]; in != nil {
			worst = max(worst, len(in.Refused))
		}
	}
	if worst > 40 {
		t.Errorf("%d refusals are remembered: %s", worst, w.store.entities[shut].Box)
	}
}

// A reminder that is long due is found by those who wake.
func TestAReminderForATimeBeforeAllTimesIsDue(t *testing.T) {
	ann := accountKind.Ref("ann")
	w := lateWorld(t, func(w *world, p *Props) {
		v := State[vault](p, "vault")
		Handle(p, func(ctx Context, m *set) error { ctx.Remind(time.Time{}, &bell{}); return nil })
		Handle(p, func(ctx Context, m *bell) error { v.Edit().Rings++; return nil })
	})
	var due []int64
	w.store.seen = func(c Change) {
		box := new(Contents)
		if json.Unmarshal(c.Box, box) == nil && len(box.Due) > 0 {
			due = append(due, c.DueAt)
		}
	}
	w.store.silent = true
	w.call(ann, &set{})
	w.advance(time.Second)
	for _, at := range due {
		if at <= 0 {
			t.Errorf("due at %d, which is never found", at)
		}
	}
}

// Many large messages that wait for a receiver that is away keep their sender from nothing else
func TestABoxIsBoundedInBytesToo(t *testing.T) {
	ann, bob := accountKind.Ref("ann"), accountKind.Ref("bob")
	w := lateWorld(t, func(w *world, p *Props) {
		v := State[vault](p, "vault")
		Handle(p, func(ctx Context, m *transfer) error {
			v.Edit().Gold++
			ctx.Send(bob, &credit{How: strings.Repeat("x", 256<<10)})
			return nil
		})
	})
	w.impure = true
	w.routed = func(e *Envelope) bool { return e.To == bob }
	refused, biggest := 0, 0
	w.store.seen = func(c Change) { biggest = max(biggest, len(c.Box)) }
	for range 40 {
		if _, err := w.call(ann, &transfer{}); errors.Is(err, Overloaded) {
			refused++
		}
		w.advance(time.Millisecond)
	}
	if refused == 0 || biggest > 8<<20 {
		t.Errorf("%d refused, a box of %d bytes was to be written; a change may have 8 MiB", refused, biggest)
	}
}

// A reminder that a turn cancels stays armed if that turn's commit is not written.
func TestAnAlarmIsArmedAgainWhenACommitIsUndone(t *testing.T) {
	ann, bob := accountKind.Ref("ann"), accountKind.Ref("bob")
	w := lateWorld(t, func(w *world, p *Props) {
		v := State[vault](p, "vault")
		Handle(p, func(ctx Context, m *set) error {
			if m.Off {
				ctx.Cancel(&bell{"x"})
				ctx.Commit()
				return nil
			}
			ctx.Remind(ctx.Now().Add(m.In), &bell{m.Text})
			return nil
		})
		Handle(p, func(ctx Context, m *transfer) error { ctx.Send(m.To, &credit{}); return nil })
		Handle(p, func(ctx Context, m *credit) error { return nil })
		Handle(p, func(ctx Context, m *bell) error { v.Edit().Rings++; return nil })
	})
	w.call(ann, &set{Text: "x", In: 10 * time.Second})
	w.advance(2 * time.Second)
	w.call(ann, &transfer{To: bob})
	w.store.silent = true
	w.sys.Deliver(RuntimeMessage(bob, ann, &Delivered{UpTo: 9})) // unknown: it may be forgotten
	w.settle()
	id := w.send(ann, &set{Off: true}, true)
	w.settle()
	for k := 1; k <= len(w.store.waiting) && k < 10; k++ {
		w.store.waiting[k-1]()
		w.settle()
		if k == 1 {
			w.store.fail = StoreUnavailable.Refuse("away")
		}
		if k == 2 {
			w.store.fail, w.store.silent = nil, false
		}
	}
	_, err := w.answer(id)
	if !errors.Is(err, StoreUnavailable) {
		t.Error(err)
	}
	w.advance(20 * time.Second)
	if v := w.vaultOf("ann"); v.Rings != 1 {
		t.Errorf("rang %d times: %s", v.Rings, w.store.entities[ann].Box)
	}
}
