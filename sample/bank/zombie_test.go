package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/admin"
	"github.com/fireflyrt/firefly/cluster/clustertest"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/persist"
)

// stopsWithin is how long a process that was frozen may take, by its own log, from the first of its actors that ends
// because others own their shards to the last. It is a second where time is virtual, and tests of actors and persist
// hold it to that; here it shares a busy machine with its whole cluster. All of them handle nothing from the moment at
// which they go on.
const stopsWithin = 15 * time.Second

// settleWithin is how long what was frozen amidst a message may take to log it.
const settleWithin = 10 * time.Second

// enoughShards is how many others must have taken over before a zombie wakes up.
const enoughShards = 20

// TestWhoWakesUpTooLateWritesNothing freezes owners and keepers in the middle of their work until others have taken
// over, and lets them go on: FIREFLY_ZOMBIES times each. They write nothing stale and stop.
func TestWhoWakesUpTooLateWritesNothing(t *testing.T) {
	t.Parallel()
	b := open(t, inMariaDB, 2*time.Second)
	w := b.crowd()
	payers := w.payers(4)
	notes := w.writers(4)
	w.goesOn("at the beginning", time.Now())
	rounds := number(t, "FIREFLY_ZOMBIES", 1)
	for n := range rounds {
		// whoever was frozen owns nothing afterwards: the other one is next
		w.frozen(fmt.Sprintf("game-%d", n%2+1), string(AccountKind), string(LedgerKind))
		w.frozen(fmt.Sprintf("persist-%d", n%2+1), string(persist.KeeperKind))
	}
	w.enough(2*linesPerKill*rounds, 2*transfersPerKill*rounds)
	w.stop()
	w.report(t)
	t.Run("bank", func(t *testing.T) { payers.audit(t, w.arrived(t), int64(2*transfersPerKill*rounds)) })
	w.forget()
	t.Run("ack ledger", func(t *testing.T) { w.compareNotes(t, notes, 2*linesPerKill*rounds) })
	b.up.Stop()
}

// frozen freezes a node under load until everybody goes on without it, and thaws it.
func (w *crowd) frozen(name string, kinds ...string) {
	w.t.Helper()
	w.busily(answersPerKill)
	z, at := w.Node(name), time.Now()
	role := z.Roles[0]
	owned := w.vault.fences(role)
	w.Signal(z, syscall.SIGSTOP)
	clustertest.Await(w.t, goOnWithin, "others to take over from "+name, func() error {
		taken := 0
		for shard, number := range w.vault.fences(role) {
			if number > owned[shard] {
				taken++
			}
		}
		if taken < enoughShards {
			return fmt.Errorf("they have taken %d shards", taken)
		}
		return nil
	})
	w.goesOn("while "+name+" is frozen", time.Now())
	took := time.Since(at)
	w.busily(answersPerKill)
	before, fences := w.newest(), w.vault.fences("game")

	thawed := time.Now()
	w.Signal(z, syscall.SIGCONT)
	first, ended := w.look(z), w.overslept(z, thawed)
	late := w.stopped(z, kinds, first)
	noticed, gone := w.ended(z, thawed)
	w.goesOn("after "+name+" has gone on", thawed)
	w.busily(answersPerKill)
	w.t.Logf("%s was frozen for %v; everybody went on without it within %v; when it went on, it knew after %v and had "+
		"stopped after %v", name, short(thawed.Sub(at)), short(took), short(noticed), short(gone))
	if gone-noticed > stopsWithin {
		w.t.Errorf("%s has known for %v that others own what it owned before it stopped", name, gone-noticed)
	}
	clustertest.Await(w.t, settleWithin, name+" to have handled only what it was frozen amidst", func() error {
		if amidst := w.overslept(z, thawed) - ended; late > uint64(amidst) {
			return fmt.Errorf("it has handled %d messages since it went on, %d of which it had begun before", late,
				amidst)
		}
		return nil
	})
	w.nothingStale(before, fences)
}

// handled is how many of the game's messages a node has handled.
func handled(r *admin.Report) (n uint64) {
	for _, number := range r.Numbers {
		if number.Number >= 100 {
			n += number.Count
		}
	}
	return n
}

