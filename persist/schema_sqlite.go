package persist

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// lockEvery is how often a process looks whether another has done with the schema.
const lockEvery = 20 * time.Millisecond

// sqliteColumn defines an indexed column. SQLite converts nothing on its own here: what is not of
// the field's type in JSON is NULL. Of unsigned integers those beyond 63 bits are the nearest floats.
func sqliteColumn(x actors.Index) (definition, mark string) {
	path := "'" + jsonPath(x) + "'"
	value, kind := "json_extract(data, "+path+")", "json_type(data, "+path+")"
	var as, fits string
	switch x.Type {
	case actors.IndexInt:
		as, fits = "INTEGER", kind+" = 'integer' AND typeof("+value+") = 'integer'"
	case actors.IndexUint:
		as, fits = "INTEGER", kind+" = 'integer'"
	case actors.IndexFloat:
		as, fits = "REAL", kind+" IN ('real', 'integer')"
	case actors.IndexBool:
		as, fits = "INTEGER", kind+" IN ('true', 'false')"
	default:
		as, fits = "TEXT", kind+" = 'text'"
		value = fmt.Sprintf("substr(%s, 1, %d)", value, textColumn)
	}
	body := "CASE WHEN " + partOf(x) + " AND " + fits + " THEN " + value + " END) VIRTUAL"
	mark = markOf(x.Column + " " + as + " AS (" + body)
	return x.Column + " " + as + " AS (/* " + mark + " */ " + body, mark
}

// sqliteMarked finds the runtime's columns in a table's definition, which SQLite keeps as it was
// written.
var sqliteMarked = regexp.MustCompile(`(\w+) \w+ AS \(/\* (` + markPrefix + `[0-9a-f]+) \*/`)

// sqliteInspect reads which tables there are, and what they have.
func sqliteInspect(ctx context.Context, db *sql.DB) (map[string]heldTable, error) {
	held := map[string]heldTable{}
	err := each(ctx, db, "SELECT m.name, x.name, '' FROM sqlite_schema m, pragma_table_xinfo(m.name) x"+
		" WHERE m.type = 'table'", func(table, column, _ string) {
		tableIn(held, table).columns[strings.ToLower(column)] = ""
	})
	if err != nil {
		return nil, err
	}
	return held, each(ctx, db, "SELECT tbl_name, name, CASE type WHEN 'table' THEN sql END"+
		" FROM sqlite_schema WHERE type IN ('table', 'index')", func(table, name, definition string) {
		if name != table {
			tableIn(held, table).indexes[strings.ToLower(name)] = true
		}
		for _, m := range sqliteMarked.FindAllStringSubmatch(definition, -1) {
			tableIn(held, table).columns[strings.ToLower(m[1])] = m[2]
		}
	})
}

// sqliteLock takes a lock that other processes take, too: a file's, which ends with whoever has it.
func sqliteLock(path string) func(context.Context, *sql.DB) (unlock func() error, got bool, err error) {
	return func(ctx context.Context, _ *sql.DB) (func() error, bool, error) {
		f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, false, err
		}
		ctx, cancel := context.WithTimeout(ctx, migrateLock*time.Second)
		defer cancel()
		for {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
			if err == nil {
				return f.Close, true, nil
			}
			if !errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, false, errors.Join(err, f.Close())
			}
			select {
			case <-ctx.Done():
				return nil, false, f.Close()
			case <-time.After(lockEvery):
			}
		}
	}
}
