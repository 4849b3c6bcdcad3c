package persist_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// The contract that every Database is held to; the same test runs against all of them.

const (
	hero  actors.KindName = "hero"
	keepA uint64          = 0xfedcba9876543210 // incarnations; above 2^63 on purpose
	keepB uint64          = 0x2
	gameA uint64          = 0xffffffffffffffff
	gameB uint64          = 0x4
)

func TestEveryDatabaseKeepsTheContract(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		contract(t, func(*testing.T) persist.Database { return persist.NewMemory() })
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		contract(t, func(t *testing.T) persist.Database {
			return opened(t)(persist.OpenSQLite(filepath.Join(t.TempDir(), "a b?c%.db")))
		})
	})
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		server := mariadbtest.Start(t)
		contract(t, func(t *testing.T) persist.Database {
			return opened(t)(persist.OpenMySQL(server.DSN()))
		})
	})
}

func opened(t *testing.T) func(persist.Database, error) persist.Database {
	return func(db persist.Database, err error) persist.Database {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		return db
	}
}

func contract(t *testing.T, open func(*testing.T) persist.Database) {
	for name, test := range map[string]func(*testing.T, *bench){
		"an entity that never was has no parts":             neverWas,
		"what is written is read back":                      readBack,
		"a deleted part is a tombstone":                     tombstone,
		"a box is written, replaced and cleared":            boxLives,
		"a box is fenced with its row":                      boxFenced,
		"what is due is found in order":                     dueInOrder,
		"only tombstones an hour old are purged":            purged,
		"a purge is fenced":                                 purgeFenced,
		"raising waits for nobody and ends purging":         raiseEndsPurging,
		"the newer version wins":                            newerWins,
		"a new owner wins over any version":                 newOwnerWins,
		"a stale owner writes nothing":                      staleOwner,
		"a stale keeper writes nothing":                     staleKeeper,
		"a fence that nobody raised lets nobody through":    neverRaised,
		"half a batch is fenced and the other half written": halfBatch,
		"a stale keeper raises nothing":                     staleKeeperRaise,
		"raising under concurrency gives distinct numbers":  distinctNumbers,
		"raising waits for nobody and ends writing":         raiseEndsWriting,
		"odd ids are rows of their own":                     oddIDs,
		"an entity has 5,000 parts":                         manyParts,
		"big bodies come back":                              bigBodies,
		"too long a key is refused and nothing written":     longKey,
		"migrating again changes nothing":                   migrateAgain,
		"a kind's name is checked":                          kindChecked,
		"a level can be told":                               levelTold,
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{T: t, db: open(t)}
			b.migrate()
			b.keeper = b.raise(persist.KeeperRole, 1, keepA)
			b.owner = b.raise("game", 1, gameA)
			test(t, b)
		})
	}
}

func neverWas(t *testing.T, b *bench) {
	b.holds("nobody", "")
	if _, err := b.db.Load(context.Background(), actors.KindName("other").Ref("x")); err == nil {
		t.Error("a kind without a table was loaded")
	}
}

func readBack(_ *testing.T, b *bench) {
	b.expect(persist.Written, b.change("ann", 1, "", "one", "bag/1", "sword"))
	b.holds("ann", "=one@1 bag/1=sword@1")
	b.expect(persist.Written, b.change("ann", 2, "", "two", "bag/2", "bow"))
	b.holds("ann", "=two@2 bag/1=sword@1 bag/2=bow@2")
	b.expect(persist.Written, b.change("ann", 2, "", "two", "bag/2", "bow")) // found
	b.holds("ann", "=two@2 bag/1=sword@1 bag/2=bow@2")
}

func tombstone(_ *testing.T, b *bench) {
	b.expect(persist.Written, b.change("ann", 1, "", "one", "bag/1", "sword"))
	gone := b.change("ann", 2, "", "two", "bag/1", "")
	gone.Parts[1].Data = nil
	b.expect(persist.Written, gone)
	b.holds("ann", "=two@2 bag/1=@2")
	b.expect(persist.Written, b.change("ann", 3, "", "three", "bag/1", "again"))
	b.holds("ann", "=three@3 bag/1=again@3")
}

