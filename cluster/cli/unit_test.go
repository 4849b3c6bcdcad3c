package cli

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A unit is a node as systemd runs it by the unit of docs/operations.md: in the foreground, and started again when it
// has failed.
type unit struct {
	*place
	name string
	file map[string]string // what the unit file says

	mu      sync.Mutex
	process *exec.Cmd // that runs
	stops   bool
	ended   chan int // the last exit code, when it is not started again
}

// unitFile is what docs/operations.md says, by key.
func unitFile(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^    (\w+)=(.*)$`).FindAllStringSubmatch(string(text), -1) {
		all[line[1]] = line[2]
	}
	return all
}

// verb is the program with what a line of the unit file gives it.
func (u *unit) verb(key string) *exec.Cmd {
	u.t.Helper()
	_, args, ok := strings.Cut(strings.ReplaceAll(u.file[key], "%i", u.name), "/meadow/meadow ")
	if !ok {
		u.t.Fatalf("%s=%s runs no meadow", key, u.file[key])
	}
	c := u.command(strings.Fields(args)...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// enable runs a node from now on.
func (p *place) enable(name string) *unit {
	p.t.Helper()
	u := &unit{place: p, name: name, file: unitFile(p.t), ended: make(chan int, 1)}
	pause, err := time.ParseDuration(u.file["RestartSec"])
	if err != nil || u.file["Restart"] != "on-failure" || u.file["Type"] != "exec" {
		p.t.Fatalf("this test does not know what the unit says: %v, %v", u.file, err)
	}
	u.run()
	go func() { // ends with the unit
		for {
			u.process.Wait() //nolint:errcheck // the exit code says it
			code := u.process.ProcessState.ExitCode()
			hopeless := strings.Fields(u.file["RestartPreventExitStatus"])
			final := code == 0 || slices.Contains(hopeless, strconv.Itoa(code))
			if !final {
				time.Sleep(pause) // as systemd does
			}
			if u.isStopped() || final {
				u.ended <- code
				return
			}
			u.run()
		}
	}()
	p.t.Cleanup(func() { u.signal(syscall.SIGKILL, true) })
	return u
}

func (u *unit) run() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.process = u.verb("ExecStart")
	if err := u.process.Start(); err != nil {
		u.t.Error(err)
	}
}

func (u *unit) isStopped() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stops
}

// signal is a signal to the main process; stops says that it is not to be started again.
func (u *unit) signal(s syscall.Signal, stops bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stops = u.stops || stops
	u.process.Process.Signal(s) //nolint:errcheck // it may have ended
}

// stop does what `systemctl stop` does: ExecStop if there is one and it is wanted, then SIGTERM, and returns the node's
// exit code.
func (u *unit) stop(drains bool) int {
	u.t.Helper()
	u.mu.Lock()
	u.stops = true
	u.mu.Unlock()
	if drains {
		if text, err := u.verb("ExecStop").CombinedOutput(); err != nil {
			u.t.Errorf("%s: ExecStop: %v: %s", u.name, err, text)
		}
	}
	u.signal(syscall.SIGTERM, true)
	select {
	case code := <-u.ended:
		return code
	case <-time.After(time.Minute):
		u.t.Fatalf("%s does not end", u.name)
		return -1
	}
}

func TestTheUnitOfTheManualRunsANodeAndBringsItBack(t *testing.T) {
	t.Parallel()
	p := leased(t)
	units := map[string]*unit{}
	for _, n := range slices.Backward(p.config.Nodes) { // no order is needed, so a wrong one
		units[n.Name] = p.enable(n.Name)
	}
	p.within(time.Minute, "all nodes to be ready", func() bool { _, code := p.run("ps"); return code == exitOK })
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	all := p.callers(stop, 4)
	p.goOn(all, "at first")

	before := time.Now()
	dead := p.kill("game-1")
	gone := time.Now()
	p.another("game-1", dead)
	p.within(time.Minute, "game-1 to be ready", func() bool { return p.rows()["game-1"].State == "ready" })
	took := time.Since(before)
	p.goOn(all, "when the killed node is back")
	last, _ := answered(all, gone)
	t.Logf("killed, it was back and ready after %v; all entities had answered again after %v",
		took.Round(time.Millisecond), last.Sub(before).Round(time.Millisecond))
	if took > p.config.Cluster.Lease {
		t.Errorf("it took %v: somebody waited for the lease of the dead", took)
	}

	for args, want := range map[string]int{"game-1": exitFailed, "nobody": exitUsage} {
		if text, code := p.run("node", args); code != want {
			t.Errorf("node %s: exit code %d, want %d: %s", args, code, want, text)
		}
	}
	if code := units["game-2"].stop(true); code != exitOK {
		t.Errorf("game-2 was drained and ended with exit code %d", code)
	}
	p.goOn(all, "after a unit was stopped")
	cancel()
	still(t, all)
	for _, name := range []string{"gate-1", "game-1", "persist-1", "admin-1", "registry-1"} {
		if code := units[name].stop(false); code != exitOK {
			t.Errorf("%s was stopped by SIGTERM and ended with exit code %d", name, code)
		}
	}
}
