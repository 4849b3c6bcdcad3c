package node

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/record"
)

var update = flag.Bool("update", false, "write what is reported now as the expected text")

// kindsOf reads a file's first line: # kinds: room=game boss=battle
func kindsOf(text []byte) []KindRole {
	line, ok := strings.CutPrefix(strings.SplitN(string(text), "\n", 2)[0], "# kinds: ")
	if !ok {
		return nil
	}
	var kinds []KindRole
	for _, pair := range strings.Fields(line) {
		kind, role, _ := strings.Cut(pair, "=")
		kinds = append(kinds, KindRole{kind, role})
	}
	return kinds
}

func noEnv(string) (string, bool) { return "", false }

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("/game/runtime.toml", []byte(text), noEnv, nil)
	if err != nil {
		t.Fatalf("this is a good file, but:\n%v", err)
	}
	return c
}

func TestWrongFilesAreReportedWithPlaceCauseAndRemedy(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.toml")
	if err != nil || len(files) < 20 {
		t.Fatalf("there are %d wrong files (%v), and there should be at least 20", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(file, text, noEnv, kindsOf(text))
			if err == nil {
				t.Fatal("nothing is reported")
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(file, ".toml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("reported:\n%s\nexpected (-update writes it):\n%s", got, want)
			}
		})
	}
}

