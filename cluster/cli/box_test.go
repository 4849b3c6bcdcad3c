package cli

import (
	"os"
	"strings"
	"testing"
)

func TestBoxShowsWhatIsStuckAndSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	if text, code := p.run("box", "player/ann"); code != exitFailed || !strings.Contains(text, "no node runs here") {
		t.Errorf("exit code %d: %s", code, text)
	}
	for _, wrong := range [][]string{{}, {"ann"}, {"player/ann", "now"}, {"player/ann", "--drop", "x"}} {
		if text, code := p.run(append([]string{"box"}, wrong...)...); code != exitUsage {
			t.Errorf("%v: exit code %d: %s", wrong, code, text)
		}
	}
	up := p.begin("up")
	p.within(clusterWithin, "the nodes", func() bool { return p.pid("game-1") > 0 })
	for want, args := range map[string][]string{
		"out       7 to player/bob: 99999 (not in the catalogue) {}; sent again 5 times": {"player/ann"},
		"taken     up to 3 from player/eve":                                              {"player/ann"},
		"reminder  99999":                                                                {"player/ann", "--drop", "7"},
		`"seq":7`:                                                                        {"player/ann", "--json"},
		"the box of player/bob is empty":                                                 {"player/bob"},
	} {
		if text, code := p.run(append([]string{"box"}, args...)...); code != exitOK || !strings.Contains(text, want) {
			t.Errorf("exit code %d, and not %q: %s", code, want, text)
		}
	}
	if text, code := p.run("box", "player/ann", "--drop", "9"); code != exitFailed ||
		!strings.Contains(text, "no message 9") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}
