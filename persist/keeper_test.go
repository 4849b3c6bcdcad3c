package persist_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type jsonText = json.RawMessage

func sortedNames(m map[string]jsonText) []string { return slices.Sorted(maps.Keys(m)) }

// raw reads an entity with its parts as they are; tombstones are shown.
func (b *bench) raw(id string) string {
	b.Helper()
	parts, err := b.db.Load(context.Background(), hero.Ref(id))
	if err != nil {
		b.Fatal(err)
	}
	var texts []string
	for _, p := range parts {
		texts = append(texts, fmt.Sprintf("%s=%s@%d", p.Name, p.Data, p.Version))
	}
	return strings.Join(texts, " ")
}

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

func TestACommitWaitsForNoTimerAndAFlushGathers(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		flush := g.save("ann", 1, false, `{}`)
		w.settle()
		flush.is(t, "")
		w.advance(49 * time.Millisecond)
		flush.is(t, "")
		w.advance(time.Millisecond)
		flush.is(t, "ok")
		late := g.save("bob", 1, false, `{}`)
		commit := g.save("ann", 2, true, `{}`)
		w.settle()
		commit.is(t, "ok")
		late.is(t, "ok") // it goes along
		is(t, w.moods.statements, 2)
	})
}

func TestAHundredSavesOfAnEntityAreFewStatements(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		for v := range uint64(40) {
			g.save("ann", v+1, false, fmt.Sprintf(`{"v":%d}`, v+1), fmt.Sprintf("bag/%d=%d", v%10, v))
		}
		w.settle()
		r := w.archive.Report()
		is(t, r.Rows, 11) // the newest of each part
		w.advance(30 * time.Millisecond)
		is(t, w.archive.Report().Oldest, 30*time.Millisecond)
		w.advance(time.Second)
		is(t, w.moods.statements, 1)
		r = w.archive.Report()
		is(t, r.Rows, 0)
		is(t, r.Bytes, 0)
		is(t, r.Oldest, "0s")
		is(t, r.Coalesced, 39)
		want := `{"v":40}@40`
		for i := range 10 {
			want += fmt.Sprintf(" bag/%d=%d", i, 30+i)
		}
		is(t, g.load("ann"), want)
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

func TestADeadlockIsTriedAgainAsAWhole(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		faults := 3
		w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) (
			[]persist.Outcome, error) {
			if faults--; faults >= 0 {
				return nil, persist.ErrContended
			}
			return write()
		}
		commit := g.save("ann", 1, true, `{}`)
		w.settle()
		commit.is(t, "ok")
		is(t, w.archive.Report().Retries, 3)
		faults = 12 // beyond what is tried at once: a flush stays, and is tried a little later
		flush := g.save("ann", 2, false, `{"v":2}`)
		w.advance(time.Second)
		flush.is(t, "ok")
	})
}

func TestAnUnknownOutcomeIsFoundOut(t *testing.T) {
	for name, applied := range map[string]bool{"written": true, "not written": false} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
				g := w.game(gameA, 1)
				g.load("ann")
				keeper := uint64(0)
				w.moods.write = func(b persist.Batch, write func() ([]persist.Outcome, error)) (
					[]persist.Outcome, error) {
					if keeper == 0 {
						keeper = b.Changes[0].Keeper.Epoch
						if applied {
							_, _ = write() // the answer is lost
						}
						return nil, fmt.Errorf("connection reset: %w", persist.ErrUnclear)
					}
					if now := b.Changes[0].Keeper.Epoch; now <= keeper {
						t.Errorf("written again under number %d, not above %d", now, keeper)
					}
					return write()
				}
				commit := g.save("ann", 1, true, `{"a":1}`)
				w.advance(500 * time.Millisecond)
				commit.is(t, "ok")
				is(t, w.stored("ann"), `={"a":1}@1`)
				is(t, w.archive.Report().Unclear, 1)
			})
		})
	}
}

func TestARowThatTheStoreRefusesIsSetAsideAlone(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		w.moods.write = func(b persist.Batch, write func() ([]persist.Outcome, error)) (
			[]persist.Outcome, error) {
			for _, c := range b.Changes {
				if c.ID == "h7" {
					return nil, fmt.Errorf("data too long: %w", persist.ErrRejected)
				}
			}
			return write()
		}
		var all []*result
		for i := range 16 {
			all = append(all, g.save(fmt.Sprintf("h%d", i), 1, i%2 == 0, `{}`))
		}
		w.advance(time.Second)
		for i, r := range all {
			want := "ok"
			if i == 7 {
				want = "STORE_REFUSED"
			}
			r.is(t, want)
		}
		is(t, strings.Contains(all[7].err.Error(), "data too long"), true)
		is(t, w.archive.Report().Aside, 1)
		is(t, w.archive.Report().Rows, 0)
	})
}

