package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/clustertest"
)

// TestNodesComeAndGoAndNobodyNotices lets nodes join and leave under load, until FIREFLY_ROUNDS rounds are over.
// Nothing is lost, doubled, out of order, or disconnected.
func TestNodesComeAndGoAndNobodyNotices(t *testing.T) {
	c := start(t, relayConfig)
	f := compete(t, c, number(t, "FIREFLY_RACERS", racersInCI))
	f.during("half a second", func() { time.Sleep(time.Second / 2) })
	for range number(t, "FIREFLY_ROUNDS", 1) {
		for _, n := range []int{4, 1, 4, 2} {
			f.during(fmt.Sprintf("scale game=%d", n), func() { verb(t, c, "scale", fmt.Sprintf("game=%d", n)) })
		}
		f.during("drain game-2", func() { verb(t, c, "drain", "game-2") })
		f.during("scale game=2", func() { verb(t, c, "scale", "game=2") })
	}
	f.finish(300)
	c.Stop()
}

// TestAShardWithAllRunnersMoves moves everything at once: there is one shard, of FIREFLY_RUNNERS runners. It prints how
// long clients wait.
func TestAShardWithAllRunnersMoves(t *testing.T) {
	c := start(t, strings.Replace(relayConfig, "[cluster]", "[cluster]\nshards = 1", 1))
	f := compete(t, c, number(t, "FIREFLY_RUNNERS", racersInCI))
	f.during("three seconds without a move", func() { time.Sleep(3 * time.Second) })
	for n := range number(t, "FIREFLY_ROUNDS", 1) {
		name := fmt.Sprintf("game-%d", n%2+1)
		f.during("drain "+name, func() { verb(t, c, "drain", name) })
		f.during("scale game=2", func() { verb(t, c, "scale", "game=2") })
	}
	f.finish(300)
	c.Stop()
}

// TestAClusterStopsInOrderThoughItIsMovingShards stops everything while nodes that have just come are given their
// share.
func TestAClusterStopsInOrderThoughItIsMovingShards(t *testing.T) {
	c := start(t, relayConfig)
	f := compete(t, c, racersInCI)
	f.during("half a second", func() { time.Sleep(time.Second / 2) })
	f.end()
	verb(t, c, "scale", "game=4")
	c.Stop()
	for _, name := range []string{"game-1", "game-2", "game-3", "game-4"} {
		if text := c.Log(name); strings.Contains(text, "not finished") {
			t.Errorf("%s did not stop in order:\n%s", name, clustertest.LastLines(text, 10))
		}
	}
}

// verb runs a verb, which must go well.
func verb(t *testing.T, c *clustertest.Up, args ...string) string {
	t.Helper()
	text, code := c.Run(args...)
	if code != 0 {
		t.Fatalf("%v: exit code %d\n%s", args, code, text)
	}
	return text
}

// TestEveryStepIsCountedOnceAndInOrder is what all tests here compare with: nothing happens.
func TestEveryStepIsCountedOnceAndInOrder(t *testing.T) {
	c := start(t, relayConfig)
	f := compete(t, c, racersInCI)
	f.during("three seconds", func() { time.Sleep(3 * time.Second) })
	f.finish(300)
	c.Stop()
}
