package persist

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/pressly/goose/v3"
)

// The migrations of the tables that every game has. Tables of kinds are made when their kind is
// first seen; what is in them migrates cell by cell, when an entity is loaded or in bulk.
//
//go:embed migration
var migrations embed.FS

// gooseTable is where goose keeps which of the runtime's migrations were done.
const gooseTable = "firefly_migration"

// migrateLock is how long one node waits for another that migrates, in seconds.
const migrateLock = 30

// planFiles plans the migrations that stand in files and were not done yet.
func (s *server) planFiles(ctx context.Context, now map[string]heldTable) ([]step, error) {
	files, err := fs.Sub(migrations, "migration/"+s.dialect.name)
	if err != nil {
		return nil, err
	}
	return s.planGoose(ctx, now, files, gooseTable)
}

// A Migration is a set of the game's own goose files: *.sql, or where databases want different ones, in the folders
// mysql and sqlite3. They are done in the order of their numbers, each once.
type Migration struct {
	Name  string // letters, digits, _; which of them were done stands in the table migration_NAME
	Files fs.FS
}

// planMigration plans a set of the game's own.
func (s *server) planMigration(ctx context.Context, now map[string]heldTable, m Migration) ([]step, error) {
	if err := identifier(m.Name); err != nil {
		return nil, fmt.Errorf("persist: migrations %q: %w: %w", m.Name, ErrRejected, err)
	}
	files := m.Files
	if sub, err := fs.Stat(files, s.dialect.name); err == nil && sub.IsDir() {
		if files, err = fs.Sub(files, s.dialect.name); err != nil {
			return nil, fmt.Errorf("persist: migrations %s: %w: %w", m.Name, ErrRejected, err)
		}
	}
	steps, err := s.planGoose(ctx, now, files, "migration_"+m.Name)
	if err != nil {
		return nil, s.fail("look at the migrations of "+m.Name, err)
	}
	return steps, nil
}

// planGoose plans one set of files, of which the table says what was done. Goose itself is asked
// only when there is something to do, because it makes that table when it is asked.
func (s *server) planGoose(ctx context.Context, now map[string]heldTable, files fs.FS, table string,
) ([]step, error) {
	p, err := goose.NewProvider(goose.Dialect(s.dialect.name), s.patient, files,
		goose.WithTableName(table), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, err
	}
	var done []string
	if _, made := now[table]; made {
		err := each(ctx, s.patient, "SELECT version_id, '', '' FROM "+table+" WHERE is_applied",
			func(version, _, _ string) { done = append(done, version) })
		if err != nil {
			return nil, err
		}
	}
	var steps []step
	for _, f := range p.ListSources() {
		if slices.Contains(done, fmt.Sprint(f.Version)) {
			continue
		}
		steps = append(steps, step{"do the migration " + f.Path, func(ctx context.Context) error {
			_, err := p.UpByOne(ctx)
			return err
		}})
	}
	return steps, nil
}

// alone does f while no other process works on the schema.
func (s *server) alone(ctx context.Context, f func() error) (err error) {
	unlock, got, err := s.dialect.lock(ctx, s.patient)
	switch {
	case err != nil:
		return s.fail("take the lock of the schema", err)
	case !got:
		return fmt.Errorf("persist: another process has worked on the schema for %d s: %w", migrateLock, ErrContended)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return f()
}

// mysqlLock takes a named lock that ends with its connection, unless another keeps it for too long.
func mysqlLock(ctx context.Context, db *sql.DB) (unlock func() error, got bool, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, false, err
	}
	var answer sql.NullInt64
	err = conn.QueryRowContext(ctx, "SELECT GET_LOCK(CONCAT(DATABASE(), '.firefly'), ?)",
		migrateLock).Scan(&answer)
	if err != nil || answer.Int64 != 1 {
		return nil, false, errors.Join(err, conn.Close())
	}
	return func() error {
		_, err := conn.ExecContext(ctx, "DO RELEASE_LOCK(CONCAT(DATABASE(), '.firefly'))")
		return errors.Join(err, conn.Close())
	}, true, nil
}
