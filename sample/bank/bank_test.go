package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/fireflyrt/firefly/cluster/cli"
	"github.com/fireflyrt/firefly/cluster/clustertest"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// These tests run the bank as a cluster of real processes, kill or freeze them and their database with -9 and SIGSTOP,
// and compare what people were told with what is there afterwards. `make chaos` runs long versions.

const asBank = "FIREFLY_TEST_GAME=bank"

func TestMain(m *testing.M) {
	if os.Getenv("FIREFLY_TEST_GAME") == "bank" {
		cli.Main(App)
	}
	mysql.SetLogger(&mysql.NopLogger{}) //nolint:errcheck // it is a logger
	os.Exit(m.Run())
}

// number is an environment variable's, or what CI has time for.
func number(t *testing.T, name string, short int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return short
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is no number above 0", name, text)
	}
	return n
}

const bankConfig = `[cluster]
name = "bank"
lease = "LEASE"
etcd_port = 9470
[node.gate-1]
roles = ["gate"]
listen = "127.0.0.1:9410"
tcp = "127.0.0.1:9400"
[node.game]
roles = ["game"]
count = 2
listen = "127.0.0.1:9420+"
[node.persist]
roles = ["persist"]
count = 2
listen = "127.0.0.1:9430+"
[gate]
rate = 1000
burst = 1000
[persist]
flush_every = "1s"
`

const (
	flushEvery   = time.Second      // as in bankConfig
	scheduling   = 2 * time.Second  // by which a busy machine may be late
	answerWithin = 30 * time.Second // much more than the 5 s after which the gate answers, whatever happens behind it
	goOnWithin   = time.Minute      // everybody must go on after a death
	enoughWithin = 3 * time.Minute  // a slow machine takes its time until enough was tested
)

// A branch is a cluster that runs the bank, and the store below it.
type branch struct {
	*clustertest.Cluster
	t     *testing.T
	up    *clustertest.Up
	maria *mariadbtest.Server // nil: SQLite
	vault *vault
}

// inMariaDB and inSQLite are where a branch may keep what it has.
const (
	inMariaDB = "MariaDB"
	inSQLite  = "SQLite"
)

// open starts a branch.
func open(t *testing.T, store string, lease time.Duration) *branch {
	t.Helper()
	b := build(t, store, strings.Replace(bankConfig, "LEASE", lease.String(), 1))
	b.up = b.Up()
	return b
}

// build makes a branch that does not run yet.
func build(t *testing.T, store, text string) *branch {
	t.Helper()
	b := &branch{t: t}
	program, env := clustertest.Itself(t, asBank)
	if store == inMariaDB {
		b.maria = mariadbtest.Start(t)
		dsn := b.maria.DSN()
		b.vault = openVault(t, "mysql", dsn)
		text += "store = \"mysql\"\ndsn = \"env:FIREFLY_MYSQL_DSN\"\n"
		env = append(env, "FIREFLY_MYSQL_DSN="+dsn)
	}
	b.Cluster = clustertest.New(t, clustertest.Game{Program: program, Config: text, Env: env})
	if b.maria == nil {
		b.vault = openVault(t, "sqlite", "file:"+b.Config.StoreFile()+"?mode=ro&_pragma=busy_timeout(5000)")
	}
	if b.maria != nil {
		if text, code := b.Run("migrate"); code != 0 {
			t.Fatalf("migrate: exit code %d\n%s", code, text)
		}
	}
	return b
}
