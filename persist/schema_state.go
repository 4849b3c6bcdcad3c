package persist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// This file brings stored cells up to date in bulk. What loading does entity by entity, when one is
// needed, it does for all rows of a kind's table, so that old steps need not be kept for ever.
//
// It may run beside a cluster whose build is this one, though its statements join no fence. A row
// is replaced only while its (epoch, version) is the one that was read, and keeps both: contents
// that mean the same need no new version. Whatever an owner writes has a higher one, so an owner's
// write that comes first makes this one miss, and one that comes later overwrites it; neither
// notices. What a keeper has pending is such a write. What it has cached is the same contents in
// their older form, which the entity brings up to date when it is loaded. And whether a change of
// unknown outcome is in the store is read from its version alone. A build that is older than this
// one would not understand what is written here, and says so when it loads it.

// Bounds of a page of rows.
const (
	walkRows  = 512
	walkBytes = 4 << 20
)

// How often a statement that lost against others is tried again, and after what pause.
const (
	walkRetries = 20
	walkPause   = 100 * time.Millisecond
)

// A Walk is how far the rows of a kind have been brought up to date.
type Walk struct {
	Kind      actors.KindName `json:"kind"`
	About     int64           `json:"about"`     // rows of the table as the database estimates them
	Rows      int64           `json:"rows"`      // looked at; tombstones are not
	Migrated  int64           `json:"migrated"`  // written
	Overtaken int64           `json:"overtaken"` // left, because their owner had written them meanwhile
	Failed    int64           `json:"failed"`    // left as they were, and told
}

// A Misfit is a row that could not be brought up to date. It is left as it is.
type Misfit struct {
	Table string
	ID    string
	Part  string // "": the entity's own row
	Err   error  // names the cell
}

func (m Misfit) Error() string {
	return fmt.Sprintf("%s, id %q, part %q: %v", m.Table, m.ID, m.Part, m.Err)
}

// A Bulk is how rows are brought up to date, and who is told.
type Bulk struct {
	// UpToDate is that of actors.System, which also says what it must do.
	UpToDate func(k actors.KindName, part string, stored json.RawMessage) (now json.RawMessage, changed bool, err error)
	Told     func(Walk)   // after each page
	Failed   func(Misfit) // for each of them
}

// MigrateStates brings all rows of a kind up to date, in the order of their keys. An error means
// that the database did not do its part, or that ctx ended; run it again and it goes on, because
// rows that are up to date are read and left. Misfits are no error: they are counted. It holds a
// page of rows in memory, 4 MiB or one row.
func MigrateStates(ctx context.Context, db Database, k actors.KindName, b Bulk) (Walk, error) {
	s, ok := db.(*server)
	if !ok {
		return Walk{Kind: k}, errors.New("persist: migrate states: this store keeps nothing on a disk")
	}
	table, err := tableName(k)
	if err != nil {
		return Walk{Kind: k}, err
	}
	w := &walker{s: s, Bulk: b, dialect: walkDialectOf(s.dialect.name), table: table, walk: Walk{Kind: k}}
	if w.walk.About, err = w.estimate(ctx); err != nil {
		return w.walk, err
	}
	for {
		more, err := w.page(ctx)
		if err != nil {
			return w.walk, fmt.Errorf("persist: migrate the states of kind %s: %w", k, err)
		}
		b.Told(w.walk)
		if !more {
			return w.walk, nil
		}
	}
}

// A walkDialect is where the databases differ in walking.
type walkDialect struct {
	estimate string // parameter: the table's name, or none
	named    bool   // the estimate has it
	behind   string // rows after a key; parameters: id, id, part
	upTo     string // rows up to a key; likewise
	update   string // %s: the table; parameter: rows in JSON
}

func walkDialectOf(name string) walkDialect {
	if name == "mysql" {
		return walkDialect{
			estimate: "SELECT COALESCE(MAX(table_rows), 0) FROM information_schema.tables" +
				" WHERE table_schema = DATABASE() AND table_name = ?",
			named:  true,
			behind: "(id > ? OR (id = ? AND part > ?))", // a comparison of tuples would use no index
			upTo:   "(id < ? OR (id = ? AND part <= ?))",
			update: `UPDATE JSON_TABLE(?, '$[*]' COLUMNS (` + mysqlText("id", mysqlKey) + `, ` +
				mysqlText("part", mysqlKey) + `, ` + mysqlNumber("epoch") + `, ` + mysqlNumber("version") + `, ` +
				mysqlText("data", "LONGTEXT") + `)) v
STRAIGHT_JOIN %s t ON t.id = v.id AND t.part = v.part
SET t.data = v.data
WHERE t.epoch = v.epoch AND t.version = v.version AND t.data IS NOT NULL`,
		}
	}
	return walkDialect{
		estimate: "SELECT COUNT(*) FROM %s",
		behind:   "(id > ?1 OR (id = ?2 AND part > ?3)) AND id >= ?1",
		upTo:     "(id < ?4 OR (id = ?5 AND part <= ?6))",
		update: `UPDATE %s AS t SET data = v.value ->> '$.data' FROM json_each(?1) v
WHERE t.id = v.value ->> '$.id' AND t.part = v.value ->> '$.part' AND t.epoch = v.value ->> '$.epoch'
	AND t.version = v.value ->> '$.version' AND t.data IS NOT NULL`,
	}
}

