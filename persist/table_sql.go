package persist

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fireflyrt/firefly/actors"
)

// This file keeps the rows of Tables in the two SQL databases. A batch travels as one JSON parameter, as entities
// do; its texts in hexadecimal, so that no NUL and no escape is anybody's to interpret.

// A tableDialect is where MySQL and SQLite differ about Tables.
type tableDialect struct {
	insert func(m *Mapping) string              // parameter of all three: rows in JSON
	update func(m *Mapping, names []int) string // likewise
	delete func(m *Mapping) string              // likewise
	// take takes n ids, none below floor, and returns the number after the last.
	take    func(ctx context.Context, s *server, name string, floor, n uint64) (end uint64, err error)
	columns string                             // asks for the columns of a table; see heldColumns
	holds   func(declared string) []ColumnType // what a column of a type may be mapped to
	// blame finds the code that a refusal is told with.
	blame  func(error) actors.Code
	signed bool // its integers end at 63 bits
}

func (s *server) tables() tableDialect {
	if s.dialect.name == "mysql" {
		return mysqlTables()
	}
	return sqliteTables()
}

// quoted is a name in a statement; identifier has let nothing through that could end it.
func quoted(name string) string { return "`" + name + "`" }

func (m *Mapping) columnList() string {
	names := make([]string, len(m.Columns))
	for i, c := range m.Columns {
		names[i] = quoted(c.Name)
	}
	return strings.Join(names, ", ")
}

// Rows implements RowDatabase.
func (s *server) Rows(ctx context.Context, q RowQuery) ([]Values, error) {
	statement, args, err := s.selection(q)
	if err != nil {
		return nil, err
	}
	doing := "read rows of " + q.Table.Name
	rows, err := s.read.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, s.blame(doing, err)
	}
	defer rows.Close()
	found, err := q.Table.scan(rows, q.Bytes)
	if err != nil {
		return nil, s.blame(doing, err)
	}
	return found, nil
}

// scan reads the rows of an answer, and not more bytes than given.
func (m *Mapping) scan(rows *sql.Rows, most int) ([]Values, error) {
	var found []Values
	raw, into := make([]any, len(m.Columns)), make([]any, len(m.Columns))
	for i := range raw {
		into[i] = &raw[i]
	}
	bytes := 0
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		v := make(Values, len(raw))
		for i, c := range m.Columns {
			var err error
			if v[i], err = c.text(raw[i]); err != nil {
				return nil, flaw{fmt.Errorf("%s: %w", m.at(i), err), BadRow}
			}
		}
		if bytes += v.bytes(); bytes > most {
			return nil, flaw{fmt.Errorf("the rows have more than %d bytes", most), TooManyRows}
		}
		found = append(found, v)
	}
	return found, rows.Err()
}

// selection is the statement of a query. It has a parameter always: without one MySQL would answer in texts, which
// round floats.
func (s *server) selection(q RowQuery) (string, []any, error) {
	var b strings.Builder
	var args []any
	b.WriteString("SELECT " + q.Table.columnList() + " FROM " + quoted(q.Table.Name))
	for i, t := range q.Where {
		b.WriteString(map[bool]string{true: " WHERE ", false: " AND "}[i == 0])
		name := quoted(q.Table.Columns[t.Column].Name)
		if t.Value == nil {
			b.WriteString(name + map[bool]string{true: " IS NULL", false: " IS NOT NULL"}[t.Op == Equal])
			continue
		}
		arg, err := s.argument(q.Table, t.Column, *t.Value)
		if err != nil {
			return "", nil, err
		}
		b.WriteString(name + " " + t.Op.String() + " ?")
		args = append(args, arg)
	}
	for i, o := range append(slices.Clone(q.Order), RowOrder{Column: q.Table.Key}) {
		b.WriteString(map[bool]string{true: " ORDER BY ", false: ", "}[i == 0])
		b.WriteString(quoted(q.Table.Columns[o.Column].Name) + map[bool]string{true: " DESC"}[o.Descending])
	}
	b.WriteString(" LIMIT ?")
	return b.String(), append(args, q.Limit), nil
}

// argument is a value as a parameter.
func (s *server) argument(m *Mapping, column int, text string) (any, error) {
	if err := s.holds(m, column, &text); err != nil {
		return nil, err
	}
	arg, err := m.Columns[column].native(text)
	if err != nil {
		return nil, flaw{fmt.Errorf("persist: %s: %w: %w", m.at(column), err, ErrRejected), BadValue}
	}
	return arg, nil
}

// holds reports whether the database has room for a value.
func (s *server) holds(m *Mapping, column int, text *string) error {
	if text == nil || m.Columns[column].Type != Uint || !s.tables().signed {
		return nil
	}
	if n, err := strconv.ParseUint(*text, 10, 64); err == nil && n > math.MaxInt64 {
		return flaw{fmt.Errorf("persist: %s: integers of this database end at %d: %w", m.at(column), math.MaxInt64,
			ErrRejected), BadValue}
	}
	return nil
}

