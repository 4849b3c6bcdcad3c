package main

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

// How long play may pause after the registry is there again; three times what is promised, for a machine that does
// other things too.
const (
	backWithin  = 9 * time.Second
	anewWithin  = 45 * time.Second
	movedActors = "not ours any more"
)

// frozenFor is longer than the lease.
func frozenFor(c *realCluster) time.Duration {
	if os.Getenv("FIREFLY_LONG") != "" {
		return 2 * c.Config.Cluster.Lease
	}
	return c.Config.Cluster.Lease + time.Second
}

func TestWhateverBefallsTheRegistryNobodyIsDisconnectedAndNothingCommittedIsLost(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{config: shippedConfig(t), prices: crewPrices})
	up := c.Up()
	w := c.fly(4)
	gate := c.Node("gate-1")

	w.bought(1)
	at, etcd := time.Now(), c.Node("registry-1")
	c.Signal(etcd, syscall.SIGSTOP)
	await(t, patience, "the freeze to be over", func() error { return since(at, frozenFor(c)) })
	back := time.Now()
	c.Signal(etcd, syscall.SIGCONT)
	w.resumes(backWithin, "a frozen registry", at, back, 0)

	w.bought(1)
	at = time.Now()
	dead := c.Kill("registry-1")
	c.Restarted(dead)
	w.resumes(backWithin, "a killed registry", at, time.Now(), 0)
	for _, n := range []string{"game-1", "game-2", "persist-1"} {
		if strings.Contains(c.Log(n), movedActors) {
			t.Errorf("%s lost something to another node, and all that happened was pauses", n)
		}
	}

	w.bought(1)
	before := incarnations(c)
	if err := os.Rename(c.Config.EtcdDir(), c.Config.EtcdDir()+".gone"); err != nil {
		t.Fatal(err)
	}
	at = time.Now()
	c.Kill("registry-1")
	await(t, anewWithin, "every node to join anew", func() error {
		for name, was := range before {
			if r, err := c.Running(name); err != nil || r.Incarnation == was {
				return errors.New(name + " has not")
			}
		}
		return nil
	})
	w.resumes(anewWithin, "a wiped registry", at, time.Now(), flushEvery+flushJitter)
	if now := c.Node("gate-1"); now.PID != gate.PID {
		t.Errorf("the gate was process %d, and is %d", gate.PID, now.PID)
	}
	w.stop()
	w.accounts(t)
	up.Stop()
}

// resumes waits until everybody goes on after the registry was away, from at until back, and prints the pause.
func (w *crew) resumes(within time.Duration, what string, at, back time.Time, mayLose time.Duration) {
	w.t.Helper()
	w.goesOnIn(within, "after "+what, back)
	w.t.Logf("after %s everybody went on %v after its return, %v after it began", what,
		time.Since(back).Round(lookEach), time.Since(at).Round(lookEach))
	w.lost(what, at, mayLose)
	w.faultless("after " + what)
}

// since is nil when so much time has passed.
func since(at time.Time, d time.Duration) error {
	if time.Since(at) < d {
		return errors.New("it is not")
	}
	return nil
}

// incarnations are those of the nodes, but the registry's.
func incarnations(c *realCluster) map[string]uint64 {
	all := map[string]uint64{}
	for _, n := range c.Config.Nodes {
		if !n.Has(node.RoleRegistry) {
			all[n.Name] = c.Node(n.Name).Incarnation
		}
	}
	return all
}
