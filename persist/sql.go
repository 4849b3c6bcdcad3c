package persist

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fireflyrt/firefly/actors"
)

// A server is what the two SQL databases have in common: the statements go through here, and a
// dialect says what they look like. Batches travel as one JSON parameter, so that a statement's
// text depends on the kind alone and 5,000 rows are no more placeholders than one.
type server struct {
	dialect dialect
	write   *sql.DB // what changes something
	read    *sql.DB // what does not; may be the same
	patient *sql.DB // what may take minutes: work on the schema; may be the same
	short   *values // how a batch is written if nothing of it is to be left out; nil: there is no short way
}

// A dialect is where MySQL and SQLite differ.
type dialect struct {
	name   string
	table  func(table string) string // makes a kind's table if there is none
	upsert func(table string) string // parameters: updated_at, rows in JSON, role
	purge  func(table string) string // parameter: tombstones in JSON
	raise  string                    // parameter: claims in JSON
	seed   string                    // parameter: claims in JSON; makes rows that nobody holds
	// settled reports that the count of affected rows alone proves every one of rows written.
	settled func(affected, rows int64) bool
	// fate finds which of this package's errors a driver's error is.
	fate func(error) error
	// level reads the durability settings and says what they mean.
	level func(context.Context, *sql.DB) (string, error)

	// inspect reads which tables there are, with what mark their columns, and with which indexes.
	inspect func(context.Context, *sql.DB) (map[string]heldTable, error)
	// column defines a field's column, and says by which mark it is known.
	column    func(actors.Index) (definition, mark string)
	indexName func(table, column string) string
	quote     func(name string) string
	dropIndex func(quoted, table string) string
	// lock takes the lock of those who change the schema; got is false when another kept it too long.
	lock   func(context.Context, *sql.DB) (unlock func() error, got bool, err error)
	sparse string // ends an index on due_at that leaves rows without it out
}

// jsonRow is a row on its way into the store. Parts of one entity repeat its fences, because the
// statement joins row by row. Holders are text: JSON's numbers end at 53 bits in some readers.
type jsonRow struct {
	ID           string  `json:"id"`
	Part         string  `json:"part"`
	Shard        int     `json:"shard"`
	Version      uint64  `json:"version"`
	Whole        uint64  `json:"whole,omitempty"` // of a part but the empty one: its entity's version
	Data         *string `json:"data,omitempty"`
	Box          *string `json:"box,omitempty"`
	DueAt        int64   `json:"due_at,omitempty"`
	Epoch        uint64  `json:"epoch"`
	Holder       string  `json:"holder"`
	KeeperEpoch  uint64  `json:"keeper_epoch"`
	KeeperHolder string  `json:"keeper_holder"`
}

type jsonClaim struct {
	Role         string `json:"role"`
	Shard        int    `json:"shard"`
	Holder       string `json:"holder"`
	KeeperEpoch  uint64 `json:"keeper_epoch,omitempty"`
	KeeperHolder string `json:"keeper_holder,omitempty"`
}

func holderText(h uint64) string { return fmt.Sprintf("%016x", h) }

// Raise implements Database.
func (s *server) Raise(ctx context.Context, claims []Claim) ([]uint64, error) {
	rows := make([]jsonClaim, len(claims))
	for i, c := range claims {
		rows[i] = jsonClaim{Role: c.Role, Shard: c.Shard, Holder: holderText(c.Holder)}
		if c.Keeper != (Fence{}) {
			rows[i].KeeperEpoch = c.Keeper.Epoch
			rows[i].KeeperHolder = holderText(c.Keeper.Holder)
		}
	}
	doc, err := encode(rows)
	if err != nil {
		return nil, err
	}
	before, err := s.fences(ctx, claims)
	if err != nil {
		return nil, err
	}
	if _, err := s.write.ExecContext(ctx, s.dialect.raise, doc); err != nil {
		return nil, s.fail("raise fences", err)
	}
	after, err := s.fences(ctx, claims)
	if err != nil {
		return nil, err
	}
	numbers := make([]uint64, len(claims))
	for i, c := range claims {
		key := fenceKey{c.Role, c.Shard}
		if f := after[key]; f.Holder == c.Holder && f.Epoch > before[key].Epoch {
			numbers[i] = f.Epoch
		}
	}
	return numbers, nil
}

