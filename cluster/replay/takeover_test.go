package replay_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
)

// A guest is an account that keeps a book of who came and went, and tells it to whoever is logged in.
type (
	checkIn  struct{ Name string }
	checkOut struct{}
	register struct{}
	entries  struct {
		Me   string
		Here []string
		Told []coming
	}
	coming struct {
		Event, Session string
		Number         uint64
	}
	page    struct{}
	paged   struct{ Text string }
	pageAll struct{}
)

const (
	guestKind actors.KindName = "guest"
	porter    actors.KindName = "porter"
)

var inn = node.App{Name: "inn", Game: node.Module{
	Name: "inn",
	Messages: wire.Messages(wire.In[*checkIn](801).Public(), wire.In[*checkOut](802), wire.In[*register](803),
		wire.Out[*entries](804), wire.In[*page](805), wire.Out[*paged](806), wire.In[*pageAll](807)),
	Kinds: []actors.Kind{{Name: porter, Workers: 2, New: newPorter}, {Name: guestKind, New: newGuest}},
}}

func newPorter(p *actors.Props) {
	actors.Handle(p, func(ctx actors.Context, m *checkIn) error {
		ctx.Login(guestKind.Ref(m.Name))
		return nil
	})
}

func newGuest(p *actors.Props) {
	here := actors.Audience(p)
	actors.State[int](p, "nights")
	told := actors.CarryRows[int, coming](p, "told")
	note := func(event string, session actors.Ref, number uint64) error {
		told.Set(told.Len(), coming{event, session.ID, number})
		return nil
	}
	actors.On(p, func(_ actors.Context, m *actors.Bound) error {
		if m.Away {
			return note("bound away", m.Session, m.Number)
		}
		return note("bound", m.Session, m.Number)
	})
	actors.On(p, func(_ actors.Context, m *actors.Unbound) error { return note("unbound", m.Session, 0) })
	actors.On(p, func(_ actors.Context, m *actors.Away) error { return note("away", m.Session, 0) })
	actors.On(p, func(_ actors.Context, m *actors.Back) error { return note("back", m.Session, 0) })
	actors.Answer(p, func(ctx actors.Context, _ *register) (*entries, error) {
		e := &entries{Me: ctx.Session().ID}
		for s := range here.All() {
			e.Here = append(e.Here, s.ID)
		}
		for _, line := range told.All() {
			e.Told = append(e.Told, line)
		}
		return e, nil
	})
	actors.Handle(p, func(ctx actors.Context, _ *checkOut) error { ctx.Unbind(guestKind); return nil })
	actors.Handle(p, func(ctx actors.Context, _ *page) error { ctx.Push(&paged{"one"}); return nil })
	actors.Handle(p, func(ctx actors.Context, _ *pageAll) error { actors.SendToAll(ctx, &paged{"all"}); return nil })
}

// A contest is some clients that check in as ann through two gates, at once.
type contest struct {
	*replay.World
	t       *testing.T
	seed    uint64
	luck    *rand.Rand
	clients []*replay.Client
	away    map[*replay.Client]bool
}

func newContest(t *testing.T, seed uint64, options ...replay.Option) *contest {
	w := replay.NewWorld(t, inn, append(options, replay.Seed(seed), replay.Gates(2))...)
	return &contest{World: w, t: t, seed: seed, luck: rand.New(rand.NewPCG(seed, 4)),
		away: map[*replay.Client]bool{}}
}

func (c *contest) connect() *replay.Client {
	client := c.ConnectTo([]string{"gate-1", "gate-2"}[c.luck.IntN(2)])
	c.clients = append(c.clients, client)
	return client
}

// pass lets up to so much time pass.
func (c *contest) pass(most time.Duration) { c.Advance(time.Duration(c.luck.Int64N(int64(most)))) }

// rest lets all come to an end that is under way: links, and members that were not heard of.
func (c *contest) rest() {
	c.Heal()
	for _, client := range c.clients {
		if c.away[client] {
			client.Return()
		}
	}
	c.Advance(20 * time.Second)
}