func TestAStaleOwnerIsFencedAndWhatItGaveIsKept(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		old, next := w.game(gameA, 1), w.game(gameB, 2)
		old.load("ann")
		given := old.save("ann", 1, false, `{"from":"old"}`) // accepted, gathering
		w.settle()
		is(t, next.load("ann"), `{"from":"old"}@1`)
		is(t, next.fence > old.fence, true)
		stale := old.save("ann", 2, true, `{"from":"zombie"}`)
		w.settle()
		stale.is(t, "FENCED")
		w.advance(time.Second)
		given.is(t, "ok")
		is(t, w.stored("ann"), `={"from":"old"}@1`)
		fresh := next.save("ann", 2, true, `{"from":"next"}`)
		w.settle()
		fresh.is(t, "ok")
		is(t, w.stored("ann"), `={"from":"next"}@2`)
		late := w.game(gameA, 1) // a claim of the tenure that is over
		r := late.begin("ann")
		w.settle()
		r.is(t, "FENCED")
	})
}

func TestAnOwnerThatOnlyTheStoreKnowsToBeStaleIsFenced(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		_, err := w.moods.Raise(context.Background(),
			[]persist.Claim{{Role: "game", Shard: 1, Holder: gameB}}) // through another keeper
		if err != nil {
			t.Fatal(err)
		}
		stale := g.save("ann", 1, true, `{}`)
		w.settle()
		stale.is(t, "FENCED")
		is(t, w.archive.Report().Fenced, 1)
		is(t, w.archive.Report().Rows, 0)
		is(t, g.load("ann"), "@0") // the tenure goes on under a number of its own
		again := g.save("ann", 1, true, `{"v":1}`)
		w.settle()
		again.is(t, "ok")
	})
}

func TestAStaleKeeperWritesNothingUntilItHasProvedItself(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		raised, err := w.moods.Raise(context.Background(),
			[]persist.Claim{{Role: persist.KeeperRole, Shard: 1, Holder: keepB}})
		if err != nil {
			t.Fatal(err)
		}
		lost := g.save("ann", 1, true, `{"v":1}`)
		w.settle()
		lost.is(t, "STORE_UNKNOWN")
		is(t, w.stored("ann"), "")
		again := g.save("ann", 1, true, `{"v":1}`) // reaches a keeper that owns the shard
		w.settle()
		again.is(t, "ok")
		last := w.moods.batches[len(w.moods.batches)-1]
		is(t, last.Changes[0].Keeper.Epoch, raised[0]+1)
	})
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

func TestARowIsReadOnceForAllWhoWaitAndAgainIfItWasWrittenMeanwhile(t *testing.T) {
	onBoth(t, persist.Limits{}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("other")
		reads := w.archive.Report().Loads
		var waiting []*result
		for range 10 {
			waiting = append(waiting, g.begin("ann"))
		}
		w.moods.afterLoad = func() { // the read has its answer; before it arrives, ann is written
			w.moods.afterLoad = nil
			saved := g.save("ann", 1, true, `{"v":1}`)
			w.settle()
			saved.is(t, "ok")
		}
		w.settle()
		for _, r := range waiting {
			r.is(t, "ok")
			is(t, r.text(), `{"v":1}@1`)
		}
		is(t, w.archive.Report().Loads, reads+2)
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
			g.save(id, life+1, true, fmt.Sprintf(`{"life":%d}`, life), fmt.Sprintf("bag/%d=1", life))
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

func TestWithRoomForASingleEntryTheCacheStillTellsTheTruth(t *testing.T) {
	for _, room := range []int64{200, 2000, 1 << 20} {
		db := opened(t)(persist.OpenSQLite(filepath.Join(t.TempDir(), "firefly.db")))
		w := newWorld(t, db, persist.Limits{CacheBytes: room})
		g, luck := w.game(gameA, 1), rand.New(rand.NewPCG(1, uint64(room)))
		model := make(map[string]map[string]string)
		versions := make(map[string]uint64)
		for step := range 1000 {
			id := fmt.Sprintf("h%d", luck.IntN(12))
			if luck.IntN(2) == 0 {
				if got, want := g.load(id), modelText(model[id], versions[id]); got != want {
					t.Fatalf("room %d, step %d: %s is %s, want %s", room, step, id, got, want)
				}
				continue
			}
			if model[id] == nil {
				model[id] = make(map[string]string)
				g.load(id)
			}
			versions[id]++
			model[id][""] = fmt.Sprintf(`{"s":%d}`, step)
			part, text := fmt.Sprintf("bag/%d", luck.IntN(3)), ""
			delete(model[id], part)
			if luck.IntN(3) > 0 {
				text = fmt.Sprint(step)
				model[id][part] = text
			}
			r := g.save(id, versions[id], luck.IntN(2) == 0, model[id][""], part+"="+text)
			w.advance(time.Duration(luck.IntN(60)) * time.Millisecond)
			is(t, r.answers < 2 && r.err == nil, true)
		}
		w.advance(time.Second)
		r := w.archive.Report()
		if r.Hits+r.Misses == 0 || room == 1<<20 && r.Hits < 5*r.Misses {
			t.Errorf("room %d: %d hits, %d misses", room, r.Hits, r.Misses)
		}
		if room == 200 && r.Evicted+r.Rejected+r.Dropped == 0 {
			t.Errorf("room %d: nothing was evicted, rejected or dropped: %+v", room, r)
		}
	}
}

func modelText(parts map[string]string, version uint64) string {
	text := fmt.Sprintf("%s@%d", parts[""], version)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if name != "" {
			text += " " + name + "=" + parts[name]
		}
	}
	return text
}

func TestALoadWaitsFiveSecondsForAKeeper(t *testing.T) {
	w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: -1})
	g := w.game(gameA, 1)
	w.away = true
	found, missed := g.begin("ann"), w.game(gameB, 1).begin("ann")
	w.advance(3 * time.Second)
	found.is(t, "")
	w.away = false
	w.advance(time.Second)
	found.is(t, "ok")
	missed.is(t, "ok")
	w.away = true
	missed = w.game(gameB+1, 9).begin("ann")
	w.advance(5 * time.Second)
	missed.is(t, "STORE_UNAVAILABLE")
}

