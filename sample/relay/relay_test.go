package main

import (
	"os"
	"strconv"
	"testing"

	"github.com/fireflyrt/firefly/cluster/cli"
	"github.com/fireflyrt/firefly/cluster/clustertest"
)

// These tests run the relay as a cluster of real processes under an open load of numbered steps, while nodes come and
// go. `make chaos` runs long versions.

const asRelay = "FIREFLY_TEST_GAME=relay"

func TestMain(m *testing.M) {
	switch os.Getenv("FIREFLY_TEST_GAME") {
	case "relay":
		cli.Main(App)
	case "inn":
		cli.Main(inn)
	}
	os.Exit(m.Run())
}

// number is an environment variable's, or what CI has time for.
func number(t *testing.T, name string, short int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return short
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is no number above 0", name, text)
	}
	return n
}

const relayConfig = `[cluster]
name = "relay"
drain_timeout = "2m"
lease = "5s"
etcd_port = 9470
[node.gate-1]
roles = ["gate"]
listen = "127.0.0.1:9410"
tcp = "127.0.0.1:9400"
[node.game]
roles = ["game"]
count = 2
listen = "127.0.0.1:9420+"
[node.persist]
roles = ["persist"]
count = 2
listen = "127.0.0.1:9430+"
`

// start starts a cluster that runs the relay.
func start(t *testing.T, config string) *clustertest.Up {
	t.Helper()
	program, env := clustertest.Itself(t, asRelay)
	return clustertest.New(t, clustertest.Game{Program: program, Config: config, Env: env}).Up()
}

// compete lets so many racers run.
func compete(t *testing.T, c *clustertest.Up, racers int) *field {
	t.Helper()
	return run(t, "tcp://"+c.Config.With("gate")[0].TCP, racers)
}
