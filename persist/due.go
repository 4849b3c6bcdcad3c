package persist

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// This file is how the store tells what is due: entities to be woken, and tombstones to be purged.
// Both stand in the column due_at, so that one index finds them, among rows of which most have
// nothing there.

// TombstoneFor is how long the row of a deleted part stays.
const TombstoneFor = time.Hour

// A Due is a row that is due.
type Due struct {
	At      int64 // Unix milliseconds: Part.DueAt of an entity; when a tombstone may be purged
	ID      string
	Part    string // empty: the entity is to be woken; else the name of a deleted part
	Shard   int
	Epoch   uint64
	Version uint64
}

// compare orders by time, then by key.
func (d Due) compare(o Due) int {
	return cmp.Or(cmp.Compare(d.At, o.At), strings.Compare(d.ID, o.ID),
		strings.Compare(d.Part, o.Part))
}

// A Search asks for rows of one kind that are due.
type Search struct {
	Kind   actors.KindName
	Tombs  bool  // tombstones; else entities
	Shards []int // whose
	Until  int64 // Unix milliseconds: due then or before
	After  Due   // only rows behind it in the order of time, id and part; zero: from the first
	Limit  int   // rows at most
}

// A Tomb is a tombstone to be purged, and the number of the keeper who does it.
type Tomb struct {
	Due
	Keeper Fence
}

// dueAt is what stands in a row's column due_at: 0 is NULL there.
func dueAt(p Part, written int64) int64 {
	switch {
	case p.Name == "":
		return p.DueAt
	case p.Data == nil:
		return written + TombstoneFor.Milliseconds()
	}
	return 0
}

// Due implements Database.
func (s *server) Due(ctx context.Context, q Search) ([]Due, error) {
	table, err := tableName(q.Kind)
	if err != nil || len(q.Shards) == 0 {
		return nil, err
	}
	part := "part = ''"
	if q.Tombs {
		part = "part <> '' AND data IS NULL"
	}
	with := []any{q.Until, q.After.At, q.After.At, q.After.ID, q.After.ID, q.After.Part}
	for _, shard := range q.Shards {
		with = append(with, shard)
	}
	doing := "search " + table
	rows, err := s.read.QueryContext(ctx, "SELECT due_at, id, part, shard, epoch, version FROM "+table+
		" WHERE due_at <= ? AND due_at >= ?"+
		" AND (due_at > ? OR id > ? OR id = ? AND part > ?) AND "+part+
		" AND shard IN ("+marks(len(q.Shards))+") ORDER BY due_at, id, part LIMIT ?",
		append(with, q.Limit)...)
	if err != nil {
		return nil, s.fail(doing, err)
	}
	defer rows.Close()
	var found []Due
	for rows.Next() {
		var d Due
		if err := rows.Scan(&d.At, &d.ID, &d.Part, &d.Shard, &d.Epoch, &d.Version); err != nil {
			return nil, s.fail(doing, err)
		}
		found = append(found, d)
	}
	return found, s.fail(doing, rows.Err())
}

// Purge implements Database.
func (s *server) Purge(ctx context.Context, kind actors.KindName, tombs []Tomb) (int, error) {
	table, err := tableName(kind)
	if err != nil {
		return 0, err
	}
	rows := make([]jsonRow, len(tombs))
	for i, t := range tombs {
		rows[i] = jsonRow{ID: t.ID, Part: t.Part, Shard: t.Shard, Epoch: t.Epoch, Version: t.Version,
			KeeperEpoch: t.Keeper.Epoch, KeeperHolder: holderText(t.Keeper.Holder)}
	}
	slices.SortFunc(rows, jsonRow.compare)
	doc, err := encode(rows)
	if err != nil {
		return 0, err
	}
	doing := "purge " + table
	done, err := s.write.ExecContext(ctx, s.dialect.purge(table), doc)
	if err != nil {
		return 0, s.fail(doing, err)
	}
	n, err := done.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("persist: %s: %w: %w", doing, ErrUnclear, err)
	}
	return int(n), nil
}
