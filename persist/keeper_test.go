package persist_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fireflyrt/firefly/persist"
)

// TestMain leaves out what packages that only the example needs have begun before any test. Many tests wait for a
// server most of the time, so more of them run at once than there are processors, unless -parallel says otherwise.
func TestMain(m *testing.M) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if most := flag.Lookup("test.parallel"); !said && runtime.GOMAXPROCS(0) < 6 {
		_ = most.Value.Set("6")
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

type jsonText = json.RawMessage

func sortedNames(m map[string]jsonText) []string { return slices.Sorted(maps.Keys(m)) }

func is(t testing.TB, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("got %s, want %s", g, w)
	}
}

func TestASaveIsAnsweredOnlyWhenItIsDurable(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		is(t, g.load("ann"), "@0")
		var saved *result
		w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) (
			[]persist.Outcome, error) {
			saved.is(t, "")
			got, err := write()
			w.settle() // all but what this stands in
			saved.is(t, "")
			return got, err
		}
		saved = g.save("ann", 1, true, `{"a":1}`, "bag/1=7")
		w.settle()
		saved.is(t, "ok")
		is(t, w.stored("ann"), `={"a":1}@1 bag/1=7@1`)
		is(t, g.load("ann"), `{"a":1}@1 bag/1=7`)
	})
}

func TestAStoreThatIsDownLosesNothingAndComesBack(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		g.load("bob")
		w.moods.beforeAny = func() error { return fmt.Errorf("cable: %w", persist.ErrDown) }
		first := g.save("ann", 1, false, `{"a":1}`)
		w.advance(100 * time.Millisecond)
		first.is(t, "") // kept, not answered
		is(t, w.archive.Report().Down, true)
		commit := g.save("bob", 1, true, `{"b":1}`)
		w.settle()
		commit.is(t, "STORE_UNAVAILABLE") // at once
		if w.archive.Report().Kept > 0 {  // with a cache, what was loaded is there, store or not
			is(t, g.load("ann"), `{"a":1}@1`)
		}
		tries := w.moods.statements
		w.advance(2500 * time.Millisecond)
		is(t, w.moods.statements, tries) // the store is asked for its health, not flooded
		is(t, w.archive.Report().Oldest, 2600*time.Millisecond)
		w.moods.beforeAny = nil
		w.advance(2 * time.Second)
		is(t, w.stored("ann"), `={"a":1}@1`)
		is(t, w.stored("bob"), "") // refused means never written
		is(t, w.archive.Report().Rows, 0)
		is(t, w.archive.Report().Down, false)
		again := g.save("bob", 2, true, `{"b":2}`)
		w.settle()
		again.is(t, "ok")
	})
}

func TestACommitThatIsToldNotWrittenIsNeverWritten(t *testing.T) {
	for _, fault := range []error{persist.ErrDown, persist.ErrContended} {
		onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
			g := w.game(gameA, 1)
			g.load("ann")
			w.moods.write = func(persist.Batch, func() ([]persist.Outcome, error)) (
				[]persist.Outcome, error) {
				return nil, fault
			}
			commit := g.save("ann", 1, true, `{"gold":0}`)
			w.settle()
			commit.is(t, "STORE_UNAVAILABLE")
			w.moods.write = nil
			w.advance(10 * time.Second)
			is(t, w.stored("ann"), "")
			is(t, w.archive.Report().Rows, 0)
		})
	}
}

func TestTooMuchThatIsPendingIsToldStoreBehind(t *testing.T) {
	onBoth(t, persist.Limits{PendingRows: 4}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("a")
		w.moods.beforeAny = func() error { return persist.ErrDown }
		g.save("a", 1, false, `{}`, "bag/1=1")
		g.save("b", 1, false, `{}`)
		w.settle()
		over := g.save("c", 1, false, `{}`, "bag/1=1")
		w.settle()
		over.is(t, "STORE_BEHIND")
		fits := g.save("d", 1, false, `{}`)
		same := g.save("a", 2, false, `{}`, "bag/1=2") // takes no more room
		load := g.begin("e")
		w.settle()
		fits.is(t, "")
		same.is(t, "")
		load.is(t, "STORE_BEHIND")
		is(t, w.archive.Report().Rows, 4)
		is(t, w.archive.Report().Behind, 2)
		w.moods.beforeAny = nil
		w.advance(3 * time.Second)
		is(t, w.archive.Report().Rows, 0)
		over = g.save("c", 2, true, `{}`)
		w.settle()
		over.is(t, "ok")
	})
}

func TestAKeeperThatStopsWritesFirst(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		saved := g.save("ann", 1, false, `{"v":1}`)
		w.settle()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped := make(chan error, 1)
		go func() { stopped <- w.sys.Stop(ctx) }()
		for len(stopped) == 0 { // Stop posts from its goroutine, the world runs in this one
			w.settle()
		}
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		saved.is(t, "ok")
		is(t, w.stored("ann"), `={"v":1}@1`)
	})
}

func TestAStartedAnewKeeperReadsBackEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "firefly.db")
	want := make(map[string]string)
	for life := range uint64(3) {
		db, err := persist.OpenSQLite(path)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, db, persist.Limits{})
		g := w.game(gameA+life, 1+life)
		for i := range uint64(50) {
			id := fmt.Sprintf("hero-%d", i)
			if got := g.load(id); want[id] != "" && got != want[id] {
				t.Fatalf("life %d: %s is %s, want %s", life, id, got, want[id])
			}
			g.save(id, life+1, true, fmt.Sprintf(`{"life":%d}`, life),
				fmt.Sprintf("bag/%d=1", life))
			w.settle()
			want[id] = g.load(id)
		}
		w.settle()
		w.closed = true
		if err := w.archive.Close(); err != nil {
			t.Fatal(err)
		}
	}
	is(t, want["hero-7"], `{"life":2}@3 bag/0=1 bag/1=1 bag/2=1`)
}