// A walker goes through one table.
type walker struct {
	Bulk
	s        *server
	dialect  walkDialect
	table    string
	id, part string // of the last row that was looked at
	walk     Walk
}

func (w *walker) estimate(ctx context.Context) (about int64, err error) {
	if w.dialect.named {
		err = w.s.read.QueryRowContext(ctx, w.dialect.estimate, w.table).Scan(&about)
	} else {
		err = w.s.read.QueryRowContext(ctx, fmt.Sprintf(w.dialect.estimate, w.table)).Scan(&about)
	}
	return about, w.s.fail("count the rows of "+w.table, err)
}

// A stateRow is a row that was read, and what is to stand there instead.
type stateRow struct {
	ID      string `json:"id"`
	Part    string `json:"part"`
	Epoch   uint64 `json:"epoch"`
	Version uint64 `json:"version"`
	Data    string `json:"data"`
}

// page brings the next rows up to date, and reports whether there may be more.
func (w *walker) page(ctx context.Context) (more bool, err error) {
	id, part, count, err := w.reach(ctx)
	if err != nil || count == 0 {
		return false, err
	}
	rows, err := w.read(ctx, id, part, count)
	if err != nil {
		return false, err
	}
	var old []stateRow
	bytes := 0
	for _, r := range rows {
		w.walk.Rows++
		now, changed, err := w.UpToDate(w.walk.Kind, r.Part, json.RawMessage(r.Data))
		switch {
		case err != nil:
			w.fails(r, err)
		case changed:
			r.Data = string(now)
			if bytes += len(now); len(old) > 0 && bytes > walkBytes {
				if err := w.write(ctx, old); err != nil {
					return false, err
				}
				old, bytes = nil, len(now)
			}
			old = append(old, r)
		}
	}
	if err := w.write(ctx, old); err != nil {
		return false, err
	}
	w.id, w.part = id, part
	return true, nil
}

// reach finds how far the next page goes: rows are measured before they are read.
func (w *walker) reach(ctx context.Context) (id, part string, count int, err error) {
	rows, err := w.s.read.QueryContext(ctx, "SELECT id, part, OCTET_LENGTH(data) FROM "+w.table+" WHERE "+
		w.dialect.behind+" AND data IS NOT NULL ORDER BY id, part LIMIT "+fmt.Sprint(walkRows), w.id, w.id, w.part)
	if err != nil {
		return "", "", 0, w.s.fail("measure rows of "+w.table, err)
	}
	defer rows.Close()
	for bytes := int64(0); rows.Next(); count++ {
		var nextID, nextPart string
		var length int64
		if err := rows.Scan(&nextID, &nextPart, &length); err != nil {
			return "", "", 0, w.s.fail("measure rows of "+w.table, err)
		}
		if bytes += length; count > 0 && bytes > walkBytes {
			return id, part, count, nil
		}
		id, part = nextID, nextPart
	}
	return id, part, count, w.s.fail("measure rows of "+w.table, rows.Err())
}

func (w *walker) read(ctx context.Context, id, part string, count int) ([]stateRow, error) {
	rows, err := w.s.read.QueryContext(ctx, "SELECT id, part, epoch, version, data FROM "+w.table+" WHERE "+
		w.dialect.behind+" AND "+w.dialect.upTo+" AND data IS NOT NULL ORDER BY id, part LIMIT "+fmt.Sprint(count),
		w.id, w.id, w.part, id, id, part)
	if err != nil {
		return nil, w.s.fail("read rows of "+w.table, err)
	}
	defer rows.Close()
	page := make([]stateRow, 0, count)
	for rows.Next() {
		var r stateRow
		if err := rows.Scan(&r.ID, &r.Part, &r.Epoch, &r.Version, &r.Data); err != nil {
			return nil, w.s.fail("read rows of "+w.table, err)
		}
		page = append(page, r)
	}
	return page, w.s.fail("read rows of "+w.table, rows.Err())
}

func (w *walker) fails(r stateRow, err error) {
	w.walk.Failed++
	w.Failed(Misfit{Table: w.table, ID: r.ID, Part: r.Part, Err: err})
}

// write writes rows, or halves of them until the one that the database refuses is alone.
func (w *walker) write(ctx context.Context, rows []stateRow) error {
	if len(rows) == 0 {
		return nil
	}
	affected, err := w.update(ctx, rows)
	switch {
	case err == nil:
		w.walk.Migrated += affected
		w.walk.Overtaken += int64(len(rows)) - affected
		return nil
	case !errors.Is(err, ErrRejected):
		return err
	case len(rows) == 1:
		w.fails(rows[0], err)
		return nil
	}
	if err := w.write(ctx, rows[:len(rows)/2]); err != nil {
		return err
	}
	return w.write(ctx, rows[len(rows)/2:])
}

// update replaces what nobody has replaced meanwhile, in one statement.
func (w *walker) update(ctx context.Context, rows []stateRow) (affected int64, err error) {
	doc, err := encode(rows)
	if err != nil {
		return 0, err
	}
	for try := 0; ; try++ {
		done, err := w.s.write.ExecContext(ctx, fmt.Sprintf(w.dialect.update, w.table), doc)
		if err == nil {
			return done.RowsAffected()
		}
		err = w.s.fail("write "+w.table, err)
		if !errors.Is(err, ErrContended) || try == walkRetries {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(walkPause):
		}
	}
}