func TestTheDefaultFileIsTheOneOfTheDesign(t *testing.T) {
	t.Parallel()
	c, err := Load("../../runtime.toml", []KindRole{{"room", "game"}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range c.Nodes {
		names = append(names, n.Name)
	}
	want := []string{"registry-1", "gate-1", "game-1", "game-2", "persist-1", "admin-1"}
	if !slices.Equal(names, want) {
		t.Errorf("nodes %v, want %v", names, want)
	}
	if n, _ := c.Node("game-2"); n.Listen != "127.0.0.1:9421" || n.HTTP != "127.0.0.1:9426" {
		t.Errorf("the second copy listens on %s and %s", n.Listen, n.HTTP)
	}
	if c.Gate.Limits != gate.DefaultLimits() || c.Actors.Limits != actors.DefaultLimits() ||
		c.Persist.Limits != persist.DefaultLimits() || c.Record.Limits != record.DefaultLimits() ||
		c.Cluster.Shards != cluster.DefaultShards {
		t.Errorf("the defaults of the floors are others than these: %+v", c)
	}
	if !c.Cluster.Etcd.Embedded || c.Cluster.Etcd.Endpoints[0] != "127.0.0.1:9470" {
		t.Errorf("etcd: %+v", c.Cluster.Etcd)
	}
	if !filepath.IsAbs(c.RunDir()) || !strings.HasSuffix(c.RunDir(), "/.firefly/run") {
		t.Errorf("run files in %s", c.RunDir())
	}
}

func TestEverythingMayRunInOneNode(t *testing.T) {
	t.Parallel()
	c := parse(t, `[node.all]
roles = ["gate", "game", "battle", "persist", "admin", "registry"]
ws = "127.0.0.1:9401"
http = "127.0.0.1:9480"`)
	if len(c.Nodes) != 1 {
		t.Fatalf("the registry is in the node, yet there are %d nodes", len(c.Nodes))
	}
	if err := CheckRoles(c, []KindRole{{"room", "game"}, {"fight", "battle"}}); err != nil {
		t.Error(err)
	}
}

func TestOneCopyIsNumberedToo(t *testing.T) {
	t.Parallel()
	c := parse(t, "[node.game]\nroles = [\"game\"]\ncount = 1")
	if _, ok := c.Node("game-1"); !ok {
		t.Errorf("count = 1 should make game-1, so that count = 2 renames nothing: %+v", c.Nodes)
	}
}

func TestSecretsComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	text := "[node.all]\nroles = [\"persist\"]\n[persist]\nstore = \"mysql\"\ndsn = \"env:DSN\""
	env := func(name string) (string, bool) { return "user:pw@/game", name == "DSN" }
	c, err := Parse("runtime.toml", []byte(text), env, nil)
	if err != nil || c.Persist.DSN != "user:pw@/game" {
		t.Errorf("%v, %v", c, err)
	}
}

func TestWhatIsNotUsedNeedsNoSecret(t *testing.T) {
	t.Parallel()
	c := parse(t, "[node.all]\nroles = [\"persist\"]\n[persist]\ndsn = \"env:DSN\"")
	if c.Persist.DSN != "" || c.Persist.Store != StoreEmbedded {
		t.Errorf("%+v", c.Persist)
	}
}

func TestInlineTablesAndDottedKeysSayTheSame(t *testing.T) {
	t.Parallel()
	c := parse(t, `node.a = {roles = ["game"], weight = 3}
node.b.roles = ["game"]
gate.rate = 7`)
	if a, _ := c.Node("a"); a.Weight != 3 || len(c.Nodes) != 3 || c.Gate.Rate != 7 {
		t.Errorf("%+v", c)
	}
}

func TestSizesReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Bytes{
		"0": 0, "12": 12, "64KiB": 64 << 10, "3 MiB": 3 << 20, "2GiB": 2 << 30,
	} {
		if got, err := parseBytes(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1KB", "1.5MiB", "99999999999"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
	if s := Bytes(64 << 10).String(); s != "64KiB" {
		t.Error(s)
	}
}

func TestEveryKeyHasASentenceADefaultInBoundsAndAPlace(t *testing.T) {
	t.Parallel()
	seen := map[any]string{} // fields
	c, n := new(Config), new(NodeConfig)
	for _, k := range keys {
		if !strings.HasSuffix(k.doc, ".") {
			t.Errorf("%s: %q is no sentence", k.name, k.doc)
		}
		field := k.field(c, n)
		if other, twice := seen[field]; twice {
			t.Errorf("%s and %s share a field", k.name, other)
		}
		seen[field] = k.name
		if k.value == "" {
			continue
		}
		newReading("x", nil, noEnv, nil).preset(k, n)
		r := newReading("x", nil, noEnv, nil)
		r.preset(k, n)
		if !k.bound.ok(pointed(k.field(r.config, n))) {
			t.Errorf("%s: the default, %s, is out of bounds: %s", k.name, k.value, k.bound.text)
		}
	}
}

func TestEveryLimitOfTheGateHasAKey(t *testing.T) {
	t.Parallel()
	c, n := new(Config), new(NodeConfig)
	named := map[any]bool{}
	for _, k := range keys {
		switch field := k.field(c, n).(type) {
		case sizeField[int]:
			named[field.field] = true
		default:
			named[field] = true
		}
	}
	gates := reflect.ValueOf(&c.Gate).Elem()
	limits := gates.FieldByName("Limits")
	for _, of := range []reflect.Value{limits, gates} {
		for i := range of.NumField() {
			name, field := of.Type().Field(i).Name, of.Field(i)
			if name != "Limits" && !named[field.Addr().Interface()] {
				t.Errorf("%s has no key in [gate]", name)
			}
		}
	}
}

func TestAWrittenConfigurationReadsBackAsTheSame(t *testing.T) {
	t.Parallel()
	c, err := Load("../../runtime.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	moved := c.Moved("/tmp/beside \"it\"", 20000)
	var b bytes.Buffer
	if err := moved.Write(&b); err != nil {
		t.Fatal(err)
	}
	back, err := Parse(moved.Path, b.Bytes(), noEnv, nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	for i, n := range moved.Nodes {
		n.Table, n.Count = n.Name, 0
		if !reflect.DeepEqual(n, back.Nodes[i]) {
			t.Errorf("node %+v reads back as %+v", n, back.Nodes[i])
		}
	}
	if !reflect.DeepEqual(moved.Cluster, back.Cluster) ||
		!reflect.DeepEqual(moved.Persist, back.Persist) {
		t.Errorf("%+v\nreads back as\n%+v", moved, back)
	}
	if last := fmt.Sprintf(":%d\"", 20000+c.Ports()-1); !strings.Contains(b.String(), last) ||
		strings.Contains(b.String(), ":94") {
		t.Errorf("not all ports up to %s, and no others:\n%s", last, b.String())
	}
}

// FuzzAConfigurationNeverPanics holds for bytes of any kind.
func FuzzAConfigurationNeverPanics(f *testing.F) {
	files, _ := filepath.Glob("testdata/config/*.toml")
	for _, file := range append(files, "../../runtime.toml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("runtime.toml", text, noEnv, []KindRole{{"room", "game"}})
		if problems := (Problems)(nil); err != nil && (c != nil || !errors.As(err, &problems)) {
			t.Errorf("%v with %v", c, err)
		}
	})
}
