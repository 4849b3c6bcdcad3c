package persist

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/fireflyrt/firefly/actors"
)

// OpenSQLite opens the embedded database: one file of one host, made when it is not there. Writes
// go through one connection, one after the other, and are on the disk when they return.
func OpenSQLite(path string) (Database, error) {
	options := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)",
		"synchronous(FULL)", "cache_size(-16000)"}, "_txlock": {"immediate"}}
	dsn := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(),
		RawQuery: options.Encode()}).String()
	write, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("persist: open %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("persist: open %s: %w", path, err), write.Close())
	}
	read.SetMaxOpenConns(4)
	s := &server{dialect: sqliteDialect(path), write: write, read: read, patient: write}
	if err := write.Ping(); err != nil {
		return nil, errors.Join(s.fail("open "+path, err), s.Close())
	}
	return s, nil
}

func sqliteDialect(path string) dialect {
	return dialect{
		name:    "sqlite3",
		table:   sqliteTable,
		upsert:  sqliteUpsert,
		purge:   sqlitePurge,
		raise:   sqliteRaise,
		seed:    sqliteSeed,
		settled: func(affected, rows int64) bool { return affected == rows },
		fate:    sqliteFate,
		level:   sqliteLevel,
		inspect: sqliteInspect,
		lock:    sqliteLock(path),
		column:  sqliteColumn,
		// An index is known within the file. No two of these names are alike: a table's has no dot.
		indexName: func(table, column string) string { return "index." + table + "." + column },
		quote:     func(name string) string { return `"` + name + `"` },
		dropIndex: func(quoted, _ string) string { return "DROP INDEX " + quoted },
		sparse:    " WHERE due_at IS NOT NULL",
	}
}

func sqliteTable(table string) string {
	return `CREATE TABLE IF NOT EXISTS ` + table + ` (
	id TEXT NOT NULL, part TEXT NOT NULL, shard INTEGER NOT NULL,
	epoch INTEGER NOT NULL, version INTEGER NOT NULL,
	data TEXT CHECK (data IS NULL OR json_valid(data)),
	box TEXT CHECK (box IS NULL OR json_valid(box)),
	due_at INTEGER, updated_at INTEGER NOT NULL,
	PRIMARY KEY (id, part), CHECK (length(CAST(id AS BLOB)) <= 255),
	CHECK (length(CAST(part AS BLOB)) <= 255)) WITHOUT ROWID`
}

// sqliteUpsert leaves out the rows that a fence does not let through, then the parts of entities
// and the rows that the table has as new already. CROSS JOIN fixes the order of the join: from the rows to the fences.
func sqliteUpsert(table string) string {
	return `INSERT INTO ` + table + ` (id, part, shard, data, box, due_at, updated_at, version, epoch)
SELECT v.value ->> '$.id', v.value ->> '$.part', v.value ->> '$.shard', v.value ->> '$.data',
	v.value ->> '$.box', v.value ->> '$.due_at', ?1, v.value ->> '$.version', v.value ->> '$.epoch'
FROM json_each(?2) v
CROSS JOIN firefly_fence k ON k.role = 'persist' AND k.shard = v.value ->> '$.shard'
	AND k.epoch = v.value ->> '$.keeper_epoch' AND k.holder = v.value ->> '$.keeper_holder'
CROSS JOIN firefly_fence o ON o.role = ?3 AND o.shard = v.value ->> '$.shard'
	AND o.epoch = v.value ->> '$.epoch' AND o.holder = v.value ->> '$.holder'
WHERE v.value ->> '$.whole' IS NULL OR NOT EXISTS (SELECT 1 FROM ` + table + ` e
	WHERE e.id = v.value ->> '$.id' AND e.part = ''
	AND (e.epoch, e.version) >= (v.value ->> '$.epoch', v.value ->> '$.whole'))
ON CONFLICT (id, part) DO UPDATE SET shard = excluded.shard, data = excluded.data,
	box = excluded.box, due_at = excluded.due_at, updated_at = excluded.updated_at,
	version = excluded.version, epoch = excluded.epoch
WHERE (excluded.epoch, excluded.version) > (epoch, version)`
}

// sqlitePurge finds the rows by key first: a comparison of more than the key would try all ids with
// all parts.
func sqlitePurge(table string) string {
	return `DELETE FROM ` + table + ` WHERE (id, part) IN (
SELECT t.id, t.part FROM json_each(?1) v
CROSS JOIN firefly_fence k ON k.role = 'persist' AND k.shard = v.value ->> '$.shard'
	AND k.epoch = v.value ->> '$.keeper_epoch' AND k.holder = v.value ->> '$.keeper_holder'
CROSS JOIN ` + table + ` t ON t.id = v.value ->> '$.id' AND t.part = v.value ->> '$.part'
	AND t.epoch = v.value ->> '$.epoch' AND t.version = v.value ->> '$.version'
WHERE t.part <> '' AND t.data IS NULL)`
}

const sqliteRaise = `INSERT INTO firefly_fence (role, shard, epoch, holder)
SELECT v.value ->> '$.role', v.value ->> '$.shard', 1, v.value ->> '$.holder'
FROM json_each(?1) v
WHERE v.value ->> '$.keeper_epoch' IS NULL OR EXISTS (SELECT 1 FROM firefly_fence k
	WHERE k.role = 'persist' AND k.shard = v.value ->> '$.shard'
	AND k.epoch = v.value ->> '$.keeper_epoch' AND k.holder = v.value ->> '$.keeper_holder')
ON CONFLICT (role, shard) DO UPDATE SET epoch = epoch + 1, holder = excluded.holder`

const sqliteSeed = `INSERT INTO firefly_fence (role, shard, epoch, holder)
SELECT v.value ->> '$.role', v.value ->> '$.shard', 0, '' FROM json_each(?1) v
WHERE true ON CONFLICT (role, shard) DO NOTHING`

// sqliteFate: a statement that SQLite answers with an error was rolled back, but for one whose
// disk failed while it was being committed.
func sqliteFate(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return ErrUnclear
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return ErrContended
	case lib.SQLITE_FULL, lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_NOMEM:
		return ErrDown
	case lib.SQLITE_IOERR, lib.SQLITE_INTERRUPT, lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return ErrUnclear
	}
	return ErrRejected
}

// sqliteBlame finds the code of a Table's row that is refused; none: it is not the row's fault.
func sqliteBlame(err error) actors.Code {
	var e *sqlite.Error
	switch {
	case !errors.As(err, &e):
		return ""
	case e.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY || e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE ||
		e.Code() == lib.SQLITE_CONSTRAINT_ROWID:
		return RowTaken
	case e.Code()&0xff == lib.SQLITE_CONSTRAINT || e.Code()&0xff == lib.SQLITE_MISMATCH ||
		e.Code()&0xff == lib.SQLITE_TOOBIG:
		return BadValue
	}
	return ""
}