// agrees fails unless the account and the gates agree on who is logged in, at most one, and returns whose it is.
func (c *contest) agrees() (winner *replay.Client) {
	c.t.Helper()
	for _, client := range c.clients {
		if client.Closed() != nil {
			continue
		}
		answer, err := client.Ask(&register{})
		if errors.Is(err, actors.NotBound) {
			continue // it never came in, or checked out
		}
		if err != nil {
			c.t.Fatalf("seed %d: %v", c.seed, err)
		}
		e := answer.(*entries)
		if winner != nil || !slices.Equal(e.Here, []string{e.Me}) {
			c.t.Fatalf("seed %d: %s is logged in, and here are %v", c.seed, e.Me, e.Here)
		}
		c.inOrder(e)
		winner = client
	}
	return winner
}

// inOrder fails unless each session came before it went, and once, though each instance is told of it, and unless the
// newest of all is the one that is there.
func (c *contest) inOrder(e *entries) {
	c.t.Helper()
	there := map[string]uint64{}
	var newest, own uint64
	for _, line := range e.Told {
		n, is := there[line.Session]
		comes := strings.HasPrefix(line.Event, "bound")
		if is && comes && n != line.Number || !is && !comes {
			c.t.Fatalf("seed %d: %s %s in the midst of %v", c.seed, line.Session, line.Event, e.Told)
		}
		switch line.Event {
		case "bound", "bound away":
			there[line.Session] = line.Number
		case "unbound":
			delete(there, line.Session)
		}
		if newest = max(newest, line.Number); line.Session == e.Me {
			own = max(own, line.Number)
		}
	}
	if own < newest {
		c.t.Fatalf("seed %d: %s remains with number %d, and %d has lost", c.seed, e.Me, own, newest)
	}
}

// Whoever claims an account when, through whichever gate: one remains, and the others are told why.
func TestOfAllThatClaimAnAccountAtOnceOneRemains(t *testing.T) {
	t.Parallel()
	each(t, 5, func(t *testing.T, seed uint64) {
		c := newContest(t, seed, replay.Churn())
		for range 2 + seed%3 {
			c.connect().Begin(&checkIn{"ann"})
			c.pass(5 * time.Millisecond)
		}
		c.Advance(time.Second)
		winner := c.agrees()
		if winner == nil {
			t.Fatal("nobody remains")
		}
		for _, loser := range c.clients {
			if end := loser.Closed(); loser != winner && (end == nil || end.Number != wire.CloseTakenOver) {
				t.Errorf("a loser was told %+v", end)
			}
		}
		winner.Forget()
		replay.Call[struct{}](winner, &page{})
		if got := replay.All[*paged](winner); len(got) != 1 {
			t.Errorf("what is pushed to the account comes %d times", len(got))
		}
	})
}

// Links fail, a gate or the account's node dies, the account moves, and clients come, go and check out meanwhile.
func TestGatesAndAccountAgreeOnWhoIsThereThoughMuchGoesWrong(t *testing.T) {
	t.Parallel()
	each(t, 3, func(t *testing.T, seed uint64) {
		var options []replay.Option
		if seed%4 == 0 {
			options = append(options, replay.Churn())
		}
		c := newContest(t, seed, options...)
		for range 12 {
			c.step()
			c.pass(time.Second)
		}
		c.rest()
		c.agrees()
	}, 164, 992)
}

// step does one thing to the World.
func (c *contest) step() {
	gate := fmt.Sprint("gate-", 1+c.luck.IntN(2))
	owner := fmt.Sprint("game-", 1+c.luck.IntN(2))
	switch c.luck.IntN(12) {
	case 0:
		c.Partition(gate, owner)
	case 1:
		c.Partition(owner, replay.Registry)
	case 2:
		c.CrashAfter(gate, c.luck.IntN(40))
	case 3:
		c.CrashAfter(owner, c.luck.IntN(40))
	case 4:
		c.Heal()
	case 5:
		c.flicker()
	case 6:
		if n := len(c.clients); n > 0 && !c.away[c.clients[n-1]] {
			i := n - 1
			c.clients[i].Leave()
			c.clients = slices.Delete(c.clients, i, i+1)
		}
	case 7:
		if n := len(c.clients); n > 0 && c.clients[n-1].Closed() == nil && !c.away[c.clients[n-1]] {
			c.clients[n-1].Begin(&checkOut{})
		}
	default:
		c.connect().Begin(&checkIn{"ann"})
	}
}

