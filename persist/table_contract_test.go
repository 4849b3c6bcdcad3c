package persist_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

func words(s string) *string { return &s }

// taskValues are a task as its columns.
func taskValues(id, guild, title string) persist.Values {
	return persist.Values{words(id), words(guild), words(title), words("0")}
}

func raiseKeeper(t testing.TB, db persist.Database, shard int, holder uint64) persist.Fence {
	t.Helper()
	claim := persist.Claim{Role: persist.KeeperRole, Shard: shard, Holder: holder}
	got, err := db.Raise(context.Background(), []persist.Claim{claim})
	if err != nil || got[0] == 0 {
		t.Fatalf("raise: %v, %v", got, err)
	}
	return persist.Fence{Epoch: got[0], Holder: holder}
}

// tasksIn lists all tasks.
func tasksIn(t testing.TB, db persist.Database) string {
	t.Helper()
	found, err := db.Rows(context.Background(),
		persist.RowQuery{Table: mappingOf(t, tasks), Limit: 10_000, Bytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, v := range found {
		all = append(all, *v[0]+" "+*v[1]+" "+*v[2])
	}
	return strings.Join(all, ", ")
}

func TestAStaleKeepersStatementWritesNoRow(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, open func(testing.TB) persist.Database) {
		db := open(t)
		defer closed(t, db)
		m := mappingOf(t, tasks)
		mine, other := raiseKeeper(t, db, 1, keepA), raiseKeeper(t, db, 2, keepA)
		write := func(verb persist.RowVerb, want string, rows ...persist.RowWrite) {
			t.Helper()
			got, err := db.WriteRows(context.Background(),
				persist.RowBatch{Table: m, Verb: verb, Names: []int{2}, Rows: rows})
			var outcomes []string
			for _, o := range got {
				outcomes = append(outcomes, o.Outcome.String())
			}
			if s := strings.Join(outcomes, ", "); err != nil || s != want {
				t.Errorf("verb %d: %s, %v; want %s", verb, s, err, want)
			}
		}
		row := func(shard int, f persist.Fence, id, title string) persist.RowWrite {
			return persist.RowWrite{Shard: shard, Keeper: f, Values: taskValues(id, "red", title)}
		}
		write(persist.InsertRows, "written, written", row(1, mine, "1", "one"), row(2, other, "2", "two"))
		raiseKeeper(t, db, 1, keepB)
		stolen := persist.Fence{Epoch: mine.Epoch + 1, Holder: mine.Holder} // the right number, but another's
		for _, f := range []persist.Fence{mine, stolen, {}} {
			write(persist.UpdateRows, "keeper fenced, written", row(1, f, "1", "stale"), row(2, other, "2", "more"))
			write(persist.InsertRows, "keeper fenced", row(1, f, "3", "stale"))
			write(persist.DeleteRows, "keeper fenced", row(1, f, "1", ""))
		}
		is(t, tasksIn(t, db), "1 red one, 2 red more")
		write(persist.DeleteRows, "written", row(2, other, "2", ""))
		write(persist.DeleteRows, "written", row(2, other, "2", "")) // again
		write(persist.UpdateRows, "written", row(2, other, "2", "gone"))
		is(t, tasksIn(t, db), "1 red one")
	})
}

// TestARaiseEndsAllWritingOfRows: once a raise has returned, nothing under the number before it is written.
func TestARaiseEndsAllWritingOfRows(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, open func(testing.TB) persist.Database) {
		db := open(t)
		defer closed(t, db)
		m := mappingOf(t, tasks)
		for round := range uint64(20) {
			mine, done := raiseKeeper(t, db, 1, keepA+round), make(chan struct{})
			go func() {
				defer close(done)
				for n := range 20 {
					for _, verb := range []persist.RowVerb{persist.InsertRows, persist.UpdateRows, persist.DeleteRows} {
						_, _ = db.WriteRows(context.Background(), persist.RowBatch{Table: m, Verb: verb,
							Names: []int{2}, Rows: []persist.RowWrite{{Shard: 1, Keeper: mine,
								Values: taskValues("1", "red", fmt.Sprint(round, n, verb))}}})
					}
				}
			}()
			raiseKeeper(t, db, 1, keepB+round)
			before := tasksIn(t, db)
			<-done
			if after := tasksIn(t, db); after != before {
				t.Fatalf("round %d: %q became %q after the raise", round, before, after)
			}
			f := raiseKeeper(t, db, 1, keepA)
			_, err := db.WriteRows(context.Background(), persist.RowBatch{Table: m, Verb: persist.DeleteRows,
				Rows: []persist.RowWrite{{Shard: 1, Keeper: f, Values: taskValues("1", "red", "")}}})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestIDsAreNeverGivenTwiceAndBeginAboveWhatIsThere(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, open func(testing.TB) persist.Database) {
		first := open(t)
		defer closed(t, first)
		f := raiseKeeper(t, first, 1, keepA)
		m := mappingOf(t, tasks)
		if _, err := first.WriteRows(context.Background(), persist.RowBatch{Table: m, Verb: persist.InsertRows,
			Rows: []persist.RowWrite{{Shard: 1, Keeper: f, Values: taskValues("4711", "red", "x")},
				{Shard: 1, Keeper: f, Values: taskValues("-5", "red", "y")}}}); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var all sync.WaitGroup
		taken := make(map[uint64]bool)
		for range 4 { // processes
			db := first
			if !strings.Contains(t.Name(), "memory") {
				db = open(t)
				defer closed(t, db)
			}
			for range 4 {
				all.Go(func() {
					for n := range uint64(25) {
						from, err := db.TakeIDs(context.Background(), m, n+1)
						for errors.Is(err, persist.ErrContended) {
							from, err = db.TakeIDs(context.Background(), m, n+1)
						}
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						for id := from; id <= from+n; id++ {
							if taken[id] || id <= 4711 {
								t.Errorf("id %d is given again, or there already", id)
							}
							taken[id] = true
						}
						mu.Unlock()
					}
				})
			}
		}
		all.Wait()
		is(t, len(taken), 16*25*26/2)
	})
}

