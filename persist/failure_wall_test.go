package persist_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// A siege is a node whose real server fails it, under load.
type siege struct {
	*testing.T
	*node
	*crowd
	server *mariadbtest.Server
	dsn    string // the administrator's
	admin  *sql.DB
	others []*sql.Conn
	kept   *clerk // saved once while the cause lasted
}

// A failure is something that goes wrong with a server, and what everybody must be told then.
type failure struct {
	name       string
	options    []string // of a server of its own; none: the one that all share
	begin, end func(*siege)
	limits     persist.Limits
	each       func(int, *clerk)
	code       actors.Code
	says       []string // in the error that a committer gets
	logs       []string // in one line of the log
	refuses    bool     // saves that do not commit are refused too, and not kept
}

func TestWhateverTheServerDoesItIsToldAndNothingIsLost(t *testing.T) {
	t.Parallel()
	server := mariadbtest.Start(t)
	for _, f := range failures {
		t.Run(f.name, func(t *testing.T) { f.run(t, server) })
	}
}

func (f failure) run(t *testing.T, server *mariadbtest.Server) {
	if f.options != nil {
		server = mariadbtest.Start(t, f.options...)
	}
	s := besiege(t, server, f.limits, f.each)
	defer s.admin.Close()
	s.commits(40)
	s.kept = newClerk(s.client, "kept")
	s.kept.flush = true
	if !s.kept.load() {
		t.Fatal(s.kept.told)
	}
	defer func() {
		if t.Failed() { // the others still need the server
			f.end(s)
		}
	}()
	f.begin(s)
	answered := make(chan error, 1)
	go func() { answered <- s.kept.save(1) }() // once: nobody sends it again
	if f.says != nil {
		s.hears(f.code, f.says...)
	}
	if f.refuses {
		if err := <-answered; !strings.Contains(fmt.Sprint(err), string(f.code)) {
			t.Errorf("a save that does not commit: %v", err)
		}
	}
	s.notes(f.logs...) // while it lasts: who is told first need not be who finds out for all
	f.end(s)
	s.commits(40)
	s.stop()
	if f.refuses {
		if err := s.kept.save(2); err != nil {
			t.Errorf("saved again: %v", err)
		}
		s.kept.last = 2
	} else {
		until(t, "what was saved meanwhile", func() bool {
			parts, err := s.town.db.Load(context.Background(), s.kept.ref)
			return err == nil && len(parts) > 0
		})
		<-answered
	}
	for _, k := range append(s.clerks, s.kept) {
		k.check(t, s.town.db)
	}
	if n := strings.Count(s.log.String(), "\n"); n > 100 {
		t.Errorf("the log has %d lines:\n%.2000s", n, s.log)
	}
	if n := s.log.lines("store is back"); n > 2 {
		t.Errorf("the store was back %d times:\n%.4000s", n, s.log)
	}
	t.Logf("%d commits; %+v", s.durable(), s.archive.Report())
}

// besiege makes a node whose account at the server is no administrator's.
func besiege(t *testing.T, server *mariadbtest.Server, l persist.Limits, each func(int, *clerk)) *siege {
	t.Helper()
	dsn := server.DSN()
	name := dsn[strings.LastIndex(dsn, "/")+1:]
	server.Exec("CREATE OR REPLACE USER player@127.0.0.1 IDENTIFIED BY 'right'",
		"GRANT ALL ON "+name+".* TO player@127.0.0.1")
	admin, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	db, err := persist.OpenMySQL(strings.Replace(dsn, "root@", "player:right@", 1))
	if err != nil {
		t.Fatal(err)
	}
	s := &siege{T: t, node: newTown(t, db).alone(l), server: server, dsn: dsn, admin: admin}
	s.crowd = s.node.crowd(8, each)
	return s
}

// do has the administrator say something.
func (s *siege) do(statement string, args ...any) {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := s.admin.ExecContext(ctx, statement, args...); err != nil {
		s.Errorf("%s: %v", statement, err)
	}
}

