package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/record"
)

// recordings reads what the nodes of a cluster have recorded, as one.
func (c *realCluster) recordings(pattern string) *record.Recording {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.Config.RecordDir(), pattern))
	if err != nil || len(files) == 0 {
		c.t.Fatalf("there are no recordings %s (%v)", pattern, err)
	}
	var parts []*record.Recording
	for _, file := range files {
		r, err := record.Read(file)
		if r == nil {
			c.t.Fatalf("%s: %v", file, err)
		}
		if err != nil {
			c.t.Logf("%v", err) // its process was killed
		}
		parts = append(parts, r)
	}
	return record.Merge(parts...)
}

// verified plays everything again.
func (c *realCluster) verified(app node.App, r *record.Recording) replay.Verified {
	c.t.Helper()
	v, err := replay.Verify(app, r)
	if err != nil {
		c.t.Errorf("%v", err)
	}
	c.t.Logf("%d steps of %d lives are what they were, and %d states", v.Steps, v.Actors, v.Checks)
	return v
}

func TestWhatAMeadowDidIsDoneAgain(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{config: shippedConfig(t)})
	if text, code := c.Run("record", "start", "--all"); code != 0 {
		t.Fatalf("exit code %d: %s", code, text)
	}
	up := c.Up()
	w := c.fly(4)
	botsPlay(t, c)
	c.Restarted(c.Kill("game-2")) // whoever lived there goes on on game-1
	w.goesOn("after a death", time.Now())
	w.stop()
	up.Stop()

	all := c.recordings("*.rec")
	if v := c.verified(App, all); v.Steps < 500 || v.Checks < 10 || v.Actors < 30 {
		t.Errorf("verified only %+v", v)
	}
	moved := ""
	for _, p := range w.pilots {
		nodes := map[string]bool{}
		for _, s := range all.Actor(PlayerKind.Ref(p.name)).Segments {
			nodes[s.Node] = true
		}
		if len(nodes) == 2 {
			moved = p.name
		}
	}
	if moved == "" {
		t.Fatal("no pilot was recorded on both nodes")
	}
	file := c.Path("moved.rec")
	if text, code := c.Run("record", "get", "--actor", "player/"+moved, "-o", file); code != 0 {
		t.Fatalf("exit code %d: %s", code, text)
	}
	one, err := record.Read(file)
	if err != nil || len(one.Actors()) != 1 || len(one.Actors()[0].Segments) < 2 {
		t.Fatalf("%v: %d actors", err, len(one.Actors()))
	}
	replay.File(t, App, file)
}

func TestAPanicOfARunningGameLeavesARecording(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{rude: true, config: `[cluster]
etcd_port = 9470
[node.front]
roles = ["gate", "battle", "persist", "admin"]
tcp = "127.0.0.1:9400"
ws = "127.0.0.1:9401"
http = "127.0.0.1:9480"
[node.game]
roles = ["game"]
count = 2
`})
	up := c.Up()
	doors := c.doors()
	for i := range 6 {
		s := speak(t, doors[i%len(doors)])
		s.answered(200, fmt.Sprintf(`{"name":"imp%d"}`, i), 201)
		for range 5 {
			s.answered(220, `{}`, 221)
		}
		s.refused(211, `{}`, actors.Panicked)
	}
	await(t, patience, "the flight recorders to have written", func() error {
		files, err := filepath.Glob(filepath.Join(c.Config.RecordDir(), "*.rec"))
		if err == nil && len(files) == 0 {
			err = fmt.Errorf("no file yet")
		}
		return err
	})
	up.Stop()
	r := c.recordings("*.rec")
	if v := c.verified(rude, r); v.Panics == 0 || v.Steps < 6 {
		t.Errorf("verified %+v", v)
	}
	told := new(listener)
	files, _ := filepath.Glob(filepath.Join(c.Config.RecordDir(), "*.rec"))
	replay.File(told, rude, files[0])
	if text := strings.Join(told.errors, "\n"); !strings.Contains(text, "stumble still panicked") {
		t.Errorf("replay says %q", text)
	}
}

// A listener is a test that keeps what it is told.
type listener struct {
	replay.TB
	errors []string
}

func (l *listener) Helper() {}
func (l *listener) Errorf(format string, args ...any) {
	l.errors = append(l.errors, fmt.Sprintf(format, args...))
}
