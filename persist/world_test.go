package persist_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/virtual"
	"github.com/fireflyrt/firefly/persist"
)

// A world is one System with keepers in one goroutine and in virtual time, and a database that can
// be told to misbehave. System.Stop and the cache have goroutines of their own.
type world struct {
	*testing.T
	*virtual.Time
	span    span
	moods   *moody
	archive *persist.Archive
	sys     *actors.System
	closed  bool
	away    actors.Code                 // not empty: no keeper can be reached, and this is why
	hold    func(*actors.Envelope) bool // keeps back what it reports
	node    *router                     // of archive and sys
	woken   []string                    // what was woken, and by whom
	unrun   bool                        // nobody runs entities
	log     *journal                    // of all nodes
	newest  uint64                      // tenure of the game's that persist nodes have heard of
}

// A span is what a world lasts for: a test, or one check of a random one.
type span interface{ Cleanup(func()) }

// newWorld makes one that lasts for a test.
func newWorld(t *testing.T, db persist.Database, l persist.Limits) *world {
	t.Helper()
	return worldFor(t, t, db, l)
}

func worldFor(t *testing.T, s span, db persist.Database, l persist.Limits) *world {
	t.Helper()
	w := &world{T: t, span: s, Time: virtual.New(time.Unix(1_000_000, 0), nil), moods: &moody{Database: db},
		log: new(journal)}
	schema := persist.Schema{Kinds: []actors.KindName{hero}, Roles: []string{"game"}, Shards: 8}
	if err := db.Migrate(context.Background(), schema); err != nil {
		t.Fatal(err)
	}
	w.archive, w.node = w.boot(w.moods, keepA, l)
	w.sys = w.node.sys
	s.Cleanup(w.close)
	return w
}

// oneGround is what the actors of all worlds stand on.
var oneGround = sync.OnceValue(func() *actors.Ground { return actors.NewGround(slog.New(slog.DiscardHandler)) })

// close ends the archive but not the database, which a test may share between worlds. What is still
// pending is the test's business.
func (w *world) close() {
	if w.closed {
		return
	}
	w.closed = true
	w.settle()
	w.moods.Database = unclosed{w.moods.Database}
	_ = w.archive.Close() // it tells what is unwritten
}

type unclosed struct{ persist.Database }

func (unclosed) Close() error { return nil }

// boot makes one persist node, which holds all shards.
func (w *world) boot(db persist.Database, incarnation uint64, l persist.Limits) (
	*persist.Archive, *router) {
	w.Helper()
	archive, err := persist.NewArchive(persist.Options{Database: db, Incarnation: incarnation,
		Kinds: map[actors.KindName]string{hero: "game"}, Clock: w, Scheduler: w, Limits: l,
		Newest: func(string, int) uint64 { return w.newest }, Log: slog.New(slog.NewTextHandler(w.log, nil))})
	if err != nil {
		w.Fatal(err)
	}
	sys, err := actors.NewSystem(actors.Options{Node: "n", Incarnation: incarnation, Clock: w,
		Scheduler: w, Kinds: []actors.Kind{archive.Kind()}, Ground: oneGround()})
	if err != nil {
		w.Fatal(err)
	}
	w.span.Cleanup(sys.Abandon)
	r := &router{w: w, sys: sys, epoch: 1, hold: actors.Held}
	sys.Start(r)
	archive.Start(r, func(string, int) bool { return !w.unrun })
	return archive, r
}

// A router knows one node, and how that stands to its shards.
type router struct {
	w     *world
	sys   *actors.System
	epoch uint64
	hold  actors.Hold
}

func (r *router) Route(e *actors.Envelope) {
	if e.Number == actors.NumberWake {
		r.w.woken = append(r.w.woken, fmt.Sprintf("%s by %s", e.To, e.From))
		return
	}
	if r.w.hold != nil && r.w.hold(e) {
		return
	}
	if r.w.away != "" && e.To.Kind == persist.KeeperKind {
		e = e.Refuse(&actors.Refusal{Code: r.w.away})
	}
	r.sys.Deliver(e)
}
func (r *router) Tenure(string, int) (uint64, actors.Hold) { return r.epoch, r.hold }
func (r *router) Shards() int                              { return 8 }

func (w *world) Run(f func())            { w.Time.Run(f) } // and not the test's
func (w *world) settle()                 { w.Settle() }
func (w *world) advance(d time.Duration) { w.Advance(d) }

// A game is a game node that holds shard 1.
type game struct {
	*persist.Client
	w      *world
	tenure actors.Tenure
	fence  uint64 // 0: its entities have moved here
}

func (w *world) game(incarnation, epoch uint64) *game { return w.gameAt(w.sys, incarnation, epoch) }

func (w *world) gameAt(sys *actors.System, incarnation, epoch uint64) *game {
	c := persist.NewClient(incarnation, w)
	c.Start(sys)
	return &game{c, w, actors.Tenure{Role: "game", Shard: 1, Epoch: epoch}, 0}
}

