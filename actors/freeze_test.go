package actors

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A traveller has something of everything that an entity may have.
type traveller struct {
	*journal
	purse *Cell[purse]
	mood  *Cell[purse]
	bag   *Map[string, int]
	seen  *Map[int, string]
	crowd *Group
}

// A journal is what all instances of a traveller have been told.
type journal struct {
	told  []string
	fails error // of look
}

func (s *traveller) mount(p *Props) {
	s.purse, s.mood = State[purse](p, "purse"), Carry[purse](p, "mood")
	s.bag, s.seen = Rows[string, int](p, "bag"), CarryRows[int, string](p, "seen")
	s.crowd = Audience(p)
	hears := func(what string) error { s.told = append(s.told, what); return nil }
	On(p, func(Context, *Loaded) error { return hears("loaded") })
	On(p, func(Context, *Started) error { return hears("started") })
	On(p, func(Context, *Stopped) error { return hears("stopped") })
	On(p, func(_ Context, b *Bound) error { return hears("bound") })
	On(p, func(Context, *Unbound) error { return hears("unbound") })
	Answer(p, func(_ Context, m *buy) (*bought, error) {
		s.purse.Edit().Gold += m.Price
		s.mood.Edit().Beats++
		s.bag.Set(fmt.Sprint(m.Price), m.Price)
		s.bag.Delete(fmt.Sprint(m.Price - 1))
		s.seen.Set(m.Price, "seen")
		return &bought{s.purse.View().Gold}, nil
	})
	Answer(p, func(ctx Context, _ *look) (*bought, error) { return &bought{ctx.Rand().IntN(1e9)}, s.fails })
	Answer(p, func(ctx Context, m *relay) (*bought, error) {
		s.purse.Edit().Gold++
		return Reply(ctx, Ask[*bought](m.To, &look{}), func(_ Context, b *bought, err error) (*bought, error) {
			return b, err
		})
	})
	Handle(p, func(ctx Context, m *nap) error {
		ctx.Every(time.Second, &beat{})
		ctx.After(4100*time.Millisecond, &nap{})
		return nil
	})
	Handle(p, func(ctx Context, _ *beat) error {
		hears(fmt.Sprint("beat ", ctx.Now().UnixMilli()%100_000)) //nolint:errcheck // it has none
		return nil
	})
	Handle(p, func(_ Context, m *tell) error { return hears(m.Text) })
	Answer(p, func(ctx Context, _ *boom) (*bought, error) {
		s.purse.Edit().Gold++
		ctx.Commit()
		return &bought{s.purse.View().Gold}, nil
	})
}

const travellerKind KindName = "traveller"

// travellers are a twin with one behaviour, of which all instances are one.
func travellers(t *testing.T) (*twin, *journal, Ref) {
	s := &journal{}
	w := newTwin(t, testMessages, Kind{Name: travellerKind, New: func(p *Props) { (&traveller{journal: s}).mount(p) }})
	w.witness.w.impure = true // what it was told is not in its cells
	return w, s, travellerKind.Ref("t")
}

// elsewhere is an actor of another shard.
func elsewhere(a Ref) Ref {
	for i := range 100 {
		if b := a.Kind.Ref(fmt.Sprint(i)); b.Shard(twinShards) != a.Shard(twinShards) {
			return b
		}
	}
	return Ref{}
}

func TestAMovedEntityIsLoadedAndNotStartedAndKnowsWhoIsBound(t *testing.T) {
	w, s, a := travellers(t)
	w.bind(w.client, a, 1)
	w.call(a, &buy{3})
	w.call(a, &buy{4})
	w.call(a, &relay{elsewhere(a)})
	before := w.stateOf(a)
	s.told = nil
	was := *w.entity(a)
	w.moves(a)
	if is := w.entity(a); is.seed != was.seed || is.turns != was.turns+2 || is.posed != was.posed || was.posed != 1 {
		t.Errorf("its luck is %d %d %d, and was %d %d %d", is.seed, is.turns, is.posed, was.seed, was.turns, was.posed)
	}
	if got := strings.Join(s.told, " "); got != "loaded bound" {
		t.Errorf("it was told %s", got)
	}
	if after := w.stateOf(a); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	if w.nodes[0].Turns()[a] != 0 || w.nodes[1].Turns()[a] == 0 || w.entity(a).cold {
		t.Error("it is not where it should be")
	}
	if got := w.call(a, &buy{5}); got != `{"Gold":13}` {
		t.Errorf("it answers %s", got)
	}
	w.Advance(time.Second)
	if got := string(w.store.entities[a].Cells); !strings.Contains(got, `"Gold":13`) {
		t.Errorf("the store has %s", got)
	}
}

