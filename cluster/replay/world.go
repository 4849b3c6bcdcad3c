// Package replay is the test kit: a World is a whole cluster in one goroutine and in virtual time. Its nodes are made
// by the same composition root as in production, of the same code; clock, scheduler, registry, network and database
// are replaced there, and clients need no sockets.
//
// It promises that a World needs no sleep and no port, that its seed decides every order that is free, and that the
// same seed and the same use give the same bytes: see Observe. What an operator does can be done: Drain, Stop, Start.
// What can go wrong in production can be made to: Crash, CrashAfter, CrashActor, Partition, Blind, Wipe, and the
// Store's faults.
//
// It does not promise it for behaviours that ask the process for time or luck.
package replay

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/virtual"
	"github.com/fireflyrt/firefly/cluster"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/hotreload"
	"github.com/fireflyrt/firefly/persist"
)

const (
	readyWithin = 30 * time.Second // virtual
	shards      = 16               // per role; few, so that a World is small
)

// A World is a cluster under test: one gate, or as many as the option Gates says, one persist node and two nodes of
// each role of the game's, until Drain, Stop and Start change that. It is used by one goroutine.
type World struct {
	t         TB
	seed      uint64
	luck      *rand.Rand
	loop      *virtual.Time
	blueprint *node.Blueprint
	config    *node.Config
	registry  *cluster.Memory
	network   *cluster.Network
	store     *Store
	nodes     map[string]*member // those that run
	cuts      []cut              // in the order in which they were made
	blind     []string           // nodes, likewise
	gates     int
	clients   []*Client // of the gates' present lives
	opened    int       // clients so far
	lives     uint64    // incarnations so far
	tables    *hotreload.Set
	witness   *witness
	golden    string                // the file of the transcript; "": none
	told      []actors.KindName     // the kinds that stand in it; none: all
	names     map[actors.Ref]string // of sessions, in transcripts
	observer  io.Writer             // nil: nobody
	turns     map[actors.Ref]uint64 // when time seemed to stand still; see stuck
	churns    bool
}

// born is when every World begins.
var born = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// A member is one life of one node.
type member struct {
	*node.Node
	share   *share
	address string
}

// An Option changes a World before it begins.
type Option func(*World)

// Seed decides every order that is free, and all luck; the default is 1.
func Seed(n uint64) Option { return func(w *World) { w.seed = n } }

// Golden compares, when the test ends, the transcript of some kinds of actors, or of all, with a file:
// testdata/shop.golden. docs/testing.md says how to read one; go test -update writes it.
func Golden(path string, kinds ...actors.KindName) Option {
	return func(w *World) { w.golden, w.told = path, kinds }
}

// Gates makes a World with so many gates: gate-1, gate-2, ... ConnectTo chooses one.
func Gates(n int) Option { return func(w *World) { w.gates = n } }

// NewWorld makes a cluster that runs the app, and lets it come up. When the test ends, messages that nobody handled
// fail it.
func NewWorld(t TB, app node.App, options ...Option) *World {
	t.Helper()
	w := &World{t: t, seed: 1, gates: 1, nodes: map[string]*member{}, names: map[actors.Ref]string{}}
	for _, o := range options {
		o(w)
	}
	w.luck = rand.New(rand.NewPCG(w.seed, 0))
	w.loop = virtual.New(born, w.luck)
	w.loop.Stuck = w.stuck
	w.store = &Store{rows: persist.NewMemory(), w: w}
	everywhere := &share{loop: w.loop}
	w.network = cluster.NewNetwork(everywhere)
	w.prepare(app)
	w.registry = cluster.NewMemory(everywhere, everywhere, w.config.Cluster.Lease)
	for _, n := range w.config.Nodes {
		w.start(n.Name)
	}
	w.awaitReady()
	if w.churns {
		w.churn()
	}
	t.Cleanup(w.close)
	return w
}

func (w *World) prepare(app node.App) {
	w.t.Helper()
	var err error
	if w.blueprint, err = app.Build(); err != nil {
		w.t.Fatalf("%v", err)
	}
	if w.config, err = node.Parse("world.toml", []byte(w.toml()), nobody, w.blueprint.KindRoles()); err != nil {
		w.t.Fatalf("%v", err)
	}
	w.witness = newWitness(w.blueprint, born)
	w.config.Persist.CacheBytes = -1 // ristretto admits in a goroutine of its own
	w.tables, err = hotreload.Open(hotreload.Options{Tables: w.blueprint.Tables, Dir: w.blueprint.TableDir,
		Fallback: w.blueprint.TableFiles, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	if err := w.store.rows.Migrate(context.Background(), w.blueprint.Schema(w.config.Cluster.Shards)); err != nil {
		w.t.Fatalf("%v", err)
	}
}

// nobody is the environment of a World: it is empty.
func nobody(string) (string, bool) { return "", false }

// toml describes the World's cluster as a game's own runtime.toml would.
func (w *World) toml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[cluster]\nname = \"world\"\netcd = [\"127.0.0.1:1\"]\nshards = %d\n", shards)
	b.WriteString("[persist]\nstore = \"memory\"\n")
	for i := range w.gates {
		fmt.Fprintf(&b, "[node.gate-%d]\nroles = [\"gate\"]\n", i+1)
		fmt.Fprintf(&b, "listen = \"127.0.0.1:%d\"\ntcp = \"127.0.0.1:%d\"\n", 2001+10*i, 2002+10*i)
	}
	b.WriteString("[node.persist-1]\nroles = [\"persist\"]\nlisten = \"127.0.0.1:2003\"\n")
	for i, role := range w.entityRoles() {
		fmt.Fprintf(&b, "[node.%s]\nroles = [%q]\ncount = 2\nlisten = \"127.0.0.1:%d+\"\n", role, role, 2100+10*i)
	}
	return b.String()
}

