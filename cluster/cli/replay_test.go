package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/cluster/replay"
)

// recorded is a file with twenty calls to the hill.
func recorded(t *testing.T) string {
	t.Helper()
	w := replay.NewWorld(t, echo)
	c := w.Connect()
	for n := range 20 {
		replay.Call[*callBack](c, &call{n})
	}
	path := filepath.Join(t.TempDir(), "the hill-1.rec")
	if err := w.Recording().Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// feed runs a verb with lines of input.
func (p *place) feed(lines string, args ...string) (output string, code int) {
	p.t.Helper()
	c := p.command(args...)
	c.Stdin = strings.NewReader(lines)
	text, _ := c.CombinedOutput()
	return string(text), c.ProcessState.ExitCode()
}

func TestTheDebuggerStepsForwardsAndBackwards(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.as = "echo"
	file := recorded(t)
	text, code := p.feed("next\nn 2\nback 2\nrun output callBack\nrun number 200\nstate\ndiff\ninputs 1\njump 0\n"+
		"run time 3600\nrun panic\nrun difference\nrun end\nback\nactor 1\nhelp\ndance\nquit\n", "replay", file)
	for _, want := range []string{"    0 hill/", "<- begins", `call {"N":`, "before step 1 of", "the end, after step",
		"run      number N | time SECONDS", "this is no command"} {
		if code != exitOK || !strings.Contains(text, want) {
			t.Errorf("exit code %d, no %q in:\n%s", code, want, text)
		}
	}
	text, code = p.feed("next\nnext\ndance\n", "replay", file, "--json")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range lines {
		var object map[string]any
		decode(t, line, &object)
	}
	if last := lines[len(lines)-1]; code != exitOK || !strings.Contains(last, `"error"`) {
		t.Errorf("exit code %d: %s", code, text)
	}
	for _, wrong := range [][]string{{"replay", "none.rec"}, {"replay"}, {"replay", file, "--actor", "x"},
		{"replay", file, "--actor", "hill/none"}} {
		if text, code := p.run(wrong...); code != exitUsage {
			t.Errorf("%v: exit code %d: %s", wrong, code, text)
		}
	}
}

func TestTheStepInWhichTwoBuildsPartIsNamed(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.as = "echo"
	file := recorded(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, code := p.run("replay", file, "--against", exe)
	if code != exitOK || !strings.Contains(text, "do the same in") {
		t.Errorf("exit code %d: %s", code, text)
	}
	other := filepath.Join(t.TempDir(), "other")
	script := fmt.Sprintf("#!/bin/sh\nFIREFLY_TEST_FAULT=1 exec %q \"$@\"\n", exe)
	if err := os.WriteFile(other, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	text, code = p.run("replay", file, "--against", other)
	for _, want := range []string{`call {"N":13}`, `  this   -> client-1 answer callBack {"N":13}`,
		`  other  -> client-1 answer callBack {"N":14}`, "the builds part at hill/"} {
		if code != exitFailed || !strings.Contains(text, want) {
			t.Errorf("exit code %d, no %q in:\n%s", code, want, text)
		}
	}
	if text, code := p.run("replay", file, "--shrink", filepath.Join(t.TempDir(), "y.rec")); code != exitFailed ||
		!strings.Contains(text, "nothing to shrink") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if text, code := p.run("replay", file, "--against", "/bin/false"); code != exitFailed {
		t.Errorf("exit code %d: %s", code, text)
	}
}

func TestARecordingBecomesATest(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.as = "echo"
	file, dir := recorded(t), t.TempDir()
	if text, code := p.run("replay", file, "--test", "--into", dir); code != exitUsage ||
		!strings.Contains(text, "no Go package") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("package game\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, code := p.run("replay", file, "--test", "--into", dir, "--app", "Echo"); code != exitOK {
		t.Fatalf("exit code %d: %s", code, text)
	}
	text, err := os.ReadFile(filepath.Join(dir, "the_hill_1_rec_test.go"))
	if err != nil || !strings.Contains(string(text), `func TestReplayOfTheHill1(t *testing.T) {
	replay.File(t, Echo, "testdata/the hill-1.rec")`) || !strings.HasPrefix(string(text), "package game\n") {
		t.Errorf("%v:\n%s", err, text)
	}
	replay.File(t, echo, filepath.Join(dir, "testdata", "the hill-1.rec"))
	if text, code := p.run("replay", file, "--test", "--into", dir); code != exitUsage ||
		!strings.Contains(text, "is there already") {
		t.Errorf("exit code %d: %s", code, text)
	}
}