// hold takes locks in a transaction of its own, and lets them go by the function that it returns.
func (s *siege) hold(statements ...string) (release func()) {
	s.T.Helper()
	tx, err := s.admin.BeginTx(context.Background(), nil)
	if err != nil {
		s.T.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(context.Background(), statement); err != nil {
			s.Errorf("%s: %v", statement, err)
		}
	}
	return func() { _ = tx.Rollback() } // that a server has ended by then is fine
}

// notes waits until a line of the log says something.
func (s *siege) notes(texts ...string) {
	s.T.Helper()
	for deadline := time.Now().Add(time.Minute); s.log.lines(texts...) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Errorf("the log does not say %q, but:\n%s", texts, s.log)
			return
		}
	}
}

// underway waits for a statement of the node's that is being executed.
func (s *siege) underway() {
	s.T.Helper()
	until(s, "a statement that waits", func() bool {
		_, waits := s.waiter()
		return waits
	})
}

// waiter finds the connection of a statement of the node's that takes its time.
func (s *siege) waiter() (connection int64, waits bool) {
	err := s.admin.QueryRow("SELECT id FROM information_schema.processlist WHERE user = 'player'" +
		" AND info LIKE 'INSERT INTO state_hero%' AND time_ms > 20 LIMIT 1").Scan(&connection)
	return connection, err == nil
}

// renamed renames a column, which may be unknown in 'CHECK' at first.
func renamed(from, to string) func(*siege) {
	return func(s *siege) {
		until(s, "the column "+from+" to be renamed", func() bool {
			_, err := s.admin.Exec("ALTER TABLE state_hero RENAME COLUMN " + from + " TO " + to)
			return err == nil
		})
	}
}

// killed locks a clerk's row, so that the statement that writes it waits, and kills that. Others that are slow are
// killed too, or have ended when that is tried: it goes on until the node has noticed.
func killed(what string) func(*siege) {
	return func(s *siege) {
		release := s.hold("SELECT * FROM state_hero WHERE id = 'clerk-3' FOR UPDATE")
		defer release()
		until(s, "a statement to be killed", func() bool {
			if connection, waits := s.waiter(); waits {
				_, _ = s.admin.Exec(fmt.Sprintf("KILL %s %d", what, connection)) // an error: it has gone
			}
			return s.log.lines("store is down") > 0
		})
	}
}

// players is how many connections the node has.
func (s *siege) players() (n int) {
	s.T.Helper()
	if err := s.admin.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'player'").
		Scan(&n); err != nil {
		s.T.Fatal(err)
	}
	return n
}

// crowded lets others take all connections. Commits that were under way have no outcome until some of them have left,
// and all of them may be; so newcomers commit, too.
func crowded(s *siege) {
	newcomers := make([]*clerk, 20)
	for i := range newcomers {
		if newcomers[i] = newClerk(s.client, fmt.Sprint("newcomer-", i)); !newcomers[i].load() {
			s.T.Fatal(newcomers[i].told)
		}
	}
	s.server.Exec("CREATE OR REPLACE USER crowd@127.0.0.1")
	s.do("SET GLOBAL max_connections = 10")
	others, err := sql.Open("mysql", strings.Replace(s.dsn[:strings.LastIndex(s.dsn, "/")+1], "root@", "crowd@", 1))
	if err != nil {
		s.T.Fatal(err)
	}
	s.Cleanup(func() { others.Close() })
	until(s, "a server full of others", func() bool {
		before := s.players()
		for {
			c, err := others.Conn(context.Background())
			if err != nil {
				break
			}
			s.others = append(s.others, c)
		}
		if before+s.players() == 0 { // so none can come back
			return len(s.others) > 7
		}
		_, _ = s.admin.Exec("KILL CONNECTION USER player") // an error: there was none
		return false
	})
	s.notes("down", "Too many connections")
	for _, k := range newcomers {
		if !s.heard(actors.StoreUnavailable, "Too many connections") {
			s.clerks[0].tell(k.save(1))
		}
	}
}

// fill writes until the server has no room left.
func fill(s *siege) {
	s.do("CREATE TABLE ballast (id INT PRIMARY KEY AUTO_INCREMENT, n LONGTEXT NOT NULL)")
	for _, bytes := range []int{200_000, 4000, 100} {
		var err error
		for err == nil {
			_, err = s.admin.Exec("INSERT INTO ballast (n) VALUES (REPEAT('x', ?))", bytes)
		}
	}
}

