package replay_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/persist"
)

// A market is a game in which every message has a number that rises: so it shows what was lost, doubled or overtaken.
// Traders keep a book of deals that are durable; at stalls they hear each other.
type (
	arrive  struct{ Name, Stall string }
	arrived struct{}
	deal    struct {
		N    int
		With string // who is asked first; empty: nobody
	}
	dealt struct{ N int }
	worth struct{}
	audit struct{}
	book  struct{ Deals, Twice []int }
	cry   struct{ N int }
	cried struct {
		Who string
		N   int
	}
)

const (
	inKind     actors.KindName = "inn"
	traderKind actors.KindName = "trader"
	stallKind  actors.KindName = "stall"
)

var market = node.App{Name: "market", Game: node.Module{
	Name: "market",
	Messages: wire.Messages(wire.In[*arrive](201).Public(), wire.Out[*arrived](202), wire.In[*deal](203),
		wire.Out[*dealt](204), wire.Internal[*worth](205), wire.In[*audit](206), wire.Out[*book](207),
		wire.In[*cry](208), wire.Out[*cried](209)),
	Kinds: []actors.Kind{
		{Name: inKind, Workers: 2, New: newInn},
		{Name: traderKind, New: newTrader},
		{Name: stallKind, New: newStall},
	},
}}

func newInn(p *actors.Props) {
	actors.Answer(p, func(ctx actors.Context, m *arrive) (*arrived, error) {
		ctx.Login(traderKind.Ref(m.Name))
		ctx.Bind(stallKind.Ref(m.Stall))
		return &arrived{}, nil
	})
}

func newTrader(p *actors.Props) {
	deals := actors.Rows[int, int](p, "deals") // how often each was made
	actors.Answer(p, func(ctx actors.Context, m *deal) (*dealt, error) {
		if m.With == "" || m.With == ctx.Self().ID {
			deals.Set(m.N, deals.At(m.N)+1)
			ctx.Commit()
			return &dealt{m.N}, nil
		}
		return actors.Reply(ctx, actors.Ask[*dealt](traderKind.Ref(m.With), &worth{}).Meanwhile(),
			func(ctx actors.Context, _ *dealt, err error) (*dealt, error) {
				if err != nil {
					return nil, err
				}
				deals.Set(m.N, deals.At(m.N)+1)
				ctx.Commit()
				return &dealt{m.N}, nil
			})
	})
	actors.Answer(p, func(actors.Context, *worth) (*dealt, error) { return &dealt{deals.Len()}, nil })
	actors.Answer(p, func(actors.Context, *audit) (*book, error) {
		b := &book{}
		for n, times := range deals.All() {
			if b.Deals = append(b.Deals, n); times > 1 {
				b.Twice = append(b.Twice, n)
			}
		}
		return b, nil
	})
}

func newStall(p *actors.Props) {
	there := actors.Audience(p)
	actors.Handle(p, func(ctx actors.Context, m *cry) error {
		there.Send(ctx, &cried{ctx.Sender().ID, m.N})
		return nil
	})
}

// A trader is a client of the market's, and all that it must remember to find a lie.
type trader struct {
	*replay.Client
	name, stall string
	n           int
	asked       map[int]*replay.Request
	heard       map[string]int // the newest cry of each
}

// A day is a World in which much happens at once, as a seed decides.
type day struct {
	t       replay.TB
	w       *replay.World
	luck    *rand.Rand
	traders []*trader
	out     func() bool // whether who was to go last has gone; nil: nobody was
}

func newDay(t replay.TB, seed uint64, o io.Writer) *day {
	options := []replay.Option{replay.Seed(seed)}
	if o != nil {
		options = append(options, replay.Observe(o))
	}
	d := &day{t: t, w: replay.NewWorld(t, market, options...), luck: rand.New(rand.NewPCG(seed, 1))}
	for i := range 4 {
		y := &trader{name: fmt.Sprint("t", i), stall: fmt.Sprint("s", i%2), asked: map[int]*replay.Request{}}
		d.traders = append(d.traders, y)
		d.connect(y)
	}
	return d
}

// connect lets a trader come, and come again until it is in.
func (d *day) connect(y *trader) {
	d.t.Helper()
	y.Client, y.heard = d.w.Connect(), map[string]int{}
	for range 20 {
		if _, err := y.Ask(&arrive{y.name, y.stall}); err == nil {
			return
		}
		d.w.Advance(time.Second)
	}
	d.t.Fatalf("%s does not get in", y.name)
}

// hour lets everybody do something, steps times, while faults come and go.
func (d *day) hour(steps int, fault func(d *day)) {
	d.t.Helper()
	for range steps {
		y := d.traders[d.luck.IntN(len(d.traders))]
		switch {
		case y.Closed() != nil:
			d.w.Heal()
			d.connect(y)
		case d.luck.IntN(3) == 0:
			y.n++
			y.Send(&cry{y.n})
		default:
			y.n++
			m := &deal{N: y.n}
			if d.luck.IntN(3) == 0 {
				m.With = d.traders[d.luck.IntN(len(d.traders))].name
			}
			y.asked[y.n] = y.Begin(m)
		}
		if d.luck.IntN(10) == 0 {
			fault(d)
		}
		d.w.Advance(time.Duration(d.luck.IntN(60)) * time.Millisecond)
		d.listen()
	}
}

