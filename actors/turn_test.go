package actors

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

type (
	buy    struct{ Price int }
	bought struct{ Gold int }
	boom   struct{ How string }
	look   struct{}
	tell   struct{ Text string }
	heard  struct{ Text string }
	beat   struct{}
	spent  struct{ Gold int }
	relay  struct{ To Ref }
	nap    struct{}
)

const poor Code = "POOR"

var testMessages = wire.Messages(
	wire.In[*buy](200), wire.Out[*bought](201), wire.In[*boom](202), wire.In[*look](203),
	wire.In[*tell](204), wire.Out[*heard](205), wire.Internal[*beat](206), wire.In[*relay](207), wire.In[*nap](208))

type purse struct {
	Gold  int
	Beats int
}

type shopper struct {
	purse *Cell[purse]
	items *Map[string, int]
	crowd *Group
}

func newShopper(p *Props) {
	s := &shopper{purse: State[purse](p, "purse"), items: Rows[string, int](p, "items"), crowd: Audience(p)}
	On(p, func(ctx Context, _ *spent) error {
		if s.purse.View().Gold < 0 {
			return poor.Refuse("%d", s.purse.View().Gold)
		}
		return nil
	})
	Answer(p, s.buy)
	Answer(p, s.look)
	Handle(p, s.tell)
	Answer(p, s.boom)
	Answer(p, s.relay)
	Handle(p, func(ctx Context, _ *beat) error { s.purse.Edit().Beats++; return nil })
	Handle(p, func(ctx Context, _ *nap) error { ctx.Every(time.Second, &beat{}); return nil })
}

func (s *shopper) buy(ctx Context, m *buy) (*bought, error) {
	ctx.Send(ctx.Session(), &heard{"sold"})
	s.purse.Edit().Gold -= m.Price
	s.items.Set("thing", s.items.At("thing")+1)
	ctx.Emit(&spent{m.Price})
	ctx.Commit()
	return &bought{s.purse.View().Gold}, nil
}

func (s *shopper) look(Context, *look) (*bought, error) { return &bought{s.purse.View().Gold}, nil }

func (s *shopper) tell(ctx Context, m *tell) error {
	s.crowd.Send(ctx, &heard{m.Text})
	return nil
}

func (s *shopper) boom(ctx Context, m *boom) (*bought, error) {
	s.purse.Edit().Gold = 1_000_000
	ctx.Send(ctx.Session(), &heard{"never"})
	switch m.How {
	case "panic":
		panic("on purpose")
	case "error":
		return nil, errors.New("on purpose")
	case "keep":
		return nil, Keep(poor.Refuse("kept"))
	}
	return nil, nil
}

func (s *shopper) relay(ctx Context, m *relay) (*bought, error) {
	s.purse.Edit().Beats++
	return Reply(ctx, Ask[*bought](m.To, &look{}), func(ctx Context, b *bought, err error) (*bought, error) {
		if err != nil {
			return nil, err
		}
		s.purse.Edit().Gold += b.Gold
		return &bought{s.purse.View().Gold}, nil
	})
}

const shopperKind KindName = "shopper"

func shop(t *testing.T) *world {
	return newWorld(t, testMessages, Kind{Name: shopperKind, New: newShopper})
}

// rich gives an entity gold by way of the store.
func (w *world) rich(id string, gold int) Ref {
	ref := shopperKind.Ref(id)
	w.store.entities[ref] = Snapshot{Version: 1, Cells: fmt.Appendf(nil, `{"purse":{"v":1,"d":{"Gold":%d}}}`, gold)}
	return ref
}

func (w *world) gold(ref Ref) int {
	w.t.Helper()
	b, err := w.call(ref, &look{})
	if err != nil {
		w.t.Fatal(err)
	}
	return b.(*bought).Gold
}

