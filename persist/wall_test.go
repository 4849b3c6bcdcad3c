package persist_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// Here everything runs as in production: goroutines, wall time, real files and a real server.

// A floor is wall time and goroutines.
type floor struct {
	running sync.WaitGroup
	slots   chan struct{}
}

func (f *floor) Now() time.Time { return time.Now() }
func (f *floor) AfterFunc(d time.Duration, g func()) func() bool {
	return time.AfterFunc(d, g).Stop
}
func (f *floor) Run(g func()) { f.running.Go(g) }
func (f *floor) Offload(g func()) {
	f.running.Go(func() {
		f.slots <- struct{}{}
		defer func() { <-f.slots }()
		g()
	})
}

type direct struct{ sys *actors.System }

func (d direct) Route(e *actors.Envelope)                 { d.sys.Deliver(e) }
func (d direct) Tenure(string, int) (uint64, actors.Hold) { return 1, actors.Held }
func (d direct) Shards() int                              { return 8 }

// production makes a persist node on a database, which it migrates, and a client of it.
func production(t *testing.T, db persist.Database) (*persist.Archive, *persist.Client) {
	t.Helper()
	schema := persist.Schema{Kinds: []actors.KindName{hero}, Roles: []string{"game"}, Shards: 8}
	if err := db.Migrate(context.Background(), schema); err != nil {
		t.Fatal(err)
	}
	f := &floor{slots: make(chan struct{}, 8)}
	archive, err := persist.NewArchive(persist.Options{Database: db, Incarnation: keepA, Clock: f,
		Kinds: map[actors.KindName]string{hero: "game"}, Scheduler: f,
		Limits: persist.Limits{CacheBytes: 20_000}})
	if err != nil {
		t.Fatal(err)
	}
	sys, err := actors.NewSystem(actors.Options{Node: "n", Incarnation: keepA, Clock: f,
		Scheduler: f, Kinds: []actors.Kind{archive.Kind()}})
	if err != nil {
		t.Fatal(err)
	}
	sys.Start(direct{sys})
	client := persist.NewClient(gameA, f)
	client.Start(sys)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := errors.Join(sys.Stop(ctx), archive.Close()); err != nil {
			t.Error(err)
		}
		f.running.Wait()
	})
	return archive, client
}

func tenureOf(ref actors.Ref) actors.Tenure {
	return actors.Tenure{Role: "game", Shard: ref.Shard(8), Epoch: 1}
}

func loadNow(c *persist.Client, ref actors.Ref) (s actors.Snapshot, err error) {
	done := make(chan struct{})
	c.Load(ref, tenureOf(ref), func(got actors.Snapshot, e error) {
		s, err = got, e
		close(done)
	})
	<-done
	return s, err
}

// loadSoon loads, however long the store is away.
func loadSoon(c *persist.Client, ref actors.Ref) (actors.Snapshot, error) {
	for {
		s, err := loadNow(c, ref)
		if !errors.Is(err, actors.StoreUnavailable) {
			return s, err
		}
	}
}

// saveSoon sends the same version until somebody knows what became of it.
func saveSoon(c *persist.Client, ref actors.Ref, change actors.Change,
	unknown *atomic.Int64) error {
	for {
		if err := saveNow(c, ref, change); !errors.Is(err, actors.ErrUnknown) {
			return err
		}
		unknown.Add(1)
		time.Sleep(backOff)
	}
}

// backOff is how long an entity waits before it tries again what was not written.
const backOff = 20 * time.Millisecond

func saveNow(c *persist.Client, ref actors.Ref, change actors.Change) (err error) {
	done := make(chan struct{})
	c.Save(ref, tenureOf(ref), change, func(e error) {
		err = e
		close(done)
	})
	<-done
	return err
}

