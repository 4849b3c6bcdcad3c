package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

// pids are the living nodes' processes, by name.
func (p *place) pids() map[string]int {
	p.t.Helper()
	all := map[string]int{}
	for _, r := range p.running() {
		if r.Alive() {
			all[r.Name] = r.PID
		}
	}
	return all
}

// kill ends a node's process as nothing can be caught.
func (p *place) kill(name string) (pid int) {
	p.t.Helper()
	pid = p.pid(name)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
	return pid
}

// certified waits until the death of a fake node's process is.
func (p *place) certified(name string, pid int) {
	p.t.Helper()
	certificate := fmt.Sprintf("dead %s %d", name, pid)
	p.within(time.Minute, certificate, func() bool { return slices.Contains(p.notes(), certificate) })
}

// another waits until another process runs as a node.
func (p *place) another(name string, before int) {
	p.t.Helper()
	p.within(time.Minute, "another "+name, func() bool {
		now := p.pid(name)
		return now != 0 && now != before
	})
}

// edit changes the configuration on disk.
func (p *place) edit(old, now string) {
	p.t.Helper()
	text, err := os.ReadFile(p.config.Path)
	if err != nil {
		p.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		p.t.Fatalf("no %q in\n%s", old, text)
	}
	if err := os.WriteFile(p.config.Path, []byte(strings.Replace(string(text), old, now, 1)), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// rows is what ps says.
func (p *place) rows() map[string]Row {
	p.t.Helper()
	text, _ := p.run("ps", "--json")
	var rows []Row
	decode(p.t, strings.SplitN(text, "\n", 2)[0], &rows)
	all := map[string]Row{}
	for _, r := range rows {
		all[r.Node] = r
	}
	return all
}

func TestNodesOutliveTheirSupervisorAndTheNextOneAdoptsThem(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	first := p.begin("up")
	first.prints("ready in")
	before := p.pids()
	first.ends(syscall.SIGKILL)
	if text, code := p.run("ps"); code != exitOK || !strings.Contains(text, "no `up` watches them") {
		t.Errorf("exit code %d: %s", code, text)
	}
	unseen := p.kill("game-2")
	second := p.begin("up")
	second.prints("game-1       runs already: adopted")
	second.prints("ready in")
	p.certified("game-2", unseen)
	after := p.pids()
	for name, pid := range before {
		if (after[name] == pid) != (name != "game-2") {
			t.Errorf("%s was process %d and is %d", name, pid, after[name])
		}
	}
	if rows := p.rows(); !rows["gate-1"].Watched || rows["gate-1"].Note != "" {
		t.Errorf("ps: %+v", rows["gate-1"])
	}

	dead := p.kill("gate-1")
	second.prints("gate-1       died (nobody saw how), starts again in 200ms")
	p.another("gate-1", dead)
	p.certified("gate-1", dead)
	if text, code := p.run("stop", "admin-1"); code != exitOK || text != "admin-1 stopped\n" {
		t.Errorf("exit code %d: %s", code, text)
	}
	second.prints("admin-1      was stopped, and stays down until")
	if code := second.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, second.text())
	}
	notes := p.notes()
	if last := notes[len(notes)-1]; last != "stop registry-1" {
		t.Errorf("the adopted registry did not stop last, but %q", last)
	}
}

