package persist

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/fireflyrt/firefly/actors"
)

// Bounds of the connections to a MySQL server.
const (
	mysqlConns   = 16               // connections at most
	mysqlDial    = 3 * time.Second  // to be connected
	mysqlAnswer  = 15 * time.Second // for one answer; the server ends a lock wait after 5 s
	mysqlPacket  = 16 << 20         // bytes that the server must take at once: MaxChange, escaped
	mysqlIdleFor = time.Minute
	mysqlLockFor = "30" // seconds that work on a table waits for those who use it, who then wait for it
)

// CheckDSN says whether OpenMySQL could read the name of a database. Its error shows nothing of it: in
// most there is a password.
func CheckDSN(dsn string) error {
	_, err := readDSN(dsn)
	return err
}

func readDSN(dsn string) (*mysql.Config, error) {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, errors.New("persist: the driver cannot read the store's dsn")
	}
	if c.DBName == "" {
		return nil, errors.New("persist: the store's dsn names no database")
	}
	return c, nil
}

// OpenMySQL opens a MySQL or MariaDB database, named as go-sql-driver names it:
// user:password@tcp(10.0.0.7:3306)/arena. Settings that writing right depends on are made here,
// whatever the name says of them. It was tested against MariaDB 10.11; statements keep to what
// MySQL 8 takes as well. The server need not be up yet: it is looked at by Migrate.
func OpenMySQL(dsn string) (Database, error) {
	c, err := readDSN(dsn)
	if err != nil {
		return nil, err
	}
	c.ClientFoundRows = false // affected rows must be those that changed
	c.InterpolateParams = false
	c.ParseTime = false
	c.Timeout, c.ReadTimeout, c.WriteTimeout = mysqlDial, mysqlAnswer, mysqlAnswer
	c.Collation = "utf8mb4_bin"
	c.MaxAllowedPacket = 0 // ask the server
	if c.Params == nil {
		c.Params = make(map[string]string)
	}
	c.Params["sql_mode"] = "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
	c.Params["innodb_lock_wait_timeout"] = "5"
	c.Params["time_zone"] = "'+00:00'"
	c.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("persist: dsn of the store: %w", err)
	}
	db, short := sql.OpenDB(isolated{connector}), sql.OpenDB(isolated{connector})
	for _, pool := range []*sql.DB{db, short} {
		pool.SetMaxOpenConns(mysqlConns)
		pool.SetMaxIdleConns(mysqlConns)
		pool.SetConnMaxIdleTime(mysqlIdleFor)
	}
	c.ReadTimeout = 0 // an ALTER TABLE answers when it has been through all rows
	c.Params["lock_wait_timeout"] = mysqlLockFor
	if connector, err = mysql.NewConnector(c); err != nil {
		return nil, errors.Join(fmt.Errorf("persist: dsn of the store: %w", err), db.Close(), short.Close())
	}
	patient := sql.OpenDB(isolated{connector})
	patient.SetMaxIdleConns(1)
	patient.SetConnMaxIdleTime(mysqlIdleFor)
	return &server{dialect: mysqlDialect(), write: db, read: db, patient: patient, short: newValues(short)}, nil
}

// isolated makes every connection REPEATABLE READ: the share locks on the fence rows depend on it.
// The variable's name differs between servers, the statement does not.
type isolated struct{ driver.Connector }

func (i isolated) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := i.Connector.Connect(ctx)
	if err != nil {
		return nil, unsent{err}
	}
	_, err = conn.(driver.ExecerContext).ExecContext(ctx,
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", nil)
	if err != nil {
		return nil, unsent{errors.Join(err, conn.Close())}
	}
	return conn, nil
}

// unsent is an error of connecting. Whatever its number says: what was to be sent then was not.
type unsent struct{ error }

func (u unsent) Unwrap() error { return u.error }

