// Package clustertest runs a cluster of real processes for a test: nodes and their supervisor, which can be killed,
// frozen and looked at. Every cluster has a directory and ports of its own, and at the end of its test nothing of it
// may be left: no process, no port, no run file. It is for tests only.
package clustertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/freeport"
	"github.com/fireflyrt/firefly/cluster/node"
)

// A Game is what a cluster runs, and how.
type Game struct {
	Program string            // a binary whose main is cli.Main
	Config  string            // runtime.toml; its ports 9400 to 9499 are moved to free ones
	Files   map[string]string // what else the cluster's directory holds: text by name
	Env     []string          // of every process, beside the test's own
}

// Itself makes the test's own binary the game's program: TestMain is to call cli.Main where as stands in the
// environment (name=value). So a game can be run that only the test knows, and with the race detector if the test has
// it.
func Itself(t testing.TB, as string) (program string, env []string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return program, []string{as, "GORACE=atexit_sleep_ms=0"}
}

// slots bounds how many clusters of a package run at once, whatever the machine.
var slots = make(chan struct{}, 2)

// A Cluster is a directory with a configuration, and what runs there.
type Cluster struct {
	Config *node.Config
	Dir    string

	t       testing.TB
	program string
	env     []string
	ups     []*Up
	idle    sync.Once
}

// New makes a cluster of which nothing runs yet. At the test's end it kills what is left. The test fails if a
// log tells of a data race; if it has failed, what `up` printed and how each node's log ends is in its own.
func New(t testing.TB, g Game) *Cluster {
	t.Helper()
	slots <- struct{}{}
	c := &Cluster{t: t, program: g.Program, env: g.Env}
	t.Cleanup(c.Idle)
	// not t.TempDir: its long names do not fit a socket's path
	dir, err := os.MkdirTemp("", "ff")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	c.Dir = dir
	c.Write("runtime.toml", movedPorts(t, g.Config))
	for name, text := range g.Files {
		c.Write(name, text)
	}
	file := c.Path("runtime.toml")
	if c.Config, err = node.Parse(file, []byte(c.Read(file)), c.lookup, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.clear)
	return c
}

// Idle lets another cluster begin: from now on this one has next to nothing to do.
func (c *Cluster) Idle() { c.idle.Do(func() { <-slots }) }

func (c *Cluster) lookup(name string) (string, bool) {
	for _, e := range c.env {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value, true
		}
	}
	return os.LookupEnv(name)
}

// Path is where a file of the cluster's directory is.
func (c *Cluster) Path(name string) string { return filepath.Join(c.Dir, name) }

