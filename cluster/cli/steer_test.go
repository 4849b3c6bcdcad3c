package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stops lists the nodes that stopped, in order.
func (p *place) stops() []string {
	var all []string
	for _, n := range p.notes() {
		if name, ok := strings.CutPrefix(n, "stop "); ok {
			all = append(all, name)
		}
	}
	return all
}

// events decodes what a verb printed with --json.
func events(t *testing.T, text string) []Event {
	t.Helper()
	var all []Event
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if strings.HasPrefix(line, "{") {
			var e Event
			decode(t, line, &e)
			all = append(all, e)
		}
	}
	if len(all) == 0 {
		t.Fatalf("no events in %q", text)
	}
	return all
}

func TestScaleAddsCopiesAndTakesTheHighestAway(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	first := p.begin("up")
	first.prints("ready in")
	if text, code := p.run("scale", "game=4"); code != exitOK || !strings.HasSuffix(text, "game has 4 nodes\n") {
		t.Fatalf("exit code %d: %s", code, text)
	}
	if rows := p.rows(); len(rows) != 8 || rows["game-4"].State != "ready" {
		t.Errorf("ps: %+v", rows)
	}
	const remark = "game: 4 nodes, as scale wanted; runtime.toml has 2\n"
	for _, verb := range []string{"ps", "check"} {
		if text, code := p.run(verb); code != exitOK || !strings.Contains(text, remark) {
			t.Errorf("%s: exit code %d: %s", verb, code, text)
		}
	}
	dead := p.kill("game-4")
	p.another("game-4", dead)

	before := p.pids()
	first.ends(syscall.SIGKILL)
	second := p.begin("up", "--json")
	second.prints(`"what":"play"`)
	if after := p.pids(); after["game-3"] != before["game-3"] || len(after) != 8 {
		t.Errorf("the next up has %v", after)
	}
	text, code := p.run("scale", "game=1", "--json")
	said := events(t, text)
	if last := said[len(said)-1]; code != exitOK || last.What != "done" || *said[0].Shards != 1 {
		t.Errorf("exit code %d: %s", code, text)
	}
	if stops := p.stops(); !slices.Equal(stops, []string{"game-4", "game-3", "game-2"}) {
		t.Errorf("stopped %v", stops)
	}
	if text, code := p.run("scale", "game=2"); code != exitOK || p.pid("game-2") == 0 {
		t.Errorf("exit code %d: %s", code, text)
	}
	if _, err := os.Stat(filepath.Join(p.config.RunDir(), "scale")); err == nil {
		t.Error("what the file says is kept beside it")
	}
	if code := second.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, second.text())
	}
}