func mysqlDialect() dialect {
	return dialect{
		name:   "mysql",
		table:  mysqlTable,
		upsert: mysqlUpsert,
		purge:  mysqlPurge,
		raise:  mysqlRaise(),
		seed:   mysqlSeed(),
		// 1 for a row that is new, 2 for one that changed, 0 for one left out: only if all changed
		// does the sum leave no doubt.
		settled: func(affected, rows int64) bool { return affected == 2*rows },
		fate:    mysqlFate,
		level:   mysqlLevel,
		inspect: mysqlInspect,
		lock:    mysqlLock,
		column:  mysqlColumn,
		// An index is known within its table.
		indexName: func(_, column string) string { return column },
		quote:     func(name string) string { return "`" + name + "`" },
		dropIndex: func(quoted, table string) string { return "DROP INDEX " + quoted + " ON " + table },
	}
}

func mysqlTable(table string) string {
	return `CREATE TABLE IF NOT EXISTS ` + table + ` (
	id VARBINARY(255) NOT NULL, part VARBINARY(255) NOT NULL, shard INT NOT NULL,
	epoch BIGINT UNSIGNED NOT NULL, version BIGINT UNSIGNED NOT NULL,
	data JSON NULL, box JSON NULL, due_at BIGINT NULL, updated_at BIGINT NOT NULL,
	PRIMARY KEY (id, part)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`
}

// mysqlKey is wider than the columns id and part: MariaDB cuts what is too long for a column of
// JSON_TABLE silently, whatever the mode, but refuses what is too long for a column of a table.
const mysqlKey = "VARCHAR(1024)"

// mysqlText is a text column of a JSON parameter.
func mysqlText(name string, size string) string {
	return name + ` ` + size + ` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$.` + name +
		`' NULL ON EMPTY ERROR ON ERROR`
}

func mysqlNumber(name string) string { return name + ` BIGINT UNSIGNED PATH '$.` + name + `'` }

func mysqlRows() string {
	return `JSON_TABLE(?, '$[*]' COLUMNS (` + strings.Join([]string{
		mysqlText("id", mysqlKey), mysqlText("part", mysqlKey),
		"shard INT PATH '$.shard'", mysqlNumber("version"), mysqlNumber("whole"), mysqlText("data", "LONGTEXT"),
		mysqlText("box", "LONGTEXT"), "due_at BIGINT PATH '$.due_at'",
		mysqlNumber("epoch"), mysqlText("holder", "VARCHAR(16)"),
		mysqlNumber("keeper_epoch"), mysqlText("keeper_holder", "VARCHAR(16)"),
	}, ", ") + `))`
}

// mysqlUpsert leaves out what a fence does not let through, and the parts of entities that the table has as new
// already: one that is not there would come into being beside newer ones. Assignments run from left to right and see
// what those before them assigned. So version stands next to last and epoch last, or the columns after them would
// compare the new row with itself and keep their old value.
func mysqlUpsert(table string) string {
	var set strings.Builder
	for i, column := range []string{"shard", "data", "box", "due_at", "updated_at", "version",
		"epoch"} {
		if i > 0 {
			set.WriteString(",\n\t")
		}
		fmt.Fprintf(&set, `%[2]s = IF(VALUES(epoch) > %[1]s.epoch OR (VALUES(epoch) = %[1]s.epoch`+
			` AND VALUES(version) > %[1]s.version), VALUES(%[2]s), %[1]s.%[2]s)`, table, column)
	}
	return `INSERT INTO ` + table + ` (id, part, shard, data, box, due_at, updated_at, version, epoch)
SELECT v.id, v.part, v.shard, v.data, v.box, v.due_at, ?, v.version, v.epoch
FROM ` + mysqlRows() + ` v
STRAIGHT_JOIN firefly_fence k ON k.role = 'persist' AND k.shard = v.shard
	AND k.epoch = v.keeper_epoch AND k.holder = v.keeper_holder
STRAIGHT_JOIN firefly_fence o ON o.role = ? AND o.shard = v.shard
	AND o.epoch = v.epoch AND o.holder = v.holder
WHERE v.whole IS NULL OR NOT EXISTS (SELECT 1 FROM ` + table + ` e WHERE e.id = v.id AND e.part = ''
	AND (e.epoch > v.epoch OR e.epoch = v.epoch AND e.version >= v.whole))
LOCK IN SHARE MODE
ON DUPLICATE KEY UPDATE ` + set.String()
}

