package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/gate"
)

// A tame node does what the test says.
type tame struct {
	notReady error
	recorded atomic.Int32
	stopped  atomic.Int32
}

func (n *tame) Ready() error  { return n.notReady }
func (n *tame) Report() any   { return Report{Sessions: 3, Actors: 4, Messages: 5} }
func (n *tame) Record() error { n.recorded.Add(1); return n.notReady }
func (n *tame) Stop()         { n.stopped.Add(1) }
func (n *tame) Members() []Membership {
	return []Membership{{Name: "game-1", Incarnation: 7, Roles: []string{"game"}, Shards: 256}}
}
func (n *tame) Drain() (Drained, error) { return Drained{Shards: 7}, n.notReady }
func (n *tame) Take(_ context.Context, ref actors.Ref) (string, error) {
	return "/" + ref.String(), n.notReady
}

func (n *tame) Box(_ context.Context, ref actors.Ref, drop uint64) ([]byte, error) {
	return fmt.Appendf(nil, `{"next":%d,"out":[{"seq":7,"to":%q,"number":100}]}`, drop, ref), n.notReady
}

func open(t *testing.T, dir string, n Controlled) *Control {
	t.Helper()
	c, err := OpenControl(dir, Running{Name: "game-1", Incarnation: 1<<64 - 1}, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// found reads the one run file of a directory.
func found(t *testing.T, dir string) Running {
	t.Helper()
	all, err := ReadRunning(dir)
	if err != nil || len(all) != 1 {
		t.Fatalf("run files: %+v, %v", all, err)
	}
	return all[0]
}

func TestANodeIsFoundAskedAndStoppedByItsRunFile(t *testing.T) {
	t.Parallel()
	dir, n := filepath.Join(t.TempDir(), "run"), &tame{notReady: errors.New("the link is not up")}
	c := open(t, dir, n)
	r := found(t, dir)
	if r.PID != os.Getpid() || r.Incarnation != 1<<64-1 || !r.Alive() {
		t.Errorf("%+v", r)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Record(ctx); err == nil || !strings.Contains(err.Error(), "the link is not up") {
		t.Errorf("record: %v", err)
	}
	if err := r.Ready(ctx); err == nil || !strings.Contains(err.Error(), "the link is not up") {
		t.Errorf("ready: %v", err)
	}
	n.notReady = nil
	if err := r.Ready(ctx); err != nil {
		t.Errorf("ready: %v", err)
	}
	if err := r.Record(ctx); err != nil || n.recorded.Load() != 2 {
		t.Errorf("record: %v, %d times", err, n.recorded.Load())
	}
	var report Report
	if err := r.Report(ctx, &report); err != nil || report != (Report{Sessions: 3, Actors: 4, Messages: 5}) {
		t.Errorf("report: %+v, %v", report, err)
	}
	if there, err := r.Members(ctx); err != nil || len(there) != 1 || there[0].Shards != 256 {
		t.Errorf("members: %+v, %v", there, err)
	}
	if left, err := r.Drain(ctx); err != nil || left != (Drained{Shards: 7}) {
		t.Errorf("drain: %+v, %v", left, err)
	}
	if err := r.Stop(ctx); err != nil || n.stopped.Load() != 1 {
		t.Errorf("stop: %v, %d times", err, n.stopped.Load())
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A killed process holds the lock until it has ended, and its successor is often started before.
func TestWhoFollowsADyingProcessWaitsForItsEnd(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	dead, err := lockName(dir, "game-1")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	time.AfterFunc(dying/10, func() { ended <- dead.release() })
	next, err := OpenControl(dir, Running{Name: "game-1"}, &tame{})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestASecondProcessOfANodeIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	first := open(t, dir, &tame{})
	if _, err := OpenControl(dir, Running{Name: "game-1"}, &tame{}); !errors.Is(err, ErrRuns) {
		t.Errorf("a second one: %v", err)
	}
	if r := found(t, dir); r.Incarnation != first.Running().Incarnation || r.Ready(t.Context()) != nil {
		t.Errorf("the second one harmed the first: %+v", r)
	}
	if err := first.Abandon(); err != nil {
		t.Fatal(err)
	}
	second, err := OpenControl(dir, Running{Name: "game-1", Incarnation: 8}, &tame{})
	if err == nil { // the run file says this very process, which lives
		t.Fatal("it passes for dead", second.Close())
	}
	gone := found(t, dir)
	gone.Start--
	if err := gone.write(filepath.Join(dir, "game-1.json")); err != nil {
		t.Fatal(err)
	}
	if second, err = OpenControl(dir, Running{Name: "game-1", Incarnation: 8}, &tame{}); err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if second.Earlier().Incarnation != 1<<64-1 {
		t.Errorf("the earlier one was %+v", second.Earlier())
	}
}

func TestATornRunFileIsWrittenAnewByItsProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	if _, ok := FindLost(t.Context(), dir, "game-1"); ok {
		t.Error("nobody is found")
	}
	c := open(t, dir, &tame{})
	if err := c.Serves(gate.Listener{Scheme: gate.TCP, Address: "127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "game-1.json"), []byte(`{"name":"ga`), 0o600); err != nil {
		t.Fatal(err)
	}
	r, ok := FindLost(t.Context(), dir, "game-1")
	if now := found(t, dir); !ok || now.PID != os.Getpid() || !now.Serves || r.TCP != "127.0.0.1:1" {
		t.Errorf("%v, %+v, %+v", ok, r, now)
	}
}

func TestAProcessOfAnotherBootIsDead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir, &tame{})
	r := found(t, dir)
	if r.Boot = "another"; r.Alive() {
		t.Error("the machine has started since, and it passes for the node")
	}
}

func TestALongPathGetsAShortSocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	c := open(t, dir, &tame{})
	r := found(t, dir)
	if len(r.Socket) > maxSocketPath {
		t.Fatalf("socket path of %d bytes", len(r.Socket))
	}
	if err := r.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(r.Socket)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the short directory is still there: %v", err)
	}
}

func TestAnotherProcessWithTheSamePIDIsNotTheNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir, &tame{})
	r := found(t, dir)
	earlier := r
	earlier.Start--
	if earlier.Alive() {
		t.Error("a process that started at another time passes for the node")
	}
	if err := earlier.Forget(dir); err != nil {
		t.Fatal(err)
	}
	if found(t, dir).PID != r.PID {
		t.Error("forgetting the earlier process removed the run file of the living one")
	}
}

func TestADeadNodesFilesAreForgotten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dead := Running{Name: "game-1", PID: 1 << 30, Socket: filepath.Join(dir, "game-1.sock")}
	if err := dead.write(filepath.Join(dir, "game-1.json")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"torn.json": `{"name":"to`, "game-1.sock": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := found(t, dir)
	if r.Alive() {
		t.Fatal("no such process lives")
	}
	if err := r.Forget(dir); err != nil {
		t.Fatal(err)
	}
	if all, _ := ReadRunning(dir); len(all) > 0 {
		t.Errorf("still there: %+v", all)
	}
}

func TestRunFilesOfNoDirectoryAreNone(t *testing.T) {
	t.Parallel()
	if all, err := ReadRunning(filepath.Join(t.TempDir(), "none")); err != nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
}
