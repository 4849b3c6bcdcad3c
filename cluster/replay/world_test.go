package replay_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
)

// A hall is a game of two kinds: people who own a number and may save it, and one hall where they hear each other.
type (
	enter   struct{ Name string }
	entered struct{ Saved, Loose int }
	add     struct {
		N    int
		Save bool
	}
	say   struct{ Text string }
	heard struct{ Who, Text string }
	ring  struct{}
	fall  struct{}
)

const (
	doorKind   actors.KindName = "door"
	personKind actors.KindName = "person"
	hallKind   actors.KindName = "hall"

	tooMuch actors.Code = "TOO_MUCH"
)

var hall = node.App{Name: "hall", Game: node.Module{
	Name: "hall",
	Messages: wire.Messages(wire.In[*enter](101).Public(), wire.Out[*entered](102), wire.In[*add](103),
		wire.In[*say](104), wire.Out[*heard](105), wire.Internal[*ring](106), wire.In[*fall](107)),
	Kinds: []actors.Kind{
		{Name: doorKind, Workers: 2, New: newDoor},
		{Name: personKind, New: newPerson},
		{Name: hallKind, New: newHall},
	},
}}

func newDoor(p *actors.Props) {
	actors.Answer(p, func(ctx actors.Context, m *enter) (*entered, error) {
		return actors.Reply(ctx, actors.Ask[*entered](personKind.Ref(m.Name), &add{}),
			func(ctx actors.Context, e *entered, err error) (*entered, error) {
				if err != nil {
					return nil, err
				}
				ctx.Login(personKind.Ref(m.Name))
				ctx.Bind(hallKind.Ref("main"))
				return e, nil
			})
	})
}

type counts struct{ Saved, Loose int }

func newPerson(p *actors.Props) {
	person(p, 1, func(actors.Context, *fall) error { panic("on purpose") })
}

// person counts what is saved so many times, and falls in a way of its own.
func person(p *actors.Props, times int, fall func(actors.Context, *fall) error) {
	own := actors.State[counts](p, "own")
	actors.Answer(p, func(ctx actors.Context, m *add) (*entered, error) {
		if m.N > 100 {
			own.Edit().Loose = -1
			return nil, tooMuch.Refuse("%d", m.N)
		}
		if m.N != 0 && m.Save {
			own.Edit().Saved += times * m.N
			ctx.Commit()
		} else if m.N != 0 {
			own.Edit().Loose += m.N
		}
		v := own.View()
		return &entered{v.Saved, v.Loose}, nil
	})
	actors.Handle(p, fall)
}

func newHall(p *actors.Props) {
	there := actors.Audience(p)
	actors.Handle(p, func(ctx actors.Context, m *say) error {
		there.Send(ctx, &heard{ctx.Sender().ID, m.Text})
		ctx.After(30*time.Second, &ring{})
		return nil
	})
	actors.Handle(p, func(ctx actors.Context, _ *ring) error {
		there.Send(ctx, &heard{"hall", "ding"})
		return nil
	})
}

func login(w *replay.World, name string) *replay.Client {
	c := w.Connect()
	replay.Call[*entered](c, &enter{name})
	return c
}

func TestPeopleInAHallHearEachOther(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		w := replay.NewWorld(t, hall, replay.Seed(seed))
		ann, bob := login(w, "ann"), login(w, "bob")
		ann.Send(&say{"hello"})
		for _, c := range []*replay.Client{ann, bob} {
			if h := replay.Expect[*heard](c); h.Who != "ann" || h.Text != "hello" {
				t.Fatalf("heard %+v", h)
			}
		}
		bob.Leave()
		w.Advance(time.Minute)
		if h := replay.Expect[*heard](ann); h.Text != "ding" {
			t.Fatalf("heard %+v", h)
		}
		replay.ExpectNone[*heard](bob)
	}
}

