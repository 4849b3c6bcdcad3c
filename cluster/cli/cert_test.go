package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const proven = `[cluster]
name = "arena"
[tls]
ca   = "tls/ca.pem"
cert = "tls/{node}.pem"
key  = "tls/{node}.key"
[node.registry-1]
roles  = ["registry"]
host   = "a"
listen = "10.0.0.1:9405"
[node.gate-1]
roles  = ["gate"]
host   = "a"
listen = "10.0.0.1:9410"
tcp    = "0.0.0.0:9400"
[node.game]
roles  = ["game"]
host   = "b"
count  = 2
listen = "game.internal:9420+"
`

// asked runs a verb on a configuration, in this process.
func asked(t *testing.T, path string, args ...string) (code int, out, err string) {
	t.Helper()
	var o, e bytes.Buffer
	tool := fakeTool()
	tool.out, tool.err = &o, &e
	code = tool.execute(append(args, "--config", path))
	return code, o.String(), e.String()
}

func configured(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runtime.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCertInitMakesAllThatIsMissingAndWritesOverNothing(t *testing.T) {
	t.Parallel()
	path := configured(t, proven)
	at := func(name string) string { return filepath.Join(filepath.Dir(path), "tls", name) }
	code, out, _ := asked(t, path, "cert", "init")
	if code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	for _, want := range []string{
		"made tls/ca.pem: the CA of arena, until ",
		"made tls/gate-1.pem: firefly://arena/node/gate-1 at 10.0.0.1, until ",
		"made tls/game-2.pem: firefly://arena/node/game-2 at game.internal, until ",
		"tls/ca.key is the key of the CA",
		"host b needs tls/ca.pem, tls/game-1.pem, tls/game-2.pem, and their keys",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	before := map[string]string{}
	files, _ := filepath.Glob(at("*"))
	if len(files) != 10 {
		t.Errorf("%d files: %v", len(files), files)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
		text, _ := os.ReadFile(file)
		before[file] = string(text)
	}
	if code, out, err := asked(t, path, "check"); code != exitOK {
		t.Errorf("check: exit code %d\n%s%s", code, out, err)
	}
	// a certificate that was moved away is made anew, and nothing else is touched
	for _, name := range []string{"game-2.pem", "game-2.key"} {
		if err := os.Remove(at(name)); err != nil {
			t.Fatal(err)
		}
	}
	code, out, _ = asked(t, path, "cert", "init", "--json", "--days", "90")
	var report certReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitOK || len(report.Files) != 5 {
		t.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	for _, f := range report.Files {
		if f.Made != (f.File == at("game-2.pem")) {
			t.Errorf("%+v", f)
		}
	}
	if code, _, err := asked(t, path, "cert", "init", "--scale", "game=3"); code != exitOK || !there(at("game-3.pem")) {
		t.Errorf("for a copy still to come: exit code %d, %s", code, err)
	}
	for file, text := range before {
		if now, _ := os.ReadFile(file); string(now) != text && !strings.Contains(file, "game-2") {
			t.Errorf("%s was written over", file)
		}
	}
}

func TestCertificatesThatCannotStayAreToldAndKept(t *testing.T) {
	t.Parallel()
	path := configured(t, proven)
	if code, _, err := asked(t, path, "cert", "init", "--days", "20"); code != exitOK {
		t.Fatal(err)
	}
	moved := strings.Replace(proven, "10.0.0.1:9410", "10.0.0.7:9410", 1)
	if err := os.WriteFile(path, []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := asked(t, path, "cert", "init")
	if code != exitFailed || !strings.Contains(out, "kept tls/gate-1.pem") ||
		!strings.Contains(out, "it cannot stay: it is for 10.0.0.1, and the node listens at 10.0.0.7") ||
		!strings.Contains(out, "it cannot stay: it ends on ") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	code, _, err := asked(t, path, "check")
	if code != exitUsage || !strings.Contains(err, "runtime.toml:5:8: node gate-1 cannot prove who it is") {
		t.Errorf("check: exit code %d: %s", code, err)
	}
}

func TestCertSaysWhatIsInItsWay(t *testing.T) {
	t.Parallel()
	bare := configured(t, "[node.all]\nroles = [\"gate\", \"game\"]\ntcp = \"127.0.0.1:9400\"\n")
	whole, torn := configured(t, proven), configured(t, proven)
	for _, path := range []string{whole, torn} {
		if code, _, err := asked(t, path, "cert", "init"); code != exitOK {
			t.Fatal(err)
		}
	}
	remove := func(path, name string) {
		if err := os.Remove(filepath.Join(filepath.Dir(path), "tls", name)); err != nil {
			t.Fatal(err)
		}
	}
	remove(whole, "ca.key")
	remove(torn, "gate-1.key")
	for _, c := range []struct {
		path string
		args []string
		code int
		want string
	}{
		{bare, []string{"cert", "init"}, exitUsage, "[tls]"},
		{whole, []string{"cert", "init"}, exitFailed, "certificates are made where the key is"},
		{torn, []string{"cert", "init"}, exitFailed, "only one is here"},
		{torn, []string{"cert", "client", "../ops"}, exitUsage, "cannot be a tool's name"},
		{torn, []string{"cert", "client"}, exitUsage, "cert client NAME"},
		{torn, []string{"cert", "init", "--days", "0"}, exitUsage, "--days is 1 to 3650"},
		{configured(t, proven), []string{"cert", "client", "ops"}, exitUsage, "there is no CA yet"},
		{torn, []string{"cert"}, exitUsage, "which of its verbs"},
		{torn, []string{"cert", "init", "--scale", "shop=3"}, exitUsage, "no table with a count"},
	} {
		code, _, err := asked(t, c.path, c.args...)
		if code != c.code || !strings.Contains(err, c.want) {
			t.Errorf("%v: exit code %d, %s; want %d and %q", c.args, code, err, c.code, c.want)
		}
	}
}

func TestAToolsCertificateIsAClients(t *testing.T) {
	t.Parallel()
	path := configured(t, proven)
	if code, _, err := asked(t, path, "cert", "init"); code != exitOK {
		t.Fatal(err)
	}
	code, out, err := asked(t, path, "cert", "client", "ops")
	if code != exitOK || !strings.Contains(out, "made tls/client.ops.pem: firefly://arena/client/ops, until ") {
		t.Errorf("exit code %d: %s%s", code, out, err)
	}
}
