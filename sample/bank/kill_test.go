package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/clustertest"
)

// emptyWithin is how long boxes may take to be empty. When it dies with a process that one was told to forget a
// message, the one who has taken it asks 30 s later, and if a copy of the message could still be under way, a minute
// later.
const emptyWithin = 4 * time.Minute

// How often is killed if nobody says how often, and how much must have happened for each kill, or nothing was tested.
const (
	killsInCI        = 10
	answersPerKill   = 150
	linesPerKill     = 20
	transfersPerKill = 20
	deedsPerKill     = 10
)

// TestNothingIsLostWhateverIsKilled kills something with -9 under load, each in its turn, FIREFLY_KILLS times.
// Nothing that was answered as committed is lost, nothing is there twice, no coin comes or goes; what was not
// committed is lost for flush_every at most, and never by half. A MariaDB is then away for FIREFLY_DOWN seconds, in
// which its keepers die.
func TestNothingIsLostWhateverIsKilled(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		store   string
		targets []string // of game and persist nodes the ones that own everything since the others died
	}{
		{inMariaDB, []string{"persist-1", database, "game-1", "gate-1", "persist-2", database, "game-2"}},
		{inSQLite, []string{"persist-1", "game-1", "gate-1", "persist-2", "game-2"}},
	} {
		t.Run(v.store, func(t *testing.T) {
			if v.store != inMariaDB { // which begins at once, because it waits a minute at its end, beside the others
				t.Parallel()
			}
			b := open(t, v.store, 5*time.Second)
			b.underKills(t, v.targets, number(t, "FIREFLY_KILLS", killsInCI))
		})
	}
}

// database is the MariaDB among what is killed.
const database = "database"

func (b *branch) underKills(t *testing.T, targets []string, kills int) {
	w := b.crowd()
	payers := w.payers(4)
	notes := w.writers(4)
	w.jotters(2)
	office := w.clerks(2)
	w.whole()
	w.goesOn("at the beginning", time.Now())
	longest := time.Duration(0)
	for n := range kills {
		longest = max(longest, w.kill(targets[n%len(targets)]))
	}
	if b.maria != nil {
		w.withoutStore(time.Duration(number(t, "FIREFLY_DOWN", 5)) * time.Second)
	}
	w.enough(linesPerKill*kills, transfersPerKill*kills)
	w.stop()
	w.report(t)
	t.Logf("%d kills; everybody went on after %v at the latest", kills, short(longest))
	if b.maria != nil {
		t.Parallel() // others may be killed now: here boxes get empty
	}
	t.Run("bank", func(t *testing.T) {
		books := w.arrived(t)
		if b.maria != nil || kills > killsInCI { // it takes a minute, and boxes know nothing of stores
			books = w.settled(t)
		}
		payers.audit(t, books, int64(transfersPerKill*kills))
	})
	w.flushed() // what is younger than flush_every may be lost with those who are killed now
	w.forget()
	t.Run("ack ledger", func(t *testing.T) { w.compareNotes(t, notes, linesPerKill*kills) })
	t.Run("deeds", func(t *testing.T) { office.audit(t, b.vault.deeds(t), deedsPerKill*kills) })
	b.up.Stop()
	t.Run("loss bound", w.compareJots)
	if _, err := b.vault.balanced(); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

// kill kills one thing under load, at any moment after everybody was answered, and returns how long it took until
// everybody was answered again.
func (w *crowd) kill(target string) time.Duration {
	w.t.Helper()
	w.busily(answersPerKill + rand.IntN(50))
	if strings.HasPrefix(target, "game") {
		w.jotted(mayLose + flushEvery)
	}
	at, bound, late := time.Now(), time.Duration(0), w.slow()
	if target == database {
		w.maria.Kill()
		w.maria.Restart()
	} else {
		w.Restarted(w.Kill(target))
	}
	if strings.HasPrefix(target, "game") {
		bound = mayLose + late
	}
	w.goesOn("after the death of "+target, time.Now())
	took := time.Since(at)
	w.slow() // what waited for somebody's death says nothing of the machine
	w.lost("the death of "+target, at, bound)
	if _, err := w.vault.balanced(); err != nil {
		w.t.Errorf("after the death of %s: %v", target, err)
	}
	w.t.Logf("after the death of %s everybody went on within %v", target, short(took))
	return took
}

// settled waits until every box is empty, and returns the books of that moment.
func (w *crowd) settled(t *testing.T) *sheet {
	t.Helper()
	w.Idle()
	return w.when(t, "all boxes to be empty", func(s *sheet) bool { return s.open == 0 })
}

// arrived waits until no money is under way any more, and returns the books of that moment.
func (w *crowd) arrived(t *testing.T) *sheet {
	t.Helper()
	return w.when(t, "all payments to have arrived", func(s *sheet) bool { return s.underway == 0 })
}

// when waits until the books are as they should be; at every look they must have their sum.
func (w *crowd) when(t *testing.T, what string, so func(*sheet) bool) (s *sheet) {
	t.Helper()
	began := time.Now()
	clustertest.AwaitEach(t, 50*time.Millisecond, emptyWithin, what, func() (err error) {
		s, err = w.vault.balanced()
		if errors.Is(err, errNoBalance) {
			t.Fatal(err)
		}
		if err == nil && !so(s) {
			err = fmt.Errorf("%d boxes are not empty, %d payments are under way, %d coins", s.open, s.underway, s.sent)
		}
		return err
	})
	t.Logf("waited %v for %s", short(time.Since(began)), what)
	return s
}

// forget kills everybody who could know anything but from the store.
func (w *crowd) forget() {
	w.t.Helper()
	for _, name := range []string{"game-1", "game-2", "persist-1", "persist-2"} {
		defer w.Restarted(w.Kill(name))
	}
}
