package replay_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
)

// A till is a game of payments that may come again: each stands in a stored row, with its place among the others.
type (
	enterTill struct{ Name string }
	spend     struct {
		N   int
		How string // plain, ask, refuse; else it commits
	}
	spent   struct{ N, Place int }
	jot     struct{ N int } // is no Retry number
	count   struct{}
	counted struct {
		Places    []int // of each payment by N; 0: it has not taken effect
		Twice     []int
		Strangers int // messages of sessions that were not bound
		There     int
	}
	entry struct{ Place, Times int }
	house struct{ Places int }
)

const (
	tillKind  actors.KindName = "till"
	tillDoor  actors.KindName = "tilldoor"
	clerkKind actors.KindName = "clerk"
	noCredit  actors.Code     = "NO_CREDIT"
)

var tills = node.App{Name: "tills", Game: node.Module{
	Name: "tills",
	Messages: wire.Messages(wire.In[*enterTill](701).Public(), wire.In[*spend](702).Retry(), wire.Out[*spent](703),
		wire.In[*jot](704), wire.In[*count](705), wire.Out[*counted](706), wire.Internal[*rest](707)),
	Kinds: []actors.Kind{{Name: tillDoor, Workers: 1, New: newTillDoor}, {Name: tillKind, New: newTill},
		{Name: clerkKind, New: newClerk}},
}}

func newTillDoor(p *actors.Props) {
	actors.Handle(p, func(ctx actors.Context, m *enterTill) error {
		ctx.Login(tillKind.Ref(m.Name))
		return nil
	})
}

func newClerk(p *actors.Props) {
	actors.Answer(p, func(actors.Context, *rest) (*spent, error) { return &spent{}, nil })
}

func newTill(p *actors.Props) {
	there, book := actors.Audience(p), actors.Rows[int, entry](p, "book")
	all, strangers := actors.State[house](p, "all"), actors.Carry[int](p, "strangers")
	heard := func(ctx actors.Context) {
		if !slices.Contains(slices.Collect(there.All()), ctx.Session()) {
			*strangers.Edit()++
		}
	}
	actors.Answer(p, func(ctx actors.Context, m *spend) (*spent, error) {
		heard(ctx)
		all.Edit().Places++
		e := entry{all.View().Places, book.At(m.N).Times + 1}
		book.Set(m.N, e)
		switch m.How {
		case "plain":
		case "refuse":
			return nil, noCredit.Refuse("no")
		case "ask":
			ctx.Commit()
			return actors.Reply(ctx, actors.Ask[*spent](clerkKind.Ref("c"), &rest{}),
				func(ctx actors.Context, _ *spent, err error) (*spent, error) {
					ctx.Commit()
					return &spent{m.N, e.Place}, err
				})
		default:
			ctx.Commit()
		}
		return &spent{m.N, e.Place}, nil
	})
	actors.Handle(p, func(ctx actors.Context, m *jot) error {
		heard(ctx)
		there.Send(ctx, &spent{N: m.N})
		return nil
	})
	actors.Answer(p, func(ctx actors.Context, _ *count) (*counted, error) {
		heard(ctx)
		c := &counted{Places: make([]int, 100), Strangers: strangers.View(), There: there.Len()}
		for n, e := range book.All() {
			if c.Places[n] = e.Place; e.Times > 1 {
				c.Twice = append(c.Twice, n)
			}
		}
		return c, nil
	})
}

func atTill(w *replay.World, name string) *replay.Client {
	c := w.Connect()
	if _, err := c.Ask(&enterTill{name}); err != nil {
		panic(err)
	}
	return c
}

// pays lets ann pay three times while her till's node dies after so many steps, and reports whether that was before
// all was over.
func pays(t *testing.T, seed uint64, steps int, how string, isCold bool) (died bool) {
	w := replay.NewWorld(t, tills, replay.Seed(seed))
	ann := atTill(w, "ann")
	if !isCold {
		replay.Call[*counted](ann, &count{})
	}
	w.Store().Slow(time.Millisecond, 4*time.Millisecond)
	spare := w.CrashAfter(w.Owner(tillKind.Ref("ann")), steps)
	var asked []*replay.Request
	for n := 1; n <= 3; n++ {
		asked = append(asked, ann.Begin(&spend{n, how}))
		ann.Send(&jot{n})
	}
	for i, r := range asked {
		answer, err := r.Answer()
		switch {
		case how == "ask" && errors.Is(err, actors.OutcomeUnknown):
		case how == "refuse" && errors.Is(err, noCredit):
		case err != nil || how == "refuse" || answer.(*spent).N != i+1:
			t.Fatalf("seed %d, step %d, %s: %d was answered %+v, %v", seed, steps, how, i+1, answer, err)
		}
	}
	died = spare()
	w.Advance(3 * time.Second)
	c := replay.Call[*counted](ann, &count{})
	for n := 1; n <= 3 && how != "refuse"; n++ {
		lasts := how != "plain" // else what was answered may be lost with the node
		if c.Places[n] == 0 && lasts || c.Places[n] != 0 && c.Places[n] <= c.Places[n-1] && lasts {
			t.Fatalf("seed %d, step %d, %s: the book has %v", seed, steps, how, c.Places[:4])
		}
	}
	if len(c.Twice) > 0 || c.Strangers > 0 || c.There != 1 {
		t.Fatalf("seed %d, step %d, %s: twice %v, %d strangers, %d there", seed, steps, how, c.Twice, c.Strangers,
			c.There)
	}
	return died
}

