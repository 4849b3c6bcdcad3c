package persist

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// valuesSizes are how many rows a kept statement has. A batch takes the smallest that holds it: what fills it up costs
// the server nearly as much as a row.
var valuesSizes = [...]int{1, 2, 4, 8, 16, 32, 64, 128, 256}

// Bounds of the statements that are kept prepared.
const (
	// valuesKept is how many there are at most, on each connection that writes. One of 256 rows takes 1.2 MB of the
	// server's memory there, all nine of a kind 2.4 MB. What is beyond takes the long way.
	valuesKept = 192
	// valuesBytes is how much a batch may hold. A bigger one takes the long way, in a single packet.
	valuesBytes = 2 << 20
)

// mysqlRefused is the server's error for a NULL where none may be, and mysqlPrepare for a prepared statement that it
// could not make again after a table had changed.
const (
	mysqlRefused = 1048
	mysqlPrepare = 1615
)

// values is the short way of a batch into MySQL: INSERT ... VALUES as a prepared statement that is kept, a third of the
// server's work of the long way, the statement that joins rows of a JSON parameter. It writes all of the batch or
// nothing: a fence that does not hold, or a row that the table has as new already, makes updated_at NULL, which the
// server refuses. Then the long way finds out who is to be left out. That is rare.
type values struct {
	db *sql.DB // its own: a statement is prepared on each connection that it comes to, and here these are few

	use  sync.RWMutex // read: a kept statement is in use; written: one is being closed
	mu   sync.Mutex   // guards kept
	kept map[string]*sql.Stmt
}

func newValues(db *sql.DB) *values { return &values{db: db, kept: make(map[string]*sql.Stmt)} }

// write reports whether it has written all of the batch. Without an error, false means that nothing was written.
func (v *values) write(ctx context.Context, table string, b Batch) (bool, error) {
	size := sizeOf(b)
	if size == 0 {
		return false, nil
	}
	args, err := valuesOf(b, size)
	if err != nil {
		return false, err
	}
	done, err := v.execute(ctx, table, size, args)
	if errors.Is(mysqlFate(err), ErrRejected) && err != nil {
		v.forget(table, size) // after an error about its parameters it answers the same to whatever comes next
		return false, nil     // and the long way finds out who is refused, and why
	}
	return done, err
}

func (v *values) execute(ctx context.Context, table string, size int, args []any) (bool, error) {
	v.use.RLock()
	defer v.use.RUnlock()
	statement, err := v.statement(ctx, table, size)
	if statement == nil || err != nil {
		return false, err
	}
	_, err = statement.ExecContext(ctx, args...)
	if isMySQL(err, mysqlRefused, mysqlPrepare) {
		return false, nil
	}
	return err == nil, err
}

// forget closes a statement, so that the next one is made anew.
func (v *values) forget(table string, size int) {
	v.use.Lock()
	defer v.use.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	key := fmt.Sprint(table, " ", size)
	if kept := v.kept[key]; kept != nil {
		delete(v.kept, key)
		_ = kept.Close() // it is of no use, whatever the server says to that
	}
}

// sizeOf is how many rows the batch's statement has; 0: the batch does not fit into any.
func sizeOf(b Batch) int {
	rows, bytes := b.Rows(), 0
	for _, c := range b.Changes {
		for _, p := range c.Parts {
			bytes += len(p.Data) + len(p.Box)
		}
	}
	for _, size := range valuesSizes {
		if 0 < rows && rows <= size && bytes <= valuesBytes {
			return size
		}
	}
	return 0
}

// statement returns a kept statement; nil when there are too many.
func (v *values) statement(ctx context.Context, table string, size int) (*sql.Stmt, error) {
	key := fmt.Sprint(table, " ", size)
	v.mu.Lock()
	kept, count := v.kept[key], len(v.kept)
	v.mu.Unlock()
	if kept != nil || count >= valuesKept {
		return kept, nil
	}
	made, err := v.db.PrepareContext(ctx, valuesText(table, size))
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if kept := v.kept[key]; kept != nil { // another writer was faster
		return kept, made.Close()
	}
	v.kept[key] = made
	return made, nil
}

// close ends the connections, and with them the statements.
func (v *values) close() error { return v.db.Close() }

