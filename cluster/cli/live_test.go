package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/gate/client"
)

// live makes a place for real nodes that play echo. What is changed in their configuration comes in pairs, old and new.
func live(t *testing.T, change ...string) *place {
	t.Helper()
	p := prepare(t, append(change, `drain_timeout = "1s"`, `drain_timeout = "2m"`,
		"[node.gate-1]", "[gate]\nrate = 100000\nburst = 1000000\n[node.gate-1]")...)
	p.as = "echo"
	return p
}

// A caller is a client that asks one peg after another, all the time, and never connects again.
type caller struct {
	*client.Client
	pegs  []string
	good  atomic.Uint64              // answers
	last  []atomic.Pointer[exchange] // by peg
	ended chan error
}

// An exchange is a request that was answered.
type exchange struct{ asked, answered time.Time }

// dial connects a caller to the first gate.
func (p *place) dial() (*client.Client, error) {
	b, err := echo.Build()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	return client.Dial(ctx, "tcp://"+p.config.With("gate")[0].TCP, client.Options{Catalogue: b.Catalogue})
}

// callers begin to play with n connections until stop ends.
func (p *place) callers(stop context.Context, n int) []*caller {
	p.t.Helper()
	all := make([]*caller, n)
	for i := range all {
		c, err := p.dial()
		if err != nil {
			p.t.Fatal(err)
		}
		k := &caller{Client: c, ended: make(chan error, 1)}
		for peg := range 16 {
			k.pegs = append(k.pegs, fmt.Sprintf("peg-%d-%d", i, peg))
		}
		k.last = make([]atomic.Pointer[exchange], len(k.pegs))
		all[i] = k
		go k.play(stop)
	}
	return all
}

// play asks every peg by itself, so that those which do not answer keep nobody else from it.
func (k *caller) play(stop context.Context) {
	var asking sync.WaitGroup
	for i, peg := range k.pegs {
		asking.Go(func() {
			for stop.Err() == nil && k.Err() == nil {
				began := time.Now()
				ctx, cancel := context.WithTimeout(stop, 10*time.Second)
				_, err := client.Call[*peeked](ctx, k.Client, &peek{peg})
				cancel()
				if err == nil {
					k.good.Add(1)
					k.last[i].Store(&exchange{began, time.Now()})
				}
				time.Sleep(50 * time.Millisecond) // a player's pace
			}
		})
	}
	asking.Wait()
	k.ended <- k.Err()
}

// answered is when the last peg has answered what it was asked after a moment; false: one has not yet.
func answered(all []*caller, after time.Time) (last time.Time, ok bool) {
	for _, k := range all {
		for i := range k.last {
			e := k.last[i].Load()
			if e == nil || e.asked.Before(after) {
				return time.Time{}, false
			}
			if e.answered.After(last) {
				last = e.answered
			}
		}
	}
	return last, true
}

// goOn waits until every peg has answered a request that was sent after a moment.
func (p *place) goOn(all []*caller, what string) {
	p.t.Helper()
	after := time.Now()
	p.within(time.Minute, "all pegs to answer "+what, func() bool { _, ok := answered(all, after); return ok })
}

// still fails the test if a connection has ended, and closes all.
func still(t *testing.T, all []*caller) {
	t.Helper()
	for i, k := range all {
		if err := <-k.ended; err != nil {
			t.Errorf("client %d was disconnected: %v", i, err)
		}
		k.Close()
	}
}

// condemn declares a node dead that lives: it ends itself, and not in order.
func (p *place) condemn(name string) {
	p.t.Helper()
	before := p.pid(name)
	for _, r := range p.running() {
		if r.Name != name {
			continue
		}
		o := node.RegistryOptions(p.config, slog.New(slog.DiscardHandler))
		if err := cluster.Certify(p.t.Context(), o, r.Incarnation); err != nil {
			p.t.Fatal(err)
		}
	}
	p.another(name, before)
}

func TestNobodyIsDisconnectedWhenTheSupervisorIsKilled(t *testing.T) {
	t.Parallel()
	p := live(t)
	first := p.begin("up")
	first.prints("ready in")
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	all := p.callers(stop, 20)
	p.goOn(all, "at first")
	before := p.pids()
	first.ends(syscall.SIGKILL)
	p.goOn(all, "without a supervisor")
	p.kill("persist-1")
	p.kill("game-2")
	p.goOn(all, "without a node and a supervisor") // by its lease

	second := p.begin("up")
	second.prints("ready in")
	p.goOn(all, "with another supervisor")
	for name, pid := range p.pids() {
		if (pid == before[name]) == (name == "game-2" || name == "persist-1") {
			t.Errorf("%s was process %d and is %d", name, before[name], pid)
		}
	}
	dead := p.kill("game-1")
	p.another("game-1", dead)
	p.goOn(all, "after the death of an adopted node")
	p.condemn("admin-1")
	second.prints("admin-1      died (nobody saw how)")
	p.goOn(all, "after an adopted node has ended itself")
	dead = p.kill("registry-1")
	p.another("registry-1", dead)
	p.goOn(all, "after the death of the adopted registry")
	cancel()
	still(t, all)
	if code := second.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, second.text())
	}
}

