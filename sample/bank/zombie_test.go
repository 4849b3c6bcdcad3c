package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/admin"
	"github.com/fireflyrt/firefly/cluster/clustertest"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/persist"
)

// stopsWithin is how long a process that was frozen may still believe that it owns anything: a second from when it
// notices, and a second until it does on a busy machine.
const stopsWithin = 2 * time.Second

// TestWhoWakesUpTooLateWritesNothing freezes owners and keepers in the middle of their work until others have taken
// over, and lets them go on: FIREFLY_ZOMBIES times each. They write nothing stale and stop.
func TestWhoWakesUpTooLateWritesNothing(t *testing.T) {
	t.Parallel()
	b := open(t, inMariaDB, 2*time.Second)
	w := b.crowd()
	payers := w.payers(6)
	notes := w.writers(6)
	w.goesOn("at the beginning", time.Now())
	rounds := number(t, "FIREFLY_ZOMBIES", 1)
	for n := range rounds {
		// whoever was frozen owns nothing afterwards: the other one is next
		w.frozen(fmt.Sprintf("game-%d", n%2+1), string(AccountKind), string(LedgerKind))
		w.frozen(fmt.Sprintf("persist-%d", n%2+1), string(persist.KeeperKind))
	}
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
	w.Signal(z, syscall.SIGSTOP)
	took := w.goesOn("while "+name+" is frozen", time.Now())
	w.busily(answersPerKill)
	before, fences := w.newest(), w.vault.fences()

	thawed := time.Now()
	w.Signal(z, syscall.SIGCONT)
	w.owns(z, kinds)
	stopped := time.Since(thawed)
	w.goesOn("after "+name+" has gone on", thawed)
	w.busily(answersPerKill)
	w.t.Logf("%s was frozen for %v; everybody went on without it within %v; when it went on it stopped within %v", name,
		short(thawed.Sub(at)), short(took), short(stopped))
	if stopped > stopsWithin {
		w.t.Errorf("%s acted as if it owned something for %v after it went on", name, stopped)
	}
	w.nothingStale(before, fences)
}

// owns waits until a node has no actors of these kinds any more, or has ended.
func (w *crowd) owns(z node.Running, kinds []string) {
	w.t.Helper()
	clustertest.Await(w.t, goOnWithin, z.Name+" to stop", func() error {
		if !z.Alive() {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		r := admin.Report{}
		if err := z.Report(ctx, &r); err != nil {
			return err
		}
		for _, k := range kinds {
			if n := r.Kinds[k]; n > 0 {
				return fmt.Errorf("it has %d of %s", n, k)
			}
		}
		return nil
	})
}

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
