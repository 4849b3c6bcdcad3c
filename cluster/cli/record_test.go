package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/record"
)

func TestARecordingOfARunningClusterIsTakenAndReplayed(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.as = "echo"
	if text, code := p.run("record", "start", "--kind", "hill"); code != exitOK ||
		!strings.Contains(text, "1 rules; 0 nodes follow them, and those that start later will") {
		t.Fatalf("exit code %d: %s", code, text)
	}
	up := p.begin("up")
	up.prints("ready in")
	if text, code := p.run("bots", "-n", "4", "-for", "1s"); code != exitOK {
		t.Fatalf("exit code %d: %s", code, text)
	}
	text, code := p.run("record", "list", "--json")
	var said Recorded
	decode(t, text, &said)
	steps := int64(0)
	for _, n := range said.Nodes {
		steps += n.Counts["steps_total"]
	}
	if code != exitOK || len(said.Rules) != 1 || len(said.Nodes) != 6 || steps < 40 || len(said.Files) == 0 {
		t.Fatalf("exit code %d, %d steps: %s", code, steps, text)
	}
	file := filepath.Join(t.TempDir(), "hill.rec")
	var hill string // whichever had something to do
	for _, name := range []string{"hill/game-1.0", "hill/game-1.1", "hill/game-2.0", "hill/game-2.1"} {
		if text, code = p.run("record", "get", "--actor", name, "-o", file, "--json"); code == exitOK {
			hill = name
			break
		}
	}
	var got Gotten
	if decode(t, text, &got); code != exitOK || got.Steps < 10 || got.Actor != hill || len(got.Damaged) != 0 {
		t.Fatalf("exit code %d: %s", code, text)
	}
	replay.File(t, echo, file)
	if text, code := p.run("record", "stop", "--kind", "hill"); code != exitOK ||
		!strings.Contains(text, "0 rules; 6 nodes follow them") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
	if text, code := p.run("record", "get", "--actor", hill, "-o", file); code != exitOK ||
		!strings.Contains(text, "in 1 segments") {
		t.Errorf("exit code %d: %s", code, text)
	}
	r, err := record.Read(file)
	if ref, _ := actors.ParseRef(hill); err != nil || r.Actor(ref) == nil || len(r.Actors()) != 1 {
		t.Errorf("read: %v", err)
	}
}

func TestRecordSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	for _, wrong := range [][]string{{}, {"start"}, {"start", "--actor", "ann"}, {"start", "--share", "2"},
		{"start", "--kind", "room", "--all"}, {"start", "--all", "now"}, {"get", "--actor", "player/ann"},
		{"get", "-o", "x.rec"}, {"list", "x"}, {"erase"}} {
		if text, code := p.run(append([]string{"record"}, wrong...)...); code != exitUsage {
			t.Errorf("%v: exit code %d: %s", wrong, code, text)
		}
	}
	for want, args := range map[string][]string{
		"no rule says --all":         {"stop", "--all"},
		"no recording of player/ann": {"get", "--actor", "player/ann", "-o", "x.rec"},
	} {
		text, code := p.run(append([]string{"record"}, args...)...)
		if code != exitFailed || !strings.Contains(text, want) {
			t.Errorf("%v: exit code %d: %s", args, code, text)
		}
	}
	if text, code := p.run("record", "list"); code != exitOK || !strings.Contains(text, "nobody is recorded") {
		t.Errorf("exit code %d: %s", code, text)
	}
}

func TestANodeThatCannotBeToldIsAnError(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.misbehave("game-1", "deaf")
	up := p.begin("up")
	p.within(clusterWithin, "the nodes", func() bool { return p.pid("game-1") > 0 && p.pid("game-2") > 0 })
	if text, code := p.run("record", "start", "--share", "0.01"); code != exitFailed ||
		!strings.Contains(text, "waiting for nothing") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if text, _ := p.run("record", "list"); !strings.Contains(text, "rule   --share 0.01\n") ||
		!strings.Contains(text, "node   game-2: records 0 actors") {
		t.Errorf("list: %s", text)
	}
	up.ends(os.Interrupt)
}
