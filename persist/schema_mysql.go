package persist

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/fireflyrt/firefly/actors"
)

// markPrefix begins the mark of a column that the runtime made: a hash of its definition follows.
// MySQL keeps the mark as the column's comment, SQLite as a comment within the definition.
const markPrefix = "firefly:"

func markOf(definition string) string {
	sum := sha256.Sum256([]byte(definition))
	return markPrefix + hex.EncodeToString(sum[:6])
}

// textColumn is how many characters an indexed column holds of a text.
const textColumn = 255

// mysqlFloat is what Go and the servers write for a float, and no more than a DOUBLE holds: beyond
// 1.797e308 there is only the largest of them.
const mysqlFloat = `^-?([0-9]{1,40}([.][0-9]{1,60})?` +
	`|[0-9]([.][0-9]{1,40})?[eE]([+]?([0-9]{1,2}|[12][0-9]{2}|30[0-7])|-[0-9]{1,3})` +
	`|1([.]([0-6][0-9]{0,20}|7([0-8][0-9]{0,19})?|79([0-6][0-9]{0,18})?|7976931348623157))?[eE][+]?308)$`

// mysqlColumn defines an indexed column. Each value is looked at before it is converted, because in
// strict mode one that does not convert refuses the statement that writes the row, and with it all
// other entities of its batch; what does not fit is NULL.
func mysqlColumn(x actors.Index) (definition, mark string) {
	path := "'" + jsonPath(x) + "'"
	value := "JSON_VALUE(data, " + path + ")"
	var kind, fits, as string
	switch x.Type {
	case actors.IndexInt:
		kind, as = "BIGINT", "CAST("+value+" AS SIGNED)"
		fits = value + " REGEXP '^-?[0-9]{1,19}$' AND CAST(" + value + " AS DECIMAL(20,0)) " +
			"BETWEEN -9223372036854775808 AND 9223372036854775807"
	case actors.IndexUint:
		kind, as = "BIGINT UNSIGNED", "CAST("+value+" AS UNSIGNED)"
		fits = value + " REGEXP '^[0-9]{1,20}$' AND CAST(" + value + " AS DECIMAL(21,0)) " +
			"<= 18446744073709551615"
	case actors.IndexFloat:
		kind, as = "DOUBLE", "CAST("+value+" AS DOUBLE)"
		fits = value + " REGEXP '" + mysqlFloat + "'"
	case actors.IndexBool: // MariaDB has 1 and 0 here, MySQL true and false
		kind, as = "BOOL", value+" IN ('true', '1')"
		fits = value + " IN ('true', 'false', '1', '0')"
	default:
		text := "JSON_EXTRACT(data, " + path + ")"
		kind, as = fmt.Sprintf("VARCHAR(%d)", textColumn),
			fmt.Sprintf("LEFT(JSON_UNQUOTE(%s), %d)", text, textColumn)
		fits = "JSON_TYPE(" + text + ") = 'STRING'"
	}
	definition = x.Column + " " + kind + " AS (CASE WHEN " + partOf(x) + " AND " + fits +
		" THEN " + as + " END) VIRTUAL"
	mark = markOf(definition)
	return definition + " COMMENT '" + mark + "'", mark
}

// partOf is the condition that a row is one of those that have the field.
func partOf(x actors.Index) string {
	if !x.InRows {
		return "part = ''"
	}
	return fmt.Sprintf("SUBSTR(part, 1, %d) = '%s/'", len(x.Cell)+1, x.Cell)
}

// jsonPath leads to the field: in the entity's own row through its cell's name. A cell's name and a
// column's are letters, digits and underscores here, because they make the column's name.
func jsonPath(x actors.Index) string {
	var b strings.Builder
	b.WriteString("$")
	if !x.InRows {
		b.WriteString(`."` + x.Cell + `"`)
	}
	b.WriteString(`."d"`)
	for _, name := range x.Path {
		b.WriteString(`."` + name + `"`)
	}
	return b.String()
}

// mysqlInspect reads which tables there are, and what they have.
func mysqlInspect(ctx context.Context, db *sql.DB) (map[string]heldTable, error) {
	held := map[string]heldTable{}
	err := each(ctx, db, "SELECT table_name, column_name, column_comment FROM information_schema.columns"+
		" WHERE table_schema = DATABASE()", func(table, column, comment string) {
		if !strings.HasPrefix(comment, markPrefix) {
			comment = ""
		}
		tableIn(held, table).columns[strings.ToLower(column)] = comment
	})
	if err != nil {
		return nil, err
	}
	return held, each(ctx, db, "SELECT table_name, index_name, column_name FROM information_schema.statistics"+
		" WHERE table_schema = DATABASE() AND seq_in_index = 1", func(table, index, _ string) {
		tableIn(held, table).indexes[strings.ToLower(index)] = true
	})
}

func tableIn(held map[string]heldTable, name string) heldTable {
	t, ok := held[name]
	if !ok {
		t = heldTable{columns: map[string]string{}, indexes: map[string]bool{}}
		held[name] = t
	}
	return t
}

// each reads rows of three texts.
func each(ctx context.Context, db *sql.DB, query string, row func(a, b, c string)) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var a, b, c sql.NullString
		if err := rows.Scan(&a, &b, &c); err != nil {
			return err
		}
		row(a.String, b.String, c.String)
	}
	return rows.Err()
}
