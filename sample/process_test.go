package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/cli"
	"github.com/fireflyrt/firefly/cluster/clustertest"
)

// This file is which games tests run as clusters of real processes: the built program or, for a game that misbehaves on
// purpose, this test binary in its place. How, is cluster/clustertest's.

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
	if err := flag.Set("rapid.checks", "15"); err != nil { // unless the command line says how many: make chaos
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
	patience = clustertest.Patience
	lookEach = clustertest.LookEach
)

func await(t *testing.T, within time.Duration, what string, look func() error) {
	t.Helper()
	clustertest.Await(t, within, what, look)
}

func awaitEach(t *testing.T, pause, within time.Duration, what string, look func() error) {
	t.Helper()
	clustertest.AwaitEach(t, pause, within, what, look)
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

// A realCluster is a directory with a configuration, and what runs there.
type realCluster struct {
	*clustertest.Cluster
	t *testing.T
}

func newRealCluster(t *testing.T, g realGame) *realCluster {
	t.Helper()
	real := clustertest.Game{Config: g.config}
	if g.prices != "" {
		real.Files = map[string]string{"sample/tables/prices.csv": g.prices}
	}
	var err error
	if g.rude {
		real.Program, real.Env = clustertest.Itself(t, asGame+"=rude")
	} else if real.Program = g.binary; g.binary != "" {
		real.Env = []string{asGame + "=meadow", "GORACE=atexit_sleep_ms=0"}
	} else if real.Program, err = buildMeadow(); err != nil {
		t.Fatal(err)
	}
	real.Env = append(real.Env, g.env...)
	return &realCluster{clustertest.New(t, real), t}
}