// flicker has a client lose its connection, or come back.
func (c *contest) flicker() {
	if n := len(c.clients); n > 0 {
		if at := c.luck.IntN(n); c.away[c.clients[at]] {
			c.clients[at].Return()
			delete(c.away, c.clients[at])
		} else if c.clients[at].Closed() == nil {
			c.clients[at].Drop()
			c.away[c.clients[at]] = true
		}
	}
}

func TestAnAccountKnowsThatItsClientIsAwayAlsoWhenItComesUpElsewhere(t *testing.T) {
	t.Parallel()
	c := newContest(t, 1)
	ann := c.connect()
	replay.Call[struct{}](ann, &checkIn{"ann"})
	events := func(want ...string) {
		t.Helper()
		var got []string
		for _, line := range replay.Call[*entries](ann, &register{}).Told {
			got = append(got, line.Event)
		}
		if !slices.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
	}
	ann.Drop()
	c.Advance(time.Second)
	if !ann.Return() {
		t.Fatal("not resumed")
	}
	events("bound", "away", "back")
	ann.Drop()
	c.Crash(c.Owner(guestKind.Ref("ann")))
	c.Advance(5 * time.Second)
	if !ann.Return() {
		t.Fatal("not resumed")
	}
	events("bound away", "back")
}

// The account was claimed through another gate while its client was away: what is left of that session hurts nobody.
func TestWhoeverComesBackToAnAccountThatWasTakenOverIsToldSo(t *testing.T) {
	t.Parallel()
	for seed := range seeds(2) {
		c := newContest(t, seed)
		old, newer := c.ConnectTo("gate-1"), c.ConnectTo("gate-2")
		c.clients = []*replay.Client{old, newer}
		replay.Call[struct{}](old, &checkIn{"ann"})
		old.Drop()
		replay.Call[struct{}](newer, &checkIn{"ann"})
		c.pass(2 * time.Second)
		resumed := old.Return()
		if c.Advance(time.Second); old.Closed() == nil || old.Closed().Number != wire.CloseTakenOver {
			t.Fatalf("seed %d: resumed %t, and was told %+v", seed, resumed, old.Closed())
		}
		c.Advance(65 * time.Second) // whatever waited for it to come back has ended
		if c.agrees() != newer {
			t.Fatalf("seed %d: the newer one does not remain", seed)
		}
		replay.Call[struct{}](newer, &page{})
		if got := replay.All[*paged](newer); len(got) != 1 {
			t.Errorf("seed %d: what is pushed to the account comes %d times", seed, len(got))
		}
	}
}

func TestAMessageToAllReachesTheClientsOfAllGatesOnce(t *testing.T) {
	t.Parallel()
	c := newContest(t, 3)
	var in []*replay.Client
	for i := range 6 {
		client := c.connect()
		replay.Call[struct{}](client, &checkIn{fmt.Sprint("guest", i)})
		in = append(in, client)
	}
	stranger := c.connect()
	replay.Call[struct{}](in[0], &pageAll{})
	c.Advance(time.Second)
	for i, client := range in {
		if got := replay.All[*paged](client); len(got) != 1 || got[0].Text != "all" {
			t.Errorf("client %d got %v", i, got)
		}
	}
	if got := replay.All[*paged](stranger); len(got) > 0 {
		t.Errorf("who is not logged in got %v", got)
	}
	replay.Call[struct{}](in[1], &checkOut{})
	in[1].Refused(&page{}, actors.NotBound)
}
