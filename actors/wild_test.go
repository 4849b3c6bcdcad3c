package actors

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// happened is an event of a wildling.
type happened struct{ N int }

// A wildling does whatever its luck says: there is no sequence of turns that it may not come to.
type wildling struct {
	purse *Cell[purse]
	mood  *Cell[purse]
	rows  *Map[int, purse]
	seen  *Map[string, int]
	crowd *Group
	aud   *Group
	w     *world
}

func (w *world) newWild(p *Props) {
	s := &wildling{purse: State[purse](p, "purse"), mood: Carry[purse](p, "mood"), rows: Rows[int, purse](p, "rows"),
		seen: CarryRows[string, int](p, "seen"), crowd: NewGroup(p, "crowd"), aud: Audience(p), w: w}
	On(p, func(Context, *Loaded) error {
		s.mood.Edit().Beats++
		s.seen.Set("loaded", s.seen.At("loaded")+1)
		return nil
	})
	On(p, func(ctx Context, _ *Started) error {
		ctx.Every(700*time.Millisecond, &beat{})
		if ctx.Rand().IntN(4) == 0 {
			ctx.Commit()
		}
		if ctx.Rand().IntN(4) == 0 {
			return errors.New("no start")
		}
		if ctx.Rand().IntN(4) == 0 {
			s.purse.Edit().Gold++
			Then(ctx, Ask[*bought](KindName("host").Ref("h"), &look{}), s.cont(1))
		}
		return nil
	})
	On(p, func(ctx Context, b *Bound) error { return s.deed(ctx, ctx.Rand().IntN(1e6)|1<<22, 1) })
	On(p, func(ctx Context, b *Unbound) error { return s.deed(ctx, ctx.Rand().IntN(1e6)|1<<22, 1) })
	On(p, func(ctx Context, b *Stopped) error {
		s.purse.Edit().Gold++
		if ctx.Rand().IntN(2) == 0 {
			ctx.Commit()
		}
		if ctx.Rand().IntN(4) == 0 {
			panic("stop")
		}
		return nil
	})
	On(p, func(ctx Context, h *happened) error {
		s.mood.Edit().Gold += h.N
		if h.N == 3 {
			return poor.Refuse("three")
		}
		return nil
	})
	Handle(p, func(ctx Context, _ *beat) error { return s.deed(ctx, ctx.Rand().IntN(1e6), 1) })
	Answer(p, func(ctx Context, m *buy) (*bought, error) {
		r := rand.New(rand.NewPCG(uint64(m.Price), 7))
		err := s.deed(ctx, m.Price, 0)
		if r.IntN(3) == 0 && err == nil {
			return Reply(ctx, s.question(r), s.reply(m.Price, 0))
		}
		if r.IntN(6) == 0 {
			return nil, err
		}
		return &bought{s.purse.View().Gold}, err
	})
}

func (s *wildling) question(r *rand.Rand) Pending[*bought] {
	var q Pending[*bought]
	switch r.IntN(4) {
	case 0:
		s.w.serial++
		n := s.w.serial
		q = Work(func() (*bought, error) {
			if n%3 == 0 {
				return nil, errors.New("work fails")
			}
			if n%5 == 0 {
				return nil, nil
			}
			return &bought{n}, nil
		})
	case 1:
		q = Ask[*bought](KindName("mute").Ref("m"), &look{}).Within(time.Duration(r.IntN(3000)) * time.Millisecond)
	default:
		q = Ask[*bought](KindName("host").Ref("h"), &look{})
	}
	if r.IntN(2) == 0 {
		q = q.Meanwhile()
	}
	return q
}

func (s *wildling) reply(seed, depth int) func(Context, *bought, error) (*bought, error) {
	return func(ctx Context, b *bought, err error) (*bought, error) {
		r := rand.New(rand.NewPCG(uint64(seed+depth), 9))
		if err != nil {
			s.mood.Edit().Gold += len(err.Error())
		}
		if b != nil {
			s.mood.Edit().Gold += b.Gold
		}
		if e := s.deed(ctx, seed*7+depth, depth+1); e != nil {
			return nil, e
		}
		if depth < 3 && r.IntN(3) == 0 {
			return Reply(ctx, s.question(r), s.reply(seed, depth+1))
		}
		return b, err
	}
}

func (s *wildling) cont(depth int) func(Context, *bought, error) error {
	return func(ctx Context, b *bought, err error) error {
		return s.deed(ctx, ctx.Rand().IntN(1e6), depth+1)
	}
}

