package persist_test

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// What every Database is held to about rows of Tables. A fixture is a database with the table thing.

// A thing has a column of every type.
type thing struct {
	ID     uint64     `db:"id,key"`
	Name   string     `db:"name"`
	Count  int64      `db:"count"`
	Big    uint64     `db:"big"`
	Small  int8       `db:"small"`
	Ratio  float64    `db:"ratio"`
	Rough  float32    `db:"rough"`
	Ready  bool       `db:"ready"`
	Raw    []byte     `db:"raw"`
	At     time.Time  `db:"at"`
	Note   *string    `db:"note"`
	Rank   *int32     `db:"rank"`
	Ended  *time.Time `db:"ended"`
	Extras []string   `db:"extras,json"`
}

var things = persist.NewTable[thing]("thing")

// A task belongs to a guild, which keeps it.
type task struct {
	ID    int64  `db:"id,key"`
	Guild string `db:"guild,shard"`
	Title string `db:"title"`
	Done  bool   `db:"done"`
}

var tasks = persist.NewTable[task]("task")

// tableFiles are the migrations of the tests' tables.
var tableFiles = fstest.MapFS{
	"mysql/1_tables.sql": {Data: []byte("-- +goose Up\n" +
		"CREATE TABLE thing (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200) NOT NULL,\n" +
		"count BIGINT NOT NULL,\n" +
		"big BIGINT UNSIGNED NOT NULL, small TINYINT NOT NULL, ratio DOUBLE NOT NULL, rough FLOAT NOT NULL,\n" +
		"ready BOOL NOT NULL,\n" +
		"raw LONGBLOB NOT NULL, at DATETIME(6) NOT NULL, note TEXT NULL, `rank` INT NULL, ended TIMESTAMP(3) NULL,\n" +
		"extras JSON NOT NULL,\n" +
		"extra INT NOT NULL DEFAULT 7) CHARSET utf8mb4 COLLATE utf8mb4_bin;\n" +
		"CREATE TABLE task (id BIGINT PRIMARY KEY, guild VARCHAR(100) NOT NULL, title VARCHAR(30) NOT NULL,\n" +
		"done BOOL NOT NULL,\n" +
		"KEY (guild), UNIQUE (title)) CHARSET utf8mb4 COLLATE utf8mb4_bin;\n")},
	"sqlite3/1_tables.sql": {Data: []byte("-- +goose Up\n" +
		"CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT NOT NULL, count BIGINT NOT NULL,\n" +
		"big BIGINT UNSIGNED NOT NULL,\n" +
		"small TINYINT NOT NULL, ratio DOUBLE NOT NULL, rough FLOAT NOT NULL, ready BOOL NOT NULL,\n" +
		"raw BLOB NOT NULL,\n" +
		"at DATETIME NOT NULL, note TEXT NULL, rank INT NULL, ended TIMESTAMP NULL, extras TEXT NOT NULL,\n" +
		"extra INT NOT NULL DEFAULT 7);\n" +
		"CREATE TABLE task (id INTEGER PRIMARY KEY, guild TEXT NOT NULL,\n" +
		"title TEXT NOT NULL UNIQUE CHECK (length(title) <= 30),\n" +
		"done BOOL NOT NULL);\n")},
}

func mappingOf(t testing.TB, d persist.Declared) *persist.Mapping {
	t.Helper()
	m, err := d.Mapping()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tableSchema is what the tests' databases hold.
func tableSchema(t testing.TB) persist.Schema {
	return persist.Schema{Roles: []string{"game"}, Shards: 8,
		Tables:     []*persist.Mapping{mappingOf(t, things), mappingOf(t, tasks)},
		Migrations: []persist.Migration{{Name: "test", Files: tableFiles}}}
}

// onEvery runs a test on every Database, migrated.
func onEvery(t *testing.T, test func(t *testing.T, open func(testing.TB) persist.Database)) {
	migrated := func(t testing.TB, db persist.Database, err error) persist.Database {
		t.Helper()
		if err == nil {
			err = db.Migrate(context.Background(), tableSchema(t))
		}
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		db := persist.NewMemory()
		test(t, func(t testing.TB) persist.Database { return migrated(t, db, nil) })
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "firefly.db")
		test(t, func(t testing.TB) persist.Database {
			db, err := persist.OpenSQLite(path)
			return migrated(t, db, err)
		})
	})
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		dsn := mariadbtest.Start(t).DSN()
		test(t, func(t testing.TB) persist.Database {
			db, err := persist.OpenMySQL(dsn)
			return migrated(t, db, err)
		})
	})
}

