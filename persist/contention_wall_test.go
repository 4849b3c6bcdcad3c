package persist_test

import (
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// TestADeadlockCostsTimeAndNothingElse has an administrator lock rows and fences in the other order than the node
// does, in transactions that weigh more than a batch, so that the batch is the one that the server ends.
func TestADeadlockCostsTimeAndNothingElse(t *testing.T) {
	t.Parallel()
	s := besiege(t, mariadbtest.Start(t), persist.Limits{}, nil)
	defer s.admin.Close()
	s.commits(40)
	s.do("CREATE TABLE ballast (id INT PRIMARY KEY, n INT NOT NULL) AS SELECT seq AS id, 0 AS n FROM seq_1_to_2000")
	const rounds = 10
	for range rounds {
		tx, err := s.admin.Begin()
		if err != nil {
			t.Fatal(err)
		}
		for i, statement := range []string{"UPDATE ballast SET n = n + 1",
			"SELECT * FROM state_hero WHERE id = 'clerk-3' FOR UPDATE",
			"UPDATE firefly_fence SET epoch = epoch + 1 WHERE role = 'game' AND shard < 4",
		} {
			if i == 2 {
				s.underway()
			}
			if _, err := tx.Exec(statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
		s.commits(8)
	}
	s.stop()
	var name string
	var deadlocks uint64
	if err := s.admin.QueryRow("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'").Scan(&name, &deadlocks); err != nil {
		t.Error(err)
	}
	r := s.archive.Report()
	if deadlocks < rounds/2 || r.Retries < rounds/2 || r.Unclear > 0 || r.Aside > 0 {
		t.Errorf("the server had %d deadlocks in %d rounds; %+v", deadlocks, rounds, r)
	}
	for _, k := range s.clerks {
		k.check(t, s.town.db)
	}
	if told := s.told(); told != "" {
		t.Errorf("clerks were told:\n%s", told)
	}
	t.Logf("%d commits, %d deadlocks, %d statements sent again", s.durable(), deadlocks, r.Retries)
}

// besiegeAndKeep adds a clerk that flushes what it writes.
func besiegeAndKeep(t *testing.T) (*siege, *clerk) {
	t.Helper()
	s := besiege(t, mariadbtest.Start(t), persist.Limits{}, nil)
	s.commits(40)
	kept := newClerk(s.client, "kept")
	kept.flush = true
	if !kept.load() {
		t.Fatal(kept.told)
	}
	return s, kept
}

// TestAWaitForALockIsTriedAgain keeps a row locked for longer than the server lets a statement wait. Those of its
// batch hear for a while that nobody knows, all others commit.
func TestAWaitForALockIsTriedAgain(t *testing.T) {
	t.Parallel()
	s, kept := besiegeAndKeep(t)
	defer s.admin.Close()
	release := s.hold("SELECT * FROM state_hero WHERE id = 'clerk-3' FOR UPDATE")
	s.underway()
	saved := make(chan error, 1)
	go func() { saved <- kept.save(1) }()
	s.hears(actors.ErrUnknown, "clerk-3")
	until(t, "a statement sent again", func() bool { return s.archive.Report().Retries > 0 })
	if err := <-saved; err != nil {
		t.Errorf("a save of another entity meanwhile: %v", err)
	}
	release()
	s.commits(40)
	s.stop()
	for _, k := range append(s.clerks, kept) {
		k.check(t, s.town.db)
	}
	if r := s.archive.Report(); r.Aside > 0 || r.Down || r.Rows > 0 {
		t.Errorf("%+v", r)
	}
}

// TestAFrozenServerIsFoundOutWhenItGoesOn freezes the server for longer than a node waits for an answer, with
// statements in it that it goes on with later.
func TestAFrozenServerIsFoundOutWhenItGoesOn(t *testing.T) {
	t.Parallel()
	s, kept := besiegeAndKeep(t)
	defer s.admin.Close()
	s.server.Freeze()
	saved := make(chan error, 1)
	go func() { saved <- kept.save(1) }()
	s.hears(actors.ErrUnknown, "no answer")
	until(t, "a node that sees it", func() bool { return s.log.lines("store is down", "answer was lost") > 0 })
	s.server.Thaw()
	<-saved
	s.commits(40)
	s.stop()
	until(t, "what was saved meanwhile", func() bool { return s.archive.Report().Rows == 0 })
	if kept.last = 1; s.archive.Report().Unclear == 0 {
		t.Error("no answer was lost")
	}
	for _, k := range append(s.clerks, kept) {
		k.check(t, s.town.db)
	}
	t.Logf("%d commits; %+v", s.durable(), s.archive.Report())
}
