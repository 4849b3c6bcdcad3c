package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/determinism"
	"github.com/fireflyrt/firefly/cluster/node"
)

func TestCheckSaysWhatEachNodeWouldDo(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	text, code := p.run("check")
	for _, want := range []string{"6 nodes, nothing wrong", "\ngame-2 (game)\n  runs room\n",
		"runs the embedded etcd", "writes every 1s to SQLite, /"} {
		if code != exitOK || !strings.Contains(text, want) {
			t.Errorf("exit code %d, no %q in:\n%s", code, want, text)
		}
	}
	text, _ = p.run("check", "--json")
	var said struct{ Nodes []checkedNode }
	if decode(t, text, &said); len(said.Nodes) != 6 || said.Nodes[2].Kinds[0] != "room" {
		t.Errorf("%+v", said)
	}
	text, code = p.run("check", "--keys")
	if code != exitOK || !strings.Contains(text, "persist.flush_every") {
		t.Errorf("exit code %d: %s", code, text)
	}
}

func TestCheckComparesRolesWithKinds(t *testing.T) {
	t.Parallel()
	p := prepare(t, `["game"]`, `["gmae"]`)
	text, code := p.run("check", "-json")
	var said struct{ Problems []struct{ What, Do string } }
	decode(t, strings.SplitN(text, "\n", 2)[0], &said)
	if code != exitUsage || len(said.Problems) != 2 || said.Problems[1].Do != "did you mean game?" {
		t.Errorf("exit code %d: %s", code, text)
	}
}

// planted is a behaviour of the sample that does otherwise on replay.
const planted = `package main

import (
	"time"

	"github.com/fireflyrt/firefly/actors"
)

func (y *Player) planted(actors.Context, *Buy) error {
	y.glow.Edit().Gathered = time.Now().Unix()
	return nil
}
`

