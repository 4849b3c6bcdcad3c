package persist

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// The migrations of the tables that every game has. Tables of kinds are made when their kind is
// first seen; what is in them migrates cell by cell, when an entity is loaded.
//
//go:embed migration
var migrations embed.FS

// gooseTable is where goose keeps which migrations were done.
const gooseTable = "firefly_migration"

// migrateLock is how long one node waits for another that migrates, in seconds.
const migrateLock = 30

// migrate brings the database to the newest version. On MySQL nodes take turns by a named lock
// that ends with its connection; SQLite's one writer belongs to one process.
func migrate(ctx context.Context, dialect string, db *sql.DB) (err error) {
	if dialect == "mysql" {
		unlock, err := lockMigration(ctx, db)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	files, err := fs.Sub(migrations, "migration/"+dialect)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.Dialect(dialect), db, files,
		goose.WithTableName(gooseTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

func lockMigration(ctx context.Context, db *sql.DB) (unlock func() error, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	var got sql.NullInt64
	err = conn.QueryRowContext(ctx, "SELECT GET_LOCK(CONCAT(DATABASE(), '.firefly'), ?)",
		migrateLock).Scan(&got)
	if err == nil && got.Int64 != 1 {
		err = fmt.Errorf("another node has been migrating for %d s", migrateLock)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return func() error {
		_, err := conn.ExecContext(ctx, "DO RELEASE_LOCK(CONCAT(DATABASE(), '.firefly'))")
		return errors.Join(err, conn.Close())
	}, nil
}
