package replay_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/replay"
)

// A guild is people in one hall who add to what they have, and remember what they were told.
type guild struct {
	t      *testing.T
	w      *replay.World
	luck   *rand.Rand
	people []*guest
	saves  int // of ten additions, so many are committed
	door   *visitor
	turned int // how many visitors were not let in
}

// A visitor comes in and goes.
type visitor struct {
	*replay.Client
	asks *replay.Request
}

// A guest is one of them.
type guest struct {
	*replay.Client
	name  string
	asked *replay.Request
	save  bool
	// what was acknowledged, and what nobody knows
	saved, loose, unsure int
}

func gather(t *testing.T, w *replay.World, seed uint64, people int) *guild {
	g := &guild{t: t, w: w, luck: rand.New(rand.NewPCG(seed, 7)), saves: 5}
	for i := range people {
		name := fmt.Sprint("p", i)
		g.people = append(g.people, &guest{Client: login(w, name), name: name})
	}
	return g
}

// visit lets somebody come in, one at a time: that is work for any node.
func (g *guild) visit() {
	switch {
	case g.door == nil && g.luck.IntN(20) > 0:
	case g.door == nil:
		c := g.w.Connect()
		g.door = &visitor{c, c.Begin(&enter{"visitor"})}
	case g.door.asks.Answered():
		if _, err := g.door.asks.Answer(); err != nil {
			g.turned++
		}
		g.door.Leave()
		g.door = nil
	}
}

// busy lets all add again and again, each as soon as the last was answered.
func (g *guild) busy(d time.Duration) {
	for end := g.w.Now().Add(d); g.w.Now().Before(end); {
		g.w.Advance(time.Duration(1+g.luck.IntN(40)) * time.Millisecond)
		g.visit()
		for _, p := range g.people {
			if p.Closed() != nil {
				g.t.Fatalf("%s was told %+v", p.name, p.Closed())
			}
			p.hear()
			if p.asked == nil && g.luck.IntN(4) == 0 {
				p.save = g.luck.IntN(10) < g.saves
				p.asked = p.Begin(&add{N: 1, Save: p.save})
			}
		}
	}
}

// hear notes what became of the last request, if that is known.
func (p *guest) hear() {
	if p.asked == nil || !p.asked.Answered() {
		return
	}
	switch _, err := p.asked.Answer(); {
	case err != nil:
		p.unsure++
	case p.save:
		p.saved++
	default:
		p.loose++
	}
	p.asked = nil
}

// settles waits until everything is answered, and looks that each has all that was acknowledged: at least what was
// committed, and, unless some may be lost, what was not.
func (g *guild) settles(mayLose bool) {
	g.t.Helper()
	g.w.Advance(15 * time.Second)
	for _, p := range g.people {
		if p.hear(); p.asked != nil {
			g.t.Errorf("%s had no answer", p.name)
		}
		answer, err := p.Ask(&add{})
		if err != nil {
			g.t.Errorf("%s is answered %v", p.name, err)
			continue
		}
		e := answer.(*entered)
		all, was := e.Saved+e.Loose, p.saved+p.loose
		if e.Saved < p.saved || e.Saved > p.saved+p.unsure || all > was+p.unsure || !mayLose && all < was {
			g.t.Errorf("%s has %+v, and was told of %d and %d; %d are unknown", p.name, *e, p.saved, p.loose, p.unsure)
		}
	}
	if left := replay.Leftovers(g.w); len(left) > 0 {
		g.t.Errorf("there are left: %q", left)
	}
}

// unsure counts requests that were not answered well.
func (g *guild) unsure() int {
	n := g.turned
	for _, p := range g.people {
		n += p.unsure
	}
	return n
}

// owners are the nodes that people live on.
func (g *guild) owners() []string {
	var all []string
	for _, p := range g.people {
		all = append(all, g.w.Owner(personKind.Ref(p.name)))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestNodesComeAndGoAndNobodyNotices(t *testing.T) {
	t.Parallel()
	each(t, 2, func(t *testing.T, seed uint64) {
		w := replay.NewWorld(t, hall, replay.Seed(seed))
		g := gather(t, w, seed, 8)
		g.busy(100 * time.Millisecond)
		w.Start("game-3")
		g.busy(time.Second)
		if all := g.owners(); !slices.Equal(all, []string{"game-1", "game-2", "game-3"}) {
			t.Errorf("seed %d: with a third node people are at %v", seed, all)
		}
		for _, leaver := range []string{"game-1", "game-2"} {
			out := w.Drain(leaver)
			g.busy(3 * time.Second)
			if !out() || slices.Contains(w.Nodes(), leaver) {
				t.Fatalf("seed %d: %s is not drained after 3 s", seed, leaver)
			}
		}
		if all := g.owners(); !slices.Equal(all, []string{"game-3"}) {
			t.Errorf("seed %d: people are at %v", seed, all)
		}
		w.Start("game-1")
		g.busy(time.Second)
		if g.settles(false); g.unsure() > 0 || t.Failed() {
			t.Fatalf("seed %d: %d requests were not answered well", seed, g.unsure())
		}
	})
}

func TestWhoPlaysWhileANodeIsDrainedNoticesNothing(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, hall)
	ann := login(w, "ann")
	w.Start("game-3")
	for out := w.Drain("game-1"); !out(); w.Advance(10 * time.Millisecond) {
		replay.Call[*entered](ann, &add{N: 1}) // nobody notices
	}
	if ann.Closed() != nil || slices.Contains(w.Nodes(), "game-1") {
		t.Errorf("ann was told %+v, and there are %v", ann.Closed(), w.Nodes())
	}
}

func TestAKeepersNodeIsDrainedToo(t *testing.T) {
	t.Parallel()
	each(t, 2, func(t *testing.T, seed uint64) {
		w := replay.NewWorld(t, hall, replay.Seed(seed))
		g := gather(t, w, seed, 4)
		w.Start("persist-2")
		g.busy(time.Second)
		out := w.Drain("persist-1")
		g.busy(5 * time.Second)
		if g.settles(false); !out() || t.Failed() {
			t.Fatalf("seed %d: it has gone: %t; it has left %v", seed, out(), w.Nodes())
		}
	})
}

func TestADrainIsTriedAgainUntilItCanBeDone(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, hall)
	g := gather(t, w, 1, 4)
	w.Partition("game-1", "game-2")
	out := w.Drain("game-1")
	g.busy(3 * time.Second)
	if out() {
		t.Fatal("it handed its shards over a link that was cut")
	}
	w.Heal()
	g.busy(20 * time.Second)
	if g.settles(false); !out() {
		t.Fatal("it has not gone")
	}
}