func TestARefusedTurnLeavesNoTrace(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	if _, err := w.call(ann, &buy{Price: 11}); !errors.Is(err, poor) {
		t.Fatalf("got %v, want POOR", err)
	}
	if g := w.gold(ann); g != 10 {
		t.Errorf("gold is %d after a refusal, want 10", g)
	}
	for _, e := range w.got {
		if e.Number == 205 {
			t.Error("a push left a refused turn")
		}
	}
	if w.advance(3 * time.Second); w.store.saves != 0 {
		t.Errorf("%d saves after a refusal", w.store.saves)
	}
}

func TestACommittedTurnIsInTheStoreBeforeItIsAnswered(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.store.silent = true
	id := w.send(ann, &buy{Price: 4}, true)
	w.settle()
	if r, err := w.answer(id); r != nil || err != nil || len(w.got) != 0 {
		t.Fatalf("answered %v, %v, %d envelopes left before the store had it", r, err, len(w.got))
	}
	waits := w.send(ann, &look{}, true)
	w.settle()
	if r, _ := w.answer(waits); r != nil {
		t.Fatal("another message was handled while the commit was under way")
	}
	w.store.waiting[0]()
	w.settle()
	if r, err := w.answer(id); err != nil || r.(*bought).Gold != 6 {
		t.Fatalf("got %v, %v", r, err)
	}
	if got := string(w.store.entities[ann].Parts["items/thing"]); got != `{"v":1,"d":1}` {
		t.Errorf("row in the store: %s", got)
	}
}

func TestACommitThatTheStoreRefusedNeverHappened(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.store.fail = StoreUnavailable.Refuse("away")
	if _, err := w.call(ann, &buy{Price: 4}); !errors.Is(err, StoreUnavailable) {
		t.Fatalf("got %v, want STORE_UNAVAILABLE", err)
	}
	w.store.fail = nil
	if g := w.gold(ann); g != 10 {
		t.Errorf("gold is %d, want 10", g)
	}
}

func TestACommitOfUnknownOutcomeEndsTheActivation(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.store.fail = ErrUnknown
	id := w.send(ann, &buy{Price: 4}, true)
	w.advance(10 * time.Second)
	if _, err := w.answer(id); !errors.Is(err, CommitUnknown) {
		t.Fatalf("got %v, want COMMIT_UNKNOWN", err)
	}
	w.store.fail = nil
	if g := w.gold(ann); g != 10 {
		t.Errorf("the next activation has %d, the store 10", g)
	}
}

func TestEachWayToFailHasItsCodeAndTheEntityGoesOn(t *testing.T) {
	for _, c := range []struct {
		how  string
		want Code
	}{{"panic", Panicked}, {"error", Internal}, {"nil", NoReply}} {
		w := shop(t)
		ann := w.rich("ann", 10)
		_, err := w.call(ann, &boom{How: c.how})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %s", c.how, err, c.want)
		}
		want := 10
		if c.how == "nil" {
			want = 1_000_000
		}
		if g := w.gold(ann); g != want {
			t.Errorf("%s: gold is %d, want %d", c.how, g, want)
		}
	}
}

func TestKeepRefusesAndKeepsTheEdits(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	if _, err := w.call(ann, &boom{How: "keep"}); !errors.Is(err, poor) {
		t.Fatalf("got %v, want POOR", err)
	}
	if g := w.gold(ann); g != 1_000_000 {
		t.Errorf("gold is %d: the edit was undone", g)
	}
}

func TestAnUnknownNumberAndABadBodyAreAnswered(t *testing.T) {
	w := shop(t)
	ann := shopperKind.Ref("ann")
	w.sys.Deliver(&Envelope{Type: Message, To: ann, Session: w.client, Number: 999, Codec: wire.JSON, Request: 1})
	w.sys.Deliver(&Envelope{Type: Message, To: ann, Session: w.client, Number: 200, Codec: wire.JSON,
		Body: []byte("{"), Request: 2})
	w.settle()
	if _, err := w.answer(1); !errors.Is(err, UnknownNumber) {
		t.Errorf("got %v", err)
	}
	if _, err := w.answer(2); !errors.Is(err, BadBody) {
		t.Errorf("got %v", err)
	}
}

