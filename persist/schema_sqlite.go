package persist

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strings"

	"github.com/fireflyrt/firefly/actors"
)

// sqliteColumn defines an indexed column. SQLite converts nothing on its own here: what is not of
// the field's type in JSON is NULL. Integers beyond 63 bits are the nearest floats.
func sqliteColumn(x actors.Index) (definition, mark string) {
	path := "'" + jsonPath(x) + "'"
	value, kind := "json_extract(data, "+path+")", "json_type(data, "+path+")"
	var as, fits string
	switch x.Type {
	case actors.IndexInt, actors.IndexUint:
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
