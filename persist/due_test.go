package persist_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// This file is the part of the contract that is about what is due.

// due searches shards 1 and 2 and tells what it found.
func (b *bench) due(tombs bool, until int64, after persist.Due, limit int) ([]persist.Due, string) {
	b.Helper()
	found, err := b.db.Due(context.Background(), persist.Search{Kind: hero, Tombs: tombs,
		Shards: []int{1, 2}, Until: until, After: after, Limit: limit})
	if err != nil {
		b.Fatal(err)
	}
	var texts []string
	for _, d := range found {
		texts = append(texts, fmt.Sprintf("%s/%s:%d@%d.%d", d.ID, d.Part, d.Shard, d.At, d.Version))
	}
	return found, strings.Join(texts, " ")
}

func dueInOrder(t *testing.T, b *bench) {
	other := b.boxed("other", 1, ``, 1)
	other.Shard, other.Owner = 3, b.raise("game", 3, gameA)
	other.Keeper = b.raise(persist.KeeperRole, 3, keepA)
	b.expect(persist.Written, b.boxed("c", 1, ``, 20), b.boxed("a", 1, `[]`, 20), b.boxed("b", 1, ``, 10),
		b.boxed("B", 1, ``, 10), b.boxed("d", 1, ``, 30), b.boxed("never", 1, `[]`, 0), other)
	_, all := b.due(false, 29, persist.Due{}, 10)
	is(t, all, "B/:1@10.1 b/:1@10.1 a/:1@20.1 c/:1@20.1")
	_, all = b.due(false, 9, persist.Due{}, 10)
	is(t, all, "")
	var pages []string
	var after persist.Due
	for found, text := b.due(false, 30, after, 2); len(found) > 0; found, text = b.due(false, 30, after, 2) {
		pages = append(pages, text)
		after = found[len(found)-1]
	}
	is(t, strings.Join(pages, " | "), "B/:1@10.1 b/:1@10.1 | a/:1@20.1 c/:1@20.1 | d/:1@30.1")
	b.expect(persist.Written, b.boxed("b", 2, ``, 0), b.boxed("a", 2, ``, 40), b.boxed("d", 2, ``, 5))
	_, all = b.due(false, 39, persist.Due{}, 10)
	is(t, all, "d/:1@5.2 B/:1@10.1 c/:1@20.1")
	none, err := b.db.Due(context.Background(), persist.Search{Kind: hero, Until: 99, Limit: 9})
	if len(none) > 0 || err != nil {
		t.Errorf("of no shard: %v, %v", none, err)
	}
}

// buried writes ann with tombstones of bag/1 and bag/2, version 2, and a part that lives.
func (b *bench) buried() []persist.Due {
	b.Helper()
	b.expect(persist.Written, b.change("ann", 1, "", "one", "bag/1", "x", "bag/2", "y", "bag/3", "z"))
	gone := b.change("ann", 2, "", "two", "bag/1", "", "bag/2", "")
	gone.Parts[1].Data, gone.Parts[2].Data = nil, nil
	b.expect(persist.Written, gone)
	b.holds("ann", "=two@2 bag/1=@2 bag/2=@2 bag/3=z@1")
	hour := 1 + persist.TombstoneFor.Milliseconds() // b.write writes at 1
	_, early := b.due(true, hour-1, persist.Due{}, 10)
	is(b, early, "")
	found, all := b.due(true, hour, persist.Due{}, 10)
	is(b, all, fmt.Sprintf("ann/bag/1:1@%d.2 ann/bag/2:1@%[1]d.2", hour))
	_, wakes := b.due(false, hour, persist.Due{}, 10)
	is(b, wakes, "")
	return found
}