// copySample makes a module of its own of the sample, which uses the runtime from here.
func copySample(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "sample"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "go.mod" {
			const module = "github.com/fireflyrt/firefly"
			text = []byte(strings.Replace(string(text), "module "+module, "module meadow", 1) +
				"\nrequire " + module + " v0.0.0\nreplace " + module + " => " + root + "\n")
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCheckFindsWhatAReplayWouldDoOtherwise(t *testing.T) {
	t.Parallel()
	p, dir := prepare(t), copySample(t)
	in := func(where string, env []string, args ...string) (string, int) {
		c := p.command(append([]string{"check", "--determinism"}, args...)...)
		c.Dir, c.Env = where, append(c.Env, env...)
		text, err := c.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(text), c.ProcessState.ExitCode()
	}
	if text, code := in(dir, nil); code != exitOK || !strings.Contains(text, "in 3 packages, nothing found\n") {
		t.Errorf("exit code %d: %s", code, text)
	}
	file := filepath.Join(dir, "planted.go")
	if err := os.WriteFile(file, []byte(planted), 0o600); err != nil {
		t.Fatal(err)
	}
	text, code := in(dir, nil)
	const want = "planted.go:10:32: time.Now is the process's time, which a replay does not repeat: use ctx.Now()\n"
	if code != exitUsage || !strings.HasPrefix(text, want+"1 findings; ") {
		t.Errorf("exit code %d: %s", code, text)
	}
	text, code = in(filepath.Join(dir, "web"), nil, "--json", "..")
	var said determinism.Report
	if decode(t, strings.SplitN(text, "\n", 2)[0], &said); code != exitUsage || len(said.Findings) != 1 ||
		said.Findings[0].File != file || said.Findings[0].Line != 10 || said.Findings[0].Rule != determinism.Time {
		t.Errorf("exit code %d: %s", code, text)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(planted, "Now()", "Nau()", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		where, want string
		env         []string
	}{
		{dir, "planted.go:10:32: undefined: time.Nau", nil},
		{t.TempDir(), "no go.mod in /", nil},
		{dir, "there is none in PATH: run it where the game is built", []string{"PATH=/nowhere"}},
	} {
		if text, code := in(c.where, c.env); code != exitFailed || !strings.Contains(text, c.want) {
			t.Errorf("exit code %d, no %q in: %s", code, c.want, text)
		}
	}
}

func TestPsShowsWhatRunsAndWhatDoesNot(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	if text, code := p.run("ps"); code != exitFailed || strings.Count(text, "down") != 6 {
		t.Errorf("exit code %d: %s", code, text)
	}
	up := p.begin("up", "--json")
	up.prints(`"what":"play"`)
	text, code := p.run("ps", "--json")
	var rows []Row
	if decode(t, text, &rows); code != exitOK || len(rows) != 6 || rows[0].State != "ready" ||
		rows[0].Actors != 2 || rows[0].PID != p.pid("registry-1") {
		t.Errorf("exit code %d: %+v", code, rows)
	}
	for _, line := range strings.Split(up.text(), "\n") {
		var e Event
		decode(t, line, &e)
	}
	if text, code := p.run("stop", "game-1"); code != exitOK || text != "game-1 stopped\n" {
		t.Errorf("exit code %d: %s", code, text)
	}
	up.prints("stays down until it is started, or the next up")
	if text, code := p.run("stop"); code != exitOK || !strings.Contains(text, "stopped") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if code := up.ends(); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
	if text, code := p.run("stop"); code != exitOK || text != "nothing runs\n" {
		t.Errorf("exit code %d: %s", code, text)
	}
}

func TestOneNodeRunsInTheForeground(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	if err := os.MkdirAll(p.config.Cluster.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	g := p.begin("node", "game-2")
	g.prints("the paint of game-2")
	if code := g.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d: %s", code, g.text())
	}
}

func TestWrongCommandsEndWithTwo(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	for _, args := range [][]string{{}, {"dance"}, {"up", "now"}, {"up", "--twice"}, {"node"},
		{"node", "game-9"}, {"stop", "game-9"}, {"drain"}, {"drain", "game-9"}, {"start", "game-9"}, {"scale", "game"},
		{"scale", "game=x"}, {"scale", "=2"}, {"scale", "gmae=3"}, {"scale", "gate-1=2"}, {"scale", "game=0"},
		{"scale", "game=201"},
		{"up", "--host"}, {"bots", "-n", "0"}, {"up", "--once", "soon"}} {
		if text, code := p.run(args...); code != exitUsage || text == "" {
			t.Errorf("%v: exit code %d: %s", args, code, text)
		}
	}
	c := p.command("check")
	c.Args = append(c.Args[:2], "--config", filepath.Join(t.TempDir(), "none.toml"))
	if text, _ := c.CombinedOutput(); c.ProcessState.ExitCode() != exitUsage ||
		!strings.Contains(string(text), "there is no /") {
		t.Errorf("exit code %d: %s", c.ProcessState.ExitCode(), text)
	}
}

func TestFlagsMayHaveOneDash(t *testing.T) {
	t.Parallel()
	got := doubled([]string{"bots", "-n", "200", "-for", "10s", "-once=3s", "--json", "-n5", "-"})
	want := []string{"bots", "-n", "200", "--for", "10s", "--once=3s", "--json", "-n5", "-"}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTheTableIsAlignedAndCut(t *testing.T) {
	t.Parallel()
	got := strings.Join(tableLines([]Row{
		{Node: "gate-1", Roles: "gate", PID: 12, State: "ready", Sessions: 3, Actors: 4, Rate: 5.6},
		{Node: "persist-1", Roles: "persist", State: "died, restarting"}}), "\n")
	want := strings.Join([]string{
		"NODE       ROLES    PID  STATE             SESSIONS  ACTORS  MESSAGES/S",
		"gate-1     gate      12  ready                    3       4           6",
		"persist-1  persist    -  died, restarting         0       0           0"}, "\n")
	if got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	if got := cut("\x1b[1mabcdef\x1b[0m", 4); got != "\x1b[1mabc\x1b[0m" {
		t.Errorf("%q", got)
	}
}

func TestLogsAreFollowedWholeLineByWholeLine(t *testing.T) {
	t.Parallel()
	f := newFollower(t.TempDir())
	log, err := openLog(f.path("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	write := func(s string) {
		t.Helper()
		if _, err := log.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	write("old\n")
	f.begin("a")
	write("one\ntw")
	if got := f.read("a"); !slices.Equal(got, []string{"one"}) {
		t.Errorf("%q", got)
	}
	write("o\n")
	if got := f.read("a"); !slices.Equal(got, []string{"two"}) {
		t.Errorf("%q", got)
	}
	write("panic: oh no\n\ngoroutine 1 [running]:\nmain.go:3\n")
	if got := f.last("a"); got != "panic: oh no" {
		t.Errorf("%q", got)
	}
	if got, ok := warning("time=12 level=WARN msg=\"a\x1b[2J\""); !ok || got != "level=WARN msg=\"a[2J\"" {
		t.Errorf("%q, %v", got, ok)
	}
}

func TestALongLogIsPutAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log", "a.log")
	log, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Truncate(maxLog + 1); err != nil {
		t.Fatal(err)
	}
	log.Close()
	if log, err = openLog(path); err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	now, _ := os.Stat(path)
	before, err := os.Stat(path + ".1")
	if err != nil || now.Size() != 0 || before.Size() != maxLog+1 {
		t.Errorf("%v, %v, %v", now, before, err)
	}
}

func TestSecondsReadWell(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]float64{"1.23s": 1.2345, "12.3ms": 0.012345, "8.12µs": 8.123e-6,
		"0s": 0} {
		if got := seconds(s); got != want {
			t.Errorf("%g: %s, want %s", s, got, want)
		}
	}
	if time.Duration(0).String() != "0s" {
		t.Error("of time")
	}
}

func TestAStoreIsNamedWithoutItsPassword(t *testing.T) {
	for dsn, want := range map[string]string{
		"root:p@:/w@tcp(localhost:3306)/arena?tls=true": "MySQL, tcp(localhost:3306)/arena?tls=true",
		"root@unix(/run/mysqld.sock)/arena":             "MySQL, unix(/run/mysqld.sock)/arena",
		"tcp(localhost:3306)/":                          "MySQL, tcp(localhost:3306)/",
		"root:secret@tcp(localhost":                     "MySQL, by a dsn that names no schema",
	} {
		c := &node.Config{Persist: node.PersistConfig{Store: node.StoreMySQL, DSN: dsn}}
		if got := storeOf(c); got != want {
			t.Errorf("%s: %s", dsn, got)
		}
	}
}