// TestNoUpdateIsLostHoweverManyProcessesAsk: processes update different columns of the same rows, and insert.
func TestNoUpdateIsLostHoweverManyProcessesAsk(t *testing.T) {
	t.Parallel()
	const rows, each = 5, 40
	onEvery(t, func(t *testing.T, open func(testing.TB) persist.Database) {
		db := open(t)
		p := newParty(t, db, persist.Limits{CacheBytes: 700}, "a", "b", "c") // room for a row or two
		var ids []uint64
		for range rows {
			row := full()
			row.Count, row.Big, row.Small, row.Name = 0, 0, 0, ""
			ids = append(ids, ask(p, things.Insert(row)).ok(t).ID)
		}
		var mu sync.Mutex
		var all sync.WaitGroup
		given := make(map[uint64]bool)
		for who, column := range map[string]string{"a": "count", "b": "big", "c": "small", "n": "name"} {
			for _, id := range ids {
				all.Go(func() {
					for i := range each {
						v := thing{ID: id, Count: int64(i), Big: uint64(i), Small: int8(i), Name: fmt.Sprint(i)}
						got := <-begin(p, who, things.Update(v, column)).done
						mine := map[string]string{"count": fmt.Sprint(got.result.Count),
							"big": fmt.Sprint(got.result.Big), "small": fmt.Sprint(got.result.Small),
							"name": got.result.Name}[column]
						if got.err != nil || mine != fmt.Sprint(i) {
							t.Errorf("update %d of %s: %s is %s, %v", i, who, column, mine, got.err)
							return
						}
						got = <-begin(p, who, things.Get(thing{ID: id})).done
						if got.err != nil || got.result.ID != id {
							t.Errorf("get: %v", got.err)
							return
						}
					}
				})
			}
			all.Go(func() {
				for range each {
					got := <-begin(p, who, things.Insert(full())).done
					mu.Lock()
					if got.err != nil || given[got.result.ID] {
						t.Errorf("insert: id %d, %v", got.result.ID, got.err)
					}
					given[got.result.ID] = true
					mu.Unlock()
				}
			})
		}
		all.Wait()
		for _, id := range ids {
			row := ask(p, things.Get(thing{ID: id})).ok(t)
			found := ask(p, things.Find(persist.Query{Where: []persist.Term{persist.Is("id", id)}})).ok(t)
			same(t, found[0], row) // what is in the cache is what is in the store
			got := fmt.Sprint(row.Count, row.Big, row.Small, row.Name)
			is(t, got, fmt.Sprint(each-1, each-1, each-1, fmt.Sprint(each-1)))
		}
		is(t, len(given), 4*each)
	})
}

func TestWhatIsAnsweredIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, open func(testing.TB) persist.Database) {
		p := newParty(t, open(t), persist.Limits{}, "a")
		ask(p, tasks.Insert(red)).ok(t)
		for i := range 50 {
			v := red
			v.Title = fmt.Sprint("title ", i)
			ask(p, tasks.Update(v, "title")).ok(t)
			got := <-begin(p, "a", tasks.Find(persist.Query{Where: []persist.Term{persist.Is("title", v.Title)}})).done
			is(t, got.ok(t), []task{v})
		}
	})
}

func TestAKeyThatCameFromElsewhereIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, open func(testing.TB) persist.Database) {
		p := newParty(t, open(t), persist.Limits{})
		first := ask(p, tasks.Insert(task{Guild: "red", Title: "a"})).ok(t)
		taken := task{ID: first.ID + 1, Guild: "blue", Title: "b"}
		ask(p, tasks.Insert(taken)).ok(t)
		next := ask(p, tasks.Insert(task{Guild: "red", Title: "c"})).ok(t)
		if next.ID <= taken.ID {
			t.Errorf("after %d and %d came %d", first.ID, taken.ID, next.ID)
		}
		is(t, ask(p, tasks.Get(taken)).ok(t), taken)
	})
}