// valuesText is the statement's text. The first row asks for the fences, and so locks them before anything is written,
// until the statement has ended. Assignments run from left to right and see what those before them assigned: updated_at
// compares, so it comes first. Where it finds a row that is as new already, the statement fails, so that all others
// need no condition. A row of time -1 only fills the statement up: it is the one before it again, without what is long.
func valuesText(table string, rows int) string {
	var set strings.Builder
	for _, column := range []string{"data", "box"} {
		fmt.Fprintf(&set, ",\n\t%[2]s = IF(VALUES(updated_at) < 0, %[1]s.%[2]s, VALUES(%[2]s))", table, column)
	}
	for _, column := range []string{"shard", "due_at", "version", "epoch"} {
		fmt.Fprintf(&set, ",\n\t%[1]s = VALUES(%[1]s)", column)
	}
	return `INSERT INTO ` + table + ` (updated_at, id, part, shard, data, box, due_at, version, epoch) VALUES
((SELECT CASE WHEN COUNT(*) = ? THEN ? END FROM JSON_TABLE(?, '$[*]' COLUMNS (shard INT PATH '$.shard', ` +
		strings.Join([]string{
			mysqlNumber("owner"), mysqlText("owner_holder", "VARCHAR(16)"),
			mysqlNumber("keeper"), mysqlText("keeper_holder", "VARCHAR(16)"),
		}, ", ") + `)) v
STRAIGHT_JOIN firefly_fence k ON k.role = 'persist' AND k.shard = v.shard
	AND k.epoch = v.keeper AND k.holder = v.keeper_holder
STRAIGHT_JOIN firefly_fence o ON o.role = ? AND o.shard = v.shard
	AND o.epoch = v.owner AND o.holder = v.owner_holder LOCK IN SHARE MODE), ?, ?, ?, ?, ?, ?, ?, ?)` +
		strings.Repeat(",\n(?, ?, ?, ?, ?, ?, ?, ?, ?)", rows-1) + fmt.Sprintf(`
ON DUPLICATE KEY UPDATE updated_at = IF(VALUES(epoch) > %[1]s.epoch
		OR (VALUES(epoch) = %[1]s.epoch AND VALUES(version) > %[1]s.version), VALUES(updated_at),
	IF(VALUES(updated_at) < 0, %[1]s.updated_at, NULL))`, table) + set.String()
}

// jsonFence is an owner and a keeper of a shard, whose fences must hold.
type jsonFence struct {
	Shard        int    `json:"shard"`
	Owner        uint64 `json:"owner"`
	OwnerHolder  string `json:"owner_holder"`
	Keeper       uint64 `json:"keeper"`
	KeeperHolder string `json:"keeper_holder"`
}

// fencesOf are the fences that must hold for all of a batch, each once.
func fencesOf(b Batch) []jsonFence {
	type key struct {
		owner, keeper Fence
		shard         int
	}
	seen := make(map[key]bool)
	var fences []jsonFence
	for _, c := range b.Changes {
		k := key{c.Owner, c.Keeper, c.Shard}
		if seen[k] {
			continue
		}
		seen[k] = true
		fences = append(fences, jsonFence{c.Shard, c.Owner.Epoch, holderText(c.Owner.Holder), c.Keeper.Epoch,
			holderText(c.Keeper.Holder)})
	}
	return fences
}

// valuesOf are the parameters, rows in order of their keys: the order in which every writer takes its locks.
func valuesOf(b Batch, size int) ([]any, error) {
	fences, now := fencesOf(b), max(b.At, 0)
	doc, err := encode(fences)
	if err != nil {
		return nil, err
	}
	rows := valuesRows(b)
	args := append(make([]any, 0, 9*size+3), len(fences), now, doc, b.Role)
	for i, r := range rows {
		if i > 0 {
			args = append(args, now)
		}
		args = r.appendTo(args, b.At)
	}
	last := rows[len(rows)-1]
	for last.isFiller = true; len(args) < cap(args); {
		args = last.appendTo(append(args, -1), b.At)
	}
	return args, nil
}

// A valuesRow is a row of the statement.
type valuesRow struct {
	*Change
	*Part
	isFiller bool // it is sent without what may be long
}

// valuesRows are the rows in order of their keys: the order in which every writer takes its locks.
func valuesRows(b Batch) []valuesRow {
	rows := make([]valuesRow, 0, b.Rows())
	for i := range b.Changes {
		c := &b.Changes[i]
		for j := range c.Parts {
			rows = append(rows, valuesRow{Change: c, Part: &c.Parts[j]})
		}
	}
	slices.SortFunc(rows, func(r, o valuesRow) int {
		return cmp.Or(strings.Compare(r.ID, o.ID), strings.Compare(r.Name, o.Name))
	})
	return rows
}

// appendTo appends the row's parameters, but for the time.
func (r valuesRow) appendTo(args []any, at int64) []any {
	var due any
	if t := dueAt(*r.Part, at); t != 0 {
		due = t
	}
	data, box := orNull(r.Data), orNull(r.Part.Box)
	if r.isFiller {
		data, box = nil, nil
	}
	return append(args, r.ID, r.Name, r.Shard, data, box, due, r.Part.Version, r.Owner.Epoch)
}

// orNull is a body as a parameter. As a string it has the connection's character set, as bytes none.
func orNull(body json.RawMessage) any {
	if body == nil {
		return nil
	}
	return string(body)
}
