// Package ts_test holds the TypeScript client to its promises: it runs the client's own tests, at a real gate, and
// looks whether the file that pages are served is what the source gives.
package ts_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/gate"
)

// patience is how long a test waits for what takes time only because the machine does other things; long, if it is to
// break connections after each of their bytes.
const (
	patience = 2 * time.Minute
	long     = 20 * time.Minute
)

// needs skips the test if something is not there, but not in CI.
func needs(t *testing.T, err error, how string) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("%v; CI must have it: %s", err, how)
	default:
		t.Skipf("%v; to have it: %s", err, how)
	}
}

// node runs Node to its end; what it prints is shown if it fails.
func node(t *testing.T, env []string, args ...string) string {
	t.Helper()
	exe, err := exec.LookPath("node")
	needs(t, err, "apt-get install nodejs")
	within := patience
	if os.Getenv("FIREFLY_EVERY_BYTE") != "" {
		within = long
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c := exec.CommandContext(ctx, exe, args...)
	c.Env = append(os.Environ(), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it has children, which end with it
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("node %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestTheTypeScriptClientPlaysAtARealGate(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(*gate.Limits) {})
	forgetful := newHouse(t, func(l *gate.Limits) { l.ResumeFor = 50 * time.Millisecond })
	tests, err := filepath.Glob("test/*.test.js")
	if err != nil || len(tests) < 3 {
		t.Fatalf("the tests are %q, %v", tests, err)
	}
	env := []string{"FIREFLY_GATE_TCP=tcp://" + h.server.Address(gate.TCP),
		"FIREFLY_GATE_WS=ws://" + h.server.Address(gate.WS),
		"FIREFLY_FORGETFUL_TCP=tcp://" + forgetful.server.Address(gate.TCP)}
	const flag = "--experimental-websocket" // what Node 22 has anyway, and 20 with it
	if node(t, nil, "-p", `process.allowedNodeEnvironmentFlags.has("`+flag+`")`) == "true\n" {
		env = append(env, "NODE_OPTIONS="+flag)
	}
	t.Log(node(t, env, append([]string{"--test"}, tests...)...))
	for _, s := range h.gate.Sessions(1000) {
		if s.Who == player.Ref("leaver") {
			t.Errorf("who has left for good is waited for: %+v", s)
		}
	}
}

func TestTheServedClientIsWhatItsSourceGives(t *testing.T) {
	t.Parallel()
	const compiler, served = "node_modules/typescript/bin/tsc", "../../../sample/web/firefly.js"
	_, err := os.Stat(compiler)
	needs(t, err, "npm ci, in gate/client/ts")
	made := t.TempDir()
	// what the compiler must refuse is compiled along: test/typing.ts
	node(t, nil, compiler, "-p", "test", "--noEmit", "false", "--outDir", made)
	node(t, nil, "bundle.js", filepath.Join(made, "src"), filepath.Join(made, "firefly.js"))
	want, err := os.ReadFile(filepath.Join(made, "firefly.js"))
	if err != nil {
		t.Fatal(err)
	}
	has, err := os.ReadFile(served)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(has, want) {
		t.Errorf("%s is not what src gives: `npm run build` in gate/client/ts, and commit it", served)
	}
}