// fences reads the rows that the claims name.
func (s *server) fences(ctx context.Context, claims []Claim) (map[fenceKey]Fence, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	shards, roles := make([]any, 0, len(claims)), make([]any, 0, 2)
	for _, c := range claims {
		if !slices.Contains(roles, any(c.Role)) {
			roles = append(roles, c.Role)
		}
		if !slices.Contains(shards, any(c.Shard)) {
			shards = append(shards, c.Shard)
		}
	}
	rows, err := s.read.QueryContext(ctx, "SELECT role, shard, epoch, holder FROM firefly_fence"+
		" WHERE role IN ("+marks(len(roles))+") AND shard IN ("+marks(len(shards))+")",
		append(roles, shards...)...)
	if err != nil {
		return nil, s.fail("read fences", err)
	}
	defer rows.Close()
	found := make(map[fenceKey]Fence)
	for rows.Next() {
		var key fenceKey
		var f Fence
		var holder string
		if err := rows.Scan(&key.role, &key.shard, &f.Epoch, &holder); err != nil {
			return nil, s.fail("read fences", err)
		}
		if holder != "" { // else nobody has held it yet
			if f.Holder, err = strconv.ParseUint(holder, 16, 64); err != nil {
				return nil, fmt.Errorf("persist: read fences: %w: %w", ErrRejected, err)
			}
		}
		found[key] = f
	}
	return found, s.fail("read fences", rows.Err())
}

// Load implements Database.
func (s *server) Load(ctx context.Context, ref actors.Ref) ([]Part, error) {
	table, err := tableName(ref.Kind)
	if err != nil {
		return nil, err
	}
	doing := "load " + ref.String()
	rows, err := s.read.QueryContext(ctx,
		"SELECT part, epoch, version, data, box, due_at FROM "+table+" WHERE id = ? ORDER BY part",
		ref.ID)
	if err != nil {
		return nil, s.fail(doing, err)
	}
	defer rows.Close()
	var parts []Part
	for rows.Next() {
		var p Part
		var data, box []byte
		var due sql.NullInt64
		if err := rows.Scan(&p.Name, &p.Epoch, &p.Version, &data, &box, &due); err != nil {
			return nil, s.fail(doing, err)
		}
		if p.Data, p.Box = data, box; p.Name == "" {
			p.DueAt = due.Int64
		}
		parts = append(parts, p)
	}
	return parts, s.fail(doing, rows.Err())
}

// Write implements Database.
func (s *server) Write(ctx context.Context, b Batch) ([]Outcome, error) {
	table, err := tableName(b.Kind)
	if err != nil {
		return nil, err
	}
	doing, outcomes := "write "+table, make([]Outcome, len(b.Changes))
	if s.short != nil {
		all, err := s.short.write(ctx, table, b)
		switch {
		case err != nil:
			return nil, s.fail(doing, err)
		case all:
			return written(outcomes), nil
		}
	}
	doc, err := encode(jsonRows(b))
	if err != nil {
		return nil, err
	}
	done, err := s.write.ExecContext(ctx, s.dialect.upsert(table), b.At, doc, b.Role)
	if err != nil {
		return nil, s.fail(doing, err)
	}
	affected, err := done.RowsAffected()
	if err != nil {
		return nil, fmt.Errorf("persist: %s: %w: %w", doing, ErrUnclear, err)
	}
	if s.dialect.settled(affected, int64(b.Rows())) {
		return written(outcomes), nil
	}
	if err := s.judge(ctx, table, b, outcomes); err != nil {
		return nil, fmt.Errorf("persist: %s: %w: %w", doing, ErrUnclear, err)
	}
	return outcomes, nil
}