func TestARequestIsHandledOnceWheneverItsOwnerDies(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"commit", "ask", "plain", "refuse"} {
		for _, isCold := range []bool{false, true} {
			t.Run(fmt.Sprint(how, isCold), func(t *testing.T) {
				t.Parallel()
				steps := 0
				for seed := uint64(1); pays(t, seed, steps, how, isCold); seed++ {
					steps++
				}
				if steps < 20 {
					t.Errorf("it had %d steps only", steps)
				}
			})
		}
	}
}

// Whatever dies, is cut off or fails: each payment is answered once in time, takes effect at most once, and once if
// that was the answer; and of what took effect the order is that in which it was sent.
func TestPaymentsThatComeAgainAreMadeOnceWhateverHappens(t *testing.T) {
	t.Parallel()
	each(t, 12, func(t *testing.T, seed uint64) {
		w := replay.NewWorld(t, tills, replay.Seed(seed))
		r := rand.New(rand.NewPCG(seed, 11))
		names := []string{"ann", "bob", "cat"}
		var clients []*replay.Client
		asked := make([][]*replay.Request, len(names))
		for _, name := range names {
			clients = append(clients, atTill(w, name))
		}
		for range 60 {
			i := r.IntN(len(names))
			owner := w.Owner(tillKind.Ref(names[i]))
			switch r.IntN(12) {
			case 0:
				if owner != "" {
					w.CrashAfter(owner, r.IntN(60))
				}
			case 1:
				if owner != "" {
					w.Partition("gate-1", owner)
				}
			case 2, 3:
				w.Heal()
			case 4:
				w.CrashAfter("persist-1", r.IntN(60))
			case 5:
				w.Store().Slow(time.Millisecond, 60*time.Millisecond)
			case 6:
				w.Store().Lose(1)
			default:
				if n := len(asked[i]); n < 99 {
					asked[i] = append(asked[i], clients[i].Begin(&spend{N: n + 1}))
				}
			}
			w.Advance(time.Duration(r.IntN(400)) * time.Millisecond)
		}
		w.CrashAfter("game-1", 1<<30)() // spare whoever was to die
		w.Heal()
		w.Advance(20 * time.Second)
		for i, c := range clients {
			book, place := replay.Call[*counted](c, &count{}), 0
			if len(book.Twice) > 0 {
				t.Fatalf("seed %d: %s paid %v twice", seed, names[i], book.Twice)
			}
			for n, request := range asked[i] {
				_, err := request.Answer()
				at := book.Places[n+1]
				isRefused := errors.Is(err, actors.StoreUnavailable) || errors.Is(err, actors.StoreBehind)
				if err == nil && at == 0 || isRefused && at != 0 || at != 0 && at < place {
					t.Fatalf("seed %d: %s's payment %d was answered %v, and has place %d after %d", seed, names[i], n+1,
						err, at, place)
				}
				place = max(place, at)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	})
}

func TestSessionsAreAnnouncedFirstThoughTheGateHearsOfDeathAndHeirAtOnce(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, tills)
	ann := atTill(w, "ann")
	w.Partition("gate-1", replay.Registry) // it is not the coordinator any more
	w.Advance(20 * time.Second)
	w.Heal()
	w.Advance(5 * time.Second)
	replay.Call[*counted](ann, &count{})
	w.Partition("gate-1", w.Owner(tillKind.Ref("ann"))) // the request stays under way
	r := ann.Begin(&spend{N: 1})
	w.Blind("gate-1")
	w.CrashAfter(w.Owner(tillKind.Ref("ann")), 0)
	w.Advance(time.Second)
	w.Heal()
	if _, err := r.Answer(); err != nil {
		t.Fatal(err)
	}
	if c := replay.Call[*counted](ann, &count{}); c.Strangers > 0 || c.There != 1 || c.Places[1] != 1 {
		t.Errorf("%d strangers, %d there, places %v", c.Strangers, c.There, c.Places[:2])
	}
}

func TestAGroupDropsTheSessionsOfAGateThatDied(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, tills)
	replay.Call[*counted](atTill(w, "ann"), &count{})
	w.Crash("gate-1")
	ann := atTill(w, "ann")
	ann.Send(&jot{1}) // to the one who is here, and the one who is not
	replay.Expect[*spent](ann)
	if c := replay.Call[*counted](ann, &count{}); c.There != 1 || ann.Closed() != nil {
		t.Errorf("%d are there, and ann is closed with %v", c.There, ann.Closed())
	}
}