// listen checks that nobody's cries were overtaken or doubled.
func (d *day) listen() {
	d.t.Helper()
	for _, y := range d.traders {
		for _, h := range replay.All[*cried](y.Client) {
			if h.N <= y.heard[h.Who] {
				d.t.Fatalf("%s heard %s cry %d after %d", y.name, h.Who, h.N, y.heard[h.Who])
			}
			y.heard[h.Who] = h.N
		}
	}
}

// happened says what an answer tells of a deal: that it was made, or not, or nothing.
func happened(err error) (made, known bool) {
	for _, never := range []error{actors.StoreUnavailable, actors.StoreRefused, actors.StoreBehind, actors.Overloaded,
		actors.MailboxFull, actors.NotBound, actors.RateLimited} {
		if errors.Is(err, never) {
			return false, true
		}
	}
	return err == nil, err == nil
}

// end heals everything, and audits when no request can be handled any more, and again when no statement can be on its
// way and everybody has to read the store: what was answered is as it was.
func (d *day) end() {
	d.t.Helper()
	d.w.Heal()
	d.w.Advance(6 * time.Second)
	for _, y := range d.traders {
		if y.Closed() != nil {
			d.connect(y)
		}
	}
	answered := d.audit()
	d.w.Advance(20 * time.Second)
	d.listen()
	for _, y := range d.traders {
		d.w.CrashActor(traderKind.Ref(y.name))
	}
	again := d.audit()
	if left := replay.Leftovers(d.w); len(left) > 0 {
		d.t.Errorf("when all was over there were left: %q", left)
	}
	for deal, there := range answered {
		if again[deal] != there {
			d.t.Errorf("%s stood in the book: %v; and later: %v", deal, there, again[deal])
		}
	}
}

// audit looks all books through, and returns which of the deals that have been answered stand in them.
func (d *day) audit() map[string]bool {
	d.t.Helper()
	answered := map[string]bool{}
	for _, y := range d.traders {
		var before []int
		for n, r := range y.asked {
			if r.Answered() {
				before = append(before, n)
			}
		}
		b := d.book(y)
		if len(b.Twice) > 0 {
			d.t.Errorf("%s made deals twice: %v", y.name, b.Twice)
		}
		for _, n := range before {
			_, err := y.asked[n].Answer()
			there := slices.Contains(b.Deals, n)
			if made, known := happened(err); known && made != there {
				d.t.Errorf("%s was answered %v to deal %d, and it stands in the book: %v", y.name, err, n, there)
			}
			answered[fmt.Sprintf("deal %d of %s, answered %v,", n, y.name, err)] = there
		}
	}
	return answered
}

// book asks until it is told: what went wrong may take its time to go right.
func (d *day) book(y *trader) *book {
	d.t.Helper()
	for range 20 {
		if answer, err := y.Ask(&audit{}); err == nil {
			return answer.(*book)
		}
		d.w.Advance(time.Second)
	}
	d.t.Fatalf("%s cannot be audited", y.name)
	return nil
}

// any does one of all that can go wrong, or mends everything.
func (d *day) any() {
	d.t.Helper()
	nodes := d.w.Nodes()
	a, b := nodes[d.luck.IntN(len(nodes))], nodes[d.luck.IntN(len(nodes))]
	switch n := d.luck.IntN(16); n {
	case 0:
		d.w.Crash(a)
	case 1:
		d.w.CrashActor(traderKind.Ref(d.traders[d.luck.IntN(4)].name))
	case 2:
		d.w.CrashActor(stallKind.Ref(d.traders[d.luck.IntN(4)].stall))
	case 3:
		d.w.Partition(a, b)
	case 4:
		d.w.Partition(a)
	case 5:
		d.w.Partition(a, replay.Registry)
	case 6:
		d.w.Blind(a)
	case 7:
		if d.luck.IntN(2) == 0 {
			d.w.Store().Refuse(1+d.luck.IntN(6), persist.ErrRejected)
		} else {
			d.w.Store().Lose(1 + d.luck.IntN(3))
		}
	case 8:
		d.w.Store().Refuse(1+d.luck.IntN(6), []error{persist.ErrDown, persist.ErrContended}[d.luck.IntN(2)])
	case 9:
		d.w.Store().Slow(time.Millisecond, time.Duration(1+d.luck.IntN(500))*time.Millisecond)
	case 10:
		d.w.Store().Down(time.Duration(d.luck.IntN(4000)) * time.Millisecond)
	case 11, 12, 13:
		d.steer(nodes)
	default:
		d.w.Heal()
	}
}

// steer does what operators do: a game node goes, if another stays, or one that is not there comes.
func (d *day) steer(nodes []string) {
	d.t.Helper()
	var games, others []string
	for _, name := range []string{"game-1", "game-2", "game-3"} {
		if slices.Contains(nodes, name) {
			games = append(games, name)
		} else {
			others = append(others, name)
		}
	}
	goes := len(games) > 1 && (d.out == nil || d.out()) // one at a time
	switch n := d.luck.IntN(5); {
	case n < 2 && len(others) > 0:
		d.w.Start(others[d.luck.IntN(len(others))])
	case n < 4 && goes:
		d.out = d.w.Drain(games[d.luck.IntN(len(games))])
	case goes:
		d.out = d.w.Stop(games[d.luck.IntN(len(games))])
	}
}