func TestAWaitingActorWaits(t *testing.T) {
	w := shop(t)
	ann, bob := w.rich("ann", 10), w.rich("bob", 5)
	first := w.send(ann, &relay{To: bob}, true)
	second := w.send(ann, &look{}, true)
	w.settle()
	if r, err := w.answer(first); err != nil || r.(*bought).Gold != 15 {
		t.Fatalf("got %v, %v", r, err)
	}
	if r, err := w.answer(second); err != nil || r.(*bought).Gold != 15 {
		t.Fatalf("a message was handled between question and answer: %v, %v", r, err)
	}
}

func TestAQuestionWithoutAnAnswerEndsAtItsDeadline(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	id := w.send(ann, &relay{To: Ref{SessionKind, "game-1.json.1.zz"}}, true)
	w.advance(6 * time.Second)
	if _, err := w.answer(id); !errors.Is(err, DeadlinePassed) {
		t.Fatalf("got %v, want DEADLINE", err)
	}
	if g := w.gold(ann); g != 10 {
		t.Errorf("the entity does not go on: %d", g)
	}
}

func TestTimersTickOnTheirSchedule(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.send(ann, &nap{}, false)
	w.send(ann, &nap{}, false) // arming again replaces
	w.advance(10*time.Second + 500*time.Millisecond)
	w.settle()
	if got := string(w.store.entities[ann].Cells); got != `{"purse":{"v":1,"d":{"Gold":10,"Beats":10}}}` {
		t.Errorf("the store has %s", got)
	}
}

func TestWhatIsNotCommittedIsFlushedWithinFlushEvery(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.call(ann, &boom{How: "keep"})
	w.advance(600 * time.Millisecond)
	if got := string(w.store.entities[ann].Cells); got != `{"purse":{"v":1,"d":{"Gold":1000000,"Beats":0}}}` {
		t.Errorf("the store has %s", got)
	}
}

func TestAFailedFlushStaysDirtyUntilItIsWritten(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.store.fail = StoreUnavailable.Refuse("away")
	w.call(ann, &boom{How: "keep"})
	w.advance(20 * time.Second)
	w.store.fail = nil
	w.advance(3 * time.Second)
	if got := string(w.store.entities[ann].Cells); got != `{"purse":{"v":1,"d":{"Gold":1000000,"Beats":0}}}` {
		t.Errorf("the store has %s", got)
	}
}

func TestAnIdleEntityIsPassivatedAndComesBackAsItWas(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.call(ann, &boom{How: "keep"})
	w.advance(6 * time.Minute)
	if n := w.sys.Report().Actors[shopperKind]; n != 0 {
		t.Fatalf("%d actors after six idle minutes", n)
	}
	if g := w.gold(ann); g != 1_000_000 {
		t.Errorf("came back with %d", g)
	}
}

func TestAFullMailboxAnswersAndKeepsNothingMore(t *testing.T) {
	w := shop(t)
	w.sys.o.Limits.Mailbox = 3
	ann := w.rich("ann", 10)
	for range 5 {
		w.send(ann, &look{}, true)
	}
	w.settle()
	full := 0
	for id := range uint64(5) {
		if _, err := w.answer(id + 1); errors.Is(err, MailboxFull) {
			full++
		}
	}
	if full != 2 || w.sys.Report().Full != 2 {
		t.Errorf("%d of 5 requests met a full mailbox of 3", full)
	}
}

