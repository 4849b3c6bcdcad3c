package persist

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// This file keeps the rows of Tables in a Memory. They are what their mapping says; there is no other schema.

// rowsOf finds a table; the caller holds the lock.
func (m *Memory) rowsOf(t *Mapping, doing string) (map[string]Values, error) {
	rows, ok := m.rows[t.Name]
	if !ok {
		return nil, fmt.Errorf("persist: %s %s: no table: %w", doing, t.Name, ErrRejected)
	}
	return rows, nil
}

// Rows implements RowDatabase.
func (m *Memory) Rows(_ context.Context, q RowQuery) ([]Values, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows, err := m.rowsOf(q.Table, "read")
	if err != nil {
		return nil, err
	}
	var found []Values
	for _, v := range rows {
		if !slices.ContainsFunc(q.Where, func(t RowTerm) bool { return !t.holds(q.Table, v) }) {
			found = append(found, v)
		}
	}
	order := append(slices.Clone(q.Order), RowOrder{Column: q.Table.Key})
	slices.SortFunc(found, func(a, b Values) int {
		for _, o := range order {
			c := q.Table.Columns[o.Column].compare(a[o.Column], b[o.Column])
			if o.Descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	found = found[:min(len(found), q.Limit)]
	bytes := 0
	for i, v := range found {
		if bytes += v.bytes(); bytes > q.Bytes {
			return nil, flaw{fmt.Errorf("persist: read %s: the rows have more than %d bytes: %w", q.Table.Name, q.Bytes,
				ErrRejected), TooManyRows}
		}
		found[i] = slices.Clone(v)
	}
	return found, nil
}

func (t RowTerm) holds(m *Mapping, v Values) bool {
	x := v[t.Column]
	switch {
	case t.Value == nil:
		return (x == nil) == (t.Op == Equal)
	case x == nil:
		return false
	}
	c := m.Columns[t.Column].compare(x, t.Value)
	switch t.Op {
	case Equal:
		return c == 0
	case Unequal:
		return c != 0
	case More:
		return c > 0
	case MoreOrEqual:
		return c >= 0
	case Less:
		return c < 0
	}
	return c <= 0
}

// compare compares two values; NULL is below everything.
func (c Column) compare(a, b *string) int {
	switch {
	case a == nil || b == nil:
		return cmp.Compare(len(texts(a)), len(texts(b)))
	case c.Type == Float:
		x, _ := strconv.ParseFloat(*a, 64) // both were looked over
		y, _ := strconv.ParseFloat(*b, 64)
		return cmp.Compare(x, y)
	case c.Type == Int || c.Type == Uint:
		x, _ := new(big.Int).SetString(*a, 10)
		y, _ := new(big.Int).SetString(*b, 10)
		return x.Cmp(y)
	}
	return strings.Compare(*a, *b)
}

func texts(s *string) []string {
	if s == nil {
		return nil
	}
	return []string{*s}
}

// WriteRows implements RowDatabase.
func (m *Memory) WriteRows(_ context.Context, b RowBatch) ([]RowOutcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows, err := m.rowsOf(b.Table, "write")
	if err != nil {
		return nil, err
	}
	for _, w := range b.Rows {
		key := *w.Values[b.Table.Key]
		if _, taken := rows[key]; taken && b.Verb == InsertRows && m.holds(KeeperRole, w.Shard, w.Keeper) {
			return nil, flaw{fmt.Errorf("persist: write %s: there is a row %.80q: %w", b.Table.Name, key, ErrRejected),
				RowTaken}
		}
	}
	outcomes := make([]RowOutcome, len(b.Rows))
	for i, w := range b.Rows {
		if outcomes[i].Outcome = KeeperFenced; !m.holds(KeeperRole, w.Shard, w.Keeper) {
			continue
		}
		outcomes[i].Outcome = Written
		b.put(rows, w.Values)
		if stored, ok := rows[*w.Values[b.Table.Key]]; ok {
			outcomes[i].Stored = slices.Clone(stored)
		}
	}
	return outcomes, nil
}

// put does with a row what the batch does.
func (b RowBatch) put(rows map[string]Values, v Values) {
	key := *v[b.Table.Key]
	switch b.Verb {
	case InsertRows:
		rows[key] = slices.Clone(v)
	case DeleteRows:
		delete(rows, key)
	case UpdateRows:
		if stored, ok := rows[key]; ok {
			for _, i := range b.Names {
				stored[i] = v[i]
			}
		}
	}
}

// CheckTables implements RowDatabase: the tables are made as they are wanted.
func (m *Memory) CheckTables(_ context.Context, tables []*Mapping) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.makeTables(tables)
	return nil
}

// makeTables makes those that are not there; the caller holds the lock.
func (m *Memory) makeTables(tables []*Mapping) {
	for _, t := range tables {
		if m.rows[t.Name] == nil {
			m.rows[t.Name] = make(map[string]Values)
		}
	}
}

// TakeIDs implements RowDatabase.
func (m *Memory) TakeIDs(_ context.Context, t *Mapping, n uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows, err := m.rowsOf(t, "take ids of")
	if err != nil {
		return 0, err
	}
	first := max(m.ids[t.Name], 1)
	for key := range rows {
		if id, err := strconv.ParseUint(key, 10, 64); err == nil {
			first = max(first, id+1)
		}
	}
	m.ids[t.Name] = first + n
	return first, nil
}
