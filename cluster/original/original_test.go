package original

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	checked "github.com/fireflyrt/firefly/cluster/node"
)

var update = flag.Bool("update", false, "write what is made now as the expected text")

func noEnv(string) (string, bool) { return "", false }

// golden compares a text with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("it is:\n%s\nexpected (-update writes it):\n%s", got, want)
	}
}

func TestConfigurationsOfTheOriginalBecomeOnesThatCheckAccepts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("there are %d files (%v)", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m, err := Import(name+".json", text)
			if err != nil {
				t.Fatal(err)
			}
			c, err := checked.Parse("runtime.toml", m.Runtime, noEnv, []checked.KindRole{{Kind: "room", Role: "game"}})
			if err != nil {
				t.Errorf("check refuses it:\n%v\n%s", err, m.Runtime)
			} else if len(c.Nodes) != len(m.Nodes)+1 { // and the registry
				t.Errorf("%d nodes, told of %d", len(c.Nodes), len(m.Nodes))
			}
			var notes strings.Builder
			for _, n := range m.Notes {
				fmt.Fprintln(&notes, n)
			}
			golden(t, "testdata/"+name+".toml", string(m.Runtime))
			golden(t, "testdata/"+name+".notes", notes.String())
		})
	}
}

func TestThePasswordIsInTheFileAndInNoNote(t *testing.T) {
	t.Parallel()
	m, err := Import("config.json", []byte(`{"servers":{"net":{"netport":1000,"db":true}},
		"db":{"host":"h","user":"u","passwd":"hunter2","db":"d"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(m.Runtime), `dsn = "u:hunter2@tcp(h:3306)/d"`) {
		t.Errorf("the file:\n%s", m.Runtime)
	}
	for _, n := range m.Notes {
		if strings.Contains(n.String(), "hunter2") {
			t.Errorf("told: %s", n)
		}
	}
}

func TestWhatIsNoConfigurationIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	large := `{"servers":{"b":` + strings.Repeat(" ", maxSize) + `{}}}`
	for text, want := range map[string]string{
		"":                         "config.json:1:1: not JSON: unexpected end",
		"{\n  \"servers\": {,}\n}": "config.json:2:15: not JSON: invalid character ','",
		"{} {}":                    "config.json:1:4: not JSON: invalid character '{' after top-level value",
		"[1]":                      "config.json:1:1: the file holds a list",
		"{\"servers\": {}}":        "config.json:1:2: there are no servers",
		"{\n \"servers\": [1]}":    "config.json:2:2: there are no servers",
		"{\"master\": {}}":         "config.json:1:1: there are no servers",
		deep:                       "things stand in one another 32 deep",
		large:                      "bytes, and",
	} {
		_, err := Import("config.json", []byte(text))
		fault := (*Fault)(nil)
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	var many strings.Builder
	for i := range maxServers + 1 {
		fmt.Fprintf(&many, `"s%d":{"rootport":%d},`, i, i+1)
	}
	all := `{"servers":{` + strings.TrimSuffix(many.String(), ",") + "}}"
	if _, err := Import("config.json", []byte(all)); err == nil || !strings.Contains(err.Error(), "201 servers") {
		t.Errorf("too many servers: %v", err)
	}
	m, err := Import("config.json", []byte("\xef\xbb\xbf"+`{"servers":{"a":{"rootport":1}}}`))
	if err != nil || len(m.Nodes) != 2 {
		t.Errorf("as Windows writes it: %v", err)
	}
}

func FuzzImportMakesWhatCheckAcceptsOrSaysWhyNot(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"servers":{"\u0000":{"netport":1e3},"a":{"netport":65535,"webport":65535}},` +
		`"db":{"user":"env","db":"x"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Import("config.json", text)
		if err != nil {
			return
		}
		kinds := []checked.KindRole{{Kind: "room", Role: "game"}}
		if _, err := checked.Parse("runtime.toml", m.Runtime, noEnv, kinds); err != nil {
			t.Errorf("check refuses it:\n%v\n%s", err, m.Runtime)
		}
		for _, n := range m.Notes {
			if n.Line < 1 || n.Col < 1 || strings.ContainsAny(n.String(), "\x00\x1b\n") {
				t.Errorf("a note: %q", n)
			}
		}
	})
}