func TestWhatWasNotWrittenIsWrittenByTheNextUnderANewVersion(t *testing.T) {
	for _, silent := range []bool{false, true} { // with nothing under way, and with a flush that is never answered
		w, _, a := travellers(t)
		var sent []Change
		w.store.seen = func(c Change) { sent = append(sent, c) }
		w.store.silent = silent
		w.call(a, &buy{3})
		w.call(a, &buy{4})
		if silent {
			w.Advance(600 * time.Millisecond)
		}
		w.call(a, &buy{9})
		w.moves(a)
		late := w.store.waiting
		w.store.silent, w.store.waiting = false, nil
		w.Advance(time.Second)
		last := sent[len(sent)-1]
		if len(late) != 0 != silent || len(sent) != 1+len(late) || last.Fence != 0 {
			t.Fatalf("%d changes, the last of %+v", len(sent), last)
		}
		if last.Version != uint64(len(sent)) || len(last.Parts) != 3 || string(last.Parts["bag/3"]) != "" {
			t.Errorf("silent %t: the last change is %+v", silent, last)
		}
		got := w.store.entities[a]
		for _, answer := range late { // the source is not there any more
			answer()
		}
		w.Settle()
		if !strings.Contains(string(got.Cells), `"Gold":16`) || string(got.Parts["bag/9"]) == "" {
			t.Errorf("the store has %s %s", got.Cells, got.Parts)
		}
	}
}

func TestTimersTravelAsTimeLeftAndKeepTheirSchedule(t *testing.T) {
	lives := [2]string{}
	for i := range lives {
		w, s, a := travellers(t)
		w.send(a, &nap{}, false)
		w.Settle()
		for range 30 {
			w.Advance(370 * time.Millisecond)
			if i == 1 {
				w.moves(a)
			}
		}
		lives[i] = strings.ReplaceAll(strings.Join(s.told, " "), " loaded", "")
		if n := w.entity(a); len(n.timers) != 2 {
			t.Errorf("%d timers", len(n.timers))
		}
	}
	if lives[0] != lives[1] {
		t.Errorf("without moves %s, with %s", lives[0], lives[1])
	}
}

func TestWhatWaitsInTheMailboxTravelsInOrder(t *testing.T) {
	w, s, a := travellers(t)
	w.call(a, &buy{1})
	session := SessionRef("game-1", wire.JSON, 7, 2)
	w.send(a, &nap{}, false)
	w.Settle()
	s.told = nil
	w.move(a.Shard(twinShards), time.Second, func(*Frozen) bool {
		n := w.entity(a)
		tick := n.timers[timerKey(206, []byte("{}"))]
		bound := RuntimeMessage(session, a, &Bound{Session: session, Who: session, Number: 1})
		for _, item := range []any{w.tell(a, "one"), tick, bound, w.tell(a, "two"),
			&Unbound{Session: session, Who: session}, w.tell(a, "three")} {
			n.box.tick(item)
		}
		return true
	})
	w.send(a, &tell{"four"}, false) // arrives while it moves
	w.Settle()
	if got := strings.Join(s.told, " "); got != "loaded one beat 0 bound two unbound three four" {
		t.Errorf("it was told: %s", got)
	}
}

// tell is a message to be put into a mailbox.
func (w *twin) tell(to Ref, text string) *Envelope {
	line := w.nodes[0].Messages().Of(&tell{})
	return &Envelope{Type: Message, To: to, Number: line.Number, Codec: line.Native(),
		Body: fmt.Appendf(nil, `{"Text":%q}`, text)}
}

// A frost is what became of a Freeze.
type frost struct {
	*Frozen
	err  error
	told int
}

// freeze freezes the shard of an actor.
func (w *twin) freeze(ref Ref, within time.Duration) *frost {
	shard, f := ref.Shard(twinShards), &frost{}
	w.nodes[w.owner[shard]].Freeze(w.tenure(shard), within, func(frozen *Frozen, err error) {
		f.Frozen, f.err = frozen, err
		f.told++
	})
	return f
}

