// Package replay is the test kit: a World is a whole cluster in one goroutine and in virtual time. Its nodes are made
// by the same composition root as in production, of the same code; clock, scheduler, registry, network and database are
// replaced there, and clients need no sockets.
//
// It promises that a World needs no sleep and no port, and that its seed decides every order that is free.
package replay

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/hotreload"
	"github.com/fireflyrt/firefly/persist"
)

const (
	readyWithin = 30 * time.Second // virtual
	shards      = 16               // per role; few, so that a World is small
)

// A World is a cluster under test: one gate, one persist node and two nodes of each role of the game's. It is used by
// one goroutine.
type World struct {
	t         testing.TB
	seed      uint64
	loop      *loop
	blueprint *node.Blueprint
	config    *node.Config
	registry  *cluster.Memory
	network   *cluster.Network
	database  persist.Database
	nodes     map[string]*member
	clients   []*Client // of the gate's present life
	lives     uint64    // incarnations so far
	tables    *hotreload.Set
	witness   *witness
	golden    string                // the file of the transcript; "": none
	names     map[actors.Ref]string // of sessions, in transcripts
}

// A member is one life of one node.
type member struct {
	*node.Node
	share       *share
	incarnation uint64
}

// An Option changes a World before it begins.
type Option func(*World)

// Seed decides every order that is free, and all luck; the default is 1.
func Seed(n uint64) Option { return func(w *World) { w.seed = n } }

// Golden compares, when the test ends, the World's transcript with a file: testdata/shop.golden. docs/testing.md says how
// to read one; go test -update writes it.
func Golden(path string) Option { return func(w *World) { w.golden = path } }

// NewWorld makes a cluster that runs the app, and lets it come up. When the test ends, messages that nobody handled
// fail it.
func NewWorld(t testing.TB, app node.App, options ...Option) *World {
	t.Helper()
	w := &World{t: t, seed: 1, nodes: map[string]*member{}, names: map[actors.Ref]string{}, database: persist.NewMemory()}
	for _, o := range options {
		o(w)
	}
	w.loop = newLoop(w.seed)
	everywhere := &share{loop: w.loop}
	w.network = cluster.NewNetwork(everywhere)
	w.prepare(app)
	w.registry = cluster.NewMemory(everywhere, everywhere, w.config.Cluster.Lease)
	for _, n := range w.config.Nodes {
		w.start(n.Name)
	}
	w.awaitReady()
	t.Cleanup(w.close)
	return w
}

func (w *World) prepare(app node.App) {
	w.t.Helper()
	var err error
	if w.blueprint, err = app.Build(); err != nil {
		w.t.Fatal(err)
	}
	if w.config, err = node.Parse("world.toml", []byte(w.toml()), nobody, w.blueprint.KindRoles()); err != nil {
		w.t.Fatal(err)
	}
	w.witness = newWitness(w.blueprint, born)
	w.config.Persist.CacheBytes = -1 // ristretto admits in a goroutine of its own
	w.tables, err = hotreload.Open(hotreload.Options{Tables: w.blueprint.Tables, Dir: w.blueprint.TableDir,
		Fallback: w.blueprint.TableFiles, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.database.Migrate(context.Background(), w.blueprint.Schema(w.config.Cluster.Shards)); err != nil {
		w.t.Fatal(err)
	}
}

// nobody is the environment of a World: it is empty.
func nobody(string) (string, bool) { return "", false }

// toml describes the World's cluster as a game's own runtime.toml would.
func (w *World) toml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[cluster]\nname = \"world\"\netcd = [\"127.0.0.1:1\"]\nshards = %d\n", shards)
	b.WriteString("[persist]\nstore = \"memory\"\n")
	b.WriteString("[node.gate-1]\nroles = [\"gate\"]\nlisten = \"127.0.0.1:2001\"\ntcp = \"127.0.0.1:2002\"\n")
	b.WriteString("[node.persist-1]\nroles = [\"persist\"]\nlisten = \"127.0.0.1:2003\"\n")
	var roles []string
	for _, role := range w.blueprint.Roles {
		roles = append(roles, role)
	}
	slices.Sort(roles)
	for i, role := range slices.Compact(roles) {
		fmt.Fprintf(&b, "[node.%s]\nroles = [%q]\ncount = 2\nlisten = \"127.0.0.1:%d+\"\n", role, role, 2100+10*i)
	}
	return b.String()
}