// A stale run file may name a process that is somebody else's by now.
func TestAProcessWithTheSamePIDIsNotAdopted(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	innocent := exec.Command("sleep", "600")
	if err := innocent.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { innocent.Wait(); close(ended) }()
	t.Cleanup(func() { innocent.Process.Kill(); <-ended })
	r := node.Started("game-1", []string{"game"}, innocent.Process.Pid)
	stale := fmt.Sprintf(`{"name":"game-1","roles":["game"],"pid":%d,"start":%d,"incarnation":"4711","serves":true}`,
		r.PID, r.Start-1)
	if err := os.MkdirAll(p.config.RunDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.config.RunDir(), "game-1.json"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	up := p.begin("up")
	up.prints("ready in")
	p.within(time.Minute, "the certificate", func() bool { return slices.Contains(p.notes(), "dead game-1 4711") })
	if text := up.text(); strings.Contains(text, "adopted") || p.pid("game-1") == r.PID {
		t.Errorf("somebody else's process passes for game-1:\n%s", text)
	}
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
	select {
	case <-ended:
		t.Error("`up` has ended somebody else's process")
	default:
	}
}

func TestANodeWithATornRunFileIsAdopted(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	first := p.begin("up")
	first.prints("ready in")
	before := p.pids()
	first.ends(syscall.SIGKILL)
	for name, text := range map[string]string{"game-1": `{"name":"gam`, "gate-1": ""} {
		if err := os.WriteFile(filepath.Join(p.config.RunDir(), name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(p.config.RunDir(), "persist-1.json")); err != nil {
		t.Fatal(err)
	}
	second := p.begin("up")
	second.prints("ready in")
	for name, pid := range p.pids() {
		if before[name] != pid {
			t.Errorf("%s was process %d and is %d", name, before[name], pid)
		}
	}
	if code := second.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, second.text())
	}
}

// otherBuild is a copy of this program that counts as another build.
func otherBuild(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "other")
	if err := copyFile(exe, path); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = io.WriteString(f, "another build")
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnotherBuildAndOtherSettingsAreAdoptedAndNamed(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.binary = otherBuild(t)
	first := p.begin("up")
	first.prints("ready in")
	before := p.pids()
	first.ends(syscall.SIGKILL)
	p.binary = ""
	p.edit("count = 2", "count = 1")
	p.edit("[node.persist-1]\n", "[node.persist-1]\nweight = 7\n")
	second := p.begin("up")
	second.prints("ready in")
	for name, pid := range p.pids() {
		if before[name] != pid {
			t.Errorf("%s was process %d and is %d", name, before[name], pid)
		}
	}
	rows := p.rows()
	for name, want := range map[string]string{
		"game-1":    "it runs build " + rows["game-1"].Build + ", and this is ",
		"persist-1": "its configuration has changed since it started",
		"game-2":    "it is not in runtime.toml",
	} {
		if !strings.Contains(rows[name].Note, want) {
			t.Errorf("ps says of %s: %q, want %q", name, rows[name].Note, want)
		}
	}
	if strings.Contains(rows["game-1"].Note, "configuration") {
		t.Errorf("nothing of game-1 was changed: %q", rows["game-1"].Note)
	}
	p.kill("game-2")
	second.prints("game-2       died (nobody saw how), and is no node of this cluster any more")
	dead := p.kill("game-1")
	p.another("game-1", dead)
	p.within(time.Minute, "game-1 of this build", func() bool { return p.rows()["game-1"].Note == "" })
	if p.pid("game-2") != 0 {
		t.Error("a node that is none was started again")
	}
	if code := second.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, second.text())
	}
}

func TestANodeThatIsRunByHandIsAdopted(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	up := p.begin("up")
	up.prints("ready in")
	if text, code := p.run("node", "game-1"); code != exitFailed || !strings.Contains(text, "runs already") {
		t.Errorf("a second game-1: exit code %d: %s", code, text)
	}
	if text, code := p.run("stop", "game-1"); code != exitOK {
		t.Fatal(text)
	}
	g := p.begin("node", "game-1")
	g.prints("the paint of game-1")
	if text, code := p.run("start", "game-1"); code != exitOK || !strings.HasSuffix(text, "game-1 is ready\n") {
		t.Errorf("exit code %d: %s", code, text)
	}
	up.prints("game-1       runs already: adopted")
	if pid := p.pid("game-1"); pid != g.command.Process.Pid {
		t.Errorf("game-1 is process %d, want %d", pid, g.command.Process.Pid)
	}
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
	if code := g.ends(); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, g.text())
	}
}
