package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	sea "github.com/fireflyrt/firefly/actors/virtual"
	"github.com/fireflyrt/firefly/actors/wire"
)

// A voyage is a simulation of one seed: a cluster in which shards move under a load of numbered messages.
type voyage struct {
	faults
	t        *testing.T
	seed     uint64
	time     *sea.Time
	registry *Memory
	shards   int
	stubborn int // of 1,000 freezes and states that are refused
	crews    []*crew
	lives    uint64
	mourning bool // somebody died: order and number are not promised any more
	rough    bool // somebody was away for longer than a lease: it may hear refusals, but order is promised

	players  []string
	numbers  map[[2]string]uint32 // by sender and player: the newest number
	replies  map[[2]string]uint32 // by player and session: the newest number
	open     map[uint64]*crew     // requests without an answer, and who asked
	expected map[[2]string]uint32 // by player and player
	requests uint64
	handled  int
	bounced  int
	refused  map[actors.Code]int
}

func newVoyage(t *testing.T, seed uint64) *voyage {
	luck := rand.New(rand.NewPCG(seed, 5))
	clock := sea.New(time.Unix(1_700_000_000, 0), luck)
	w := &voyage{t: t, seed: seed, time: clock, shards: 4, registry: NewMemory(clock, clock, DefaultLease),
		numbers: map[[2]string]uint32{}, replies: map[[2]string]uint32{}, open: map[uint64]*crew{},
		expected: map[[2]string]uint32{}, refused: map[actors.Code]int{}}
	w.faults = faults{clock: clock, luck: luck, nodes: map[string]*shakyCarrier{}, cut: map[[2]string]bool{},
		last: map[[2]string]time.Time{}, slow: map[[2]string]time.Duration{}}
	for i := range 6 {
		w.players = append(w.players, fmt.Sprint("p", i))
	}
	return w
}

// String names the voyage, so that it can be made again.
func (w *voyage) String() string {
	return fmt.Sprintf("FIREFLY_SEED=%d, at %v", w.seed, w.time.Now().Unix()%1000)
}

