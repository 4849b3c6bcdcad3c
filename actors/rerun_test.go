package actors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A witness listens to all entities of a world; when its test ends, each of them does everything again, alone, and must
// come to the same. So every test of this package is a test of Rerun, too.
type witness struct {
	t     testing.TB
	kinds []Kind
	w     *world
	lives []*life
}

// A life is one activation: how it began, and what it did.
type life struct {
	view  View
	image *Image
	steps []*Step
	told  []string // each step in words
	end   *Image
}

func (n *witness) Opened(v View) Trace {
	if n.w.impure {
		return nil
	}
	l := &life{view: v, image: imageOf(n.t, v)}
	n.lives = append(n.lives, l)
	return l
}

func (l *life) Heard(s *Step) {
	l.steps, l.told = append(l.steps, s), append(l.told, words(s))
	if i, err := l.view.Image(nil); err == nil {
		l.end = i
	}
}

func (l *life) Closed() { l.view = nil }

func imageOf(t testing.TB, v View) *Image {
	t.Helper()
	i, err := v.Image(nil)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// words is a step as text: all that a rerun must come to as well.
func words(s *Step) string {
	var b strings.Builder
	in := s.Input
	fmt.Fprintf(&b, "input %d at %d, question %d, session %s", in.Type, in.At, in.Question, in.Session)
	for _, t := range s.Turns {
		fmt.Fprintf(&b, "\n  turn %d %s: %d, commits %t, timers %v", t.Number, t.Name, t.Verdict, t.Commit, t.Timers)
		p := NewPatch(nil)
		for _, e := range t.Edits {
			if err := e.After(p); err != nil {
				fmt.Fprintf(&b, " %v", err)
			}
		}
		text, err := json.Marshal(p)
		fmt.Fprintf(&b, " %s %v", text, err)
	}
	for _, e := range s.Out {
		fmt.Fprintf(&b, "\n  out %q", e.Append(nil))
	}
	return b.String()
}

// proves does everything again.
func (n *witness) proves() {
	if n.t.Failed() || n.w.impure {
		return
	}
	for _, l := range n.lives {
		n.again(l, l.image, 0)
		for i, s := range l.steps[:min(len(l.steps), 50)] { // and from its middle: today's state with the edits undone
			if s.Quiet && i > 0 {
				n.again(l, l.before(n.t, i), i)
			}
		}
	}
}

// before is the state before step i: the last one, backwards.
func (l *life) before(t testing.TB, i int) *Image {
	image := through(t, l.end)
	for k := len(l.steps) - 1; k >= i; k-- {
		turns := l.steps[k].Turns
		for j := len(turns) - 1; j >= 0; j-- {
			for m := len(turns[j].Edits) - 1; m >= 0; m-- {
				if err := turns[j].Edits[m].Before(image.State); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	image.Turns, image.Asked, image.Cold = l.steps[i].Before, l.steps[i].Asked, l.steps[i].Cold
	image.At = l.steps[i].Input.At
	return image
}

func (n *witness) again(l *life, image *Image, from int) {
	copied := through(n.t, image)
	r, err := NewRerun(RerunOptions{Kinds: n.kinds, Catalogue: n.w.sys.o.Catalogue}, copied)
	if err != nil {
		n.t.Fatal(err)
	}
	for i := from; i < len(l.steps); i++ {
		s, err := r.Step(l.steps[i].Input)
		if err != nil {
			n.t.Fatalf("step %d of %s from %d: %v\n%s", i, image.Ref, from, err, l.told[i])
		}
		if got := words(s); got != l.told[i] {
			n.t.Fatalf("step %d of %s from %d did\n%s\nand again\n%s", i, image.Ref, from, l.told[i], got)
		}
	}
	want, _ := json.Marshal(l.end)
	if got, _ := json.Marshal(imageOf(n.t, r)); !bytes.Equal(got, want) && l.end != nil {
		n.t.Fatalf("%s ended as\n%s\nand again as\n%s", image.Ref, want, got)
	}
}

// through is an image as it comes back from a file.
func through(t testing.TB, i *Image) *Image {
	t.Helper()
	text, err := json.Marshal(i)
	back := new(Image)
	if err == nil {
		err = json.Unmarshal(text, back)
	}
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// strange is a behaviour that uses everything there is.
type strange struct {
	purse *Cell[purse]
	mood  *Cell[purse]
	seen  *Map[int, string]
	drops *Map[string, purse]
	crowd *Group
	w     *world
}

func (w *world) newStrange(p *Props) {
	s := &strange{purse: State[purse](p, "purse"), mood: Carry[purse](p, "mood"),
		seen:  CarryRows[int, string](p, "seen"),
		drops: Rows[string, purse](p, "drops"), crowd: NewGroup(p, "crowd"), w: w}
	On(p, func(Context, *Loaded) error { s.mood.Edit().Gold++; return nil })
	On(p, func(ctx Context, _ *Started) error { ctx.Every(time.Second, &beat{}); return nil })
	On(p, func(_ Context, b *Bound) error { s.crowd.Add(b.Session); return nil })
	On(p, func(_ Context, u *Unbound) error { s.drops.Set(u.Session.ID, purse{Gold: 1}); return nil })
	On(p, func(ctx Context, _ *Stopped) error { s.purse.Edit().Beats = -1; ctx.Commit(); return nil })
	Handle(p, func(ctx Context, _ *beat) error {
		n := ctx.Rand().IntN(1000)
		s.seen.Set(n%7, ctx.Now().String())
		s.drops.Set("last", purse{Gold: n, Beats: s.seen.Len()})
		s.drops.Delete("never")
		s.drops.Set("last", purse{Gold: n, Beats: -1}) // twice in a turn
		s.crowd.Send(ctx, &heard{fmt.Sprint(n)})
		return nil
	})
	Answer(p, func(ctx Context, m *relay) (*bought, error) {
		s.purse.Edit().Beats++
		ctx.Commit()
		return Reply(ctx, Ask[*bought](m.To, &look{}).Within(time.Second).Meanwhile(),
			func(ctx Context, b *bought, err error) (*bought, error) {
				if s.purse.Edit().Gold++; err != nil {
					return nil, Keep(poor.Refuse("%v", err))
				}
				return b, nil
			})
	})
	Answer(p, func(ctx Context, m *buy) (*bought, error) {
		return Reply(ctx, Work(func() (purse, error) { return s.w.shift(m.Price) }),
			func(ctx Context, worked purse, err error) (*bought, error) {
				*s.purse.Edit() = worked
				return &bought{worked.Gold}, err
			})
	})
	Handle(p, func(ctx Context, m *tell) error {
		ctx.Cancel(&beat{})
		ctx.After(3*time.Second, &beat{})
		ctx.Stop()
		return nil
	})
}

// shift is work whose result is another every time.
func (w *world) shift(price int) (purse, error) {
	if w.serial++; price == 0 {
		return purse{}, errors.New("no work")
	}
	return purse{Gold: price, Beats: w.serial}, nil
}

func TestAStrangeLifeIsLivedAgain(t *testing.T) {
	host := func(p *Props) {
		Answer(p, func(ctx Context, _ *look) (*bought, error) { return &bought{ctx.Rand().Int()}, nil })
	}
	w := newWorld(t, testMessages)
	w = newWorld(t, testMessages, Kind{Name: "strange", New: w.newStrange}, Kind{Name: "host", New: host})
	a, ann := KindName("strange").Ref("a"), KindName("host").Ref("ann")
	w.bind(w.client, a, 1)
	for i, m := range []any{&relay{ann}, &buy{7}, &buy{0}, &relay{ann}, &relay{ann}, &buy{9}} {
		if w.advance(1500 * time.Millisecond); i == 4 {
			w.routed = func(e *Envelope) bool { return e.To == ann } // no answer comes
		}
		w.store.fail = [...]error{nil, nil, nil, StoreRefused, nil, nil}[i]
		w.call(a, m)
	}
	w.sys.Deliver(RuntimeMessage(w.client, a, &Unbound{Session: w.client, Who: w.client}))
	w.advance(5 * time.Second)
	w.call(a, &tell{})
	w.advance(time.Minute)
	if l := w.witness.lives[0]; len(l.steps) < 20 || l.view != nil {
		t.Errorf("%d steps, and it is still there: %t", len(l.steps), l.view != nil)
	}
}