// written fills outcomes in.
func written(outcomes []Outcome) []Outcome {
	for i := range outcomes {
		outcomes[i] = Written
	}
	return outcomes
}

// judge finds what became of each entity of a batch by reading. That is sound after the fact,
// because fences and rows only rise: what is below mine now was below mine then.
func (s *server) judge(ctx context.Context, table string, b Batch, into []Outcome) error {
	stored, err := s.versions(ctx, table, b.Changes)
	if err != nil {
		return err
	}
	claims := make([]Claim, 0, len(b.Changes))
	for _, c := range b.Changes {
		claims = append(claims, Claim{Role: KeeperRole, Shard: c.Shard})
	}
	fences, err := s.fences(ctx, claims)
	if err != nil {
		return err
	}
	for i, c := range b.Changes {
		at, keeper := stored[c.ID], fences[fenceKey{KeeperRole, c.Shard}]
		switch {
		case at.Epoch == c.Owner.Epoch && at.Version >= c.Version():
			into[i] = Written
		case at.Epoch <= c.Owner.Epoch && (keeper != c.Keeper || keeper.Epoch == 0):
			into[i] = KeeperFenced
		default:
			into[i] = OwnerFenced
		}
	}
	return nil
}

// versions reads how far the store has the entities of a batch.
func (s *server) versions(ctx context.Context, table string, cs []Change) (map[string]Part, error) {
	ids := make([]any, len(cs))
	for i, c := range cs {
		ids[i] = c.ID
	}
	rows, err := s.read.QueryContext(ctx, "SELECT id, epoch, version FROM "+table+
		" WHERE part = '' AND id IN ("+marks(len(ids))+")", ids...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[string]Part, len(cs))
	for rows.Next() {
		var id string
		var p Part
		if err := rows.Scan(&id, &p.Epoch, &p.Version); err != nil {
			return nil, err
		}
		found[id] = p
	}
	return found, rows.Err()
}

// Level implements Database.
func (s *server) Level(ctx context.Context) (string, error) {
	level, err := s.dialect.level(ctx, s.write)
	return level, s.fail("read the durability settings", err)
}

// Close implements Database.
func (s *server) Close() error {
	err := errors.Join(s.read.Close(), s.write.Close(), s.patient.Close()) // twice is once
	if s.short != nil {
		err = errors.Join(err, s.short.close())
	}
	return err
}

// fail says what was being done, and which of this package's errors it comes down to.
func (s *server) fail(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("persist: %s: %w: %w", doing, s.dialect.fate(err), err)
}

// jsonRows spreads a batch into rows sorted by key, the order in which every writer takes its
// locks.
func jsonRows(b Batch) []jsonRow {
	rows := make([]jsonRow, 0, b.Rows())
	for _, c := range b.Changes {
		row := jsonRow{ID: c.ID, Shard: c.Shard,
			Epoch: c.Owner.Epoch, Holder: holderText(c.Owner.Holder),
			KeeperEpoch: c.Keeper.Epoch, KeeperHolder: holderText(c.Keeper.Holder)}
		for _, p := range c.Parts {
			row.Part, row.Version, row.DueAt = p.Name, p.Version, dueAt(p, b.At)
			if row.Whole = 0; p.Name != "" {
				row.Whole = c.Version()
			}
			row.Data, row.Box = textOf(p.Data), textOf(p.Box)
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, jsonRow.compare)
	return rows
}

// compare orders by key.
func (r jsonRow) compare(o jsonRow) int {
	return cmp.Or(strings.Compare(r.ID, o.ID), strings.Compare(r.Part, o.Part))
}

// textOf is a text for a column; nil stands for NULL.
func textOf(body json.RawMessage) *string {
	if body == nil {
		return nil
	}
	text := string(body)
	return &text
}

// encode writes the parameter; a string, because drivers send byte slices as binary, which JSON
// functions refuse.
func encode(rows any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(rows); err != nil {
		return "", fmt.Errorf("persist: encode rows: %w: %w", ErrRejected, err)
	}
	return b.String(), nil
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }
