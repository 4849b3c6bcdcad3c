package persist

import (
	"context"
	"strconv"
	"strings"
)

func mysqlTables() tableDialect {
	return tableDialect{insert: mysqlInsertRows, update: mysqlUpdateRows, delete: mysqlDeleteRows, take: mysqlTake,
		columns: mysqlColumns, holds: mysqlHolds, blame: mysqlBlame}
}

// mysqlDocument is a batch as a table v, joined with the keepers' fences.
func mysqlDocument(columns []int) string {
	var b strings.Builder
	b.WriteString("JSON_TABLE(?, '$[*]' COLUMNS (shard INT PATH '$.shard', " + mysqlNumber("epoch") + ", " +
		mysqlText("holder", "VARCHAR(16)"))
	for _, i := range columns {
		b.WriteString(", " + mysqlText("c"+strconv.Itoa(i), "LONGTEXT"))
	}
	b.WriteString(")) v\nSTRAIGHT_JOIN firefly_fence k ON k.role = 'persist' AND k.shard = v.shard\n" +
		"\tAND k.epoch = v.epoch AND k.holder = v.holder")
	return b.String()
}

// mysqlValue is a column of v as what it is in the table. Floats and times are stored from their texts, exactly.
func mysqlValue(m *Mapping, i int) string {
	v := "v.c" + strconv.Itoa(i)
	switch m.Columns[i].Type {
	case Bool, Int:
		return "CAST(" + v + " AS SIGNED)"
	case Uint:
		return "CAST(" + v + " AS UNSIGNED)"
	case Text, JSON:
		return "CONVERT(UNHEX(" + v + ") USING utf8mb4)"
	case Bytes:
		return "UNHEX(" + v + ")"
	}
	return v
}

func mysqlInsertRows(m *Mapping) string {
	values, columns := make([]string, len(m.Columns)), make([]int, len(m.Columns))
	for i := range m.Columns {
		values[i], columns[i] = mysqlValue(m, i), i
	}
	return "INSERT INTO " + quoted(m.Name) + " (" + m.columnList() + ")\nSELECT " + strings.Join(values, ", ") +
		"\nFROM " + mysqlDocument(columns) + "\nLOCK IN SHARE MODE"
}

// mysqlRow joins the rows of the table themselves. The key's index is forced, because of a small table the server would
// rather look at, and lock, all rows. Text that is compared takes the column's own collation, or no index would do.
func mysqlRow(m *Mapping) string {
	key := mysqlValue(m, m.Key)
	if m.Columns[m.Key].Type == Text {
		key += " COLLATE utf8mb4_bin"
	}
	return "\nSTRAIGHT_JOIN " + quoted(m.Name) + " t FORCE INDEX (PRIMARY) ON t." + quoted(m.Columns[m.Key].Name) +
		" = " + key
}

func mysqlUpdateRows(m *Mapping, names []int) string {
	set := make([]string, len(names))
	for n, i := range names {
		set[n] = "t." + quoted(m.Columns[i].Name) + " = " + mysqlValue(m, i)
	}
	return "UPDATE " + mysqlDocument(append([]int{m.Key}, names...)) + mysqlRow(m) + "\nSET " + strings.Join(set, ", ")
}

func mysqlDeleteRows(m *Mapping) string {
	row := strings.Replace(mysqlRow(m), " FORCE INDEX (PRIMARY)", "", 1) // refused there
	return "DELETE t FROM " + mysqlDocument([]int{m.Key}) + row
}

func mysqlTake(ctx context.Context, s *server, name string, floor, n uint64) (uint64, error) {
	done, err := s.write.ExecContext(ctx, "INSERT INTO firefly_id (name, next) VALUES (?, LAST_INSERT_ID(? + ?))"+
		" ON DUPLICATE KEY UPDATE next = LAST_INSERT_ID(GREATEST(next, ?) + ?)", name, floor, n, floor, n)
	if err != nil {
		return 0, err
	}
	end, err := done.LastInsertId()
	return uint64(end), err
}

const mysqlColumns = "SELECT c.column_name, c.data_type, c.is_nullable = 'YES', c.column_key = 'PRI'," +
	" c.column_default IS NOT NULL OR c.extra LIKE '%auto_increment%' OR c.extra LIKE '%GENERATED%'," +
	" COALESCE(c.generation_expression, '') <> '', COALESCE(c.collation_name, ''), COALESCE(t.engine, 'no')" +
	" FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)" +
	" WHERE c.table_schema = DATABASE() AND c.table_name = ? ORDER BY c.ordinal_position"

// mysqlHolds lists what a type of column may be mapped to.
func mysqlHolds(declared string) []ColumnType {
	switch strings.ToLower(declared) {
	case "tinyint", "smallint", "mediumint", "int", "bigint":
		return []ColumnType{Int, Uint, Bool}
	case "year":
		return []ColumnType{Int, Uint}
	case "float", "double":
		return []ColumnType{Float}
	case "decimal", "enum", "set", "uuid", "inet4", "inet6":
		return []ColumnType{Text}
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json":
		return []ColumnType{Text, JSON}
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return []ColumnType{Bytes}
	case "datetime", "timestamp", "date":
		return []ColumnType{Time}
	}
	return nil
}
