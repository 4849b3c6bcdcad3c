package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

func TestNodesStartRegistryFirstAndStopInOrder(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	up := p.begin("up")
	line := up.prints("ready in")
	want := `^ready in \d+\.\ds  http://` + regexp.QuoteMeta(p.config.With("admin")[0].HTTP) + `$`
	if !regexp.MustCompile(want).MatchString(line) {
		t.Errorf("%q is not like %s", line, want)
	}
	if first := p.notes()[0]; first != "start registry-1" {
		t.Errorf("first came %q", first)
	}
	up.prints("the paint of game-2 is wet")
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
	var stops []string
	for _, n := range p.notes() {
		if name, ok := strings.CutPrefix(n, "stop "); ok {
			stops = append(stops, name)
		}
	}
	if len(stops) == 6 {
		slices.Sort(stops[1:3]) // the games stop together
	}
	order := []string{"gate-1", "game-1", "game-2", "persist-1", "admin-1", "registry-1"}
	if !slices.Equal(stops, order) {
		t.Errorf("stopped %v, want %v", stops, order)
	}
	if left := p.running(); len(left) > 0 {
		t.Errorf("run files left: %+v", left)
	}
}

func TestANodeThatDiesIsCertifiedAndRestarted(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	up := p.begin("up")
	up.prints("ready in")
	pid := p.pid("game-1")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	up.prints("died (signal: killed), starts again in 200ms")
	p.within(time.Minute, "another game-1", func() bool {
		now := p.pid("game-1")
		return now != 0 && now != pid
	})
	certificate := fmt.Sprintf("dead game-1 %d", pid)
	p.within(time.Minute, certificate, func() bool {
		return slices.Contains(p.notes(), certificate)
	})
	if code := up.ends(syscall.SIGTERM); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestANodeThatKeepsDyingRestsLongerEachTime(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.misbehave("persist-1", "die")
	up := p.begin("up")
	for _, pause := range []string{"200ms", "400ms", "800ms"} {
		line := up.prints("starts again in " + pause)
		if !strings.Contains(line, "exit status 1: these are my last words; more in /") {
			t.Errorf("%q does not say how it died", line)
		}
	}
	if strings.Contains(up.text(), "ready in") {
		t.Error("ready although a node is not")
	}
	p.misbehave("persist-1", "")
	up.prints("ready in")
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestAHungNodeIsNamedAndKilledAfterTheDrainTimeout(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.misbehave("game-2", "hang")
	up := p.begin("up")
	up.prints("ready in")
	if code := up.ends(os.Interrupt); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if text := up.text(); !strings.Contains(text, "game-2       did not stop within 1s: killed") ||
		!strings.Contains(text, "game-2 had to be killed") {
		t.Errorf("the hung node is not named:\n%s", text)
	}
}

func TestANodeThatIsStoppedBeforeItBeganIsStoppedInOrder(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.misbehave("game-2", "unborn")
	up := p.begin("up")
	p.within(time.Minute, "a process", func() bool { return slices.Contains(p.notes(), "unborn game-2") })
	if code := up.ends(os.Interrupt); code != exitOK || !strings.Contains(up.text(), "game-2       stopped") {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestASecondSignalKillsAtOnce(t *testing.T) {
	t.Parallel()
	p := prepare(t, `drain_timeout = "1s"`, `drain_timeout = "10m"`)
	p.misbehave("gate-1", "hang")
	up := p.begin("up")
	up.prints("ready in")
	if err := up.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	up.prints("stopping")
	if code := up.ends(os.Interrupt); code != exitFailed {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestASecondUpIsRefused(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	up := p.begin("up")
	up.prints("ready in")
	text, code := p.run("up")
	if code != exitFailed || !strings.Contains(text, fmt.Sprintf("pid %d", up.command.Process.Pid)) {
		t.Errorf("exit code %d: %s", code, text)
	}
	up.ends(os.Interrupt)
}

func TestADeathIsCertifiedByTheNextSupervisorIfTheFirstDidNotCome(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	dead := node.Running{Name: "game-1", PID: 1, Incarnation: 4711}
	if err := os.MkdirAll(p.config.RunDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	note, half := noteDeath(p.config.RunDir(), dead), filepath.Join(p.config.RunDir(), "half.dead")
	if err := os.WriteFile(half, []byte(`{"name":`), 0o600); err != nil {
		t.Fatal(err)
	}
	up := p.begin("up")
	up.prints("ready in")
	p.within(time.Minute, "the certificate", func() bool {
		return slices.Contains(p.notes(), "dead game-1 4711")
	})
	up.ends(os.Interrupt)
	for _, file := range []string{note, half} {
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s is left", file)
		}
	}
}

func TestOnceEndsByItselfWithZero(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	text, code := p.run("up", "--once", "300ms")
	if code != exitOK || !strings.Contains(text, "ready in") || !strings.Contains(text, "all stopped") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
}

func TestOnceFailsIfANodeDiesOnTheWay(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	up := p.begin("up", "-once", "2s")
	up.prints("ready in")
	if err := syscall.Kill(p.pid("game-1"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := up.ends(); code != exitFailed || !strings.Contains(up.text(), "game-1 died") {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestOnceFailsIfANodeNeverIsReady(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.misbehave("game-1", "deaf")
	up := p.begin("up", "--once", "1s")
	up.prints("still waiting for game-1 (not ready: node: game-1: waiting for nothing)")
	if code := up.ends(os.Interrupt); code != exitFailed ||
		!strings.Contains(up.text(), "stopped before it was ready: game-1 (not ready") {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestATakenPortIsNamedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	other := prepare(t)
	up := other.begin("up")
	up.prints("ready in")
	text, _ := os.ReadFile(p.config.Path)
	mine, theirs := p.config.With("gate")[0].TCP, other.config.With("gate")[0].TCP
	text = []byte(strings.ReplaceAll(string(text), mine, theirs))
	if err := os.WriteFile(p.config.Path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	said, code := p.run("up")
	if code != exitFailed || !strings.Contains(said, "tcp of gate-1: listen tcp "+theirs) {
		t.Errorf("exit code %d: %s", code, said)
	}
	if len(p.running()) > 0 {
		t.Error("something was started")
	}
	up.ends(os.Interrupt)
}

func TestAWrongFileStartsNothing(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	if err := os.WriteFile(p.config.Path, []byte("[node.all]\nrolse = []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"up", "check", "ps", "stop"} {
		text, code := p.run(verb)
		if code != exitUsage || !strings.Contains(text, "runtime.toml:2:1: unknown key rolse") {
			t.Errorf("%s: exit code %d: %s", verb, code, text)
		}
	}
	if _, err := os.Stat(p.config.Cluster.Data); err == nil {
		t.Error("something was written")
	}
}

func TestNodesRunFromACopyOfTheBinary(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	old := filepath.Join(p.config.BinDir(), "0123456789ab")
	if err := os.MkdirAll(old, 0o700); err != nil {
		t.Fatal(err)
	}
	up := p.begin("up")
	up.prints("ready in")
	for _, r := range p.running() {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", r.PID))
		if err != nil || filepath.Dir(exe) != filepath.Join(p.config.BinDir(), r.Build) {
			t.Errorf("%s runs %s, build %s (%v)", r.Name, exe, r.Build, err)
		}
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("a build that nobody runs is still there")
	}
	up.ends(os.Interrupt)
}

func TestRanksOfMixedNodes(t *testing.T) {
	t.Parallel()
	for want, roles := range map[int][]string{
		rankGate: {"gate"}, rankGame: {"gate", "battle"}, rankPersist: {"game", "persist"},
		rankAdmin: {"persist", "admin"}, rankRegistry: {"registry", "gate", "game"},
	} {
		if got := rankOf(roles); got != want {
			t.Errorf("%v: rank %d, want %d", roles, got, want)
		}
	}
}

func TestTheBackOffDoublesUpToFiveSecondsAndForgetsAfterHealth(t *testing.T) {
	t.Parallel()
	c := &child{NodeConfig: node.NodeConfig{Name: "x"}, backoff: firstBackoff}
	now := time.Unix(1000, 0)
	var pauses []time.Duration
	for range 7 {
		c.started = now
		pauses = append(pauses, c.rest(now.Add(time.Second)))
	}
	want := []time.Duration{200, 400, 800, 1600, 3200, 5000, 5000}
	for i := range want {
		if pauses[i] != want[i]*time.Millisecond {
			t.Fatalf("rests %v", pauses)
		}
	}
	if c.started = now; c.rest(now.Add(healthyAfter)) != firstBackoff {
		t.Error("half a minute of health does not count")
	}
}
