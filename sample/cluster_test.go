package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/clustertest"
	"github.com/fireflyrt/firefly/modules/account"
	"github.com/fireflyrt/firefly/modules/chat"
	"github.com/fireflyrt/firefly/modules/scene"
)

// leaseOfTheDead is less than it takes until nodes are given up whose deaths nobody certified: their leases, and one
// more of absence. Otherwise a start takes a second or two.
const leaseOfTheDead = 10 * time.Second

// readyIn is the line that says where to play.
var readyIn = regexp.MustCompile(`(?m)^ready in \d+\.\ds  http://(127\.0\.0\.1:\d+)$`)

func TestTheMeadowIsPlayedStopsInOrderAndIsThereTheNextDay(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{config: shippedConfig(t)})
	up := c.Up()
	line := readyIn.FindStringSubmatch(up.Text())
	if line == nil || line[1] != c.Config.With("admin")[0].HTTP {
		t.Errorf("no line says where to play:\n%s", up.Text())
	}
	if text, code := c.Run("ps"); code != 0 || strings.Count(text, " ready ") != 6 {
		t.Errorf("ps: exit code %d\n%s", code, text)
	}
	aSecondUpIsRefused(t, up)

	ann, bob := c.join("ann", "1,1", false), c.join("bob", "1,1", true)
	ann.await("to see bob", func() bool { return ann.seen["bob"].Who == "bob" })
	goal := meadow.Within("1,1", 0.5, 0.5)
	awaitEach(t, pilotPace, patience, "bob to fly to the middle", func() error {
		if at := call[*Flown](bob, &Fly{bob.at().Towards(goal, 50)}); at.Far(goal) > 1 {
			return fmt.Errorf("he is at %v", at)
		}
		return nil
	})
	ann.await("to see bob in the middle", func() bool { return ann.seen["bob"].Far(goal) <= 1 })
	if _, err := bob.connection().Call(t.Context(), &chat.Say{Text: "good night"}); err != nil {
		t.Error(err)
	}
	ann.await("to hear bob", func() bool { return slices.Contains(ann.heard, "bob: good night") })
	ann.collect(1)
	at := ann.settle()
	purse := ann.purse
	ann.leave()
	bob.await("to see ann leave", func() bool { return bob.seen["ann"].Who == "" })

	up.Stop()
	stopsInOrder(t, up)

	up = c.Up()
	again := c.newPilot("ann", "0,0", true)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if in, err := again.login(ctx); err != nil || *in != (account.LoggedIn{Name: "ann"}) {
		t.Fatalf("ann comes back: %+v, %v", in, err)
	}
	again.await("to be where she was, and to have what she had", func() bool {
		return again.seen["ann"].Spot == at && again.purse == purse && slices.Contains(again.heard, "bob: good night")
	})
	up.Stop()
}

// settle waits until the room shows the same place twice a second apart, and returns it.
func (p *pilot) settle() scene.Spot {
	p.t.Helper()
	at := call[*Flown](p, &Fly{p.at().Spot}).Spot
	p.await("to be shown where it is", func() bool { return p.seen[p.name].Spot == at })
	return at
}

func aSecondUpIsRefused(t *testing.T, up *clustertest.Up) {
	t.Helper()
	before := up.Processes()
	text, code := up.Run("up")
	if code != 1 || !strings.Contains(text, fmt.Sprintf("pid %d", up.Command.Process.Pid)) {
		t.Errorf("a second up: exit code %d, %s", code, text)
	}
	for pid, line := range up.Processes() {
		if before[pid] == "" {
			t.Errorf("a second up started %s", line)
		}
	}
}

// stopsInOrder looks at when the nodes' logs say that they stop: gates first, the registry last.
func stopsInOrder(t *testing.T, up *clustertest.Up) {
	t.Helper()
	stops := regexp.MustCompile(`time=(\S+) level=INFO msg="node stops"`)
	before := ""
	for _, rank := range [][]string{{"gate-1"}, {"game-1", "game-2"}, {"persist-1"}, {"admin-1"}, {"registry-1"}} {
		last := before
		for _, name := range rank {
			line := stops.FindStringSubmatch(up.Log(name))
			if line == nil {
				t.Errorf("%s was not stopped in order:\n%s", name, clustertest.LastLines(up.Log(name), 5))
				continue
			}
			if line[1] < before {
				t.Errorf("%s stopped at %s, before its turn at %s", name, line[1], before)
			}
			last = max(last, line[1])
		}
		before = last
	}
	if text := up.Text(); !strings.Contains(text, "stopping") || strings.Contains(text, "killed") {
		t.Errorf("`up` printed:\n%s", text)
	}
}