func (b *bench) purge(keeper persist.Fence, found ...persist.Due) int {
	b.Helper()
	var tombs []persist.Tomb
	for _, d := range found {
		tombs = append(tombs, persist.Tomb{Due: d, Keeper: keeper})
	}
	n, err := b.db.Purge(context.Background(), hero, tombs)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func purged(t *testing.T, b *bench) {
	found := b.buried()
	b.expect(persist.Written, b.change("ann", 3, "", "three", "bag/2", "again"))
	alive := found[0]
	alive.Part, alive.Version = "bag/3", 1
	entity := found[0]
	entity.Part, entity.Version = "", 3
	is(t, b.purge(b.keeper, found[0], found[1], alive, entity), 1)
	b.holds("ann", "=three@3 bag/2=again@3 bag/3=z@1")
	is(t, b.purge(b.keeper, found...), 0)
	is(t, b.purge(b.keeper), 0)
	_, left := b.due(true, 1<<50, persist.Due{}, 10)
	is(t, left, "")
	again := b.change("ann", 4, "", "four", "bag/2", "")
	again.Parts[1].Data = nil
	b.expect(persist.Written, again)
	_, left = b.due(true, 1<<50, persist.Due{}, 10)
	is(t, left, fmt.Sprintf("ann/bag/2:1@%d.4", 1+persist.TombstoneFor.Milliseconds()))
}

func purgeFenced(t *testing.T, b *bench) {
	found := b.buried()
	stale := b.keeper
	b.keeper = b.raise(persist.KeeperRole, 1, keepB)
	stolen := persist.Fence{Epoch: b.keeper.Epoch, Holder: stale.Holder}
	is(t, b.purge(stale, found...)+b.purge(stolen, found...)+b.purge(persist.Fence{}, found...), 0)
	b.holds("ann", "=two@2 bag/1=@2 bag/2=@2 bag/3=z@1")
	older := found[0]
	older.Version = 1
	is(t, b.purge(b.keeper, older, found[1]), 1)
	b.holds("ann", "=two@2 bag/1=@2 bag/3=z@1")
}

// raiseEndsPurging: once a raise has returned, nothing is purged under the number before it.
func raiseEndsPurging(t *testing.T, b *bench) {
	for round := range uint64(20) {
		id := fmt.Sprintf("ann%d", round)
		var parts []string
		for i := range 20 {
			parts = append(parts, fmt.Sprintf("bag/%02d", i), "")
		}
		c := b.change(id, 1, append(parts, "", "one")...)
		for i := range 20 {
			c.Parts[i].Data = nil
		}
		b.expect(persist.Written, c)
		found, _ := b.due(true, 1<<50, persist.Due{}, 1000)
		stale, done := b.keeper, make(chan struct{})
		go func() {
			defer close(done)
			for _, d := range found {
				_, _ = b.db.Purge(context.Background(), hero, []persist.Tomb{{Due: d, Keeper: stale}})
			}
		}()
		b.keeper = b.raise(persist.KeeperRole, 1, keepB+round)
		before := b.text(id)
		<-done
		is(t, b.text(id), before)
		b.purge(b.keeper, found...)
		b.holds(id, "=one@1")
	}
}

// TestATableOfAnEarlierVersionIsSearchedByAnIndex: it had none.
func TestATableOfAnEarlierVersionIsSearchedByAnIndex(t *testing.T) {
	t.Parallel()
	const columns = "epoch BIGINT NOT NULL, version BIGINT NOT NULL, data %s, box %[1]s," +
		" due_at BIGINT, updated_at BIGINT NOT NULL, PRIMARY KEY (id, part))"
	const row = "INSERT INTO state_hero (id, part, shard, epoch, version, data, due_at, updated_at) VALUES "
	test := func(t *testing.T, driver, dsn, table, explain string, open func(string) (persist.Database, error)) {
		raw, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		raw.SetMaxIdleConns(0) // a connection explains by the schema that it has seen
		for _, text := range []string{table, row + "('ann', '', 1, 1, 1, '{}', 5, 7)",
			row + "('ann', 'bag/1', 1, 1, 1, NULL, 6, 7)"} {
			if _, err := raw.Exec(text); err != nil {
				t.Fatal(err)
			}
		}
		b := &bench{T: t, db: opened(t)(open(dsn))}
		for range 2 {
			b.migrate()
			_, wakes := b.due(false, 5, persist.Due{}, 10)
			_, tombs := b.due(true, 1<<50, persist.Due{}, 10)
			is(t, wakes+" "+tombs, "ann/:1@5.1 ann/bag/1:1@6.1")
		}
		rows, err := raw.Query(explain + " SELECT id FROM state_hero WHERE due_at <= 9 AND due_at >= 0" +
			" ORDER BY due_at, id, part LIMIT 5")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		plan := planText(t, rows)
		if !strings.Contains(plan, "due_at") || strings.Contains(plan, "sort") || strings.Contains(plan, "TEMP") {
			t.Errorf("the store does not search by the index, or sorts: %s", plan)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, "sqlite", filepath.Join(t.TempDir(), "firefly.db"), "CREATE TABLE state_hero (id TEXT NOT NULL,"+
			" part TEXT NOT NULL, shard INTEGER NOT NULL, "+fmt.Sprintf(columns, "TEXT")+" WITHOUT ROWID",
			"EXPLAIN QUERY PLAN", persist.OpenSQLite)
	})
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		test(t, "mysql", mariadbtest.Start(t).DSN(), "CREATE TABLE state_hero (id VARBINARY(255) NOT NULL,"+
			" part VARBINARY(255) NOT NULL, shard INT NOT NULL, "+fmt.Sprintf(columns, "JSON"),
			"EXPLAIN", persist.OpenMySQL)
	})
}

func planText(t *testing.T, rows *sql.Rows) string {
	t.Helper()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan []string
	for rows.Next() {
		cells := make([]any, len(names))
		for i := range cells {
			cells[i] = new(sql.NullString)
		}
		if err := rows.Scan(cells...); err != nil {
			t.Fatal(err)
		}
		for i, c := range cells {
			plan = append(plan, names[i]+"="+c.(*sql.NullString).String)
		}
	}
	return strings.Join(plan, " ")
}
