package persist_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// A yard is a database of a test's own, which an operator looks into with another tool.
type yard struct {
	*testing.T
	open     func() persist.Database
	db       persist.Database
	operator *sql.DB
	isSQLite bool
}

func TestEveryDatabaseKeepsItsSchema(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		inYards(t, "sqlite", persist.OpenSQLite, func(t *testing.T) string {
			return filepath.Join(t.TempDir(), "firefly.db")
		})
	})
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		server := mariadbtest.Start(t)
		inYards(t, "mysql", persist.OpenMySQL, func(*testing.T) string { return server.DSN() })
	})
}

func inYards(t *testing.T, driver string, open func(string) (persist.Database, error), source func(*testing.T) string) {
	for name, test := range map[string]func(*yard){
		"an operator finds entities by their tagged fields":      taggedFields,
		"no odd value refuses a write":                           oddValues,
		"a column follows its field":                             columnFollows,
		"what is lacking is said before it is done":              lacking,
		"many nodes may migrate at once":                         manyMigrate,
		"cells migrate in bulk, and go on where they were ended": statesInBulk,
		"cells migrate beside their owners":                      statesBeside,
		"cells that an owner writes meanwhile are the owner's":   statesOvertaken,
		"cells of any size and key migrate":                      statesOfAnySize,
	} {
		t.Run(name, func(t *testing.T) {
			y, from := &yard{T: t, isSQLite: driver == "sqlite"}, source(t)
			y.open = func() persist.Database { return opened(t)(open(from)) }
			y.db = y.open()
			var err error
			if y.operator, err = sql.Open(driver, from); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { y.operator.Close() })
			test(y)
		})
	}
}

func (y *yard) do(statement string, args ...any) {
	y.Helper()
	if _, err := y.operator.ExecContext(y.Context(), statement, args...); err != nil {
		y.Fatalf("%s: %v", statement, err)
	}
}

// ask returns what the operator's query finds, a row a text.
func (y *yard) ask(query string, args ...any) []string {
	y.Helper()
	rows, err := y.operator.QueryContext(y.Context(), query, args...)
	if err != nil {
		y.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		y.Fatal(err)
	}
	var found []string
	for rows.Next() {
		texts, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range texts {
			into[i] = &texts[i]
		}
		if err := rows.Scan(into...); err != nil {
			y.Fatal(err)
		}
		var row []string
		for _, text := range texts {
			row = append(row, map[bool]string{true: text.String, false: "NULL"}[text.Valid])
		}
		found = append(found, strings.Join(row, " "))
	}
	if err := rows.Err(); err != nil {
		y.Fatal(err)
	}
	return found
}

