package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/cli"
	"github.com/fireflyrt/firefly/cluster/freeport"
	"github.com/fireflyrt/firefly/cluster/node"
)

// This file is how tests run a cluster of real processes: the built program or, for a game that misbehaves on purpose,
// this test binary in its place. Every cluster has a directory and ports of its own, and at the end of its test nothing
// of it may be left: no process, no port, no run file.

// asGame names, in the environment, the game whose program this test binary is to be.
const asGame = "FIREFLY_TEST_GAME"

// builds is where the program is built to, once for all tests.
var builds string

func TestMain(m *testing.M) {
	switch os.Getenv(asGame) {
	case "rude":
		cli.Main(rude)
	case "meadow":
		cli.Main(App)
	}
	var err error
	if builds, err = os.MkdirTemp("", "ffb"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(builds); err != nil {
		panic(err)
	}
	os.Exit(code)
}

var buildMeadow = sync.OnceValues(func() (string, error) {
	exe := filepath.Join(builds, "meadow")
	text, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, text)
	}
	return exe, nil
})

const (
	patience = 30 * time.Second // for what takes time only because the machine does other things
	lookEach = 10 * time.Millisecond
)

// await waits until there is no error any more; at the deadline it says what it waited for and what the last one was.
func await(t *testing.T, within time.Duration, what string, look func() error) {
	t.Helper()
	awaitEach(t, lookEach, within, what, look)
}

// awaitEach is await with a pause of one's own between two looks.
func awaitEach(t *testing.T, pause, within time.Duration, what string, look func() error) {
	t.Helper()
	began := time.Now()
	for {
		err := look()
		if err == nil {
			return
		}
		if time.Since(began) > within {
			t.Fatalf("waited %v for %s: %v", within, what, err)
		}
		time.Sleep(pause)
	}
}

// A realGame is what a cluster runs, and how.
type realGame struct {
	config string   // runtime.toml; its ports 9400 to 9499 are moved to free ones
	prices string   // sample/tables/prices.csv; "": those that are built in
	env    []string // of every process
	rude   bool     // run the rude game, not the meadow
	binary string   // of another build of this package's tests, whose meadow is run; "": the meadow is built
}

// shippedConfig is the runtime.toml that a newcomer finds.
func shippedConfig(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../runtime.toml")
	if err != nil {
		t.Fatal(err)
	}
	return replaced(t, string(text), "[cluster]\n", "[cluster]\netcd_port = 9470\n")
}

// replaced is a text with another in one of its places, which must be there.
func replaced(t *testing.T, text, old, new string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("there is no %q in\n%s", old, text)
	}
	return strings.Replace(text, old, new, 1)
}

// slots bounds how many clusters run at once, whatever the machine.
var slots = make(chan struct{}, 2)

// A realCluster is a directory with a configuration, and what runs there.
type realCluster struct {
	t       *testing.T
	dir     string
	program string
	env     []string
	config  *node.Config
	ups     []*realUp
}

