package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const ofTheOriginal = `{
"master":{"rootport":9999},
"servers":{
"gate":{"rootport":10000,"name":"gate","db":true,"app":"app.gateserver"},
"net":{"netport":11009,"remoteport":[{"rootport":10000,"rootname":"gate"}]}
},
"db":{"host":"localhost","user":"root","passwd":"hunter2","port":3306,"db":"dark"}
}`

func TestImportWritesWhatCheckAcceptsAndSaysWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "config.json"), filepath.Join(dir, "runtime.toml")
	if err := os.WriteFile(from, []byte(ofTheOriginal), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, err := asked(t, to, "import", from)
	if code != exitOK || !strings.Contains(out, "config.json:2:11: master.rootport is left out") ||
		!strings.Contains(out, "runtime.toml is written: 2 nodes; ") || strings.Contains(out, "hunter2") {
		t.Fatalf("exit code %d:\n%s%s", code, out, err)
	}
	if at, err := os.Stat(to); err != nil || at.Mode().Perm() != 0o600 {
		t.Errorf("it holds a password: %v, %v", at.Mode(), err)
	}
	if code, out, err := asked(t, to, "check"); code != exitOK {
		t.Errorf("check: exit code %d\n%s%s", code, out, err)
	}
	code, _, err = asked(t, to, "import", from)
	if code != exitUsage || !strings.Contains(err, "is not written over") {
		t.Errorf("a second time: exit code %d, %s", code, err)
	}
	code, out, _ = asked(t, filepath.Join(dir, "other.toml"), "import", from, "--json")
	var report importReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitOK || len(report.Nodes) != 2 ||
		report.Notes[0].Line != 2 || report.Notes[0].Key != "master.rootport" {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
}

func TestImportRefusesWhatIsNoConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	torn := filepath.Join(dir, "torn.json")
	if err := os.WriteFile(torn, []byte("{\n  \"servers\": oops\n}"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "runtime.toml")
	for _, c := range []struct {
		args      []string
		out, text string
	}{
		{[]string{"import", torn}, "", "torn.json:2:14: not JSON: "},
		{[]string{"import", torn, "--json"}, `"file":"torn.json","Line":2,"Col":14,`, "1 problem"},
		{[]string{"import", filepath.Join(dir, "none.json")}, "", "there is no "},
		{[]string{"import"}, "", "import CONFIG.JSON"},
	} {
		code, out, err := asked(t, to, c.args...)
		if code != exitUsage || !strings.Contains(out, c.out) || !strings.Contains(err, c.text) {
			t.Errorf("%v: exit code %d, %s, %s", c.args, code, out, err)
		}
		if there(to) {
			t.Errorf("%v: something is written", c.args)
		}
	}
}

func TestImportSaysWhenThisGameNeedsOtherRoles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "config.json"), filepath.Join(dir, "runtime.toml")
	if err := os.WriteFile(from, []byte(ofTheOriginal), 0o600); err != nil {
		t.Fatal(err)
	}
	tool := fakeTool()
	tool.kinds[0].Role = "battle"
	var out, errs strings.Builder
	tool.out, tool.err = &out, &errs
	code := tool.execute([]string{"import", from, "--config", to})
	if code != exitFailed || !strings.Contains(out.String(), `none has its role "battle"`) || !there(to) {
		t.Errorf("exit code %d:\n%s%s", code, &out, &errs)
	}
}
