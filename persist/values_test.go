package persist_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// A batch of any size is written to the last row and to no other, whether its statement is full or filled up, kept or
// of the long way; and one row of it that is to be left out leaves no other out.
func TestABatchOfAnySizeIsWritten(t *testing.T) {
	t.Parallel()
	b := &bench{T: t, db: opened(t)(persist.OpenMySQL(mariadbtest.Start(t).DSN()))}
	b.migrate()
	b.keeper, b.owner = b.raise(persist.KeeperRole, 1, keepA), b.raise("game", 1, gameA)
	for _, size := range []int{1, 2, 4, 5, 16, 17, 64, 65, 255, 256, 257} {
		for version := range uint64(3) {
			changes := make([]persist.Change, size)
			for i := range changes {
				changes[i] = b.change(fmt.Sprint(size, "-", i), version+1, "", fmt.Sprint(version))
			}
			b.expect(persist.Written, changes...)
			if version == 2 { // the last one has gone on: of the others, all are written
				ahead := b.change(changes[size-1].ID, 9, "", "ahead", "bag/1", "new")
				b.expect(persist.Written, ahead)
				for i := range changes {
					changes[i].Parts = b.change("", 4, "", "again", "bag/2", "late").Parts
				}
				b.expect(persist.Written, changes...)
			}
		}
		for i := range size - 1 {
			b.holds(fmt.Sprint(size, "-", i), "=again@4 bag/2=late@4")
		}
		b.holds(fmt.Sprint(size, "-", size-1), "=ahead@9 bag/1=new@9")
	}
}

// Of very many kinds, not all have a statement that is kept on the server; all are written.
func TestNotEveryKindHasAStatementOfItsOwn(t *testing.T) {
	t.Parallel()
	const kinds, bound = 200, 192
	dsn := mariadbtest.Start(t).DSN()
	b := &bench{T: t, db: opened(t)(persist.OpenMySQL(dsn))}
	schema := persist.Schema{Roles: []string{"game"}, Shards: 8}
	for i := range kinds {
		schema.Kinds = append(schema.Kinds, actors.KindName(fmt.Sprint("kind", i)))
	}
	if err := b.db.Migrate(context.Background(), schema); err != nil {
		t.Fatal(err)
	}
	b.keeper, b.owner = b.raise(persist.KeeperRole, 1, keepA), b.raise("game", 1, gameA)
	for _, kind := range schema.Kinds {
		got, err := b.db.Write(context.Background(), persist.Batch{Kind: kind, Role: "game", At: 1,
			Changes: []persist.Change{b.change("ann", 1, "", "one")}})
		if err != nil || got[0] != persist.Written {
			t.Fatalf("%s: %v, %v", kind, got, err)
		}
	}
	server, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	until(t, fmt.Sprint(bound, " kept statements"), func() bool { // the driver closes those of the long way by and by
		var name string
		var kept int
		if err := server.QueryRow("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").Scan(&name, &kept); err != nil {
			t.Fatal(err)
		}
		return kept == bound
	})
}

// A fence is read under a lock: a statement that begins while a raise is under way waits for it, and then writes
// nothing.
func TestAStatementWaitsForARaiseThatIsUnderWay(t *testing.T) {
	t.Parallel()
	dsn := mariadbtest.Start(t).DSN()
	b := &bench{T: t, db: opened(t)(persist.OpenMySQL(dsn))}
	b.migrate()
	b.keeper, b.owner = b.raise(persist.KeeperRole, 1, keepA), b.raise("game", 1, gameA)
	server, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for i, role := range []string{"game", persist.KeeperRole} {
		raise, err := server.Begin()
		if err != nil {
			t.Fatal(err)
		}
		const statement = "UPDATE firefly_fence SET epoch = epoch + 1 WHERE role = ? AND shard = 1"
		if _, err := raise.Exec(statement, role); err != nil {
			t.Fatal(err)
		}
		ended := make(chan persist.Outcome, 1)
		go func() { ended <- b.write(b.change("ann", 1, "", "one"))[0] }()
		until(t, "the statement to wait", func() bool {
			var waiting int
			time.Sleep(150 * time.Millisecond) // what the server tells is renewed only if nobody asked for 100 ms
			err := server.QueryRow("SELECT COUNT(*) FROM information_schema.innodb_trx" +
				" WHERE trx_state = 'LOCK WAIT'").Scan(&waiting)
			return err != nil || waiting > 0 || len(ended) > 0
		})
		if err := raise.Commit(); err != nil {
			t.Fatal(err)
		}
		if got, want := <-ended, []persist.Outcome{persist.OwnerFenced, persist.KeeperFenced}[i]; got != want {
			t.Errorf("%s: %v, want %v", role, got, want)
		}
		b.holds("ann", "")
		b.owner = b.raise("game", 1, gameA)
	}
}