func newRealCluster(t *testing.T, g realGame) *realCluster {
	t.Helper()
	slots <- struct{}{}
	t.Cleanup(func() { <-slots })
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
	c := &realCluster{t: t, dir: dir, env: g.env}
	if g.rude {
		c.program, err = os.Executable()
		c.env = append(c.env, asGame+"=rude", "GORACE=atexit_sleep_ms=0")
	} else if c.program = g.binary; g.binary != "" {
		c.env = append(c.env, asGame+"=meadow", "GORACE=atexit_sleep_ms=0")
	} else {
		c.program, err = buildMeadow()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.write("runtime.toml", movedPorts(t, g.config))
	if g.prices != "" {
		c.write("sample/tables/prices.csv", g.prices)
	}
	text, err := os.ReadFile(c.path("runtime.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if c.config, err = node.Parse(c.path("runtime.toml"), text, c.lookup, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.clear)
	return c
}

func (c *realCluster) lookup(name string) (string, bool) {
	for _, e := range c.env {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value, true
		}
	}
	return os.LookupEnv(name)
}

func (c *realCluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c *realCluster) write(name, text string) {
	c.t.Helper()
	if err := os.MkdirAll(filepath.Dir(c.path(name)), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(c.path(name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

var shippedPort = regexp.MustCompile(`\b94(\d\d)\b`)

// movedPorts puts the ports 9400 to 9499 where a hundred in a row are free until the test is over.
func movedPorts(t *testing.T, config string) string {
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

// command is the program in the cluster's directory, with a verb.
func (c *realCluster) command(args ...string) *exec.Cmd {
	p := exec.Command(c.program, append(args, "--config", c.config.Path)...)
	p.Dir = c.dir
	p.Env = append(os.Environ(), c.env...)
	return p
}

// run runs a verb to its end.
func (c *realCluster) run(args ...string) (text string, code int) {
	c.t.Helper()
	p := c.command(args...)
	out, err := p.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return string(out), p.ProcessState.ExitCode()
}

// running is a node's run file, and whether its process lives.
func (c *realCluster) running(name string) (node.Running, error) {
	all, err := node.ReadRunning(c.config.RunDir())
	for _, r := range all {
		if r.Name == name && r.Alive() {
			return r, nil
		}
	}
	return node.Running{}, errors.Join(err, fmt.Errorf("no %s runs", name))
}

func (c *realCluster) node(name string) node.Running {
	c.t.Helper()
	r, err := c.running(name)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// kill kills a node's process as nothing can be caught, and returns what it was when it is gone.
func (c *realCluster) kill(name string) node.Running {
	c.t.Helper()
	r := c.node(name)
	if err := r.Signal(syscall.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
	await(c.t, patience, fmt.Sprintf("the death of %s (pid %d)", name, r.PID), func() error {
		if r.Alive() {
			return errors.New("it lives")
		}
		return nil
	})
	return r
}

func (c *realCluster) killPID(pid int) {
	c.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		c.t.Fatal(err)
	}
}

// restarted waits until another process of a node that died is ready.
func (c *realCluster) restarted(dead node.Running) {
	c.t.Helper()
	await(c.t, patience, "another process of "+dead.Name+" that is ready", func() error {
		r, err := c.running(dead.Name)
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

// processes are the living ones that were started for this cluster, by pid: their command lines name its directory.
func (c *realCluster) processes() map[int]string {
	found := map[int]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, []byte(c.dir+"/")) { // a zombie has no command line
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil {
			found[pid] = strings.ReplaceAll(strings.Trim(string(text), "\x00"), "\x00", " ")
		}
	}
	return found
}

// leavesNothing fails the test if anything of the cluster is left over.
func (c *realCluster) leavesNothing() {
	c.t.Helper()
	for pid, line := range c.processes() {
		c.t.Errorf("a process is left: %d %s", pid, line)
	}
	for _, n := range c.config.Nodes {
		for _, l := range c.config.Listeners(n) {
			_, text, _ := net.SplitHostPort(l.Address)
			if port, _ := strconv.Atoi(text); port != 0 && taken(port) != nil {
				c.t.Errorf("a port is left: %s of %s, %s", l.Key, n.Name, l.Address)
			}
		}
	}
	left, err := os.ReadDir(c.config.RunDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Error(err)
	}
	for _, f := range left {
		c.t.Errorf("a file is left: %s", f.Name())
	}
}

// clear ends whatever still runs, and says what happened if the test has failed.
func (c *realCluster) clear() {
	for _, u := range c.ups { // first, because it starts again what dies
		u.command.Process.Kill() //nolint:errcheck // it may have ended long ago
		<-u.ended
	}
	for pid := range c.processes() {
		if !c.t.Failed() {
			c.t.Errorf("a process was left: %d", pid)
		}
		syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may have ended just now
	}
	if !c.t.Failed() {
		return
	}
	for _, u := range c.ups {
		c.t.Logf("up printed:\n%s", u.text())
	}
	logs, _ := filepath.Glob(filepath.Join(c.config.LogDir(), "*.log"))
	for _, log := range logs {
		c.t.Logf("the end of %s:\n%s", filepath.Base(log), lastLines(c.read(log), 25))
	}
}

func (c *realCluster) read(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// log is what a node has logged so far, in all its lives.
func (c *realCluster) log(name string) string {
	return c.read(filepath.Join(c.config.LogDir(), name+".log"))
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// A realUp is an `up` that runs.
type realUp struct {
	*realCluster
	command *exec.Cmd
	ended   chan struct{}
	mu      sync.Mutex
	printed []string
}

// begin starts an `up`, off a terminal.
func (c *realCluster) begin(args ...string) *realUp {
	c.t.Helper()
	u := &realUp{realCluster: c, command: c.command(append([]string{"up"}, args...)...), ended: make(chan struct{})}
	out, err := u.command.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	u.command.Stderr = u.command.Stdout
	if err := u.command.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.ups = append(c.ups, u)
	go func() { // ends with the process, which clear waits for
		defer close(u.ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			u.mu.Lock()
			u.printed = append(u.printed, s.Text())
			u.mu.Unlock()
		}
		_ = u.command.Wait() // the exit code says how it ended
	}()
	return u
}

// up starts an `up` and waits until it says that everything is ready.
func (c *realCluster) up() *realUp {
	c.t.Helper()
	began := time.Now()
	u := c.begin()
	u.prints("ready in ")
	c.t.Logf("ready after %v", time.Since(began).Round(lookEach))
	return u
}

// prints waits for a line that holds a text.
func (u *realUp) prints(text string) (line string) {
	u.t.Helper()
	await(u.t, patience, fmt.Sprintf("`up` to print %q", text), func() error {
		u.mu.Lock()
		defer u.mu.Unlock()
		i := slices.IndexFunc(u.printed, func(l string) bool { return strings.Contains(l, text) })
		if i >= 0 {
			line = u.printed[i]
			return nil
		}
		select {
		case <-u.ended:
			u.t.Fatalf("`up` ended without %q", text)
		default:
		}
		return errors.New("not yet")
	})
	return line
}

func (u *realUp) text() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return strings.Join(u.printed, "\n")
}

// signal ends `up` with a signal and returns its exit code.
func (u *realUp) signal(s syscall.Signal) int {
	u.t.Helper()
	if err := u.command.Process.Signal(s); err != nil {
		u.t.Fatal(err)
	}
	select {
	case <-u.ended:
	case <-time.After(2 * patience):
		u.t.Fatalf("waited %v for `up` to end after %v", 2*patience, s)
	}
	return u.command.ProcessState.ExitCode()
}

// stop ends `up` as Ctrl-C does, which must go well and leave nothing.
func (u *realUp) stop() {
	u.t.Helper()
	began := time.Now()
	if code := u.signal(syscall.SIGINT); code != 0 {
		u.t.Errorf("`up` ended with exit code %d", code)
	}
	u.t.Logf("stopped after %v", time.Since(began).Round(lookEach))
	u.leavesNothing()
}