func TestAnOpenQuestionPutsTheMoveOffAndAllGoOn(t *testing.T) {
	w, s, a := travellers(t)
	var question *Envelope
	mute := travellerKind.Ref("mute")
	w.taken = func(e *Envelope) bool {
		if e.To == mute {
			question = e
		}
		return e.To == mute
	}
	w.send(a, &nap{}, false)
	id := w.send(a, &relay{mute}, true)
	w.Settle()
	s.told = nil
	f := w.freeze(a, 250*time.Millisecond)
	if w.Advance(249 * time.Millisecond); f.told > 0 {
		t.Fatalf("too early: %v", f.err)
	}
	w.send(a, &tell{"waits"}, false)
	const why = "traveller/t waits for an answer"
	if w.Advance(time.Millisecond); f.err == nil || !strings.Contains(f.err.Error(), why) {
		t.Fatalf("it was frozen: %v", f.err)
	}
	w.route(question.Answer(201, wire.JSON, []byte(`{"Gold":5}`)))
	w.Advance(time.Second)
	if got := w.answer(id) + " " + strings.Join(s.told, " "); got != `{"Gold":5} waits beat 1000` || f.told != 1 {
		t.Errorf("then came %s", got)
	}
	f, twice := w.freeze(a, 0), w.freeze(a, 0)
	if w.Settle(); f.err != nil || twice.err == nil {
		t.Fatalf("once %v, twice %v", f.err, twice.err)
	}
	f.Thaw()
	f.Thaw()
	f.Discard() // it is over
	if w.Settle(); w.call(a, &buy{1}) != `{"Gold":2}` {
		t.Error("it has ended")
	}
	if _, err := f.State(1 << 20); err == nil {
		t.Error("what runs has a state")
	}
}

func TestNothingRunsWhileFrozenAndAllGoesOnAfter(t *testing.T) {
	w, s, a := travellers(t)
	w.store.silent = true
	w.send(a, &nap{}, false)
	w.call(a, &buy{1})
	w.Advance(500 * time.Millisecond)
	s.told = nil
	f := w.freeze(a, 0)
	if w.Settle(); f.err != nil || len(w.store.waiting) != 1 {
		t.Fatalf("%v, %d flushes", f.err, len(w.store.waiting))
	}
	w.store.waiting[0]()
	w.Advance(2300 * time.Millisecond)
	if len(s.told) > 0 || w.entity(a).underway == nil {
		t.Errorf("it was told %s, or the store's answer came through", s.told)
	}
	w.nodes[0].Deliver(w.tell(a, "one"))
	f.Thaw()
	w.Advance(500 * time.Millisecond)
	if got := strings.Join(s.told, " "); got != "beat 2800 one beat 2800 beat 3000" || w.entity(a).underway != nil {
		t.Errorf("it was told %s", got)
	}
}

func TestACommitIsWaitedForAndOneWithoutAnEndPutsTheMoveOff(t *testing.T) {
	w, _, a := travellers(t)
	w.store.silent = true
	id := w.send(a, &boom{}, true)
	w.Settle()
	f := w.freeze(a, 100*time.Millisecond)
	if w.Advance(1099 * time.Millisecond); f.told > 0 {
		t.Fatalf("too early: %v", f.err)
	}
	if w.Advance(time.Millisecond); f.err == nil || !strings.Contains(f.err.Error(), "waits for a commit") {
		t.Fatalf("it was frozen within a commit: %v", f.err)
	}
	f = w.freeze(a, 100*time.Millisecond)
	w.Advance(500 * time.Millisecond)
	w.store.waiting[0]()
	if w.Settle(); f.err != nil || w.answer(id) != `{"Gold":1}` {
		t.Fatalf("the commit is answered %s: %v", w.answer(id), f.err)
	}
	f.Thaw()
	w.store.silent = false
	if w.moves(a); w.call(a, &boom{}) != `{"Gold":2}` {
		t.Error("it does not go on")
	}
}

func TestWhoLoadsOrLeavesIsWaitedFor(t *testing.T) {
	w, s, a := travellers(t)
	w.store.slow = true
	w.send(a, &tell{"first"}, false)
	f := w.freeze(a, time.Second)
	if w.Advance(500 * time.Millisecond); f.told > 0 {
		t.Fatalf("it was frozen while it loads: %v", f.err)
	}
	w.store.waiting[0]()
	w.store.slow, w.store.waiting = false, nil
	if w.Settle(); f.err != nil || strings.Join(s.told, " ") != "loaded started" {
		t.Fatalf("before it rests it is told %s: %v", s.told, f.err)
	}
	f.Thaw()
	w.call(a, &buy{1})
	w.store.silent = true
	w.entity(a).post(w.entity(a).leave)
	w.Settle()
	f = w.freeze(a, time.Second)
	w.send(a, &tell{"for the next"}, false)
	if w.Advance(500 * time.Millisecond); f.told > 0 {
		t.Fatalf("it was frozen while it leaves: %v", f.err)
	}
	w.store.silent = false
	w.store.waiting[0]()
	if w.Settle(); f.err != nil || w.entity(a) == nil {
		t.Fatalf("its successor is not frozen: %v", f.err)
	}
	f.Thaw()
	w.Settle()
	if got := strings.Join(s.told, " "); got != "loaded started first stopped loaded started for the next" {
		t.Errorf("it was told %s", got)
	}
}