// boxed is a change of the empty part alone.
func (b *bench) boxed(id string, version uint64, box string, due int64) persist.Change {
	c := b.change(id, version, "", fmt.Sprint(version))
	c.Parts[0].Box, c.Parts[0].DueAt = nil, due
	if box != "" {
		c.Parts[0].Box = json.RawMessage(box)
	}
	return c
}

func boxLives(_ *testing.T, b *bench) {
	const due = int64(1_900_000_000_123)
	first := b.boxed("ann", 1, `{"out":["a\u0000\"'\\😀"]}`, due)
	first.Parts = append(first.Parts, b.change("ann", 1, "bag/1", "sword").Parts...)
	b.expect(persist.Written, first, b.boxed("bob", 1, `"text"`, 0), b.boxed("cid", 1, "", 7))
	b.holds("ann", `=1@1+{"out":["a\u0000\"'\\😀"]}!1900000000123 bag/1=sword@1`)
	b.holds("bob", `=1@1+"text"`)
	b.holds("cid", `=1@1!7`)
	b.expect(persist.Written, b.boxed("ann", 2, `[2]`, due+1), b.boxed("bob", 2, "", due),
		b.boxed("cid", 2, `0`, 0))
	b.holds("ann", `=2@2+[2]!1900000000124 bag/1=sword@1`)
	b.holds("bob", `=2@2!1900000000123`)
	b.holds("cid", `=2@2+0`)
	b.expect(persist.Written, b.boxed("ann", 3, "", 0))
	b.holds("ann", `=3@3 bag/1=sword@1`)
	big := `"` + strings.Repeat("x", 1<<20) + `"`
	b.expect(persist.Written, b.boxed("dan", 1, big, due))
	b.holds("dan", `=1@1+`+big+`!1900000000123`)
}

func boxFenced(_ *testing.T, b *bench) {
	b.expect(persist.Written, b.boxed("ann", 5, `[5]`, 5))
	b.expect(persist.Written, b.boxed("ann", 4, `[4]`, 4), b.boxed("ann", 5, `[0]`, 0))
	b.holds("ann", `=5@5+[5]!5`) // an older version, and the same once more
	stale := b.boxed("ann", 9, `[9]`, 9)
	b.owner = b.raise("game", 1, gameB)
	b.expect(persist.OwnerFenced, stale)
	stale = b.boxed("ann", 9, `[9]`, 9)
	b.expect(persist.Written, b.boxed("ann", 2, `[2]`, 2))
	b.keeper = b.raise(persist.KeeperRole, 1, keepB)
	b.expect(persist.KeeperFenced, stale)
	b.holds("ann", `=2@2+[2]!2`)
}

func newerWins(_ *testing.T, b *bench) {
	b.expect(persist.Written, b.change("ann", 5, "", "five", "bag/1", "five"))
	b.expect(persist.Written, b.change("ann", 4, "", "four", "bag/1", "four", "bag/2", "four"))
	b.holds("ann", "=five@5 bag/1=five@5") // and no part that the newer one did not have
}

func newOwnerWins(_ *testing.T, b *bench) {
	b.expect(persist.Written, b.change("ann", 9, "", "nine"))
	b.owner = b.raise("game", 1, gameB)
	b.expect(persist.Written, b.change("ann", 2, "", "two"))
	b.holds("ann", "=two@2")
}

func staleOwner(_ *testing.T, b *bench) {
	b.expect(persist.Written, b.change("ann", 1, "", "one"))
	stale, fresh := b.change("ann", 99, "", "stale"), b.change("bob", 99, "", "stale")
	b.raise("game", 1, gameB)
	b.expect(persist.OwnerFenced, stale, fresh)
	stolen := stale // the right number, but another's
	stolen.Owner = persist.Fence{Epoch: stale.Owner.Epoch + 1, Holder: gameA}
	b.expect(persist.OwnerFenced, stolen)
	b.holds("ann", "=one@1")
	b.holds("bob", "")
}

