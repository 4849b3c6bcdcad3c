package persist

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// levels asks for the level again and again while somebody else sets what it depends on.
type levels struct {
	*testing.T
	db    Database
	admin *sql.DB
}

func levelsOf(t *testing.T, dsn string) *levels {
	t.Helper()
	db, err := OpenMySQL(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	admin, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	return &levels{t, db, admin}
}

// after sets a global and wants texts in the level.
func (l *levels) after(set string, want ...string) {
	l.Helper()
	if set != "" {
		if _, err := l.admin.ExecContext(l.Context(), "SET GLOBAL "+set); err != nil {
			l.Fatalf("%s: %v", set, err)
		}
	}
	level, err := l.db.Level(l.Context())
	for _, text := range want {
		if err != nil || !strings.Contains(level, text) {
			l.Errorf("after %s: %q, %v; it does not say %q", set, level, err, text)
		}
	}
}

func TestTheLevelIsThatOfTheServersSettings(t *testing.T) {
	t.Parallel()
	const (
		full    = ": on the disk at each commit"
		crash   = "innodb_flush_log_at_trx_commit=0 (a crash of the server loses the last 1 s of commits)"
		machine = "innodb_flush_log_at_trx_commit=2 (a crash of its machine loses the last 1 s of commits)"
	)
	t.Run("as installed", func(t *testing.T) {
		t.Parallel()
		l := levelsOf(t, mariadbtest.Start(t).DSN())
		l.after("", "mysql 1", full)
		l.after("innodb_flush_log_at_trx_commit = 2", "degraded: mysql 1", machine)
		l.after("innodb_flush_log_at_trx_commit = 0", "degraded: mysql 1", crash)
		l.after("innodb_flush_log_at_timeout = 30", "loses the last 30 s of commits")
		l.after("innodb_flush_log_at_trx_commit = 3", full) // MariaDB's, more than 1
		l.after("innodb_flush_log_at_trx_commit = 1", full)
		l.after("sync_binlog = 0", full) // there is no binlog
		l.after("max_allowed_packet = 1048576", "degraded: ", "max_allowed_packet=1048576 (large entities are refused)")
		l.after("max_allowed_packet = 67108864", full)
		l.after("read_only = 1", "degraded: ", "read_only=ON (it takes no writes)")
	})
	t.Run("careless", func(t *testing.T) {
		t.Parallel()
		server := mariadbtest.Start(t, "--log-bin=bin", "--sync-binlog=0", "--innodb-flush-method=nosync",
			"--skip-innodb-doublewrite", "--innodb-flush-log-at-trx-commit=2")
		l := levelsOf(t, server.DSN())
		l.after("", machine+", sync_binlog=0 (a crash of its machine may lose commits), "+
			"innodb_doublewrite=OFF (a power cut may destroy pages), "+
			"innodb_flush_method=nosync (a power cut may destroy pages)")
		l.after("sync_binlog = 1", machine+", innodb_doublewrite")
		server.Kill()
		if level, err := l.db.Level(l.Context()); err == nil {
			t.Errorf("without a server: %q", level)
		}
	})
}

func TestWhatNoServerHereCanBeSetTo(t *testing.T) {
	t.Parallel()
	good := map[string]string{"innodb_flush_log_at_trx_commit": "1", "max_allowed_packet": "67108864",
		"innodb_doublewrite": "ON", "innodb_flush_method": "O_DIRECT", "log_bin": "ON", "sync_binlog": "1"}
	if faults := mysqlFaults(good); faults != nil {
		t.Errorf("faults of good settings: %q", faults)
	}
	for name, value := range map[string]string{"innodb_doublewrite": "DETECT_ONLY", "wsrep_on": "ON",
		"innodb_force_recovery": "3", "super_read_only": "ON", "innodb_read_only": "ON", "sync_binlog": "100",
		"innodb_flush_method": "O_DIRECT_NO_FSYNC"} {
		settings := map[string]string{name: value}
		for n, v := range good {
			if n != name {
				settings[n] = v
			}
		}
		if got := mysqlFaults(settings); len(got) != 1 || !strings.HasPrefix(got[0], name+"="+value+" (") {
			t.Errorf("%s=%s: %q", name, value, got)
		}
	}
}

func TestTheLevelOfTheEmbeddedStoreIsThatOfItsWriter(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)":   "sqlite, journal_mode=wal: on the disk at each commit",
		"_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)": "synchronous=NORMAL (a power cut may lose commits)",
		"_pragma=synchronous(OFF)":                              "synchronous=OFF (a power cut may lose commits, or",
		"_pragma=journal_mode(MEMORY)":                          "degraded: sqlite, journal_mode=memory: journal_mode",
	} {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "a.db")+"?"+settings)
		if err != nil {
			t.Fatal(err)
		}
		got, err := sqliteLevel(context.Background(), db)
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v; want %q", settings, got, err, want)
		}
		db.Close()
	}
	db, err := OpenSQLite(filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const full = "sqlite, journal_mode=wal: on the disk at each commit"
	if got, err := db.Level(context.Background()); err != nil || got != full {
		t.Errorf("%q, %v", got, err)
	}
}
