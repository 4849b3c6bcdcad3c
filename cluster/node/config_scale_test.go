package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// scalable writes a file with two copies of game, and loads it.
func scalable(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "runtime.toml")
	text := "[node.gate-1]\nroles = [\"gate\"]\ntcp = \"127.0.0.1:9400\"\n" +
		"[node.game]\nroles = [\"game\"]\ncount = 2\n" +
		"http = \"127.0.0.1:9425+\"\n[node.shop]\nroles = [\"game\"]\ncount = 1\nhttp = \"127.0.0.1:9429\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, path string) *Config {
	t.Helper()
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestScaledCopiesAreKeptUntilTheFileSaysOtherwise(t *testing.T) {
	t.Parallel()
	path := scalable(t)
	c, err := LoadScaled(path, nil, "game", 4)
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := c.Node("game-4"); !ok || n.HTTP != "127.0.0.1:9428" {
		t.Errorf("game-4 is %+v", n)
	}
	if _, ok := load(t, path).Node("game-3"); ok {
		t.Error("to ask is not to keep")
	}
	if err := c.KeepScale(); err != nil {
		t.Fatal(err)
	}
	if c = load(t, path); c.Scaled["game"] != (Scaling{4, 2}) || len(c.Nodes) != 7 {
		t.Errorf("%+v of %d nodes", c.Scaled, len(c.Nodes))
	}
	text, _ := os.ReadFile(path)
	edited := strings.Replace(string(text), "count = 2", "count = 3", 1)
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if c = load(t, path); len(c.Scaled) != 0 || len(c.Nodes) != 6 {
		t.Errorf("who edits the file has the last word: %+v, %d nodes", c.Scaled, len(c.Nodes))
	}
	if c, err = LoadScaled(path, nil, "game", 3); err != nil {
		t.Fatal(err)
	}
	if err := c.KeepScale(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.scaleFile()); err == nil {
		t.Error("what the file says need not be kept")
	}
}

func TestCopiesThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	path := scalable(t)
	for want, wish := range map[string]struct {
		table string
		count int
	}{
		"game may have 1 to 200":                    {"game", 0},
		"is no table with a count; did you mean g":  {"gmae", 3},
		"is no table with a count; there are game,": {"gate-1", 3},
		"is taken by":                       {"game", 5}, // the shop's page
		"2 copies of node.shop would share": {"shop", 2},
	} {
		_, err := LoadScaled(path, nil, wish.table, wish.count)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s=%d: %v", wish.table, wish.count, err)
		}
	}
}

func TestAFileThatScalingMakesWrongSaysSo(t *testing.T) {
	t.Parallel()
	path := scalable(t)
	c, err := LoadScaled(path, nil, "game", 4)
	if err != nil || c.KeepScale() != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(path)
	edited := strings.Replace(string(text), ":9429", ":9427", 1)
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path, nil)
	if p := Problems(nil); !errors.As(err, &p) || !strings.Contains(err.Error(), "remove "+c.scaleFile()) {
		t.Errorf("%v", err)
	}
}

func TestTheFingerprintIsOfWhatTheNodeReads(t *testing.T) {
	t.Parallel()
	path := scalable(t)
	print := func(name string) string {
		c := load(t, path)
		n, _ := c.Node(name)
		return c.Fingerprint(n)
	}
	game, gate := print("game-1"), print("gate-1")
	edit := func(old, new string) {
		text, _ := os.ReadFile(path)
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edit("[node.game]", "# more of them\n[node.game]\nweight = 7")
	edit("count = 2", "count = 3")
	if print("game-1") == game || print("gate-1") != gate {
		t.Error("game-1 has another weight, and gate-1 is as it was")
	}
	edit("[node.gate-1]", "[cluster]\nlease = \"9s\"\n[node.gate-1]")
	if print("gate-1") == gate {
		t.Error("the lease is everybody's")
	}
}

func TestHowManyCopiesAreWantedIsSeenByWhoReadTheFileBefore(t *testing.T) {
	t.Parallel()
	path := scalable(t)
	before := load(t, path)
	for _, count := range []int{4, 1, 2} { // the last is what the file says
		c, err := LoadScaled(path, nil, "game", count)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.KeepScale(); err != nil {
			t.Fatal(err)
		}
		if n := before.wanted("game"); n != count {
			t.Errorf("%d copies are wanted, and it sees %d", count, n)
		}
		if n := c.wanted("game"); n != count {
			t.Errorf("%d copies are wanted, and who knows that sees %d", count, n)
		}
	}
}
