package cli

import (
	"os"
	"strings"
	"testing"
)

func TestUpStartsTheNodesOfItsHostOnly(t *testing.T) {
	t.Parallel()
	p := prepare(t, "[node.gate-1]", "[node.gate-1]\nhost = \"attic\"", "[node.game]", "[node.game]\nhost = \"attic\"",
		"[node.persist-1]", "[node.persist-1]\nhost = \"attic\"", "[node.admin-1]", "[node.admin-1]\nhost = \"attic\"")
	for _, args := range [][]string{{"up"}, {"up", "--host", "cellar"}} {
		text, code := p.run(args...)
		if code != exitUsage || !strings.Contains(text, "but on attic; say which machine this is: --host NAME") {
			t.Errorf("%v: exit code %d: %s", args, code, text)
		}
	}
	up := p.begin("up", "--host", "attic")
	up.prints("ready in")
	if text, code := p.run("ps"); code != exitOK || strings.Count(text, " ready ") != 6 {
		t.Errorf("ps knows what up was told: exit code %d: %s", code, text)
	}
	if rows := p.rows(); rows["game-1"].Host != "attic" {
		t.Errorf("%+v", rows["game-1"])
	}
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestNodesOfOtherHostsAreShownAndLeftAlone(t *testing.T) {
	t.Parallel()
	const tls = "[tls]\nca = \"ca.pem\"\ncert = \"{node}.pem\"\nkey = \"{node}.key\"\n"
	p := prepare(t, "[cluster]", tls+"[cluster]\netcd = [\"10.0.0.5:2379\"]",
		"[node.gate-1]", "[node.gate-1]\nhost = \"a\"\nadvertise = \"10.0.0.7:9410\"",
		"[node.game]", "[node.game]\nhost = \"b\"\nadvertise = \"10.0.0.8:9420+\"",
		"[node.persist-1]", "[node.persist-1]\nhost = \"a\"\nadvertise = \"10.0.0.7:9430\"",
		"[node.admin-1]", "[node.admin-1]\nhost = \"a\"\nadvertise = \"10.0.0.7:9440\"")
	up := p.begin("up", "--host", "a")
	up.prints("ready in")
	text, code := p.run("ps")
	if code != exitOK || strings.Count(text, " ready ") != 3 || strings.Count(text, "remote, not seen") != 2 {
		t.Errorf("exit code %d: %s", code, text)
	}
	if text, code := p.run("ps", "--host", "b"); code != exitFailed || strings.Count(text, "down") != 2 {
		t.Errorf("b sees its own as down: exit code %d: %s", code, text)
	}
	if text, code := p.run("check"); code != exitOK || !strings.Contains(text, "is started on b") {
		t.Errorf("exit code %d: %s", code, text)
	}
	for want, args := range map[string][]string{
		"is no node that this `up` runs":        {"drain", "game-1"},
		"no node of game is started here, on a": {"scale", "game=3"},
	} {
		if text, code := p.run(args...); code != exitFailed || !strings.Contains(text, want) {
			t.Errorf("%v: exit code %d: %s", args, code, text)
		}
	}
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
	if text, code := p.run("stop", "game-1"); code != exitOK || !strings.Contains(text, "game-1 is started on b") {
		t.Errorf("exit code %d: %s", code, text)
	}
}