func staleKeeper(_ *testing.T, b *bench) {
	b.expect(persist.Written, b.change("ann", 1, "", "one"))
	stale, fresh := b.change("ann", 99, "", "stale"), b.change("bob", 99, "", "stale")
	b.raise(persist.KeeperRole, 1, keepB)
	b.expect(persist.KeeperFenced, stale, fresh)
	stolen := stale
	stolen.Keeper = persist.Fence{Epoch: stale.Keeper.Epoch + 1, Holder: keepA}
	b.expect(persist.KeeperFenced, stolen)
	b.holds("ann", "=one@1")
	b.holds("bob", "")
}

func neverRaised(_ *testing.T, b *bench) {
	c := b.change("ann", 1, "", "one")
	c.Shard, c.Owner, c.Keeper = 3, persist.Fence{}, persist.Fence{}
	b.expect(persist.KeeperFenced, c)
	b.holds("ann", "")
}

func halfBatch(t *testing.T, b *bench) {
	old := b.change("old", 1, "", "old")
	old.Shard, old.Keeper = 2, b.raise(persist.KeeperRole, 2, keepA)
	old.Owner = b.raise("game", 2, gameA)
	b.expect(persist.Written, b.change("was", 1, "", "was"), old)
	b.raise("game", 2, gameB)
	lost := old
	lost.Parts = b.change("old", 2, "", "lost").Parts
	got := b.write(b.change("was", 2, "", "is"), lost, b.change("new", 1, "", "new"))
	want := []persist.Outcome{persist.Written, persist.OwnerFenced, persist.Written}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("outcomes %v, want %v", got, want)
	}
	b.holds("was", "=is@2")
	b.holds("old", "=old@1")
	b.holds("new", "=new@1")
}

func staleKeeperRaise(t *testing.T, b *bench) {
	claim := persist.Claim{Role: "game", Shard: 1, Holder: gameB, Keeper: b.keeper}
	b.raise(persist.KeeperRole, 1, keepB)
	got, err := b.db.Raise(context.Background(), []persist.Claim{claim,
		{Role: "game", Shard: 2, Holder: gameB}})
	if err != nil || got[0] != 0 || got[1] == 0 {
		t.Fatalf("stale keeper's raise: %v, %v; want 0 and a number", got, err)
	}
	b.keeper = b.raise(persist.KeeperRole, 1, keepA)
	b.expect(persist.Written, b.change("ann", 1, "", "one")) // the owner is who it was
}