func TestANodeThatStopsWritesWhatItsActorsChanged(t *testing.T) {
	t.Parallel()
	each(t, 2, func(t *testing.T, seed uint64) {
		w := replay.NewWorld(t, hall, replay.Seed(seed))
		g := gather(t, w, seed, 6)
		g.busy(300 * time.Millisecond)
		out := w.Stop("game-2")
		g.busy(3 * time.Second)
		if g.settles(false); !out() || t.Failed() {
			t.Fatalf("seed %d: it has gone: %t", seed, out())
		}
	})
}

// Shards are on their way to the node when it is told to stop, and their actors may not begin to live there then: they
// would not end.
func TestANodeStopsThoughShardsAreOnTheirWayToIt(t *testing.T) {
	t.Parallel()
	each(t, 4, func(t *testing.T, seed uint64) {
		w := replay.NewWorld(t, hall, replay.Seed(seed))
		g := gather(t, w, seed, 12)
		g.saves = 10
		w.Store().Slow(50*time.Millisecond, 600*time.Millisecond) // a commit keeps an actor from its rest
		g.busy(time.Second)
		w.Start("game-3")
		g.busy(time.Duration(g.luck.IntN(700)) * time.Millisecond)
		out := w.Stop("game-3")
		g.busy(9 * time.Second)
		if !out() {
			t.Fatalf("seed %d: after 9 s it has not stopped", seed)
		}
		w.Heal()
		if g.settles(false); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	})
}

// An actor rests for a move of which nobody knows whether it was written; then the registry forgets everything.
func TestActorsAtRestForAMoveGoOnWhenTheRegistryForgetsThem(t *testing.T) {
	t.Parallel()
	each(t, 4, func(t *testing.T, seed uint64) {
		w := replay.NewWorld(t, hall, replay.Seed(seed))
		ann := login(w, "ann")
		home := w.Owner(personKind.Ref("ann"))
		replay.Call[*entered](ann, &add{N: 1})
		w.Store().Slow(600*time.Millisecond, 600*time.Millisecond)
		r := ann.Begin(&add{N: 1, Save: true})
		w.Advance(10 * time.Millisecond)
		w.Drain(home) // it waits for the commit
		w.Advance(10 * time.Millisecond)
		w.Partition(home, replay.Registry)
		w.Advance(time.Second)
		if _, err := r.Answer(); err != nil {
			t.Fatal(err)
		}
		if at := w.Owner(personKind.Ref("ann")); at != home {
			t.Fatalf("seed %d: ann has moved to %s: the test tests nothing", seed, at)
		}
		w.Wipe()
		w.Heal()
		w.Advance(15 * time.Second)
		if e := replay.Call[*entered](ann, &add{N: 1}); *e != (entered{Saved: 1, Loose: 2}) || ann.Closed() != nil {
			t.Errorf("seed %d: ann has %+v", seed, *e)
		}
		if left := replay.Leftovers(w); len(left) > 0 || t.Failed() {
			t.Fatalf("seed %d: there are left: %q", seed, left)
		}
	})
}

func TestTheWorldSaysWhoCannotGoOrCome(t *testing.T) {
	t.Parallel()
	for want, do := range map[string]func(w *replay.World){
		"gate-1 is the World's only gate":     func(w *replay.World) { w.Drain("gate-1") },
		"the World has no node game-3":        func(w *replay.World) { w.Stop("game-3") },
		"game-2 runs already":                 func(w *replay.World) { w.Start("game-2") },
		"no node of which arena-1 could be a": func(w *replay.World) { w.Start("arena-1") },
		"no node of which gate-2 could be a":  func(w *replay.World) { w.Start("gate-2") },
		"no node of which game could be a":    func(w *replay.World) { w.Start("game") },
	} {
		said := verdict(t, func(t replay.TB) { do(replay.NewWorld(t, hall)) })
		if !strings.Contains(said, want) {
			t.Errorf("it said %q, and not %q", said, want)
		}
	}
}