func (s *wildling) deed(ctx Context, seed, depth int) error {
	r := rand.New(rand.NewPCG(uint64(seed), 3))
	for range r.IntN(6) {
		switch r.IntN(16) {
		case 0:
			s.purse.Edit().Gold++
		case 1:
			s.mood.Edit().Gold--
		case 2:
			s.rows.Set(r.IntN(5), purse{Gold: ctx.Rand().IntN(100)})
		case 3:
			s.rows.Delete(r.IntN(5))
		case 4:
			s.crowd.Add(SessionRef("game-1", 1, 7, uint64(r.IntN(4))))
		case 5:
			s.crowd.Remove(SessionRef("game-1", 1, 7, uint64(r.IntN(4))))
		case 6:
			s.crowd.Send(ctx, &heard{fmt.Sprint(s.rows.Len())})
		case 7:
			ctx.Push(&heard{ctx.Now().UTC().String()})
		case 8:
			ctx.Emit(&happened{r.IntN(5)})
		case 9:
			ctx.After(time.Duration(r.IntN(2000))*time.Millisecond, &beat{})
		case 10:
			ctx.Commit()
		case 11:
			if depth < 3 {
				Then(ctx, s.question(r), s.cont(depth))
			}
		case 12:
			if n, ok := ctx.(*turn).Tables().(int); ok {
				s.mood.Edit().Beats += n
			}
		case 13:
			s.seen.Set(fmt.Sprint(r.IntN(4)), ctx.Rand().IntN(50))
			s.seen.Delete(fmt.Sprint(r.IntN(4)))
		case 14:
			if r.IntN(5) == 0 {
				ctx.Stop()
			}
		case 15:
			if !ctx.Session().IsZero() && r.IntN(3) == 0 {
				ctx.Kick(ctx.Session(), "X")
			}
		}
	}
	switch r.IntN(24) {
	case 0:
		return errors.New("fails")
	case 1:
		panic("panics")
	case 2:
		return poor.Refuse("refused")
	case 3, 4:
		return Keep(poor.Refuse("kept"))
	}
	return nil
}

func TestWhateverALifeIsItIsLivedAgain(t *testing.T) {
	t.Parallel()
	for seed := range seeds(15) {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { wild(t, seed) }) {
			return
		}
	}
}

// wild lets an entity live through what the seed throws at it; the witness of its world proves the rest.
func wild(t *testing.T, seed uint64) {
	host := func(p *Props) {
		Answer(p, func(ctx Context, _ *look) (*bought, error) { return &bought{ctx.Rand().IntN(9)}, nil })
	}
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t, testMessages)
	w = newWorld(t, testMessages, Kind{Name: "wild", New: w.newWild, IdleAfter: 20 * time.Second},
		Kind{Name: "host", New: host})
	edition := 1
	w.sys.o.Tables = func() any { return edition }
	a := KindName("wild").Ref("a")
	w.routed = func(e *Envelope) bool { return e.To.Kind == "mute" }
	sessions := []Ref{w.client}
	for i := range 3 {
		s := SessionRef("game-1", 1, 7, uint64(i+2))
		sessions = append(sessions, s)
		w.sys.Attach(s, func(*Envelope) {})
	}
	for range 20 + r.IntN(60) {
		switch r.IntN(16) {
		case 0, 1, 2, 3, 4:
			w.send(a, &buy{r.IntN(1e6)}, r.IntN(4) > 0)
		case 5, 6, 7:
			w.advance(time.Duration(r.IntN(1500)) * time.Millisecond)
		case 8:
			s := sessions[r.IntN(4)]
			who := a
			if r.IntN(3) == 0 {
				who = s
			}
			w.sys.Deliver(RuntimeMessage(s, a,
				&Bound{Session: s, Who: who, Number: uint64(r.IntN(5)), Ears: r.IntN(4) == 0}))
		case 9:
			s := sessions[r.IntN(4)]
			w.sys.Deliver(RuntimeMessage(s, a, &Unbound{Session: s, Who: a}))
		case 10:
			w.store.fail = [...]error{nil, nil, nil, StoreRefused, ErrUnknown, ErrUnknown, StoreUnavailable}[r.IntN(7)]
		case 11:
			if w.store.silent = !w.store.silent; !w.store.silent {
				for _, f := range w.store.waiting {
					w.Run(f)
				}
				w.store.waiting = nil
			}
		case 12:
			w.holding = [...]Hold{Held, Held, Paused}[r.IntN(3)]
		case 13:
			edition++
		case 14:
			if r.IntN(4) == 0 {
				w.sys.Crash(a)
			}
			w.sys.Deliver(RuntimeMessage(NodeKind.Ref("game-1"), a, &Gone{Sessions: []Ref{sessions[r.IntN(4)]}}))
		case 15:
			w.settle()
			w.advance(time.Duration(r.IntN(30)) * time.Second)
		}
	}
	w.store.fail, w.store.silent, w.holding = nil, false, Held
	for _, f := range w.store.waiting {
		w.Run(f)
	}
	w.advance(time.Minute)
}