// start begins a new life of a node.
func (w *World) start(name string) {
	w.t.Helper()
	w.lives++
	m := &member{share: &share{loop: w.loop}, address: fmt.Sprintf("%s#%d", name, w.lives)}
	var err error
	m.Node, err = node.Assemble(w.blueprint, w.config, name, node.Parts{
		Incarnation: w.seed<<16 + w.lives, Seed: w.seed, Draw: w.luck.Uint64, Clock: m.share, Scheduler: m.share,
		Registry: func() (cluster.Registry, error) { return w.registry.Node(), nil },
		Carrier:  w.network.Node(m.address), Database: statements{w.store},
		Ground: ground(), Tables: w.tables, Tap: w.witness, Log: w.logger(name, m.share),
	})
	if err == nil {
		err = m.Start(context.Background())
	}
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	w.nodes[name] = m
	for _, c := range w.cuts {
		if c[0] == name || c[1] == name {
			w.sever(c, true)
		}
	}
}

// ground is what the actors of all Worlds stand on: a World that had to make its own would take ten times as long.
var ground = sync.OnceValue(func() *actors.Ground { return actors.NewGround(slog.New(slog.DiscardHandler)) })

// die ends a life at once.
func (m *member) die() {
	m.share.dead = true
	m.Close()
	m.System.Abandon()
}

// member finds the present life of a node.
func (w *World) member(name string) *member {
	w.t.Helper()
	m := w.nodes[name]
	if m == nil {
		w.t.Fatalf("the World has no node %s", name)
	}
	return m
}

func (w *World) awaitReady() {
	w.t.Helper()
	var waiting error
	for waited := time.Duration(0); waited < readyWithin; waited += 100 * time.Millisecond {
		waiting = nil
		for _, name := range w.Nodes() {
			if err := w.nodes[name].Ready(); err != nil {
				waiting = fmt.Errorf("%s: %w", name, err)
			}
		}
		if waiting == nil {
			return
		}
		w.Advance(100 * time.Millisecond)
	}
	w.t.Fatalf("the World is not ready after %v: %v", readyWithin, waiting)
}

// Nodes names the nodes that run, in the order in which they were first started.
func (w *World) Nodes() []string {
	var names []string
	for _, n := range w.config.Nodes {
		if w.nodes[n.Name] != nil {
			names = append(names, n.Name)
		}
	}
	return names
}

// Owner names the node that an entity lives on, or would, as the gate sees it; "" while there is none.
func (w *World) Owner(ref actors.Ref) string {
	gate := w.member("gate-1")
	at, _ := gate.System.Placement(ref.Kind)
	return gate.Cluster().View().Owner(at.Role, actors.ShardOf(ref, at, gate.Cluster().Shards())).Name
}

// Now is the World's time.
func (w *World) Now() time.Time { return w.loop.Now() }

// Store is the World's database, and what can go wrong with it.
func (w *World) Store() *Store { return w.store }

// Advance lets time pass: everything that is ready runs, and every timer in between goes off in its turn.
func (w *World) Advance(d time.Duration) { w.loop.Advance(d) }

// Tell sends a message to an actor from nowhere, as a tool of the operator's would.
func (w *World) Tell(to actors.Ref, msg any) {
	w.t.Helper()
	line := w.blueprint.Catalogue.Of(msg)
	if line == nil {
		w.t.Fatalf("%T has no number", msg)
		return
	}
	body, err := line.Encode(line.Native(), msg)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	gate := w.nodes["gate-1"]
	gate.System.Route(&actors.Envelope{Type: actors.Message, To: to, From: actors.NodeKind.Ref("gate-1"),
		Number: line.Number, Codec: line.Native(), Body: body, At: w.loop.Now().UnixNano()})
	w.loop.Settle()
}

// Peek copies a cell out of a running entity: its T. An entity that is not running fails the test.
func Peek[T any](w *World, ref actors.Ref, cell string) T {
	w.t.Helper()
	w.loop.Settle()
	for _, name := range w.Nodes() {
		contents, running := w.nodes[name].System.Peek(ref, cell)
		if !running {
			continue
		}
		v, ok := contents.(T)
		if !ok {
			w.t.Fatalf("cell %s of %s is %T, not %T", cell, ref, contents, v)
		}
		return v
	}
	w.t.Fatalf("%s is not running, or has no cell %s", ref, cell)
	panic("unreachable")
}

// Reload makes the World's nodes read the tables' files anew.
func (w *World) Reload() error { return w.tables.Reload() }

func (w *World) close() {
	for _, c := range w.clients {
		c.check()
	}
	for _, name := range w.Nodes() {
		w.bury(name)
	}
	w.loop.Close()
	w.testify()
}

// bury ends the life of a node that was not killed: what it was sent and nobody handles fails the test.
func (w *World) bury(name string) {
	m := w.nodes[name]
	if unhandled := m.System.Report().Unhandled; unhandled > 0 {
		w.t.Errorf("%s: %d messages that nobody handles; the log names them", name, unhandled)
	}
	m.die()
}

// testify holds the World to its transcript, and its actors to doing the same again.
func (w *World) testify() {
	if w.t.Failed() {
		return
	}
	if err := w.witness.proves(); err != nil {
		w.t.Errorf("%v", err)
	}
	if w.golden == "" {
		return
	}
	if err := golden(w.golden, w.witness.transcript(w.names, w.told)); err != nil {
		w.t.Errorf("%v", err)
	}
}