func nothing(*siege) {}

var failures = []failure{
	{
		name:  "read-only server",
		begin: func(s *siege) { s.do("SET GLOBAL read_only = 1") },
		end:   func(s *siege) { s.do("SET GLOBAL read_only = 0") },
		code:  actors.StoreUnavailable, says: []string{"write state_hero", "--read-only"},
		logs: []string{"down", "--read-only"},
	},
	{
		name:  "tables that became read-only",
		begin: func(s *siege) { s.server.Stop(); s.server.Restart("--innodb-read-only") },
		end:   func(s *siege) { s.server.Stop(); s.server.Restart() },
		says:  []string{"only"}, logs: []string{"down", "only"}, // of a table, or of the server: whoever asks first
	},
	{
		name:  "too many connections",
		begin: crowded,
		end: func(s *siege) {
			for _, c := range s.others {
				c.Close()
			}
			s.do("SET GLOBAL max_connections = 151")
		},
		code: actors.StoreUnavailable, says: []string{"Too many connections"},
		logs: []string{"down", "Too many connections"},
	},
	{
		name:  "dropped column",
		begin: renamed("data", "gone"), end: renamed("gone", "data"),
		code: actors.StoreRefused, says: []string{"write state_hero", "Unknown column", "data"},
		logs: []string{"the store refuses a change", "Unknown column", "data"}, refuses: true,
	},
	{
		name:  "dropped table",
		begin: func(s *siege) { s.do("RENAME TABLE state_hero TO gone") },
		end:   func(s *siege) { s.do("RENAME TABLE gone TO state_hero") },
		code:  actors.StoreRefused, says: []string{"state_hero", "doesn't exist"},
		logs: []string{"the store refuses a change", "state_hero", "doesn't exist"}, refuses: true,
	},
	{
		name:  "killed statement",
		begin: killed("QUERY"), end: nothing,
		code: actors.StoreUnavailable, says: []string{"interrupted"},
		logs: []string{"store is down", "interrupted"},
	},
	{
		name:  "killed connection",
		begin: killed("CONNECTION"), end: nothing,
		logs: []string{"store is down", "answer was lost"}, // it was found out within the second: nobody was told
	},
	{
		name:    "disk full",
		options: []string{"--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:16M"},
		begin:   fill,
		end: func(s *siege) {
			s.server.Kill()
			s.server.Restart("--innodb-data-file-path=ibdata1:12M:autoextend")
		},
		each: func(i int, k *clerk) { k.fill = strings.Repeat("x", 1000*i) },
		code: actors.StoreUnavailable, says: []string{"write state_hero", "'state_hero' is full"},
		logs: []string{"store is down", "'state_hero' is full"},
	},
	{
		name: "wrong password after a crash",
		begin: func(s *siege) {
			s.server.Exec("ALTER USER player@127.0.0.1 IDENTIFIED BY 'wrong'")
			s.server.Kill()
			s.server.Restart()
		},
		end:  func(s *siege) { s.server.Exec("ALTER USER player@127.0.0.1 IDENTIFIED BY 'right'") },
		code: actors.StoreUnavailable, says: []string{"the store is down", "Access denied for user 'player'"},
		logs: []string{"down", "Access denied for user 'player'"},
	},
	{
		name: "packet too large",
		begin: func(s *siege) {
			s.do("SET GLOBAL max_allowed_packet = 131072")
			_, _ = s.admin.Exec("KILL CONNECTION USER player")
		},
		end: func(s *siege) {
			s.do("SET GLOBAL max_allowed_packet = 67108864")
			_, _ = s.admin.Exec("KILL CONNECTION USER player")
		},
		limits: persist.Limits{BatchBytes: 8 << 20},
		each: func(i int, k *clerk) {
			if k.fill = strings.Repeat("x", 40_000); i == 5 {
				k.fill = strings.Repeat("x", 250_000)
			}
		},
		code: actors.StoreRefused, says: []string{"clerk-5", "max_allowed_packet"},
		logs: []string{"the store refuses a change", "hero/clerk-5"},
	},
}