func (y *yard) finds(query string, want ...string) {
	y.Helper()
	if got := y.ask(query); !slices.Equal(got, want) {
		y.Errorf("%s finds\n%s\nwant\n%s", query, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// usesIndex fails unless the database would look into the column's index.
func (y *yard) usesIndex(query, column string) {
	y.Helper()
	y.ask(query) // SQLite explains by what the connection last saw of the schema
	explain := map[bool]string{true: "EXPLAIN QUERY PLAN ", false: "EXPLAIN "}[y.isSQLite]
	if got := fmt.Sprint(y.ask(explain + query)); !strings.Contains(got, column) {
		y.Errorf("%s does not use the index of %s: %s", query, column, got)
	}
}

func schemaOf(xs ...actors.Index) persist.Schema {
	return persist.Schema{Kinds: []actors.KindName{hero}, Roles: []string{"game"}, Shards: 8,
		Indexes: map[actors.KindName][]actors.Index{hero: xs}}
}

func (y *yard) migrate(xs ...actors.Index) {
	y.Helper()
	if err := y.db.Migrate(y.Context(), schemaOf(xs...)); err != nil {
		y.Fatal(err)
	}
}

// bench prepares for writing heroes.
func (y *yard) bench() *bench {
	b := &bench{T: y.T, db: y.db}
	b.keeper = b.raise(persist.KeeperRole, 1, keepA)
	b.owner = b.raise("game", 1, gameA)
	return b
}

func plain(b *bench, id string, version uint64, parts ...string) persist.Change {
	c := b.change(id, version, parts...)
	for i := range c.Parts {
		c.Parts[i].Data = json.RawMessage(parts[2*i+1])
	}
	return c
}

var (
	gold = actors.Index{Cell: "Wallet", Path: []string{"gold"}, Column: "wallet_gold", Type: actors.IndexInt}
	ever = actors.Index{Cell: "Wallet", Path: []string{"Ever"}, Column: "wallet_ever", Type: actors.IndexUint}
	heat = actors.Index{Cell: "Wallet", Path: []string{"in", "heat"}, Column: "wallet_in_heat",
		Type: actors.IndexFloat}
	locked = actors.Index{Cell: "Wallet", Path: []string{"locked"}, Column: "wallet_locked", Type: actors.IndexBool}
	title  = actors.Index{Cell: "Wallet", Path: []string{"title"}, Column: "wallet_title", Type: actors.IndexText}
	price  = actors.Index{Cell: "lot_s", InRows: true, Path: []string{"price"}, Column: "lot_s_price",
		Type: actors.IndexInt}
)

func wallet(fields string) string { return `{"Wallet":{"v":1,"d":{` + fields + `}}}` }

func taggedFields(y *yard) {
	y.migrate()
	b := y.bench()
	b.expect(persist.Written, plain(b, "early", 1, "", wallet(`"gold":2000000`)))
	y.migrate(gold, ever, heat, locked, title, price) // into a table that holds rows
	b.expect(persist.Written, plain(b, "ann", 1, "", wallet(`"gold":7,"Ever":18446744073709551615,`+
		`"in":{"heat":-1.5e300},"locked":true,"title":"\u003cthe\u003e \ud83d\ude00 \"great\""`),
		"lot_s/a", `{"v":1,"d":{"price":9}}`, "lot_s/gone", "null", "lotts/a", `{"v":1,"d":{"price":9}}`))
	b.expect(persist.Written, plain(b, "bob", 1, "", wallet(`"gold":1000001,"locked":false,"title":"x"`)))
	var many []persist.Change
	for i := range 1000 {
		many = append(many, plain(b, fmt.Sprintf("crowd%04d", i), 1, "", wallet(
			fmt.Sprintf(`"gold":%d,"title":"n%d","in":{"heat":%d.5}`, i, i, i))))
	}
	b.expect(persist.Written, many...)
	y.finds("SELECT id FROM state_hero WHERE wallet_gold > 1000000 ORDER BY id", "bob", "early")
	y.finds("SELECT id, wallet_gold FROM state_hero WHERE wallet_title = '<the> 😀 \"great\"'", "ann 7")
	y.finds("SELECT id FROM state_hero WHERE wallet_locked", "ann")
	y.finds("SELECT id FROM state_hero WHERE NOT wallet_locked", "bob")
	y.finds("SELECT id FROM state_hero WHERE wallet_in_heat < -1e299", "ann")
	y.finds("SELECT id, part FROM state_hero WHERE lot_s_price = 9", "ann lot_s/a")
	y.finds("SELECT COUNT(*) FROM state_hero WHERE part <> '' AND wallet_gold IS NOT NULL", "0")
	y.usesIndex("SELECT id FROM state_hero WHERE wallet_gold > 1000000", "wallet_gold")
	y.usesIndex("SELECT id FROM state_hero WHERE wallet_title = 'n7'", "wallet_title")
	y.usesIndex("SELECT id FROM state_hero WHERE wallet_in_heat BETWEEN 3 AND 5", "wallet_in_heat")
	y.usesIndex("SELECT id FROM state_hero WHERE due_at <= 5", "due_at")
	if !y.isSQLite {
		y.finds("SELECT wallet_ever FROM state_hero WHERE id = 'ann' AND part = ''", "18446744073709551615")
	}
	b.expect(persist.Written, plain(b, "bob", 2, "", wallet(`"gold":5`)))
	y.finds("SELECT id FROM state_hero WHERE wallet_gold > 1000000", "early")
}

func oddValues(y *yard) {
	odd := []string{`null`, `"x"`, `""`, `[]`, `{}`, `[1,{"a":2}]`, `true`, `false`, `0`, `-0`, `1.5`, `-1`, `1e3`,
		`9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `-9223372036854775809`,
		`18446744073709551615`, `18446744073709551616`, `99999999999999999999999999999999999999999999`, `1e400`,
		`-1e400`, `1e-400`, `1.7976931348623157e+308`, `1.8e308`, `5e-324`, `"NaN"`, `"Infinity"`, `"1e999"`, `"12abc"`,
		`"0x10"`, `" 7"`, `"7\n"`, `"\u0000"`, `"a\u0000b"`, `"\ud83d\ude00"`, `"'); DROP TABLE state_hero; --"`,
		`"` + strings.Repeat("9", 5000) + `"`, strings.Repeat("9", 400), `"` + strings.Repeat("😀", 300) + `"`,
		`"` + strings.Repeat(`\"`, 300) + `"`}
	y.migrate(gold, ever, heat, locked, title, price)
	b := y.bench()
	for i, value := range odd {
		all := wallet(`"gold":` + value + `,"Ever":` + value + `,"in":{"heat":` + value + `},"locked":` + value +
			`,"title":` + value)
		odd := plain(b, fmt.Sprint("odd", i), 1, "", all, "lot_s/1", `{"v":1,"d":{"price":`+value+`}}`)
		got := b.write(odd, plain(b, fmt.Sprint("even", i), 1, "", wallet(`"gold":1`)))
		if !slices.Equal(got, []persist.Outcome{persist.Written, persist.Written}) {
			y.Errorf("%.60s: %v", value, got)
		}
	}
	for i, cells := range []string{`{}`, `{"Wallet":{"v":1}}`, `{"Wallet":null}`, `{"Wallet":{"v":1,"d":[]}}`,
		`{"Wallet":{"v":1,"d":{"in":7}}}`, `[]`, `7`, `"x"`} {
		b.expect(persist.Written, plain(b, fmt.Sprint("strange", i), 1, "", cells))
	}
	big := wallet(`"gold":3,"title":"` + strings.Repeat("x", 7<<20) + `"`)
	b.expect(persist.Written, plain(b, "big", 1, "", big))
	y.finds("SELECT id, LENGTH(wallet_title) FROM state_hero WHERE wallet_gold = 3", "big 255")
	y.finds("SELECT wallet_gold FROM state_hero WHERE id = 'odd13' AND part = ''", "9223372036854775807")
	y.finds("SELECT wallet_gold FROM state_hero WHERE id = 'odd15' AND part = ''", "-9223372036854775808")
	for _, none := range []int{0, 1, 3, 4, 16, 37} {
		y.finds(fmt.Sprintf("SELECT wallet_gold FROM state_hero WHERE id = 'odd%d' AND part = ''", none), "NULL")
	}
	y.finds(fmt.Sprintf("SELECT id FROM state_hero WHERE wallet_in_heat = %g", math.MaxFloat64), "odd23")
}

func columnFollows(y *yard) {
	y.migrate(gold, title)
	b := y.bench()
	b.expect(persist.Written, plain(b, "ann", 1, "", wallet(`"gold":"a lot","title":"Dr"`)))
	y.do("ALTER TABLE state_hero ADD COLUMN mine INT AS (1) VIRTUAL") // an operator's own
	y.finds("SELECT wallet_gold FROM state_hero", "NULL")
	asText := gold
	asText.Type = actors.IndexText
	y.migrate(asText) // changed, and title not tagged any more
	y.finds("SELECT wallet_gold, mine FROM state_hero", "a lot 1")
	y.usesIndex("SELECT id FROM state_hero WHERE wallet_gold = 'a lot'", "wallet_gold")
	if _, err := y.operator.Exec("SELECT wallet_title FROM state_hero"); err == nil {
		y.Error("a column stays whose field is not tagged any more")
	}
	clash := title
	clash.Column = "mine"
	err := y.db.Migrate(y.Context(), schemaOf(clash))
	if !errors.Is(err, persist.ErrRejected) || !strings.Contains(err.Error(), "state_hero.mine") {
		y.Errorf("a column of the operator's: %v", err)
	}
	y.migrate(title)
	index := map[bool]string{true: `DROP INDEX "index.state_hero.wallet_title"`,
		false: "DROP INDEX wallet_title ON state_hero"}[y.isSQLite]
	y.do(index) // as after a kill between the column and its index
	y.migrate(title)
	y.usesIndex("SELECT id FROM state_hero WHERE wallet_title = 'Dr'", "wallet_title")
	y.finds("SELECT id, version FROM state_hero", "ann 1")
}

func lacking(y *yard) {
	isFile := func(what string) bool { return strings.HasPrefix(what, "do the migration 0") }
	lacks := func(xs []actors.Index, want ...string) {
		y.Helper()
		for range 2 { // looking changes nothing
			got, err := persist.Missing(y.Context(), y.db, schemaOf(xs...))
			if len(want) > 0 && isFile(want[0]) { // and those after the first
				got = append(slices.Clone(got[:1]), slices.DeleteFunc(got[1:], isFile)...)
			}
			if err != nil || !slices.Equal(got, want) {
				y.Errorf("lacks\n%s\nwant\n%s\n%v", strings.Join(got, "\n"), strings.Join(want, "\n"), err)
			}
		}
	}
	all := []string{"do the migration 00001_fence.sql", "make table state_hero", "add index of state_hero.due_at",
		"add column state_hero.wallet_gold", "add index of state_hero.wallet_gold", "make 8 fences of role game",
		"make 8 fences of role persist"}
	lacks([]actors.Index{gold}, all...)
	var told []string
	err := persist.Migrate(y.Context(), y.db, schemaOf(gold), func(s persist.Step) {
		told = append(told, fmt.Sprintf("%d/%d %s", s.Number, s.Of, s.What))
	})
	if err != nil || len(told) < 7 || told[len(told)-1] != fmt.Sprintf("%d/%[1]d %s", len(told), all[6]) {
		y.Errorf("%v: %q", err, told)
	}
	lacks([]actors.Index{gold})
	lacks(nil, "drop index of state_hero.wallet_gold",
		"drop column state_hero.wallet_gold, which no field is tagged for any more")
	y.do("DELETE FROM firefly_fence WHERE role = 'game' AND shard = 3")
	lacks([]actors.Index{gold}, "make 1 fences of role game")
	y.migrate(gold)
	lacks([]actors.Index{gold})
	y.do("ALTER TABLE state_hero RENAME COLUMN updated_at TO lost")
	_, err = persist.Missing(y.Context(), y.db, schemaOf(gold))
	if !errors.Is(err, persist.ErrRejected) || !strings.Contains(err.Error(), "state_hero.updated_at") {
		y.Errorf("a dropped column: %v", err)
	}
}

func manyMigrate(y *yard) {
	var all sync.WaitGroup
	for range 6 {
		db := y.open()
		all.Go(func() {
			if err := db.Migrate(context.Background(), schemaOf(gold, ever, title, price)); err != nil {
				y.Errorf("migrate beside others: %v", err)
			}
		})
	}
	all.Wait()
	lacks, err := persist.Missing(y.Context(), y.db, schemaOf(gold, ever, title, price))
	if err != nil || lacks != nil {
		y.Errorf("afterwards it lacks %v, %v", lacks, err)
	}
}