func closed(t testing.TB, db persist.Database) {
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func full() thing {
	note, rank, ended := "a note", int32(math.MinInt32), time.Date(2030, 1, 2, 3, 4, 5, 678e6, time.UTC)
	return thing{Name: "Ann", Count: math.MinInt64, Big: math.MaxInt64, Small: -128, Ratio: 0.1, Rough: 0.1,
		Ready: true, Raw: []byte{0, 255, '\'', '"', '\\'}, At: time.Date(2026, 11, 22, 19, 0, 0, 123456000, time.UTC),
		Note: &note, Rank: &rank, Ended: &ended, Extras: []string{"a", "\x00", "😀"}}
}

func TestARowOfEveryTypeComesBackExactly(t *testing.T) {
	t.Parallel()
	nasty := []string{"", " ", "Ann ", `'; DROP TABLE thing; --`, `"`, "`", `\`, `\'`, "%_", "\x00", "a\x00b",
		"\x1f\x7f",
		"\n\r\t", "\u2028", "<&>", "é", "e\u0301", "😀", "👩‍👩‍👧", "𝔄", "?", ":1", "{{}}", strings.Repeat("😀", 200)}
	onEvery(t, func(t *testing.T, open func(testing.TB) persist.Database) {
		p := newParty(t, open(t), persist.Limits{})
		rows := []thing{full(), {Raw: []byte{}, At: time.Unix(0, 0).UTC(), Extras: []string{}}}
		for _, text := range nasty {
			note := text
			row := full()
			row.Name, row.Note, row.Raw, row.Extras = text, &note, []byte(text), []string{text}
			rows = append(rows, row)
		}
		for _, f := range []float64{math.MaxFloat64, math.SmallestNonzeroFloat64, math.Pi, 1e22, 123456789.123456789} {
			row := full()
			row.Ratio, row.Rough = f, float32(math.Pi)
			rows = append(rows, row)
		}
		for i, row := range rows {
			stored := ask(p, things.Insert(row)).ok(t)
			if row.ID = stored.ID; row.ID == 0 {
				t.Fatalf("row %d got no id", i)
			}
			same(t, stored, row)
			same(t, ask(p, things.Get(thing{ID: row.ID})).ok(t), row)
			found := ask(p, things.Find(persist.Query{Where: []persist.Term{persist.Is("id", row.ID),
				persist.Is("name", row.Name), persist.Is("raw", row.Raw),
				persist.Is("at", row.At), persist.Is("ratio", row.Ratio)}})).ok(t)
			if len(found) != 1 {
				t.Fatalf("row %d (%q) was found %d times by all that it is", i, row.Name, len(found))
			}
			same(t, found[0], row)
		}
	})
}

func same(t testing.TB, got, want thing) {
	t.Helper()
	if g, w := shown(got), shown(want); g != w {
		t.Errorf("the row is\n%s, not\n%s", g, w)
	}
}

func shown(v thing) string {
	text := fmt.Sprintf("%d %q %d %d %d %v %v %v %x %v %q", v.ID, v.Name, v.Count, v.Big, v.Small, v.Ratio, v.Rough,
		v.Ready, v.Raw, v.At, v.Extras)
	if v.Note != nil {
		text += fmt.Sprintf(" note %q", *v.Note)
	}
	if v.Rank != nil {
		text += fmt.Sprintf(" rank %d", *v.Rank)
	}
	if v.Ended != nil {
		text += fmt.Sprintf(" ended %v", *v.Ended)
	}
	return text
}

func TestIntegersBeyond63BitsAreExactOrRefused(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, open func(testing.TB) persist.Database) {
		p := newParty(t, open(t), persist.Limits{})
		row := full()
		row.Big = math.MaxUint64
		a := ask(p, things.Insert(row))
		if strings.Contains(t.Name(), "sqlite") { // its integers end there
			a.refused(t, persist.BadValue, "thing.big")
			return
		}
		row.ID = a.ok(t).ID
		same(t, ask(p, things.Get(row)).ok(t), row)
	})
}