// WriteRows implements RowDatabase. What it wrote it reads, so that the answer is what the store made of it.
func (s *server) WriteRows(ctx context.Context, b RowBatch) ([]RowOutcome, error) {
	doc, err := s.document(b)
	if err != nil {
		return nil, err
	}
	t, statement := s.tables(), ""
	switch b.Verb {
	case InsertRows:
		statement = t.insert(b.Table)
	case UpdateRows:
		statement = t.update(b.Table, b.Names)
	default:
		statement = t.delete(b.Table)
	}
	doing := "write rows of " + b.Table.Name
	if _, err := s.write.ExecContext(ctx, statement, doc); err != nil {
		return nil, s.blame(doing, err)
	}
	outcomes, err := s.result(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("persist: %s: %w: %v", doing, ErrUnclear, err)
	}
	return outcomes, nil
}

// result reads the rows of a batch, and then who their keepers are. One who still is has written: the numbers of fences
// only rise.
func (s *server) result(ctx context.Context, b RowBatch) ([]RowOutcome, error) {
	stored := make(map[string]Values)
	if b.Verb != DeleteRows {
		var err error
		if stored, err = s.stored(ctx, b); err != nil {
			return nil, err
		}
	}
	claims := make([]Claim, len(b.Rows))
	for i, w := range b.Rows {
		claims[i] = Claim{Role: KeeperRole, Shard: w.Shard}
	}
	fences, err := s.fences(ctx, claims)
	if err != nil {
		return nil, err
	}
	outcomes := make([]RowOutcome, len(b.Rows))
	for i, w := range b.Rows {
		outcomes[i] = RowOutcome{Outcome: KeeperFenced}
		if w.Keeper.Epoch != 0 && fences[fenceKey{KeeperRole, w.Shard}] == w.Keeper {
			outcomes[i] = RowOutcome{Written, stored[*w.Values[b.Table.Key]]}
		}
	}
	return outcomes, nil
}

// stored reads the rows of a batch, by key.
func (s *server) stored(ctx context.Context, b RowBatch) (map[string]Values, error) {
	m := b.Table
	args := make([]any, len(b.Rows))
	for i, w := range b.Rows {
		var err error
		if args[i], err = s.argument(m, m.Key, *w.Values[m.Key]); err != nil {
			return nil, err
		}
	}
	rows, err := s.read.QueryContext(ctx, "SELECT "+m.columnList()+" FROM "+quoted(m.Name)+" WHERE "+
		quoted(m.Columns[m.Key].Name)+" IN ("+marks(len(args))+")", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found, err := m.scan(rows, math.MaxInt)
	stored := make(map[string]Values, len(found))
	for _, v := range found {
		stored[*v[m.Key]] = v
	}
	return stored, err
}

// document writes a batch as JSON.
func (s *server) document(b RowBatch) (string, error) {
	m := b.Table
	columns := b.Names
	if b.Verb == InsertRows {
		columns = nil
		for i := range m.Columns {
			columns = append(columns, i)
		}
	}
	rows := make([]map[string]any, len(b.Rows))
	for n, w := range b.Rows {
		row := map[string]any{"shard": w.Shard, "epoch": w.Keeper.Epoch, "holder": holderText(w.Keeper.Holder)}
		for _, i := range append(slices.Clone(columns), m.Key) {
			if err := s.holds(m, i, w.Values[i]); err != nil {
				return "", err
			}
			row["c"+strconv.Itoa(i)] = m.Columns[i].sent(w.Values[i])
		}
		rows[n] = row
	}
	return encode(rows)
}

// sent is a value in a document.
func (c Column) sent(text *string) any {
	switch {
	case text == nil:
		return nil
	case c.Type == Text || c.Type == JSON:
		return hex.EncodeToString([]byte(*text))
	}
	return *text
}

// blame says what was being done, what it comes down to, and with which code it is told.
func (s *server) blame(doing string, err error) error {
	if err == nil {
		return nil
	}
	if own, ok := errors.AsType[flaw](err); ok { // the database is well; the rows are not
		return flaw{fmt.Errorf("persist: %s: %w: %w", doing, own.error, ErrRejected), own.code}
	}
	failed := s.fail(doing, err)
	if code := s.tables().blame(err); code != "" && errors.Is(failed, ErrRejected) {
		return flaw{failed, code}
	}
	return failed
}

// TakeIDs implements RowDatabase. The greatest key is read beforehand, without a lock: it is a floor and no more,
// and what is taken comes out of one statement.
func (s *server) TakeIDs(ctx context.Context, m *Mapping, n uint64) (uint64, error) {
	doing := "take ids of " + m.Name
	var greatest *uint64
	err := s.read.QueryRowContext(ctx, "SELECT CASE WHEN MAX("+quoted(m.Columns[m.Key].Name)+") > 0 THEN MAX("+
		quoted(m.Columns[m.Key].Name)+") END FROM "+quoted(m.Name)).Scan(&greatest)
	if err != nil {
		return 0, s.blame(doing, err)
	}
	floor := uint64(1)
	if greatest != nil {
		floor = *greatest + 1
	}
	end, err := s.tables().take(ctx, s, m.Name, floor, n)
	if err != nil {
		return 0, s.blame(doing, err)
	}
	return end - n, nil
}