func TestDiscardedActorsTellNobodyAndWriteNothing(t *testing.T) {
	w, s, a := travellers(t)
	w.bind(w.client, a, 1)
	w.call(a, &buy{1})
	s.told = nil
	f := w.freeze(a, 0)
	w.Settle()
	w.nodes[0].Deliver(&Envelope{Type: Message, To: a, From: w.client, Session: w.client, Request: 99, Number: 200})
	f.Discard()
	w.owner[a.Shard(twinShards)] = 1 // or it would come up again here
	w.Advance(time.Minute)
	if len(s.told) > 0 || w.store.saves > 0 || w.answer(99) != "" || len(w.nodes[0].all()) > 0 {
		t.Errorf("told %s, saved %d times, answered %q", s.told, w.store.saves, w.answer(99))
	}
	for i := range w.nodes[0].stripes {
		if len(w.nodes[0].stripes[i].farewells) > 0 {
			t.Error("who was bound is remembered")
		}
	}
}

func TestWhoWasBoundToAnEntityThatSleepsTravelsToo(t *testing.T) {
	w, s, a := travellers(t)
	w.bind(w.client, a, 1)
	n := w.entity(a)
	n.served = true
	n.post(n.leave)
	w.Settle()
	if w.entity(a) != nil {
		t.Fatal("it has not left")
	}
	s.told = nil
	w.moves(a)
	w.call(a, &buy{1})
	if got := strings.Join(s.told, " "); got != "loaded started bound" {
		t.Errorf("it was told %s", got)
	}
}

func TestOneThatRestsAfterFailuresRestsElsewhereToo(t *testing.T) {
	w, s, a := travellers(t)
	s.fails = errors.New("on purpose")
	for range maxFailures + 1 {
		w.call(a, &look{})
	}
	s.told = nil
	w.moves(a)
	if got := w.call(a, &buy{1}); got != string(Unavailable) || len(s.told) > 0 {
		t.Errorf("it answers %s and was told %s", got, s.told)
	}
	w.Advance(time.Second)
	if got := w.call(a, &buy{1}); got != `{"Gold":1}` || strings.Join(s.told, " ") != "loaded" {
		t.Errorf("then it answers %s and was told %s", got, s.told)
	}
}

func TestWhatIsTooMuchOrForeignIsAnError(t *testing.T) {
	w, _, a := travellers(t)
	w.send(a, &nap{}, false)
	w.bind(w.client, a, 1)
	w.call(a, &buy{1})
	f := w.freeze(a, 0)
	w.Settle()
	state, err := f.State(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.State(len(state) - 1); err == nil || !strings.Contains(err.Error(), "the bound") {
		t.Errorf("it fits into less: %v", err)
	}
	if _, err := f.State(len(state)); err != nil {
		t.Error(err)
	}
	here, next := w.nodes[1], w.tenure(a.Shard(twinShards))
	for cut := range state {
		if _, err := here.Prepare(next, state[:cut]); err == nil {
			t.Fatalf("%d bytes of %d are a state", cut, len(state))
		}
	}
	other := next
	other.Shard = (other.Shard + 1) % twinShards
	bare := newTwin(t, testMessages, Kind{Name: travellerKind, New: func(p *Props) { State[purse](p, "purse") }})
	none := newTwin(t, testMessages)
	for what, try := range map[string]struct {
		at    *System
		to    Tenure
		state []byte
	}{
		"is of shard":          {here, other, state},
		"no cell bag":          {bare.nodes[0], next, state},
		"no such kind":         {none.nodes[0], next, state},
		"a state of version 1": {here, next, append([]byte{1}, state[1:]...)},
	} {
		if _, err := try.at.Prepare(try.to, try.state); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	a2, err := here.Prepare(next, state)
	if err != nil {
		t.Fatal(err)
	}
	a2.Drop()
	f.Thaw()
	w.Settle()
	if got := w.call(a, &buy{1}); got != `{"Gold":2}` {
		t.Errorf("it does not go on: %s", got)
	}
}
