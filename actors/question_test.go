package actors

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// asker asks b's look, and goes on with then.
func asker(then func(Context) (*bought, error)) func(*Props) {
	return func(p *Props) {
		n := State[int](p, "n")
		On(p, func(Context, *spent) error { return poor.Refuse("a listener says no") })
		Answer(p, func(ctx Context, m *relay) (*bought, error) {
			return Reply(ctx, Ask[*bought](m.To, &look{}), func(ctx Context, _ *bought, err error) (*bought, error) {
				*n.Edit() = 7
				return then(ctx)
			})
		})
		Answer(p, func(Context, *look) (*bought, error) { return &bought{n.View()}, nil })
	}
}

func TestAListenersErrorFailsTheTurnWhateverTheHandlerReturns(t *testing.T) {
	for name, then := range map[string]func(Context) (*bought, error){
		"a result": func(ctx Context) (*bought, error) { ctx.Emit(&spent{}); return &bought{}, nil },
		"kept":     func(ctx Context) (*bought, error) { ctx.Emit(&spent{}); return nil, Keep(TooBig) },
	} {
		w, a := one(t, Kind{New: asker(then)})
		if _, err := w.call(a, &relay{To: plain.Ref("b")}); !errors.Is(err, poor) {
			t.Errorf("%s: got %v, want POOR", name, err)
		}
		if n := w.gold(a); n != 0 {
			t.Errorf("%s: the refused continuation left %d", name, n)
		}
	}
}

func TestQuestionsOfContinuationsCountTheirHops(t *testing.T) {
	w, a := one(t, Kind{New: asker(func(ctx Context) (*bought, error) {
		return Reply(ctx, Ask[*bought](plain.Ref("b"), &look{}),
			func(_ Context, b *bought, err error) (*bought, error) { return b, err })
	})})
	var hops []uint8
	w.routed = func(e *Envelope) bool {
		if e.Type == Message && e.Number == 203 {
			hops = append(hops, e.Hops)
		}
		return false
	}
	w.sys.Deliver(&Envelope{Type: Message, To: a, From: w.client, Session: w.client, Number: 207, Codec: wire.JSON,
		Body: []byte(`{"To":"plain/b"}`), Request: 1, Hops: 5})
	w.settle()
	if len(hops) != 2 || hops[0] != 6 || hops[1] != 6 {
		t.Errorf("hops are %v, want 6 and 6", hops)
	}
}

func TestAnyWorkerCanBeAsked(t *testing.T) {
	w := newWorld(t, testMessages, Kind{Name: "clerk", Workers: 2, New: func(p *Props) {
		Answer(p, func(Context, *look) (*bought, error) { return &bought{}, nil })
	}}, Kind{Name: plain, New: func(p *Props) {
		Answer(p, func(ctx Context, _ *buy) (*bought, error) {
			return Reply(ctx, Ask[*bought](KindName("clerk").Ref(""), &look{}),
				func(_ Context, b *bought, err error) (*bought, error) { return b, err })
		})
	}})
	if _, err := w.call(plain.Ref("a"), &buy{}); err != nil {
		t.Error(err)
	}
}

func TestAResultThatCannotBeWrittenUndoesItsTurn(t *testing.T) {
	type odd struct{ F float64 }
	messages := wire.Messages(wire.In[*look](203), wire.Out[*odd](300), wire.In[*buy](200), wire.Out[*bought](201))
	w := newWorld(t, messages, Kind{Name: plain, New: func(p *Props) {
		n := State[int](p, "n")
		Answer(p, func(Context, *buy) (*odd, error) { *n.Edit() = 7; return &odd{math.NaN()}, nil })
		Answer(p, func(Context, *look) (*bought, error) { return &bought{n.View()}, nil })
	}})
	if _, err := w.call(plain.Ref("a"), &buy{}); !errors.Is(err, Internal) {
		t.Errorf("got %v, want INTERNAL", err)
	}
	if n := w.gold(plain.Ref("a")); n != 0 {
		t.Errorf("its turn left %d", n)
	}
}

func TestACommitThatWasNotSentIsNotUnknown(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.store.fail = ErrUnknown
	w.call(ann, &boom{How: "keep"})
	w.advance(600 * time.Millisecond) // its flush is under way
	id := w.send(ann, &buy{Price: 4}, true)
	w.advance(10 * time.Second)
	if _, err := w.answer(id); !errors.Is(err, StoreUnavailable) {
		t.Errorf("got %v, want STORE_UNAVAILABLE", err)
	}
}

type garment int

func (garment) String() string { return "helmet" }

func TestRowsAreFoundAgainWhateverTheirKeysAreCalled(t *testing.T) {
	w, a := one(t, Kind{New: func(p *Props) {
		rows := Rows[garment, int](p, "worn")
		names := Rows[string, int](p, "names")
		Handle(p, func(ctx Context, m *tell) error {
			rows.Set(3, 5)
			names.Set(m.Text, 1)
			ctx.Commit()
			return nil
		})
		Answer(p, func(Context, *look) (*bought, error) { return &bought{rows.At(3)*10 + names.Len()}, nil })
	}})
	if _, err := w.call(a, &tell{strings.Repeat("x", maxKey+1)}); !errors.Is(err, Panicked) {
		t.Errorf("a key of %d bytes: got %v", maxKey+1, err)
	}
	if _, err := w.call(a, &tell{strings.Repeat("x", maxKey)}); err != nil {
		t.Fatal(err)
	}
	w.stop(a)
	if n := w.gold(a); n != 51 {
		t.Errorf("came back with %d", n)
	}
}