// Write puts a file into the cluster's directory.
func (c *Cluster) Write(name, text string) {
	c.t.Helper()
	if err := os.MkdirAll(filepath.Dir(c.Path(name)), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(c.Path(name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

var shippedPort = regexp.MustCompile(`\b94(\d\d)\b`)

// movedPorts puts the ports 9400 to 9499 where a hundred in a row are free until the test is over.
func movedPorts(t testing.TB, config string) string {
	t.Helper()
	ports, err := freeport.Take(100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ports.Release)
	return shippedPort.ReplaceAllStringFunc(config, func(port string) string {
		n, _ := strconv.Atoi(port)
		return strconv.Itoa(ports.First + n - 9400)
	})
}

// taken says who listens at a port of the loopback, as far as that can be told.
func taken(port int) error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return l.Close()
}

// Command is the program in the cluster's directory, with a verb.
func (c *Cluster) Command(args ...string) *exec.Cmd {
	p := exec.Command(c.program, append(args, "--config", c.Config.Path)...)
	p.Dir = c.Dir
	p.Env = append(os.Environ(), c.env...)
	return p
}

// Run runs a verb to its end.
func (c *Cluster) Run(args ...string) (text string, code int) {
	c.t.Helper()
	p := c.Command(args...)
	out, err := p.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return string(out), p.ProcessState.ExitCode()
}

// Running is a node's run file; an error if no process of it lives.
func (c *Cluster) Running(name string) (node.Running, error) {
	all, err := node.ReadRunning(c.Config.RunDir())
	for _, r := range all {
		if r.Name == name && r.Alive() {
			return r, nil
		}
	}
	return node.Running{}, errors.Join(err, fmt.Errorf("no %s runs", name))
}

// Node is Running of a node that must run.
func (c *Cluster) Node(name string) node.Running {
	c.t.Helper()
	r, err := c.Running(name)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// Kill kills a node's process as nothing can be caught, and returns what it was when it is gone.
func (c *Cluster) Kill(name string) node.Running {
	c.t.Helper()
	r := c.Node(name)
	c.Signal(r, syscall.SIGKILL)
	Await(c.t, Patience, fmt.Sprintf("the death of %s (pid %d)", name, r.PID), func() error {
		if r.Alive() {
			return errors.New("it lives")
		}
		return nil
	})
	return r
}

// Signal sends a signal to the process of a node.
func (c *Cluster) Signal(r node.Running, s syscall.Signal) {
	c.t.Helper()
	if err := r.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// KillPID kills any process of the cluster; one that has gone is fine.
func (c *Cluster) KillPID(pid int) {
	c.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		c.t.Fatal(err)
	}
}

// Restarted waits until another process of a node that died is ready.
func (c *Cluster) Restarted(dead node.Running) {
	c.t.Helper()
	Await(c.t, Patience, "another process of "+dead.Name+" that is ready", func() error {
		r, err := c.Running(dead.Name)
		if err == nil && r.PID == dead.PID {
			err = errors.New("the run file is still the dead one's")
		}
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		return r.Ready(ctx)
	})
}

// Processes are the living ones that were started for this cluster, by pid: their command lines name its directory.
func (c *Cluster) Processes() map[int]string {
	found := map[int]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, []byte(c.Dir+"/")) { // a zombie has no command line
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil {
			found[pid] = strings.ReplaceAll(strings.Trim(string(text), "\x00"), "\x00", " ")
		}
	}
	return found
}

// LeavesNothing fails the test if anything of the cluster is left over.
func (c *Cluster) LeavesNothing() {
	c.t.Helper()
	for pid, line := range c.Processes() {
		c.t.Errorf("a process is left: %d %s", pid, line)
	}
	for _, n := range c.Config.Nodes {
		for _, l := range c.Config.Listeners(n) {
			_, text, _ := net.SplitHostPort(l.Address)
			if port, _ := strconv.Atoi(text); port != 0 && taken(port) != nil {
				c.t.Errorf("a port is left: %s of %s, %s", l.Key, n.Name, l.Address)
			}
		}
	}
	left, err := os.ReadDir(c.Config.RunDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Error(err)
	}
	for _, f := range left {
		if f.Name() != "scale" { // it says what the next `up` starts
			c.t.Errorf("a file is left: %s", f.Name())
		}
	}
}

// clear ends whatever still runs, and says what happened if the test has failed.
func (c *Cluster) clear() {
	for _, u := range c.ups { // first, because it starts again what dies
		u.Command.Process.Kill() //nolint:errcheck // it may have ended long ago
		<-u.Ended
	}
	for pid := range c.Processes() {
		if !c.t.Failed() {
			c.t.Errorf("a process was left: %d", pid)
		}
		syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may have ended just now
	}
	logs, _ := filepath.Glob(filepath.Join(c.Config.LogDir(), "*.log"))
	for _, log := range logs {
		if text := c.Read(log); strings.Contains(text, "DATA RACE") {
			c.t.Errorf("%s holds a data race:\n%s", filepath.Base(log), text)
		}
	}
	if !c.t.Failed() {
		return
	}
	for _, u := range c.ups {
		c.t.Logf("up printed:\n%s", u.Text())
	}
	for _, log := range logs {
		c.t.Logf("the end of %s:\n%s", filepath.Base(log), LastLines(c.Read(log), 25))
	}
}

// Read is a file's text, or why there is none.
func (c *Cluster) Read(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Log is what a node has logged so far, in all its lives.
func (c *Cluster) Log(name string) string {
	return c.Read(filepath.Join(c.Config.LogDir(), name+".log"))
}

// LastLines is the end of a text.
func LastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
