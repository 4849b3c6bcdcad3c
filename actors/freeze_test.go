package actors

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A traveller has something of everything that an entity may have.
type traveller struct {
	purse *Cell[purse]
	mood  *Cell[purse]
	bag   *Map[string, int]
	seen  *Map[int, string]
	crowd *Group
	told  []string // what it was told, by all of its instances
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
	Answer(p, func(ctx Context, _ *look) (*bought, error) { return &bought{ctx.Rand().IntN(1e9)}, nil })
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
func travellers(t *testing.T) (*twin, *traveller, Ref) {
	s := &traveller{}
	w := newTwin(t, testMessages, Kind{Name: travellerKind, New: s.mount})
	w.witness.w.impure = true // what it was told is not in its cells
	return w, s, travellerKind.Ref("t")
}

func TestAMovedEntityIsLoadedAndNotStartedAndKnowsWhoIsBound(t *testing.T) {
	w, s, a := travellers(t)
	w.bind(w.client, a, 1)
	w.call(a, &buy{3})
	w.call(a, &buy{4})
	before := w.stateOf(a)
	s.told = nil
	w.moves(a)
	if got := strings.Join(s.told, " "); got != "loaded bound" {
		t.Errorf("it was told %s", got)
	}
	if after := w.stateOf(a); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	if w.nodes[0].Turns()[a] != 0 || w.nodes[1].Turns()[a] == 0 || w.entity(a).cold {
		t.Error("it is not where it should be")
	}
	if got := w.call(a, &buy{5}); got != `{"Gold":12}` {
		t.Errorf("it answers %s", got)
	}
	w.Advance(time.Second)
	if got := string(w.store.entities[a].Cells); !strings.Contains(got, `"Gold":12`) {
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
		if len(late) != 0 != silent || len(sent) != 1+len(late) || last.Fence != 0 || last.After != 1 {
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