// begin loads an entity and notes the result.
func (g *game) begin(id string) *result {
	r := new(result)
	g.Load(hero.Ref(id), g.tenure, func(s actors.Snapshot, err error) {
		r.answers++
		r.snapshot, r.err = s, err
		if err == nil {
			g.fence = s.Fence
		}
	})
	return r
}

// load loads an entity and lets everything settle.
func (g *game) load(id string) string {
	g.w.Helper()
	r := g.begin(id)
	g.w.settle()
	if r.answers != 1 || r.err != nil {
		g.w.Fatalf("load %s: %d answers, %v", id, r.answers, r.err)
	}
	return r.text()
}

// save begins to save; pairs are part=text, the empty text deletes.
func (g *game) save(id string, version uint64, commit bool, cells string, pairs ...string) *result {
	r := new(result)
	c := actors.Change{Version: version, Fence: g.fence, Cells: []byte(cells), Commit: commit}
	for _, pair := range pairs {
		name, text, _ := strings.Cut(pair, "=")
		if c.Parts == nil {
			c.Parts = make(map[string]jsonText)
		}
		if c.Parts[name] = nil; text != "" {
			c.Parts[name] = jsonText(text)
		}
	}
	g.Save(hero.Ref(id), g.tenure, c, func(err error) { r.answers, r.err = r.answers+1, err })
	return r
}

// A result is what came back from a call.
type result struct {
	answers  int
	err      error
	snapshot actors.Snapshot
}

func (r *result) text() string {
	text := fmt.Sprintf("%s@%d", r.snapshot.Cells, r.snapshot.Version)
	for _, name := range sortedNames(r.snapshot.Parts) {
		text += " " + name + "=" + string(r.snapshot.Parts[name])
	}
	return text
}

// is checks that there was one answer: none (""), durable ("ok"), or a code.
func (r *result) is(t testing.TB, want string) {
	t.Helper()
	got := "ok"
	switch refusal := (*actors.Refusal)(nil); {
	case r.answers == 0:
		got = ""
	case r.answers > 1:
		got = fmt.Sprintf("%d answers", r.answers)
	case errors.As(r.err, &refusal):
		got = string(refusal.Code)
	case r.err != nil:
		got = r.err.Error()
	}
	if got != want {
		t.Errorf("the answer is %q, want %q (%v)", got, want, r.err)
	}
}

// stored is what the database has, past all keepers.
func (w *world) stored(id string) string {
	w.Helper()
	return (&bench{T: w.T, db: w.moods.Database}).raw(id)
}

// moody is a Database that does what it is told instead.
type moody struct {
	persist.Database
	statements int
	batches    []persist.Batch
	beforeAny  func() error
	write      func(persist.Batch, func() ([]persist.Outcome, error)) ([]persist.Outcome, error)
	raise      func(func() ([]uint64, error)) ([]uint64, error)
	raises     int
	unreadable error // of every load
	afterLoad  func()
	searches   int
}

func (m *moody) any() error {
	if m.beforeAny != nil {
		return m.beforeAny()
	}
	return nil
}

func (m *moody) Write(ctx context.Context, b persist.Batch) ([]persist.Outcome, error) {
	m.statements++
	m.batches = append(m.batches, b)
	if err := m.any(); err != nil {
		return nil, err
	}
	inner := func() ([]persist.Outcome, error) { return m.Database.Write(ctx, b) }
	if m.write != nil {
		return m.write(b, inner)
	}
	return inner()
}

func (m *moody) Raise(ctx context.Context, cs []persist.Claim) ([]uint64, error) {
	if err := m.any(); err != nil {
		return nil, err
	}
	if cs[0].Role == persist.KeeperRole && cs[0].Keeper != (persist.Fence{}) {
		return m.Database.Raise(ctx, cs) // a probe, which raises nothing
	}
	m.raises++
	inner := func() ([]uint64, error) { return m.Database.Raise(ctx, cs) }
	if m.raise != nil {
		return m.raise(inner)
	}
	return inner()
}

func (m *moody) Load(ctx context.Context, ref actors.Ref) ([]persist.Part, error) {
	if err := m.any(); err != nil {
		return nil, err
	}
	if m.unreadable != nil {
		return nil, m.unreadable
	}
	parts, err := m.Database.Load(ctx, ref)
	if m.afterLoad != nil {
		m.afterLoad()
	}
	return parts, err
}

func (m *moody) Due(ctx context.Context, q persist.Search) ([]persist.Due, error) {
	m.searches++
	if err := m.any(); err != nil {
		return nil, err
	}
	return m.Database.Due(ctx, q)
}

func (m *moody) Level(ctx context.Context) (string, error) {
	if err := m.any(); err != nil {
		return "", err
	}
	return m.Database.Level(ctx)
}

// onBoth runs a test on memory and on SQLite.
func onBoth(t *testing.T, l persist.Limits, test func(*testing.T, *world)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		alone := l
		alone.CacheBytes = -1 // nothing but this goroutine
		test(t, newWorld(t, persist.NewMemory(), alone))
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		db := opened(t)(persist.OpenSQLite(filepath.Join(t.TempDir(), "firefly.db")))
		test(t, newWorld(t, db, l))
	})
}