func TestValuesThatNoColumnHoldsAreRefusedByName(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, open func(testing.TB) persist.Database) {
		p := newParty(t, open(t), persist.Limits{})
		bad := full()
		bad.Name = "\xff"
		ask(p, things.Insert(bad)).refused(t, persist.BadValue, "thing.name")
		bad = full()
		bad.Ratio = math.NaN()
		ask(p, things.Insert(bad)).refused(t, persist.BadValue, "thing.ratio")
		ask(p, things.Update(full(), "nmae")).refused(t, persist.UnknownColumn, "nmae")
		ask(p, things.Update(full(), "id")).refused(t, persist.BadValue, "thing.id")
		ask(p, things.Update(full())).refused(t, persist.BadValue, "thing")
		ask(p, things.Find(persist.Query{Order: []persist.Order{persist.Rising("name; DROP TABLE thing")}})).
			refused(t, persist.UnknownColumn, "DROP")
		ask(p, things.Find(persist.Query{Where: []persist.Term{persist.Above("count", "a")}})).
			refused(t, persist.BadValue, "thing.count")
		bad = full()
		bad.Raw = make([]byte, 3<<20)
		ask(p, things.Insert(bad)).refused(t, "TOO_BIG", "thing")
		if strings.Contains(t.Name(), "memory") {
			return
		}
		long := task{Guild: "g", Title: strings.Repeat("x", 31)}
		good := ask(p, tasks.Insert(task{Guild: "g", Title: "short"}))
		ask(p, tasks.Insert(long)).refused(t, persist.BadValue, "title")
		ask(p, tasks.Insert(task{Guild: "h", Title: "short"})).refused(t, persist.RowTaken, "task")
		good.ok(t)
	})
}

func TestAskingForWhatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, open func(testing.TB) persist.Database) {
		p := newParty(t, open(t), persist.Limits{})
		row := ask(p, tasks.Insert(task{ID: 7, Guild: "red", Title: "dig"})).ok(t)
		is(t, row, task{7, "red", "dig", false})
		ask(p, tasks.Insert(row)).refused(t, persist.RowTaken, "id=7")
		ask(p, tasks.Insert(task{ID: 7, Guild: "blue"})).refused(t, persist.RowTaken, "task")
		ask(p, tasks.Get(task{ID: 7})).refused(t, persist.NoRow, "id=7")
		ask(p, tasks.Get(task{ID: 8, Guild: "red"})).refused(t, persist.NoRow, "id=8")
		ask(p, tasks.Update(task{ID: 8, Guild: "red"}, "done")).refused(t, persist.NoRow, "id=8")
		ask(p, tasks.Delete(task{ID: 7, Guild: "blue"})).refused(t, persist.NoRow, "guild=blue")
		is(t, ask(p, tasks.Put(task{7, "red", "dig deeper", true})).ok(t), task{7, "red", "dig deeper", true})
		is(t, ask(p, tasks.Update(task{ID: 7, Guild: "red"}, "done")).ok(t), task{7, "red", "dig deeper", false})
		is(t, ask(p, tasks.Delete(task{ID: 7, Guild: "red"})).ok(t), task{7, "red", "dig deeper", false})
		ask(p, tasks.Get(task{ID: 7, Guild: "red"})).refused(t, persist.NoRow, "id=7")
		is(t, ask(p, tasks.Insert(task{7, "blue", "fly", false})).ok(t), task{7, "blue", "fly", false})
	})
}

