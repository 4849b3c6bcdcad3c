package cli

import (
	"os"
	"strings"
	"testing"
)

func TestConnectTalksToTheGateThatRunsHere(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.as = "echo"
	up := p.begin("up")
	up.prints("ready in")
	text, code := p.feed("call {\"N\":7}\npeek {\"Peg\":\"a\"}\n!200 {\"N\":1}\n", "connect")
	for _, want := range []string{"== connected as ", `-> #1 call {"N":7}`, `<- #1 callBack {"N":7} (`,
		`<- #2 peeked {} (`, `-> call {"N":1}`} {
		if code != exitOK || !strings.Contains(text, want) {
			t.Errorf("exit code %d, no %q in:\n%s", code, want, text)
		}
	}
	text, code = p.feed("call {\"M\":7}\n", "connect", "--json", "tcp://"+p.config.With("gate")[0].TCP)
	if code != exitUsage || !strings.Contains(text, "line 1:7: call has no field M there; did you mean N?") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	text, code = p.feed("call\n", "connect", "--codec", "proto")
	if code != exitFailed || !strings.Contains(text, "a plain struct travels as JSON only") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
	for args, want := range map[string]string{
		"":                        "no gate runs here; up starts one",
		"127.0.0.1:9401":          "write ws://127.0.0.1:9401 or tcp://127.0.0.1:9401",
		"http://127.0.0.1:9401":   "nobody is reached by http://; write ws://127.0.0.1:9401",
		"tcp://h:1 --codec morse": `no codec "morse"`,
	} {
		text, code := p.feed("", append([]string{"connect"}, strings.Fields(args)...)...)
		if code == exitOK || (code == exitUsage) != (args != "") || !strings.Contains(text, want) {
			t.Errorf("connect %s: exit code %d:\n%s", args, code, text)
		}
	}
}