// look is a node's report.
func (w *crowd) look(z node.Running) (r admin.Report) {
	w.t.Helper()
	clustertest.Await(w.t, goOnWithin, z.Name+" to report", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return z.Report(ctx, &r)
	})
	return r
}

// stopped waits until a node has no actors of these kinds any more, and returns how many messages it has handled since
// a report of its. It ends as well when shards come back to it by planned moves: these it may serve.
func (w *crowd) stopped(z node.Running, kinds []string, since admin.Report) (late uint64) {
	w.t.Helper()
	clustertest.Await(w.t, goOnWithin, z.Name+" to stop", func() error {
		r := w.look(z)
		if r.Moves["shards_taken_total"] > since.Moves["shards_taken_total"] {
			return nil
		}
		late = handled(&r) - handled(&since)
		for _, k := range kinds {
			if n := r.Kinds[k]; n > 0 {
				return fmt.Errorf("it has %d of %s", n, k)
			}
		}
		return nil
	})
	return late
}

// overslept is how many handlers a node has logged as slow since it was thawed that it had begun before: the freeze
// came in their midst.
func (w *crowd) overslept(z node.Running, thawed time.Time) (n int) {
	w.t.Helper()
	for _, line := range slowLine.FindAllStringSubmatch(w.Log(z.Name), -1) {
		at, err := time.Parse(time.RFC3339, line[1])
		took, err2 := time.ParseDuration(line[2])
		if err != nil || err2 != nil {
			w.t.Fatalf("%s has logged %q: %v %v", z.Name, line[0], err, err2)
		}
		if at.After(thawed) && at.Add(-took).Before(thawed) {
			n++
		}
	}
	return n
}

// slowLine is logged for each message whose handler has taken longer than actors.slow.
var slowLine = regexp.MustCompile(`time=(\S+) .*msg="slow handler" .* took=(\S+)`)

// ended is how long after it went on a node first logged that it owns something no more, and when it did last.
func (w *crowd) ended(z node.Running, thawed time.Time) (first, last time.Duration) {
	w.t.Helper()
	for _, line := range lostLine.FindAllStringSubmatch(w.Log(z.Name), -1) {
		at, err := time.Parse(time.RFC3339, line[1])
		if err != nil || at.Before(thawed.Truncate(time.Millisecond)) {
			continue
		}
		if last = at.Sub(thawed); first == 0 {
			first = last
		}
	}
	if first == 0 {
		w.t.Errorf("%s has ended nothing: nothing was tested", z.Name)
	}
	return first, last
}

// lostLine is logged for each actor that ends because others own its shard.
var lostLine = regexp.MustCompile(`time=(\S+) .*msg="actor ended: not ours any more"`)

// newest is every row by table, id and part.
func (w *crowd) newest() map[[3]string]row {
	w.t.Helper()
	all := map[[3]string]row{}
	for _, kind := range []string{string(AccountKind), string(LedgerKind)} {
		for _, r := range w.vault.mustRows(kind) {
			all[[3]string{kind, r.id, r.part}] = r
		}
	}
	return all
}

// nothingStale compares all rows with what they were, and with what the fences were, before a zombie woke up: no row is
// older now, and none that has changed was written under a number that was over by then.
func (w *crowd) nothingStale(before map[[3]string]row, fences map[int]uint64) {
	w.t.Helper()
	changed := 0
	after := w.newest()
	for key, r := range after {
		old := before[key]
		switch {
		case r == old:
			continue
		case r.epoch < fences[r.shard], r.epoch < old.epoch, r.epoch == old.epoch && r.version < old.version:
			w.t.Errorf("%v was written by one whose time was over: %+v, before: %+v, the owner's number was %d", key, r,
				old, fences[r.shard])
		}
		changed++
	}
	for key := range before {
		if _, ok := after[key]; !ok {
			w.t.Errorf("%v has gone", key)
		}
	}
	if changed == 0 {
		w.t.Error(errors.New("nothing was written since: nothing was tested"))
	}
}