func TestAGroupIsExactAndFindSorts(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, open func(testing.TB) persist.Database) {
		p := newParty(t, open(t), persist.Limits{AnswerRows: 5})
		for i := range 12 {
			guild := []string{"red", "Red", "blue"}[i%3]
			ask(p, tasks.Insert(task{int64(i + 1), guild, fmt.Sprint("t", i), i > 5})).ok(t)
		}
		is(t, ask(p, tasks.Group(task{Guild: "red"})).ok(t),
			[]task{{1, "red", "t0", false}, {4, "red", "t3", false}, {7, "red", "t6", true}, {10, "red", "t9", true}})
		is(t, len(ask(p, tasks.Group(task{Guild: "green"})).ok(t)), 0)
		is(t, ask(p, tasks.Find(persist.Query{
			Where: []persist.Term{persist.Is("done", true), persist.Not("guild", "blue")},
			Order: []persist.Order{persist.Falling("guild"), persist.Falling("id")}, Limit: 3})).ok(t),
			[]task{{10, "red", "t9", true}, {7, "red", "t6", true}, {11, "Red", "t10", true}})
		for n, term := range map[int]persist.Term{3: persist.Above("id", 9), 4: persist.AtLeast("id", 9),
			1: persist.Below("id", 2), 2: persist.AtMost("id", 2)} {
			is(t, len(ask(p, tasks.Find(persist.Query{Where: []persist.Term{term}})).ok(t)), n)
		}
		ask(p, tasks.Find(persist.Query{})).refused(t, persist.TooManyRows, "more than 5 rows of task")
		ask(p, tasks.Find(persist.Query{Limit: 6})).refused(t, persist.TooManyRows, "the bound is 5")
	})
}

func TestNULLIsFoundAsSuch(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, open func(testing.TB) persist.Database) {
		p := newParty(t, open(t), persist.Limits{})
		none, some := full(), full()
		none.Note, none.Rank, none.Ended = nil, nil, nil
		none.ID, some.ID = ask(p, things.Insert(none)).ok(t).ID, ask(p, things.Insert(some)).ok(t).ID
		same(t, ask(p, things.Get(none)).ok(t), none)
		got := ask(p, things.Find(persist.Query{Where: []persist.Term{persist.Is("note", nil)}})).ok(t)
		is(t, len(got), 1)
		same(t, got[0], none)
		got = ask(p, things.Find(persist.Query{Where: []persist.Term{persist.Not("rank", nil)}})).ok(t)
		is(t, len(got), 1)
		same(t, got[0], some)
		got = ask(p, things.Find(persist.Query{Order: []persist.Order{persist.Rising("note")}})).ok(t)
		same(t, got[0], none)
		some.Note, some.Rank, some.Ended = nil, nil, nil
		same(t, ask(p, things.Update(some, "note", "rank", "ended")).ok(t), some)
	})
}

func TestAStructThatIsNoRowIsRefusedWithItsField(t *testing.T) {
	t.Parallel()
	type odd struct {
		ID     int64 `db:"id,key"`
		Other  string
		hidden string         `db:"hidden"`
		Where  map[string]int `db:"where"`
		Twice  string         `db:"ID"`
		Evil   string         `db:"a; DROP TABLE x"`
		Option string         `db:"b,index"`
		Second int64          `db:"c,key"`
		Ratio  float64        `db:"d,shard"`
		Masked int64          `db:"e" firefly:"sensitive"`
	}
	_ = odd{}.hidden
	_, err := persist.NewTable[odd]("odd").Mapping()
	for _, want := range []string{"Other", "hidden", "Where", "Twice", "Evil", "Option", "Second", "Ratio", "Masked"} {
		if !strings.Contains(fmt.Sprint(err), "field "+want) {
			t.Errorf("field %s is not refused: %v", want, err)
		}
	}
	for _, name := range []string{"", "a b", "a`b", "1a", "a.b", strings.Repeat("a", 65)} {
		if _, err := persist.NewTable[task](name).Mapping(); err == nil {
			t.Errorf("a table named %q was taken", name)
		}
	}
	type keyless struct {
		A string `db:"a"`
	}
	if _, err := persist.NewTable[keyless]("t").Mapping(); err == nil {
		t.Error("a table without a key was taken")
	}
	if _, err := persist.NewTable[string]("t").Mapping(); err == nil {
		t.Error("a table of no struct was taken")
	}
}