func TestAGateThatIsStartedByHandWithoutASupervisorRejoinsAndIsAdopted(t *testing.T) {
	t.Parallel()
	p := live(t)
	first := p.begin("up")
	first.prints("ready in")
	first.ends(syscall.SIGKILL)
	dead := p.kill("gate-1")
	gate := p.begin("node", "gate-1", "--json")
	p.another("gate-1", dead)
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all []*caller
	p.within(time.Minute, "the gate to take clients again", func() bool {
		c, err := p.dial()
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	all = p.callers(stop, 2)
	p.goOn(all, "through a gate that was started by hand")
	second := p.begin("up")
	second.prints("gate-1       runs already: adopted")
	second.prints("ready in")
	if pid := p.pid("gate-1"); pid != gate.command.Process.Pid {
		t.Errorf("gate-1 is process %d, want %d", pid, gate.command.Process.Pid)
	}
	p.goOn(all, "with another supervisor")
	cancel()
	still(t, all)
	if code := second.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, second.text())
	}
	if code := gate.ends(); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, gate.text())
	}
	for _, line := range strings.Split(gate.text(), "\n") {
		var logged struct{ Msg, Node string }
		if err := json.Unmarshal([]byte(line), &logged); err != nil || logged.Msg == "" || logged.Node != "gate-1" {
			t.Errorf("%q is no line of a log in JSON: %v", line, err)
		}
	}
}

// leased makes a live place whose leases are far longer than anything takes even on a busy machine: who waits for the
// lease of the dead is found out.
func leased(t *testing.T) *place {
	t.Helper()
	return live(t, `drain_timeout = "1s"`, `drain_timeout = "2m"`+"\nlease = \"40s\"")
}

// The promise is 1.5 s on a machine that does nothing else.
func TestTheEntitiesOfAKilledNodeAnswerAgainSoon(t *testing.T) {
	t.Parallel()
	p := leased(t)
	up := p.begin("up")
	up.prints("ready in")
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	all := p.callers(stop, 8)
	p.goOn(all, "at first")
	for _, name := range []string{"game-1", "game-2"} {
		before := time.Now()
		dead := p.kill(name)
		gone := time.Now()
		var last time.Time
		p.within(time.Minute, "all pegs to answer", func() bool {
			var ok bool
			last, ok = answered(all, gone)
			return ok
		})
		took := last.Sub(before)
		t.Logf("%s was killed: all 128 entities had answered again after %v", name, took.Round(time.Millisecond))
		if took > p.config.Cluster.Lease {
			t.Errorf("%s was killed: it took %v until all entities answered again", name, took)
		}
		p.another(name, dead)
		p.within(time.Minute, name+" to be ready", func() bool { return p.rows()[name].State == "ready" })
	}
	cancel()
	still(t, all)
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestRealNodesAreDrainedAndScaledWhileTheyArePlayed(t *testing.T) {
	t.Parallel()
	p := live(t)
	up := p.begin("up")
	up.prints("ready in")
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	all := p.callers(stop, 4)
	p.goOn(all, "at first")
	for _, args := range [][]string{{"drain", "game-2"}, {"start", "game-2"}, {"scale", "game=3"},
		{"scale", "game=1"}} {
		text, code := p.run(args...)
		if code != exitOK {
			t.Errorf("%v: exit code %d: %s", args, code, text)
		}
		p.goOn(all, "after "+strings.Join(args, " "))
	}
	text, code := p.run("drain", "game-1")
	if code != exitFailed || !strings.Contains(text, "is the only node with the role") {
		t.Errorf("the last one: exit code %d: %s", code, text)
	}
	p.goOn(all, "after a drain that was refused")
	cancel()
	still(t, all)
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestAfterTheDeathOfEverythingUpIsThereAtOnce(t *testing.T) {
	t.Parallel()
	p := leased(t)
	first := p.begin("up")
	first.prints("ready in")
	var killed []node.Running
	if err := first.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, r := range p.running() {
		p.kill(r.Name)
		killed = append(killed, r)
	}
	first.ends()
	began := time.Now()
	second := p.begin("up")
	second.prints("ready in")
	took := time.Since(began)
	t.Logf("ready %v after the death of %d processes", took.Round(time.Millisecond), len(killed))
	if took > p.config.Cluster.Lease {
		t.Errorf("ready after %v: somebody waited for the leases of the dead", took)
	}
	if code := second.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, second.text())
	}
}
