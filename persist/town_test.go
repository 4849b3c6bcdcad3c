package persist_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// townShards is how many shards each role has in a town.
const townShards = 8

// A town is several nodes over one database, with goroutines and wall time. There is no cluster between them: each
// believes what the test tells it about who keeps a shard, also when that is not so any more.
type town struct {
	testing.TB
	*floor
	db    persist.Database
	nodes sync.Map // by name
	ends  []func(context.Context) error
}

// newTown migrates the database; the town's end closes it, after the nodes.
func newTown(t testing.TB, db persist.Database) *town {
	t.Helper()
	w := &town{TB: t, floor: &floor{slots: make(chan struct{}, 64)}, db: db}
	w.ends = append(w.ends, func(context.Context) error { return db.Close() })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, end := range slices.Backward(w.ends) {
			if err := end(ctx); err != nil {
				t.Error(err)
			}
		}
		w.running.Wait()
	})
	schema := persist.Schema{Kinds: []actors.KindName{hero}, Roles: []string{"game"}, Shards: townShards}
	if err := db.Migrate(context.Background(), schema); err != nil {
		t.Fatal(err)
	}
	return w
}

// Run is the floor's, and not the benchmark's.
func (w *town) Run(f func()) { w.floor.Run(f) }

// A node is one process of a town: it keeps shards, plays the game, or both.
type node struct {
	town    *town
	sys     *actors.System
	archive *persist.Archive // nil: it keeps nothing
	client  *persist.Client
	log     *journal

	mu      sync.Mutex
	tenures [townShards]uint64 // of its keepers, as it believes; 0: not its
	keepers [townShards]*node  // who keeps each shard, as it believes
}

// node makes a node. With a database, which should be the town's with whatever is to stand between, it can keep shards;
// it is not told to keep any.
func (w *town) node(name string, incarnation uint64, db persist.Database, l persist.Limits) *node {
	w.Helper()
	n := &node{town: w, log: new(journal)}
	o := actors.Options{Node: name, Incarnation: incarnation, Clock: w.floor, Scheduler: w.floor}
	if db != nil {
		var err error
		n.archive, err = persist.NewArchive(persist.Options{Database: unclosed{db}, Incarnation: incarnation,
			Clock: w.floor, Scheduler: w.floor, Limits: l, Log: slog.New(slog.NewTextHandler(n.log, nil)),
			Kinds: map[actors.KindName]string{hero: "game"}})
		if err != nil {
			w.Fatal(err)
		}
		o.Kinds = []actors.Kind{n.archive.Kind()}
	}
	var err error
	if n.sys, err = actors.NewSystem(o); err != nil {
		w.Fatal(err)
	}
	w.nodes.Store(name, n)
	n.sys.Start(n)
	n.client = persist.NewClient(incarnation, w.floor)
	n.client.Start(n.sys)
	w.ends = append(w.ends, func(ctx context.Context) error {
		err := n.sys.Stop(ctx)
		if n.archive != nil {
			err = errors.Join(err, n.archive.Close())
		}
		return err
	})
	return n
}

// alone makes a node that is everything: it keeps all shards and asks itself.
func (w *town) alone(l persist.Limits) *node {
	w.Helper()
	n := w.node("alone", gameA, w.db, l)
	for shard := range townShards {
		n.keep(shard, 1)
		n.asks(shard, n)
	}
	return n
}

// keep has the node believe that it keeps a shard, by a tenure.
func (n *node) keep(shard int, tenure uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tenures[shard] = tenure
}

// asks has the node believe that another, or itself, keeps a shard.
func (n *node) asks(shard int, keeper *node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.keepers[shard] = keeper
}

// Route implements actors.Router.
func (n *node) Route(e *actors.Envelope) {
	to := n
	if e.To.Kind == actors.NodeKind {
		found, _ := n.town.nodes.Load(e.To.ID)
		to = found.(*node)
	} else {
		n.mu.Lock()
		to = n.keepers[actors.ShardOf(e.To, actors.Placement{ByShard: true}, townShards)]
		n.mu.Unlock()
	}
	to.sys.Deliver(e)
}

// Tenure implements actors.Router.
func (n *node) Tenure(_ string, shard int) (uint64, actors.Hold) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tenures[shard] == 0 {
		return 0, actors.Lost
	}
	return n.tenures[shard], actors.Held
}

// Shards implements actors.Router.
func (n *node) Shards() int { return townShards }

// A journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

// lines counts those that contain all of some texts.
func (j *journal) lines(texts ...string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for line := range strings.Lines(j.text.String()) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// until polls until it is so, for a minute.
func until(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