func TestAnUpThatDiesWhileItScalesIsSucceeded(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	first := p.begin("up")
	first.prints("ready in")
	first.ends(syscall.SIGKILL)
	kept := filepath.Join(p.config.RunDir(), "scale")
	if err := os.WriteFile(kept, []byte(`{"game":{"count":1,"file":2}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	second := p.begin("up")
	second.prints("game-2       drains, 1 shards left")
	second.prints("scale game=1: done")
	if p.pid("game-2") != 0 || p.pid("game-1") == 0 {
		t.Errorf("these run: %v", p.pids())
	}
	if code := second.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, second.text())
	}
}

func TestADrainedNodeStaysDownUntilItIsStarted(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	up := p.begin("up")
	up.prints("ready in")
	before := p.pid("game-2")
	text, code := p.run("drain", "game-2")
	const want = "game-2       drains, 1 shards left\ngame-2       drains, 0 shards left\ngame-2 drained and stopped\n"
	if code != exitOK || text != want {
		t.Errorf("exit code %d: %s", code, text)
	}
	up.prints("game-2       was stopped, and stays down until")
	if rows := p.rows(); rows["game-2"].State != "stopped" || p.pid("game-2") != 0 {
		t.Errorf("%+v", rows["game-2"])
	}
	if text, code := p.run("drain", "game-2", "--json"); code != exitOK || events(t, text)[0].What != "done" {
		t.Errorf("what is down may be drained: exit code %d: %s", code, text)
	}
	text, code = p.run("start", "game-2", "--json")
	if said := events(t, text); code != exitOK || said[len(said)-1].What != "done" {
		t.Errorf("exit code %d: %s", code, text)
	}
	p.another("game-2", before)
	if text, code := p.run("start", "game-2"); code != exitOK {
		t.Errorf("what runs may be started: exit code %d: %s", code, text)
	}
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestADrainThatCannotBeIsRefusedOrGivenUp(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.misbehave("game-1", "stuck")
	p.misbehave("game-2", "alone")
	up := p.begin("up")
	up.prints("ready in")
	alone := p.pid("game-2")
	text, code := p.run("drain", "game-2")
	if code != exitFailed || !strings.Contains(text, "game-2 is the only node with the role game") {
		t.Errorf("exit code %d: %s", code, text)
	}
	text, code = p.run("drain", "game-1", "--json")
	said := events(t, text)
	if last := said[len(said)-1]; code != exitFailed || last.What != "failed" ||
		!strings.Contains(last.Text, "game-1 was not drained after 1s: it had 2 shards") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if p.pid("game-1") != 0 || p.pid("game-2") != alone {
		t.Errorf("these run: %v", p.pids())
	}
	p.kill("game-2") // it was not drained, so it is started again
	p.another("game-2", alone)
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestOfNodesThatAreDrainedAtOnceTheLastOfItsRoleStays(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.misbehave("game-1", "stuck") // so that its drain takes a while
	up := p.begin("up")
	up.prints("ready in")
	first, stays := p.begin("drain", "game-1"), p.pid("game-2")
	first.prints("drains, 2 shards left")
	text, code := p.run("drain", "game-2")
	if code != exitFailed || !strings.Contains(text, "game-2 is the only node with the role game that stays") {
		t.Errorf("exit code %d: %s", code, text)
	}
	first.ends()
	if p.pid("game-1") != 0 || p.pid("game-2") != stays {
		t.Errorf("these run: %v", p.pids())
	}
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestWithoutAnUpTheNodesAreAskedThemselves(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	for _, args := range [][]string{{"scale", "game=3"}, {"start", "game-1"}} {
		text, code := p.run(append(args, "--json")...)
		if said := events(t, text); code != exitFailed || said[0].What != "failed" ||
			!strings.Contains(said[0].Text, "no `up` runs here") {
			t.Errorf("%v: exit code %d: %s", args, code, text)
		}
	}
	p.misbehave("persist-1", "hang")
	up := p.begin("up")
	up.prints("ready in")
	up.ends(syscall.SIGKILL)
	text, code := p.run("drain", "game-2")
	if code != exitOK || !strings.Contains(text, "drains, 0 shards left\n") || p.pid("game-2") != 0 {
		t.Errorf("exit code %d: %s", code, text)
	}
	text, code = p.run("stop", "game-1", "--json")
	if said := events(t, text); code != exitOK || said[0].Text != "game-1 stopped" || p.pid("game-1") != 0 {
		t.Errorf("exit code %d: %s", code, text)
	}
	text, code = p.run("stop", "persist-1")
	if code != exitFailed || !strings.Contains(text, "had to kill persist-1") {
		t.Errorf("exit code %d: %s", code, text)
	}
	text, code = p.run("stop", "--json")
	if said := events(t, text); code != exitOK || said[0].What != "done" || len(p.pids()) > 0 {
		t.Errorf("exit code %d: %s", code, text)
	}
	for _, verb := range []string{"stop", "drain"} {
		if text, code := p.run(verb, "game-1"); code != exitOK || text != "nothing runs\n" {
			t.Errorf("%s: exit code %d: %s", verb, code, text)
		}
	}
}

func TestWhatIsNoSuchNodeOrNumberIsToldInJSONToo(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	for _, args := range [][]string{{"scale", "game=0"}, {"drain", "eve"}, {"stop", "eve"}, {"start", "eve"}} {
		text, code := p.run(append(args, "--json")...)
		if said := events(t, text); code != exitUsage || len(said) != 1 || said[0].What != "failed" {
			t.Errorf("%v: exit code %d: %s", args, code, text)
		}
	}
}

func TestAStopOfEverythingIsToldInJSON(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	up := p.begin("up")
	up.prints("ready in")
	text, code := p.run("stop", "--json")
	said := events(t, text)
	if code != exitOK || len(said) != 2 || said[0].What != "stopping" || said[1].What != "done" {
		t.Errorf("exit code %d: %s", code, text)
	}
	if code := up.ends(); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestANodeThatHangsWhenItIsStoppedStaysDown(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.misbehave("game-1", "hang")
	up := p.begin("up")
	up.prints("ready in")
	text, code := p.run("stop", "game-1")
	if code != exitFailed || !strings.Contains(text, "did not stop within 1s: killed") ||
		!strings.Contains(text, "had to kill game-1") {
		t.Errorf("exit code %d: %s", code, text)
	}
	p.within(time.Minute, "the end in the table", func() bool { return p.rows()["game-1"].State == "stopped" })
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}
