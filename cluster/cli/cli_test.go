package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/freeport"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/persist"
)

// asTool makes the test binary behave as the program: "fake" with nodes that do nothing but be
// controlled, "echo" with real ones and the smallest game.
const asTool = "FIREFLY_TEST_AS_TOOL"

func TestMain(m *testing.M) {
	switch os.Getenv(asTool) {
	case "fake":
		os.Exit(fakeTool().execute(os.Args[1:]))
	case "echo":
		Main(echo)
	case "closet1":
		Main(closet(1))
	case "closet2":
		Main(closet(2))
	}
	// most of them wait for processes, which start one after another
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func fakeTool() *tool {
	return &tool{kinds: []node.KindRole{{Kind: "room", Role: "game"}}, run: runFake,
		out: os.Stdout, err: os.Stderr,
		certify: func(_ context.Context, c *node.Config, dead node.Running) error {
			return note(c, fmt.Sprintf("dead %s %d", dead.Name, dead.Incarnation))
		},
		login: func(ctx context.Context, _ *node.Config, gates []node.Running) error {
			return knock(ctx, gates[0].TCP)
		}}
}

// note appends a line to the file in which a test reads what happened.
func note(c *node.Config, line string) error {
	f, err := os.OpenFile(filepath.Join(c.Cluster.Data, "notes"),
		os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

func knock(ctx context.Context, address string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// A fakeNode misbehaves as a file below data/misbehave says: hang (never stops), die (ends with 1),
// deaf (never ready), behind (finds that the store is), stuck (keeps its shards), alone (nobody else has its role).
type fakeNode struct {
	config    *node.Config
	misbehave string
	drained   atomic.Int32
	once      sync.Once
	stop      chan struct{}
}

func (f *fakeNode) Ready() error {
	if f.misbehave == "deaf" {
		return errors.New("waiting for nothing")
	}
	return nil
}
func (f *fakeNode) Members() []node.Membership {
	found, _ := node.ReadRunning(f.config.RunDir())
	var all []node.Membership
	for _, r := range found {
		if r.Alive() && (f.misbehave != "alone" || r.PID == os.Getpid()) {
			all = append(all, node.Membership{Name: r.Name, Incarnation: r.Incarnation, Roles: r.Roles, Shards: 3})
		}
	}
	return all
}

// Drain has one shard less each time it is asked, and is done a while after the last.
func (f *fakeNode) Drain() (node.Drained, error) {
	if f.misbehave == "stuck" {
		return node.Drained{Shards: 2}, nil
	}
	asked := int(f.drained.Add(1))
	return node.Drained{Shards: max(0, 3-asked), Done: asked > 4}, nil
}

func (f *fakeNode) Report() any   { return node.Report{Sessions: 1, Actors: 2, Messages: 3} }
func (f *fakeNode) Record() error { return f.Ready() }
func (f *fakeNode) Box(_ context.Context, ref actors.Ref, drop uint64) ([]byte, error) {
	if drop == 9 {
		return nil, actors.BadBody.Refuse("no message %d", drop)
	}
	if ref.ID == "ann" {
		return []byte(`{"next":7,"out":[{"seq":7,"to":"player/bob","number":99999,"body":"{}","due":1,"tries":5}],` +
			`"in":{"player/eve":{"seq":3,"at":1}},"due":[{"number":99999,"at":1}]}`), nil
	}
	return []byte(`{}`), nil
}

func (f *fakeNode) Take(context.Context, actors.Ref) (string, error) {
	return "", f.Ready()
}
func (f *fakeNode) Stop() { f.once.Do(func() { close(f.stop) }) }

func runFake(ctx context.Context, c *node.Config, name string, _ *slog.Logger) (err error) {
	text, _ := os.ReadFile(filepath.Join(c.Cluster.Data, "misbehave", name))
	f := &fakeNode{config: c, misbehave: strings.TrimSpace(string(text)), stop: make(chan struct{})}
	switch f.misbehave {
	case "die":
		return errors.New("these are my last words")
	case "behind":
		return persist.Behind{"make table state_room"}
	case "unborn": // as a process is before it listens to signals
		signal.Reset(syscall.SIGTERM)
		if err := note(c, "unborn "+name); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
	n, _ := c.Node(name)
	r := node.Running{Name: name, Roles: n.Roles, Incarnation: uint64(os.Getpid()),
		TCP: n.TCP, HTTP: n.HTTP}
	for _, address := range []string{n.TCP, n.HTTP} {
		if address == "" {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		fine := func(http.ResponseWriter, *http.Request) {}
		go http.Serve(l, http.HandlerFunc(fine)) //nolint:errcheck // until the process ends
	}
	r.Settings = c.Fingerprint(n)
	control, err := node.OpenControl(c.RunDir(), r, f)
	if err != nil {
		return err
	}
	if err := control.Serves(gate.Listener{Scheme: gate.TCP, Address: n.TCP}); err != nil {
		return err
	}
	if err := note(c, "start "+name); err != nil {
		return err
	}
	fmt.Println("level=WARN msg=\"the paint of " + name + " is wet\"")
	select {
	case <-f.stop:
	case <-ctx.Done():
	}
	if f.misbehave == "hang" {
		select {}
	}
	return errors.Join(note(c, "stop "+name), control.Close())
}

// A place is a directory with a configuration, and what runs there.
type place struct {
	t      *testing.T
	config *node.Config
	as     string
	binary string // that is run; "": this one
}

// prepare makes a place with ports of its own; change edits the file.
func prepare(t *testing.T, change ...string) *place {
	t.Helper()
	dir := t.TempDir()
	ports, err := freeport.Take(4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ports.Release)
	text := fmt.Sprintf(`[cluster]
etcd_port = %d
drain_timeout = "1s"
[node.gate-1]
roles = ["gate"]
tcp = "127.0.0.1:%d"
[node.game]
roles = ["game"]
count = 2
[node.persist-1]
roles = ["persist"]
[node.admin-1]
roles = ["admin"]
http = "127.0.0.1:%d"
`, ports.First, ports.First+2, ports.First+3)
	text = strings.NewReplacer(change...).Replace(text)
	file := filepath.Join(dir, "runtime.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := node.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, config: c, as: "fake"}
	t.Cleanup(p.leaveNothing)
	return p
}

// leaveNothing fails the test if a process is left, and ends it.
func (p *place) leaveNothing() {
	for _, r := range p.running() {
		if r.Alive() {
			p.t.Errorf("%s (pid %d) still lives", r.Name, r.PID)
			r.Signal(syscall.SIGKILL)
		}
	}
}

func (p *place) running() []node.Running {
	p.t.Helper()
	all, err := node.ReadRunning(p.config.RunDir())
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

func (p *place) misbehave(name, how string) {
	p.t.Helper()
	dir := filepath.Join(p.config.Cluster.Data, "misbehave")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(how), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// notes are what the nodes and the supervisor noted, in order.
func (p *place) notes() []string {
	text, _ := os.ReadFile(filepath.Join(p.config.Cluster.Data, "notes"))
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// within waits until something is so, and says what it waited for.
func (p *place) within(d time.Duration, what string, so func() bool) {
	p.t.Helper()
	if !inTime(d, so) {
		p.t.Fatalf("waited %s for %s; noted:\n%s", d, what, strings.Join(p.notes(), "\n"))
	}
}

// inTime waits until something is so, and reports whether it came to be.
func inTime(d time.Duration, so func() bool) bool {
	for deadline := time.Now().Add(d); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// A program is the tool, running.
type program struct {
	*place
	command *exec.Cmd
	mu      sync.Mutex
	printed []string
	read    chan struct{}
}

func (p *place) command(args ...string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	if p.binary != "" {
		exe = p.binary
	}
	c := exec.Command(exe, append(args, "--config", p.config.Path)...)
	// A race-checked program sleeps a second before it ends: not here.
	c.Env = append(os.Environ(), asTool+"="+p.as, "GORACE=atexit_sleep_ms=0")
	return c
}

// run runs a verb to its end.
func (p *place) run(args ...string) (output string, code int) {
	p.t.Helper()
	c := p.command(args...)
	text, err := c.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return string(text), c.ProcessState.ExitCode()
}

// begin starts a verb that keeps running.
func (p *place) begin(args ...string) *program {
	p.t.Helper()
	g := &program{place: p, command: p.command(args...), read: make(chan struct{})}
	out, err := g.command.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	g.command.Stderr = g.command.Stdout
	if err := g.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(g.read)
		for s := bufio.NewScanner(out); s.Scan(); {
			g.mu.Lock()
			g.printed = append(g.printed, s.Text())
			g.mu.Unlock()
		}
	}()
	p.t.Cleanup(func() {
		if g.command.ProcessState == nil {
			g.command.Process.Kill()
			g.command.Wait()
			p.run("stop")
		}
	})
	return g
}

// prints waits for a line that holds a text.
func (g *program) prints(text string) string {
	g.t.Helper()
	var line string
	if !inTime(time.Minute, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		i := slices.IndexFunc(g.printed, func(l string) bool { return strings.Contains(l, text) })
		if i >= 0 {
			line = g.printed[i]
		}
		return i >= 0
	}) {
		g.t.Fatalf("no line with %s in a minute; printed:\n%s\nnoted:\n%s", text, g.text(),
			strings.Join(g.notes(), "\n"))
	}
	return line
}

// ends waits for the end, after a signal if there is one, and returns the exit code.
func (g *program) ends(s ...os.Signal) int {
	g.t.Helper()
	for _, one := range s {
		if err := g.command.Process.Signal(one); err != nil {
			g.t.Fatal(err)
		}
	}
	select {
	case <-g.read:
	case <-time.After(2 * time.Minute):
		g.t.Fatalf("still running; printed:\n%s", g.text())
	}
	g.command.Wait()
	return g.command.ProcessState.ExitCode()
}

func (g *program) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.printed, "\n")
}

// pid finds a node that runs.
func (p *place) pid(name string) int {
	p.t.Helper()
	for _, r := range p.running() {
		if r.Name == name && r.Alive() {
			return r.PID
		}
	}
	return 0
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