func TestWhatIsBoundIsNeededAndWhatIsUnknownIsNamed(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, hall)
	c := w.Connect()
	c.Refused(&say{"too early"}, actors.NotBound)
	c.Refused(&ring{}, actors.UnknownNumber)
	c.Refused(&heard{}, actors.UnknownNumber)
	ann := login(w, "ann")
	ann.Refused(&add{N: 101}, tooMuch)
	ann.Refused(&fall{}, actors.Panicked)
	if e := replay.Call[*entered](ann, &add{N: 1}); e.Loose != 1 {
		t.Errorf("a refused or failed turn left a trace: %+v", e)
	}
	if got := replay.Peek[counts](w, personKind.Ref("ann"), "own"); got.Loose != 1 {
		t.Errorf("peeked %+v", got)
	}
}

func TestACommitSurvivesTheDeathOfEachNodeAndTheRestIsLostByFlushEveryAtMost(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		for _, victim := range []string{"game-1", "game-2", "persist-1"} {
			w := replay.NewWorld(t, hall, replay.Seed(seed))
			ann := login(w, "ann")
			replay.Call[*entered](ann, &add{N: 5})
			w.Advance(2 * time.Second) // longer than flush_every
			replay.Call[*entered](ann, &add{N: 7, Save: true})
			replay.Call[*entered](ann, &add{N: 1})
			w.Crash(victim)
			e := replay.Call[*entered](ann, &add{})
			if e.Saved != 7 || e.Loose < 5 {
				t.Fatalf("seed %d: after the death of %s ann has %+v", seed, victim, e)
			}
		}
	}
}

func TestAHallKnowsItsPeopleAgainAfterItsNodeDied(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		w := replay.NewWorld(t, hall, replay.Seed(seed))
		ann, bob := login(w, "ann"), login(w, "bob")
		w.Crash("game-1")
		w.Crash("game-2")
		ann.Send(&say{"still here?"})
		if h := replay.Expect[*heard](bob); h.Who != "ann" {
			t.Fatalf("heard %+v", h)
		}
		if ann.Closed() != nil || bob.Closed() != nil {
			t.Fatal("a session was closed")
		}
	}
}

func TestASecondLoginTakesTheFirstOver(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, hall)
	first := login(w, "ann")
	second := login(w, "ann")
	w.Advance(time.Second)
	if c := first.Closed(); c == nil || c.Code != "TAKEN_OVER" {
		t.Errorf("the first session was told %+v", c)
	}
	if second.Closed() != nil {
		t.Error("the second session was closed, too")
	}
}

func TestAGateThatDiesTakesItsSessionsAlong(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, hall)
	ann := login(w, "ann")
	replay.Call[*entered](ann, &add{N: 5, Save: true})
	w.Crash("gate-1")
	if c := ann.Closed(); c == nil || c.Code != "CUT" {
		t.Errorf("the client was told %+v", c)
	}
	if e := replay.Call[*entered](login(w, "ann"), &add{}); e.Saved != 5 {
		t.Errorf("ann came back with %+v", e)
	}
}

func TestAHallThatFailedStillKnowsItsPeople(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		w := replay.NewWorld(t, hall, replay.Seed(seed))
		ann, bob := login(w, "ann"), login(w, "bob")
		ann.Refused(&add{N: 101}, tooMuch)
		ann.Refused(&fall{}, actors.Panicked)
		ann.Refused(&enter{strings.Repeat("x", actors.MaxRef)}, actors.BadBody)
		ann.Send(&say{"still here?"})
		if h := replay.Expect[*heard](bob); h.Who != "ann" {
			t.Fatalf("heard %+v", h)
		}
	}
}

// story plays a little and writes down all that one client heard.
func story(t *testing.T, seed uint64) string {
	w := replay.NewWorld(t, hall, replay.Seed(seed))
	var clients []*replay.Client
	for i := range 5 {
		clients = append(clients, login(w, fmt.Sprint("p", i)))
	}
	for i := range 20 {
		clients[i%5].Send(&say{fmt.Sprint(i)})
	}
	var b strings.Builder
	for range 20 {
		h := replay.Expect[*heard](clients[0])
		fmt.Fprintln(&b, h.Who, h.Text, w.Now().UnixNano())
	}
	return b.String()
}

func TestTheSameSeedTellsTheSameStory(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		if first, again := story(t, seed), story(t, seed); again != first {
			t.Fatalf("seed %d told two stories:\n%s\n%s", seed, first, again)
		}
	}
}