func TestARefusalAfterAnUnknownOutcomeOfTheSameVersionIsUnknown(t *testing.T) {
	w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: -1})
	g := w.game(gameA, 1)
	g.load("ann")
	w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) (
		[]persist.Outcome, error) {
		return nil, fmt.Errorf("reset: %w", persist.ErrUnclear)
	}
	first := g.save("ann", 1, true, `{}`)
	w.advance(2 * time.Second)
	first.is(t, "STORE_UNKNOWN")
	w.moods.beforeAny = func() error { return persist.ErrDown }
	w.advance(time.Second)
	second := g.save("ann", 1, true, `{}`)
	w.advance(2 * time.Second)
	second.is(t, "STORE_UNKNOWN")
	w.moods.write, w.moods.beforeAny = nil, nil
	w.advance(5 * time.Second)
	third := g.save("ann", 1, true, `{}`)
	w.settle()
	third.is(t, "ok")
}

func TestWhatNoStoreTakesIsRefusedBeforeItIsSent(t *testing.T) {
	w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: -1})
	g := w.game(gameA, 1)
	g.load("ann")
	big := g.save("ann", 1, true, `"`+strings.Repeat("x", persist.MaxChange)+`"`)
	big.is(t, "TOO_BIG")
	g.save("ann", 2, true, `{}`, strings.Repeat("k", persist.MaxPart+1)+"=1").is(t, "STORE_REFUSED")
	edge := g.save("ann", 3, true, `{}`, strings.Repeat("k", persist.MaxPart)+"=1")
	w.settle()
	edge.is(t, "ok")
}

func TestBatchesAreBoundedAndAnEntityIsNeverSplit(t *testing.T) {
	onBoth(t, persist.Limits{BatchRows: 4}, func(t *testing.T, w *world) {
		g := w.game(gameA, 1)
		g.load("ann")
		for i := range 9 {
			g.save(fmt.Sprint(i), 1, false, `{}`)
		}
		g.save("giant", 1, false, `{}`, "b/1=1", "b/2=1", "b/3=1", "b/4=1", "b/5=1")
		w.advance(time.Second)
		var sizes []string
		for _, b := range w.moods.batches {
			sizes = append(sizes, fmt.Sprintf("%d/%d", len(b.Changes), b.Rows()))
			is(t, slices.IsSortedFunc(b.Changes, func(a, b persist.Change) int {
				return strings.Compare(a.ID, b.ID)
			}), true)
		}
		is(t, strings.Join(sizes, " "), "4/4 4/4 1/1 1/6")
		is(t, w.stored("giant"), `={}@1 b/1=1@1 b/2=1@1 b/3=1@1 b/4=1@1 b/5=1@1`)
	})
}

func TestUnknownKindsAndNumbersAreRefused(t *testing.T) {
	w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: -1})
	g := w.game(gameA, 1)
	var err error
	g.Load(actors.KindName("dragon").Ref("x"), g.tenure, func(_ actors.Snapshot, e error) { err = e })
	w.settle()
	is(t, strings.Contains(fmt.Sprint(err), "STORE_REFUSED"), true)
	var codes []actors.Code
	for _, e := range []*actors.Envelope{
		{Type: actors.Message, To: persist.KeeperKind.Ref("1"), Number: 29},
		{Type: actors.Message, To: persist.KeeperKind.Ref("1"), Number: persist.NumberSave,
			Body: []byte("{")},
	} {
		w.sys.Request(e, time.Second, func(answer *actors.Envelope) {
			codes = append(codes, answer.Refusal().Code)
		})
	}
	w.settle()
	is(t, fmt.Sprint(codes), "[UNKNOWN_NUMBER BAD_BODY]")
}