// mysqlPurge: what a statement that writes reads of other tables, it locks; so a raise waits for it.
func mysqlPurge(table string) string {
	return `DELETE t FROM ` + mysqlRows() + ` v
STRAIGHT_JOIN firefly_fence k ON k.role = 'persist' AND k.shard = v.shard
	AND k.epoch = v.keeper_epoch AND k.holder = v.keeper_holder
STRAIGHT_JOIN ` + table + ` t ON t.id = v.id AND t.part = v.part
WHERE t.part <> '' AND t.data IS NULL AND t.epoch = v.epoch AND t.version = v.version`
}

func mysqlRaise() string {
	return `INSERT INTO firefly_fence (role, shard, epoch, holder)
SELECT v.role, v.shard, 1, v.holder
FROM JSON_TABLE(?, '$[*]' COLUMNS (` + strings.Join([]string{
		mysqlText("role", "VARCHAR(64)"), "shard INT PATH '$.shard'",
		mysqlText("holder", "VARCHAR(16)"),
		mysqlNumber("keeper_epoch"), mysqlText("keeper_holder", "VARCHAR(16)"),
	}, ", ") + `)) v
WHERE v.keeper_epoch IS NULL OR EXISTS (SELECT 1 FROM firefly_fence k
	WHERE k.role = 'persist' AND k.shard = v.shard
	AND k.epoch = v.keeper_epoch AND k.holder = v.keeper_holder)
ON DUPLICATE KEY UPDATE epoch = firefly_fence.epoch + 1, holder = VALUES(holder)`
}

func mysqlSeed() string {
	return `INSERT INTO firefly_fence (role, shard, epoch, holder)
SELECT v.role, v.shard, 0, ''
FROM JSON_TABLE(?, '$[*]' COLUMNS (` + mysqlText("role", "VARCHAR(64)") + `,
	shard INT PATH '$.shard')) v
ON DUPLICATE KEY UPDATE epoch = firefly_fence.epoch`
}

// Numbers of the server's errors: dev.mysql.com/doc/mysql-errors and mariadb.com/kb/en/
// mariadb-error-codes. They are the same in both.
var (
	mysqlContended = [...]uint16{1205, 1213}
	// Too many connections, disk or table full, shutting down, read-only, killed, wrong password,
	// no such database: a matter of the server, not of the rows.
	mysqlDown = [...]uint16{1021, 1036, 1040, 1041, 1044, 1045, 1049, 1053, 1114, 1129, 1130, 1135,
		1203, 1226, 1290, 1317, 1792, 1836, 1927, 3024}
	// Errors while committing or in the engine: it may have been written.
	mysqlUnclear = [...]uint16{1030, 1180, 1181}
)

// isMySQL reports whether the server answered with an error of one of the numbers.
func isMySQL(err error, numbers ...uint16) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && slices.Contains(numbers, e.Number)
}

func mysqlFate(err error) error {
	var e *mysql.MySQLError
	var dial *net.OpError
	switch {
	case errors.As(err, new(unsent)):
		return ErrDown
	case errors.As(err, &e) && slices.Contains(mysqlContended[:], e.Number):
		return ErrContended
	case errors.As(err, &e) && slices.Contains(mysqlDown[:], e.Number):
		return ErrDown
	case errors.As(err, &e) && slices.Contains(mysqlUnclear[:], e.Number):
		return ErrUnclear
	case errors.As(err, &e), errors.Is(err, mysql.ErrPktTooLarge):
		return ErrRejected
	case errors.Is(err, driver.ErrBadConn), errors.As(err, &dial) && dial.Op == "dial":
		return ErrDown // the driver says so only when nothing was sent
	}
	return ErrUnclear
}

// mysqlBad are the refusals of values: out of range, of another form, too long, NULL, against a CHECK or a foreign key.
var mysqlBad = [...]uint16{1048, 1216, 1217, 1264, 1292, 1364, 1365, 1366, 1406, 1451, 1452, 1690, 3140, 3819, 4025}

// mysqlBlame finds the code of a Table's row that is refused; none: it is not the row's fault.
func mysqlBlame(err error) actors.Code {
	var e *mysql.MySQLError
	switch {
	case !errors.As(err, &e):
		return ""
	case e.Number == 1062 || e.Number == 1586:
		return RowTaken
	case slices.Contains(mysqlBad[:], e.Number):
		return BadValue
	}
	return ""
}