func TestOneNodeMayDoEverything(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{config: `[cluster]
etcd_port = 9470
[node.all]
roles = ["gate", "game", "persist", "admin", "registry"]
tcp = "127.0.0.1:9400"
ws = "127.0.0.1:9401"
http = "127.0.0.1:9480"
`})
	text, code := c.Run("up", "--once", "300ms")
	if code != 0 || !readyIn.MatchString(text) || !strings.Contains(text, "all stopped") {
		t.Errorf("up --once: exit code %d\n%s", code, text)
	}
	c.LeavesNothing()
	up := c.Up()
	ann, bob := c.join("ann", "1,1", false), c.join("bob", "1,1", true)
	ann.await("to see bob", func() bool { return ann.seen["bob"].Who == "bob" })
	ann.collect(1)
	bob.leave()
	dead := c.Kill("all")
	c.Restarted(dead)
	await(t, patience, "ann to come back", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), answerWithin)
		defer cancel()
		_, err := ann.login(ctx)
		return err
	})
	up.Stop()
}

func TestEverythingMayDieAtOnce(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{config: shippedConfig(t), prices: crewPrices})
	up := c.Up()
	w := c.fly(4)
	w.saved(flushEvery + flushJitter)
	w.bought(1)
	w.mayBreak.Store(true)
	at := time.Now()
	for pid := range c.Processes() {
		if pid != up.Command.Process.Pid {
			c.KillPID(pid)
		}
	}
	c.KillPID(up.Command.Process.Pid) // last: it has just seen the others die
	for pid := range c.Processes() {  // what it still could start
		c.KillPID(pid)
	}
	await(t, patience, "the death of everything", func() error {
		if left := c.Processes(); len(left) > 0 {
			return fmt.Errorf("%v live", left)
		}
		return nil
	})
	<-up.Ended
	began := time.Now()
	again := c.Up()
	back := time.Now()
	if took := back.Sub(began); took > leaseOfTheDead {
		t.Errorf("ready after %v: somebody waited for the leases of the dead", took)
	}
	w.goesOn("after the death of everything", back)
	w.lost("everything", at, flushEvery+flushJitter)
	w.stop()
	w.faultless("after the death of everything")
	w.accounts(t)
	again.Stop()
}

func TestCheckSaysWhatEachNodeWouldDo(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{config: shippedConfig(t)})
	text, code := c.Run("check")
	for _, want := range []string{"cluster arena: 6 nodes, nothing wrong", "runs login, player, room",
		"runs the embedded etcd", "writes every 1s to SQLite, " + c.Config.StoreFile(), c.Config.With("gate")[0].WS} {
		if !strings.Contains(text, want) {
			t.Errorf("check does not say %q", want)
		}
	}
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	if t.Failed() {
		t.Log(text)
	}
	if _, err := os.Stat(c.Config.Cluster.Data); err == nil {
		t.Error("check has written something")
	}
}

func TestAWrongFileIsToldAllAtOnceAndNothingStarts(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{config: shippedConfig(t)})
	c.Write("runtime.toml", `[cluster]
nmae = "arena"
lease = 5

[node.gate-1]
roles = ["gate"]
tcp = "127.0.0.1:9400"
ws = "127.0.0.1:9400"

[persist]
store = "mysql"
dsn = "env:FIREFLY_NO_SUCH_SECRET"
`)
	for _, verb := range []string{"check", "up", "ps", "bots"} {
		text, code := c.Run(verb)
		if code != 2 {
			t.Errorf("%s: exit code %d", verb, code)
		}
		for _, want := range []string{
			"runtime.toml:2:1: unknown key nmae", "name", "runtime.toml:3:", "runtime.toml:8:",
			"9400", "runtime.toml:12:", "FIREFLY_NO_SUCH_SECRET"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", verb, want, text)
			}
		}
	}
	if _, err := os.Stat(c.Config.Cluster.Data); err == nil {
		t.Error("something was written")
	}
	if left := c.Processes(); len(left) > 0 {
		t.Errorf("something was started: %v", left)
	}
	if text, code := c.Run("fly"); code != 2 {
		t.Errorf("a verb that is none: exit code %d, %s", code, text)
	}
}
