package persist

import (
	"context"
	"strconv"
	"strings"
)

func sqliteTables() tableDialect {
	return tableDialect{insert: sqliteInsertRows, update: sqliteUpdateRows, delete: sqliteDeleteRows, take: sqliteTake,
		columns: sqliteColumns, holds: sqliteHolds, blame: sqliteBlame, signed: true}
}

// sqliteDocument is a batch, joined with the keepers' fences.
const sqliteDocument = `json_each(?1) v CROSS JOIN firefly_fence k ON k.role = 'persist'
	AND k.shard = v.value ->> '$.shard' AND k.epoch = v.value ->> '$.epoch' AND k.holder = v.value ->> '$.holder'`

// sqliteValue is a column of a batch as what it is in the table.
func sqliteValue(m *Mapping, i int) string {
	v := "v.value ->> '$.c" + strconv.Itoa(i) + "'"
	switch m.Columns[i].Type {
	case Bool, Int, Uint:
		return "CAST(" + v + " AS INTEGER)"
	case Float:
		return "CAST(" + v + " AS REAL)"
	case Text, JSON:
		return "CAST(unhex(" + v + ") AS TEXT)"
	case Bytes:
		return "unhex(" + v + ")"
	}
	return v
}

func sqliteInsertRows(m *Mapping) string {
	values := make([]string, len(m.Columns))
	for i := range m.Columns {
		values[i] = sqliteValue(m, i)
	}
	return "INSERT INTO " + quoted(m.Name) + " (" + m.columnList() + ") SELECT " + strings.Join(values, ", ") +
		" FROM " + sqliteDocument
}

func sqliteUpdateRows(m *Mapping, names []int) string {
	set, from := make([]string, len(names)), []string{sqliteValue(m, m.Key) + " AS the_key"}
	for n, i := range names {
		set[n] = quoted(m.Columns[i].Name) + " = w.n" + strconv.Itoa(n)
		from = append(from, sqliteValue(m, i)+" AS n"+strconv.Itoa(n))
	}
	return "UPDATE " + quoted(m.Name) + " SET " + strings.Join(set, ", ") +
		" FROM (SELECT " + strings.Join(from, ", ") + " FROM " + sqliteDocument + ") w WHERE " +
		quoted(m.Name) + "." + quoted(m.Columns[m.Key].Name) + " = w.the_key"
}

func sqliteDeleteRows(m *Mapping) string {
	return "DELETE FROM " + quoted(m.Name) + " WHERE " + quoted(m.Columns[m.Key].Name) + " IN (SELECT " +
		sqliteValue(m, m.Key) + " FROM " + sqliteDocument + ")"
}

func sqliteTake(ctx context.Context, s *server, name string, floor, n uint64) (end uint64, err error) {
	err = s.write.QueryRowContext(ctx, "INSERT INTO firefly_id (name, next) VALUES (?1, ?2 + ?3)"+
		" ON CONFLICT (name) DO UPDATE SET next = max(next, ?2) + ?3 RETURNING next", name, floor, n).Scan(&end)
	return end, err
}

const sqliteColumns = `SELECT x.name, x.type, x."notnull" = 0 AND x.pk = 0, x.pk > 0,` +
	` x.dflt_value IS NOT NULL, x.hidden > 1, coalesce((SELECT i.coll FROM pragma_index_list(?1) l,` +
	` pragma_index_xinfo(l.name) i WHERE l.origin = 'pk' AND i.cid = x.cid), 'BINARY'), ''` +
	` FROM pragma_table_xinfo(?1) x ORDER BY x.cid`

// sqliteHolds lists what a type of column may be mapped to. The rules of affinity are SQLite's own; a type that it
// would take for a number lets no text and no JSON in.
func sqliteHolds(declared string) []ColumnType {
	d := strings.ToUpper(declared)
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(d, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("INT", "BOOL"):
		return []ColumnType{Int, Uint, Bool}
	case has("CHAR", "CLOB", "TEXT"):
		return []ColumnType{Text, JSON, Time}
	case has("BLOB"):
		return []ColumnType{Bytes}
	case has("REAL", "FLOA", "DOUB"):
		return []ColumnType{Float}
	case has("DATE", "TIME"):
		return []ColumnType{Time}
	}
	return nil
}