// join starts a node.
func (w *voyage) join(name string, roles ...string) *crew {
	w.lives++
	h := &crew{w: w, name: name, sailor: map[int]map[string]*sailor{}, asleep: map[int]bool{}}
	var err error
	h.n, err = New(Options{
		Self:     Member{Name: name, Incarnation: w.lives, Roles: roles},
		Shards:   w.shards,
		Expected: map[string]int{"game": 2},
		Registry: &slowRegistry{Registry: w.registry.Node(), faults: &w.faults, lag: w.upTo(2 * w.lag)},
		Carrier:  &shakyCarrier{faults: &w.faults, address: fmt.Sprint(name, "#", w.lives)},
		Clock:    w.time, Scheduler: w.time, Draw: func() uint64 { return 7 },
		Log: slog.New(slog.NewTextHandler(logTo(), nil)).With("node", name),
	})
	if err == nil {
		h.n.OnOwners(h.release)
		err = h.n.Start(context.Background(), h)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.crews = append(w.crews, h)
	w.time.Settle()
	return h
}

// die ends a node as kill -9 would.
func (h *crew) die() {
	h.dead = true
	h.w.mourning = true
	h.n.Close()
}

// friend is whom a player writes to.
func (w *voyage) friend(id string) string {
	if id == w.players[0] {
		return w.players[1]
	}
	if id == w.players[2] {
		return w.players[0]
	}
	return ""
}

// alone looks that a player lives only once.
func (w *voyage) alone(at *crew, shard int, id string) {
	for _, h := range w.crews {
		if h != at && !h.dead && !h.asleep[shard] && !w.mourning && h.sailor[shard][id] != nil {
			w.t.Errorf("%s: %s lives at %s and at %s", w, id, h.name, at.name)
		}
	}
}

// ask lets a node send the next request to a player.
func (w *voyage) ask(from *crew, player string) {
	key := [2]string{from.name, player}
	w.numbers[key]++
	w.requests++
	e := request(&node{Cluster: from.n, name: from.name}, player, w.requests)
	e.Number, e.Codec = wire.FirstGameNumber+w.numbers[key], wire.JSON
	e.Deadline = w.time.Now().Add(time.Minute).UnixNano() // so that nobody is content with DEADLINE
	w.open[w.requests] = from
	from.n.Route(e)
}

// answered is what a session hears.
func (w *voyage) answered(h *crew, e *actors.Envelope) {
	if _, waits := w.open[e.Request]; !waits && !w.mourning && !w.rough {
		w.t.Errorf("%s: request %d was answered twice", w, e.Request)
	}
	delete(w.open, e.Request)
	if e.Type == actors.Refused {
		w.refused[e.Refusal().Code]++
		if !w.mourning && !w.rough {
			w.t.Errorf("%s: request %d was refused: %s", w, e.Request, e.Refusal().Text)
		}
		return
	}
	key := [2]string{e.From.String(), h.name}
	if last := w.replies[key]; !w.mourning && e.Number != last+1 && !(w.rough && e.Number > last) {
		w.t.Errorf("%s: %s heard %d from %s after %d", w, h.name, e.Number, e.From, last)
	}
	w.replies[key] = e.Number
}

// complete looks at the end that nothing was lost.
func (w *voyage) complete() {
	for id, from := range w.open {
		if !from.dead && !from.starved {
			w.t.Errorf("%s: request %d of %s had no answer", w, id, from.name)
		}
	}
	for _, h := range w.crews {
		if r := h.n.Report(); !h.dead && r.Moves.Tenures+r.Moves.Held+r.Moves.Staged+r.Moves.Open+r.Moves.Due > 0 {
			w.t.Errorf("%s: %s has left %+v", w, h.name, r.Moves)
		}
	}
	if w.mourning || w.rough {
		return
	}
	for key, n := range w.numbers {
		session := ""
		for _, h := range w.crews {
			if h.name == key[0] {
				session = actors.SessionRef(h.name, wire.JSON, h.n.Self().Incarnation, 1).String()
			}
		}
		w.count(session, key[1], n)
	}
	for key, n := range w.expected {
		w.count(key[0], key[1], n)
	}
}

func (w *voyage) count(from, player string, n uint32) {
	for _, h := range w.crews {
		if a := h.sailor[actors.KindName("player").Ref(player).Shard(w.shards)][player]; a != nil && a.Got[from] == n {
			return
		}
	}
	w.t.Errorf("%s: %s did not get all %d from %s", w, player, n, from)
}

// owner is who owns a shard now, by the registry.
func (w *voyage) owner(shard int) Owner {
	w.registry.mu.Lock()
	defer w.registry.mu.Unlock()
	if a := w.registry.roles["game"]; a != nil {
		return a.Owners[shard]
	}
	return Owner{}
}

// intend writes an intent, as a coordinator would.
func (w *voyage) intend(shard int, to Member) {
	w.registry.Intend("game", Intent{Shard: shard, Name: to.Name, Incarnation: to.Incarnation})
}

// chain moves a shard to one node after the other, each as soon as the registry has it at the one before.
func (w *voyage) chain(shard int, way ...*crew) {
	if len(way) == 0 {
		return
	}
	if w.owner(shard).Incarnation == way[0].n.self.Incarnation {
		way = way[1:]
	}
	if len(way) > 0 {
		w.intend(shard, way[0].n.self)
	}
	w.time.AfterFunc(2*time.Millisecond, func() { w.chain(shard, way...) })
}

// load lets a node send so many requests, at moments that luck decides.
func (w *voyage) load(from *crew, n int, within time.Duration) {
	for range n {
		player := w.players[w.luck.IntN(len(w.players))]
		w.time.AfterFunc(time.Duration(w.luck.Int64N(int64(within))), func() {
			if !from.dead && !from.leaves {
				w.ask(from, player)
			}
		})
	}
}

// voyages runs a simulation for many seeds: so many by default, as many as FIREFLY_SEEDS says, or the one of
// FIREFLY_SEED. Seeds that have failed once are run too.
func voyages(t *testing.T, n uint64, run func(w *voyage), failed ...uint64) {
	t.Helper()
	first := uint64(0)
	if asked, err := strconv.ParseUint(os.Getenv("FIREFLY_SEEDS"), 10, 64); err == nil {
		n = asked
	}
	if one, err := strconv.ParseUint(os.Getenv("FIREFLY_SEED"), 10, 64); err == nil {
		first, n, failed = one, 1, nil
	}
	const lanes = 4
	for lane := range uint64(lanes) {
		t.Run(fmt.Sprint("lane ", lane), func(t *testing.T) {
			t.Parallel()
			for seed := first + lane; seed < first+n && !t.Failed(); seed += lanes {
				sail(t, seed, run)
			}
			for _, seed := range failed {
				if seed%lanes == lane && seed >= n && !t.Failed() {
					sail(t, seed, run)
				}
			}
		})
	}
}

// sail runs a simulation for one seed.
func sail(t *testing.T, seed uint64, run func(w *voyage)) {
	t.Helper()
	w := newVoyage(t, seed)
	run(w)
	for _, h := range w.crews {
		h.n.Close()
	}
	w.time.Close()
}

func TestChainsOfMovesLoseDoubleAndReorderNothing(t *testing.T) {
	t.Parallel()
	voyages(t, 200, func(w *voyage) {
		w.delay, w.lag = 4*time.Millisecond, 30*time.Millisecond
		w.late = w.upTo(w.lag)
		if w.seed%3 == 0 {
			w.lag = 200 * time.Millisecond
		}
		w.registry.coordinator = 999 // nobody: this test decides
		gate, other := w.join("gate-1", "gate"), w.join("gate-2", "gate")
		a, b, c := w.join("game-1", "game"), w.join("game-2", "game"), w.join("game-3", "game")
		w.settleIn(a, b)
		if w.seed%2 == 0 {
			w.slow[[2]string{"gate-1#1", "game-1#3"}] = 150 * time.Millisecond
			w.slow[[2]string{"gate-2#2", "game-2#4"}] = 150 * time.Millisecond
		}
		for _, h := range w.crews {
			w.load(h, 25, 500*time.Millisecond)
		}
		w.load(gate, 40, 500*time.Millisecond)
		w.load(other, 40, 500*time.Millisecond)
		w.time.Advance(50 * time.Millisecond)
		for s := range w.shards {
			from, to := a, b
			if w.owner(s).Incarnation == b.n.self.Incarnation {
				from, to = b, a
			}
			w.chain(s, to, from, c)
		}
		w.time.Advance(3 * time.Second)
		w.calm = true
		w.time.Advance(15 * time.Second)
		for s := range w.shards {
			if o := w.owner(s); o.Epoch != 4 || o.Name != "game-3" || o.Root != 1 {
				w.t.Errorf("%s: shard %d ended with %+v", w, s, o)
			}
		}
		w.complete()
		w.forgotten()
	})
}

func TestWhateverGoesWrongNothingIsLostThatNeedNotBe(t *testing.T) {
	t.Parallel()
	voyages(t, 100, func(w *voyage) {
		w.delay, w.lag = 4*time.Millisecond, time.Duration(1+w.luck.IntN(150))*time.Millisecond
		w.late = w.upTo(w.lag)
		w.lost, w.doubled, w.hasty, w.unknown, w.stubborn = 10, 5, 5, 30, 50
		gates := []*crew{w.join("gate-1", "gate"), w.join("gate-2", "gate")}
		games := []*crew{w.join("game-1", "game"), w.join("game-2", "game")}
		w.time.Advance(time.Second)
		for _, h := range slices.Concat(gates, games) {
			w.load(h, 40, 3*time.Second)
		}
		w.at(200*time.Millisecond, func() { games = append(games, w.join("game-3", "game")) })
		w.at(time.Second, func() { w.drained(games[w.luck.IntN(len(games))]) })
		switch w.seed % 4 {
		case 1:
			w.at(w.upTo(2*time.Second), func() { w.away(games[w.luck.IntN(len(games))], 3*time.Second) })
		case 2:
			w.rough = true
			w.at(w.upTo(2*time.Second), func() { w.away(games[w.luck.IntN(len(games))], 7*time.Second) })
		case 3:
			w.at(w.upTo(2*time.Second), func() { w.kill(slices.Concat(games, gates[1:])[w.luck.IntN(3)]) })
		}
		w.time.Advance(6 * time.Second)
		w.calm = true
		w.time.Advance(30 * time.Second)
		w.complete()
		w.forgotten()
	})
}

// at does something later.
func (w *voyage) at(d time.Duration, do func()) { w.time.AfterFunc(d, do) }

// drained lets a node hand over all it has.
func (w *voyage) drained(h *crew) {
	h.n.Drain(25*time.Second, func(err error) {
		if err != nil && !w.mourning && !h.dead {
			w.t.Errorf("%s: %s could not be drained: %v", w, h.name, err)
		}
	})
}

// away cuts a node off from the registry for a while.
func (w *voyage) away(h *crew, d time.Duration) {
	w.registry.Cut(h.n.self.Incarnation, true)
	w.at(d, func() { w.registry.Cut(h.n.self.Incarnation, false) })
}

// kill ends a node; a supervisor may see it.
func (w *voyage) kill(h *crew) {
	h.die()
	if w.luck.IntN(2) == 0 {
		w.at(20*time.Millisecond, func() { w.registry.Certify(h.n.self.Incarnation) })
	}
}

// settleIn divides the shards between two nodes and waits until all know it.
func (w *voyage) settleIn(a, b *crew) {
	next := &Assignment{Generation: 1}
	for s := range w.shards {
		m := a.n.self
		if s%2 == 1 {
			m = b.n.self
		}
		next.Owners = append(next.Owners, Owner{Name: m.Name, Incarnation: m.Incarnation, Epoch: 1, Root: 1})
	}
	w.registry.mu.Lock()
	w.registry.write(Decree{Role: "game", Next: next})
	w.registry.publish()
	w.registry.mu.Unlock()
	w.time.Advance(time.Second)
}