func TestATableThatIsNotWhatTheGameIsBuiltForIsRefusedByColumn(t *testing.T) {
	t.Parallel()
	changes := map[string]string{
		"task.title: there is no such column": "ALTER TABLE task DROP COLUMN title",
		"task.done: it is varchar":            "ALTER TABLE task MODIFY done VARCHAR(5) NOT NULL",
		"task.id: its field is the key":       "ALTER TABLE task DROP PRIMARY KEY, ADD PRIMARY KEY (id, guild)",
		"task.guild: it may be NULL":          "ALTER TABLE task MODIFY guild VARCHAR(100) NULL",
		"task.guild: it compares by utf8mb4_general": "" +
			"ALTER TABLE task MODIFY guild CHAR(9) COLLATE utf8mb4_general_ci NOT NULL",
		"task.owner: no field has it":   "ALTER TABLE task ADD COLUMN owner INT NOT NULL",
		"task: it is no InnoDB table":   "ALTER TABLE task ENGINE=MyISAM",
		"thing: there is no such table": "DROP TABLE thing",
	}
	server := mariadbtest.Start(t)
	for _, want := range slices.Sorted(maps.Keys(changes)) {
		dsn := server.DSN()
		db, err := persist.OpenMySQL(dsn)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(context.Background(), tableSchema(t)); err != nil {
			t.Fatal(err)
		}
		raw, err := sql.Open("mysql", dsn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Exec(changes[want]); err != nil {
			t.Fatalf("%s: %v", changes[want], err)
		}
		err = db.Migrate(context.Background(), tableSchema(t))
		if !errors.Is(err, persist.ErrRejected) || !strings.Contains(err.Error(), want) {
			t.Errorf("after %s: %v; want %q in it", changes[want], err, want)
		}
		if _, err := persist.Missing(context.Background(), db, tableSchema(t)); !errors.Is(err, persist.ErrRejected) {
			t.Errorf("after %s a node would start: %v", changes[want], err)
		}
		closed(t, db)
		raw.Close()
	}
}

func TestASQLiteTableThatIsNotWhatTheGameIsBuiltForIsRefusedByColumn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "firefly.db")
	db := opened(t)(persist.OpenSQLite(path))
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec("CREATE TABLE task (id TEXT PRIMARY KEY, guild TEXT COLLATE NOCASE, done REAL NOT NULL," +
		" owner INT NOT NULL, twice INT AS (1) STORED)"); err != nil {
		t.Fatal(err)
	}
	s := tableSchema(t)
	s.Migrations = nil
	err = db.Migrate(context.Background(), s)
	for _, want := range []string{"task.id: it is TEXT", "task.guild: it may be NULL", "task.title: there is no such",
		"task.done: it is REAL", "task.owner: no field", "thing: there is no such table"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if strings.Contains(fmt.Sprint(err), "twice") {
		t.Errorf("a generated column stands in nobody's way: %v", err)
	}
}

// TestARowThatSomebodyElseSpoiledIsToldByColumn: the column has changed since the start.
func TestARowThatSomebodyElseSpoiledIsToldByColumn(t *testing.T) {
	t.Parallel()
	server := mariadbtest.Start(t)
	dsn := server.DSN()
	db, err := persist.OpenMySQL(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(context.Background(), tableSchema(t)); err != nil {
		t.Fatal(err)
	}
	p := newParty(t, db, persist.Limits{})
	row := full()
	row.ID = ask(p, things.Insert(row)).ok(t).ID
	raw, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	for _, s := range []string{"ALTER TABLE thing MODIFY count BIGINT NULL, MODIFY small INT NOT NULL",
		"INSERT INTO thing SELECT 77, name, NULL, big, small, ratio, rough, ready, raw, at, note, `rank`, ended," +
			" extras," +
			" 1 FROM thing",
		"INSERT INTO thing SELECT 78, name, 1, big, 128, ratio, rough, ready, raw, at, note, `rank`, ended, extras, 1" +
			" FROM thing WHERE id = 77"} {
		if _, err := raw.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	ask(p, things.Get(thing{ID: 77})).refused(t, persist.BadRow, "thing.count")
	ask(p, things.Get(thing{ID: 78})).refused(t, persist.BadRow, "thing.small")
	ask(p, things.Find(persist.Query{})).refused(t, persist.BadRow, "thing.")
	ask(p, things.Update(thing{ID: 77}, "count")).refused(t, persist.BadRow, "thing.count")
	same(t, ask(p, things.Get(row)).ok(t), row)
	if _, err := raw.Exec("ALTER TABLE thing DROP COLUMN note"); err != nil {
		t.Fatal(err)
	}
	ask(p, things.Update(row, "note")).refused(t, "STORE_REFUSED", "note")
}