// start begins a new life of a node.
func (w *World) start(name string) {
	w.t.Helper()
	w.lives++
	m := &member{share: &share{loop: w.loop}, incarnation: w.seed<<16 + w.lives}
	address := fmt.Sprintf("%s#%d", name, w.lives)
	var err error
	m.Node, err = node.Assemble(w.blueprint, w.config, name, node.Parts{
		Incarnation: m.incarnation, Seed: w.seed, Draw: w.loop.luck.Uint64, Clock: m.share, Scheduler: m.share,
		Registry: w.registry.Node(), Carrier: w.network.Node(address), Database: keepOpen{w.database},
		Tables: w.tables, Tap: w.witness, Log: w.logger(name),
	})
	if err == nil {
		err = m.Start(context.Background())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.nodes[name] = m
}

// keepOpen is a database that outlives the node that uses it.
type keepOpen struct{ persist.Database }

func (keepOpen) Close() error { return nil }

func (w *World) awaitReady() {
	w.t.Helper()
	var waiting error
	for waited := time.Duration(0); waited < readyWithin; waited += 100 * time.Millisecond {
		waiting = nil
		for _, n := range w.config.Nodes {
			if err := w.nodes[n.Name].Ready(); err != nil {
				waiting = fmt.Errorf("%s: %w", n.Name, err)
			}
		}
		if waiting == nil {
			return
		}
		w.Advance(100 * time.Millisecond)
	}
	w.t.Fatalf("the World is not ready after %v: %v", readyWithin, waiting)
}

// Now is the World's time.
func (w *World) Now() time.Time { return w.loop.now }

// Advance lets time pass: everything that is ready runs, and every timer in between goes off in its turn.
func (w *World) Advance(d time.Duration) { w.loop.advance(d) }

// Crash kills a node as kill -9 would, and starts it again: what it had not flushed is gone, and, if it was the gate,
// so are its sessions. It returns when the cluster has recovered.
func (w *World) Crash(name string) {
	w.t.Helper()
	m := w.nodes[name]
	if m == nil {
		w.t.Fatalf("the World has no node %s", name)
		return
	}
	m.share.dead = true
	m.Cluster.Close()
	if m.Gate != nil {
		for _, c := range w.clients {
			c.Cut() // as the sockets of a process that ends
		}
		w.clients = nil
	}
	w.registry.Certify(m.incarnation)
	w.start(name)
	w.awaitReady()
}

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
		w.t.Fatal(err)
	}
	gate := w.nodes["gate-1"]
	gate.System.Route(&actors.Envelope{Type: actors.Message, To: to, From: actors.NodeKind.Ref("gate-1"),
		Number: line.Number, Codec: line.Native(), Body: body, At: w.loop.now.UnixNano()})
	w.loop.settle()
}

// Peek copies a cell out of a running entity: its T. An entity that is not running fails the test.
func Peek[T any](w *World, ref actors.Ref, cell string) T {
	w.t.Helper()
	w.loop.settle()
	for _, n := range w.config.Nodes {
		contents, running := w.nodes[n.Name].System.Peek(ref, cell)
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
	for _, n := range w.config.Nodes {
		m := w.nodes[n.Name]
		if unhandled := m.System.Report().Unhandled; unhandled > 0 {
			w.t.Errorf("%s: %d messages that nobody handles; the log names them", n.Name, unhandled)
		}
		m.share.dead = true
		m.Cluster.Close()
	}
	w.testify()
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
	if err := golden(w.golden, w.witness.transcript(w.names)); err != nil {
		w.t.Errorf("%v", err)
	}
}

// logger shows warnings with the test that caused them.
func (w *World) logger(name string) *slog.Logger {
	return slog.New(slog.NewTextHandler(testLog{w.t}, &slog.HandlerOptions{Level: slog.LevelWarn})).With("node", name)
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}
