package persist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A heldColumn is a column as the database has it.
type heldColumn struct {
	name       string
	declared   string // its type
	holds      []ColumnType
	null       bool
	key        bool // of the primary key
	hasDefault bool
	generated  bool
	collation  string
	engine     string // of the table; of MySQL only
}

// CheckTables implements RowDatabase.
func (s *server) CheckTables(ctx context.Context, tables []*Mapping) error {
	var errs []error
	for _, m := range tables {
		held, err := s.heldColumns(ctx, m.Name)
		if err != nil {
			return s.fail("look at table "+m.Name, err)
		}
		errs = append(errs, m.compare(held)...)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("persist: %w: the database does not have the tables that the game is built for:\n%w",
			ErrRejected, err)
	}
	return nil
}

// heldColumns reads what a table has; none: there is no such table.
func (s *server) heldColumns(ctx context.Context, table string) ([]heldColumn, error) {
	rows, err := s.read.QueryContext(ctx, s.tables().columns, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var held []heldColumn
	for rows.Next() {
		var h heldColumn
		err := rows.Scan(&h.name, &h.declared, &h.null, &h.key, &h.hasDefault, &h.generated, &h.collation, &h.engine)
		if err != nil {
			return nil, err
		}
		h.holds = s.tables().holds(h.declared)
		held = append(held, h)
	}
	return held, rows.Err()
}

// compare finds everything that keeps a mapping from its table.
func (m *Mapping) compare(held []heldColumn) (errs []error) {
	if len(held) == 0 {
		return []error{fmt.Errorf("%s: there is no such table: the game's own migrations make it", m.Name)}
	}
	if e := held[0].engine; e != "" && e != "InnoDB" {
		errs = append(errs, fmt.Errorf("%s: it is no InnoDB table (%s): a statement there is not written whole or not "+
			"at all", m.Name, e))
	}
	keys := 0
	for _, h := range held {
		if h.key {
			keys++
		}
		if !slices.ContainsFunc(m.Columns, func(c Column) bool { return strings.EqualFold(c.Name, h.name) }) &&
			!h.null && !h.hasDefault && !h.generated {
			errs = append(errs, fmt.Errorf("%s.%s: no field has it, and it has neither NULL nor a default: no row "+
				"could be inserted", m.Name, h.name))
		}
	}
	for i, c := range m.Columns {
		at := slices.IndexFunc(held, func(h heldColumn) bool { return strings.EqualFold(c.Name, h.name) })
		if at < 0 {
			errs = append(errs, fmt.Errorf("%s: there is no such column", m.at(i)))
			continue
		}
		if err := m.suits(i, held[at], keys); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.at(i), err))
		}
	}
	return errs
}

// suits says what keeps a field from its column.
func (m *Mapping) suits(i int, h heldColumn, keys int) error {
	c := m.Columns[i]
	text := c.Type == Text && (i == m.Key || i == m.Shard)
	switch {
	case !slices.Contains(h.holds, c.Type):
		return fmt.Errorf("it is %s, and its field is %s", h.declared, c.Type)
	case h.generated:
		return errors.New("it is generated, so it cannot be written: leave the field out")
	case i == m.Key && (!h.key || keys != 1):
		return errors.New("its field is the key, but it is not the table's primary key by itself")
	case h.null && !c.Null:
		return errors.New("it may be NULL, which its field cannot hold: make the field a pointer, or the column " +
			"NOT NULL")
	case text && h.collation != "utf8mb4_bin" && h.collation != "BINARY":
		return fmt.Errorf("it compares by %s, which takes different texts for one: make it COLLATE utf8mb4_bin "+
			"(BINARY on SQLite)", h.collation)
	}
	return nil
}