func TestAPushReachesTheAudienceAndOnlyWhileBound(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.sys.Deliver(RuntimeMessage(w.client, ann, &Bound{Session: w.client, Who: ann, Number: 1}))
	w.send(ann, &tell{"hello"}, false)
	w.settle()
	if len(w.got) != 1 || string(w.got[0].Body) != `{"Text":"hello"}` {
		t.Fatalf("got %d envelopes", len(w.got))
	}
	w.sys.Deliver(RuntimeMessage(w.client, ann, &Unbound{Session: w.client, Who: ann}))
	w.send(ann, &tell{"nobody"}, false)
	w.settle()
	if len(w.got) != 1 {
		t.Error("a push reached a session after it was unbound")
	}
}

func TestOfTwoSessionsOfOneAccountTheNewerStays(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	old := SessionRef("game-1", wire.JSON, 7, 2)
	var kicked []*Envelope
	w.sys.Attach(old, func(e *Envelope) { kicked = append(kicked, e) })
	w.sys.Deliver(RuntimeMessage(old, ann, &Bound{Session: old, Who: ann, Number: 1}))
	w.sys.Deliver(RuntimeMessage(w.client, ann, &Bound{Session: w.client, Who: ann, Number: 2}))
	w.settle()
	if len(kicked) != 1 || kicked[0].Number != NumberKick {
		t.Fatalf("the older session got %d orders", len(kicked))
	}
	if len(w.got) != 0 {
		t.Error("the newer session was told something")
	}
}

func TestALostShardEndsItsActorsWithoutAWrite(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.call(ann, &boom{How: "keep"})
	w.epoch, w.holding = 2, Lost
	w.sys.Release("game", []int{ann.Shard(16)})
	w.advance(5 * time.Second)
	if w.store.saves != 0 || w.sys.Report().Actors[shopperKind] != 0 {
		t.Errorf("%d saves, %d actors", w.store.saves, w.sys.Report().Actors[shopperKind])
	}
}

func TestAPausedNodeHandlesNothingUntilItMay(t *testing.T) {
	w := shop(t)
	ann := w.rich("ann", 10)
	w.gold(ann)
	w.holding = Paused
	id := w.send(ann, &look{}, true)
	w.advance(3 * time.Second)
	if r, _ := w.answer(id); r != nil {
		t.Fatal("handled while paused")
	}
	w.holding = Held
	w.advance(time.Second)
	if r, err := w.answer(id); r == nil || err != nil {
		t.Fatalf("got %v, %v after the pause", r, err)
	}
}

func TestAHandlerThatHangsIsNamed(t *testing.T) {
	const kind KindName = "sleeper"
	var w *world
	w = newWorld(t, testMessages, Kind{Name: kind, New: func(p *Props) {
		Handle(p, func(Context, *nap) error {
			w.Hang(5 * time.Second) // as a handler that does not return looks to others
			w.sys.watch()
			return nil
		})
	}})
	w.send(kind.Ref("a"), &nap{}, false)
	w.settle()
	if w.sys.Report().Hung != 1 {
		t.Error("the watchdog did not see it")
	}
	w.advance(2 * time.Second)
	if w.sys.Report().Hung != 0 {
		t.Error("it is still named after it returned")
	}
}

func TestOfManyRowsOnlyThoseThatChangedAreWritten(t *testing.T) {
	var written Change
	w := newWorld(t, testMessages, Kind{Name: shopperKind, New: func(p *Props) {
		rows := Rows[int, int](p, "rows")
		Answer(p, func(ctx Context, m *buy) (*bought, error) {
			for i := range m.Price {
				rows.Set(i, i)
			}
			rows.Delete(7)
			ctx.Commit()
			return &bought{rows.Len()}, nil
		})
	}})
	w.store.seen = func(c Change) { written = c }
	if _, err := w.call(shopperKind.Ref("ann"), &buy{Price: 5000}); err != nil || len(written.Parts) != 5000 {
		t.Fatalf("%d rows written: %v", len(written.Parts), err)
	}
	if _, err := w.call(shopperKind.Ref("ann"), &buy{Price: 1}); err != nil || len(written.Parts) != 1 {
		t.Errorf("%d rows written, and 1 was set: %v", len(written.Parts), err)
	}
}