func distinctNumbers(t *testing.T, b *bench) {
	const callers, each = 8, 10
	var mu sync.Mutex
	taken := make(map[uint64]uint64) // number -> holder
	var all sync.WaitGroup
	for caller := range uint64(callers) {
		all.Go(func() {
			for range each {
				got, err := b.db.Raise(context.Background(),
					[]persist.Claim{{Role: "game", Shard: 5, Holder: 100 + caller}})
				if err != nil || got[0] == 0 {
					continue // overtaken, or lost against others: no number, and says so
				}
				mu.Lock()
				if other, twice := taken[got[0]]; twice {
					t.Errorf("number %d given to %d and %d", got[0], other, 100+caller)
				}
				taken[got[0]] = 100 + caller
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(taken) == 0 {
		t.Errorf("none of %d raises was granted", callers*each)
	}
}

// raiseEndsWriting: once a raise has returned, nothing under the number before it is written,
// whatever was under way.
func raiseEndsWriting(t *testing.T, b *bench) {
	for round := range uint64(20) {
		mine, done := b.change("ann", 1, "", fmt.Sprint(round)), make(chan struct{})
		go func() {
			defer close(done)
			for v := uint64(1); v < 20; v++ {
				mine.Parts[0].Version = v
				_, _ = b.db.Write(context.Background(), persist.Batch{Kind: hero, Role: "game",
					Changes: []persist.Change{mine}}) // fenced at some moment: that is the point
			}
		}()
		b.owner = b.raise("game", 1, gameB+round)
		before := b.text("ann")
		<-done
		if after := b.text("ann"); after != before {
			t.Fatalf("round %d: %q became %q after the raise", round, before, after)
		}
	}
}

func oddIDs(_ *testing.T, b *bench) {
	ids := []string{"Ann", "ann", "ANN", "ann ", " ann", "änn", "a\u0308nn", "änn\u200b", "an%",
		"an_", `"`, `'`, "`", `\`, `\"`, `a'); DROP TABLE state_hero; --`, "\x01", "\x7f", "\n",
		"\t", "a\u2028b", "<&>", "𝔄𝔫𝔫", "😀", "👩‍👩‍👧", strings.Repeat("é", 100),
		"$.id", "null", "1", "1.0"}
	var all []persist.Change
	for i, id := range ids {
		all = append(all, b.change(id, 1, "", fmt.Sprint(i), "bag/"+id, id))
	}
	b.expect(persist.Written, all...)
	for i, id := range ids {
		b.holds(id, fmt.Sprintf("=%d@1 bag/%s=%s@1", i, id, id))
	}
}

func manyParts(t *testing.T, b *bench) {
	parts := []string{"", "hoarder"}
	for i := range 5000 {
		parts = append(parts, fmt.Sprintf("bag/%04d", i), strings.Repeat("x", 100))
	}
	b.expect(persist.Written, b.change("ann", 1, parts...))
	b.expect(persist.Written, b.change("ann", 2, "", "hoarder", "bag/0001", "new"))
	got, err := b.db.Load(context.Background(), hero.Ref("ann"))
	if err != nil || len(got) != 5001 {
		t.Fatalf("%d parts, %v", len(got), err)
	}
	if string(got[2].Data) != `"new"` || got[3].Version != 1 {
		t.Errorf("parts 1 and 2 are %s and @%d", got[2].Data, got[3].Version)
	}
}

func bigBodies(t *testing.T, b *bench) {
	sizes := map[string]int{"x": 10 << 20, `"`: 1 << 16, "\x00": 1 << 16, "😀": 1 << 16}
	for unit, size := range sizes {
		text, err := json.Marshal(strings.Repeat(unit, size))
		if err != nil {
			t.Fatal(err)
		}
		c := b.change("big"+unit[:0]+fmt.Sprint(len(text)), 1, "", "")
		c.Parts[0].Data = text
		b.expect(persist.Written, c)
		got, err := b.db.Load(context.Background(), hero.Ref(c.ID))
		if err != nil || len(got) != 1 || !bytes.Equal(got[0].Data, text) {
			t.Errorf("%d bytes of %q did not come back (%v)", len(text), unit, err)
		}
	}
}

func longKey(t *testing.T, b *bench) {
	long := b.change("bob", 1, "", "one", "bag/"+strings.Repeat("k", persist.MaxPart), "x")
	_, err := b.db.Write(context.Background(), persist.Batch{Kind: hero, Role: "game",
		Changes: []persist.Change{b.change("ann", 1, "", "one"), long}})
	if !strings.Contains(fmt.Sprint(err), persist.ErrRejected.Error()) {
		t.Errorf("a part of %d bytes: %v", persist.MaxPart+4, err)
	}
	b.holds("ann", "")
	b.holds("bob", "")
}

func migrateAgain(_ *testing.T, b *bench) {
	b.expect(persist.Written, b.change("ann", 1, "", "one"))
	b.migrate()
	b.expect(persist.Written, b.change("ann", 2, "", "two"))
	b.holds("ann", "=two@2")
}

func kindChecked(t *testing.T, b *bench) {
	for _, bad := range []actors.KindName{"", "Hero", "1hero", "hero; DROP TABLE x", "he-ro",
		"hero`", "héro", actors.KindName(strings.Repeat("h", 49))} {
		schema := persist.Schema{Kinds: []actors.KindName{bad}}
		if err := b.db.Migrate(context.Background(), schema); err == nil {
			t.Errorf("kind %q got a table", bad)
		}
	}
}

func levelTold(t *testing.T, b *bench) {
	level, err := b.db.Level(context.Background())
	if err != nil || level == "" || strings.HasPrefix(level, "degraded") {
		t.Errorf("level %q, %v", level, err)
	}
}