// While statements are under way, here until all have sent something, the next one's commits gather.
func TestManyEntitiesAtOnceShareStatements(t *testing.T) {
	t.Parallel()
	db, err := persist.OpenSQLite(filepath.Join(t.TempDir(), "firefly.db"))
	if err != nil {
		t.Fatal(err)
	}
	held := &dam{Database: db}
	archive, client := production(t, held)
	const committers, each = 64, 20
	commit := func(ref actors.Ref, version, fence uint64) {
		if err := saveSoon(client, ref, actors.Change{Version: version, Fence: fence, Commit: true,
			Cells: fmt.Appendf(nil, `{"v":%d}`, version)}, new(atomic.Int64)); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	fences := make([]uint64, committers)
	for i := range fences {
		s, err := loadNow(client, hero.Ref(fmt.Sprint(i)))
		if fences[i] = s.Fence; err != nil {
			t.Fatal(err)
		}
	}
	for v := uint64(1); v <= each; v++ {
		before := archive.Report().Statements
		held.gate.Lock()
		var all sync.WaitGroup
		for i, fence := range fences {
			all.Go(func() { commit(hero.Ref(fmt.Sprint(i)), v, fence) })
		}
		until(t, "all to be pending", func() bool { return archive.Report().Rows == committers })
		held.gate.Unlock()
		all.Wait()
		if n := archive.Report().Statements - before; n > committers/4 {
			t.Errorf("%d commits at once took %d statements", committers, n)
		}
	}
	for i := range fences {
		s, err := loadNow(client, hero.Ref(fmt.Sprint(i)))
		if err != nil || s.Version != each || string(s.Cells) != fmt.Sprintf(`{"v":%d}`, each) {
			t.Errorf("%d: %s@%d, %v", i, s.Cells, s.Version, err)
		}
	}
	if r := archive.Report(); r.Rows != 0 || r.Bytes != 0 || r.Oldest != 0 {
		t.Errorf("all is durable, but the report says %+v", r)
	}
}

// TestWhatWasAnsweredOutlivesAKilledServer commits while the server is killed and started again.
// What was answered must be there; what was told not to be written must not have been.
func TestWhatWasAnsweredOutlivesAKilledServer(t *testing.T) {
	t.Parallel()
	server := mariadbtest.Start(t)
	db, err := persist.OpenMySQL(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	archive, client := production(t, db)
	const committers = 16
	ctx, cancel := context.WithCancel(context.Background())
	ledgers := make([]*ledger, committers)
	var all sync.WaitGroup
	var durable, failed atomic.Int64
	for i := range ledgers {
		ledgers[i] = &ledger{ref: hero.Ref(fmt.Sprint(i)), durable: &durable, failed: &failed}
		all.Go(func() { ledgers[i].commit(ctx, client) })
	}
	for range 3 {
		await(t, "commits", &durable, 10*committers)
		server.Kill()
		await(t, "failures while the server is away", &failed, 2*committers)
		server.Restart()
	}
	await(t, "commits after the last restart", &durable, 10*committers)
	cancel()
	all.Wait()
	for _, l := range ledgers {
		l.check(t, client)
	}
	t.Logf("%d durable, %d refused or unknown for a while; %+v", durable.Load(), failed.Load(),
		archive.Report())
}

// await waits until a count has risen by n.
func await(t *testing.T, what string, count *atomic.Int64, n int64) {
	t.Helper()
	until := time.Now().Add(time.Minute)
	for goal := count.Load() + n; count.Load() < goal; {
		if time.Now().After(until) {
			t.Fatalf("waited a minute for %d %s", n, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A ledger is what one entity was told of its commits.
type ledger struct {
	ref             actors.Ref
	durable, failed *atomic.Int64 // of all ledgers
	last            uint64        // newest version that is durable
	forbidden       map[uint64]bool
	err             error
}

func (l *ledger) commit(ctx context.Context, c *persist.Client) {
	l.forbidden = make(map[uint64]bool)
	s, err := loadSoon(c, l.ref)
	for v := s.Version + 1; err == nil && ctx.Err() == nil; v++ {
		err = saveSoon(c, l.ref, actors.Change{Version: v, Fence: s.Fence, Commit: true,
			Cells: fmt.Appendf(nil, `{"v":%d}`, v)}, l.failed)
		switch {
		case err == nil:
			l.last = v
			l.durable.Add(1)
		case errors.Is(err, actors.StoreUnavailable):
			l.forbidden[v], err = true, nil
			l.failed.Add(1)
			time.Sleep(backOff)
		}
	}
	l.err = err
}

func (l *ledger) check(t *testing.T, c *persist.Client) {
	t.Helper()
	s, err := loadSoon(c, l.ref)
	if err = errors.Join(l.err, err); err != nil {
		t.Errorf("%s: %v", l.ref, err)
	}
	if s.Version < l.last || l.forbidden[s.Version] {
		t.Errorf("%s: the store has version %d, durable was %d, refused %v", l.ref, s.Version,
			l.last, l.forbidden[s.Version])
	}
}
