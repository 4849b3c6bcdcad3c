package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// This file lives through docs/testing.md, from the report to the repair: what the page says to do is done, and what it
// says is seen.

// A docPage is a text for people whose words a test holds to.
type docPage struct {
	t    *testing.T
	text string
}

// says returns words of the page; they must be there.
func (p docPage) says(words string) string {
	p.t.Helper()
	if !strings.Contains(p.text, words) {
		p.t.Errorf("docs/testing.md does not say %q", words)
	}
	return words
}

// between is what stands in the page between two texts.
func (p docPage) between(from, to string) string {
	p.t.Helper()
	_, rest, found := strings.Cut(p.text, from)
	part, _, ended := strings.Cut(rest, to)
	if !found || !ended {
		p.t.Fatalf("docs/testing.md has nothing between %q and %q", from, to)
	}
	return part
}

func TestAReportBecomesATest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := docPage{t, string(text)}
	doc.says("`git apply docs/planted.patch`")
	doc.says("`git apply -R docs/planted.patch`")
	w := newWorkshop(t)
	lost := w.play(doc)

	checks := doc.between("of her light:\n\n```go\n", "```")
	const plays = "\treplay.File(t, App, \"testdata/lost.rec\")\n"
	w.write("lost_rec_test.go", strings.Replace(w.generated(doc, lost), plays, checks, 1))
	doc.says("go test ./sample -run TestReplayOfLost\n")
	if told := w.test(w.build("planted", true)); !strings.Contains(told,
		doc.says("ann bought a lantern, and her light is 1")) {
		t.Errorf("before the repair the test says\n%s", told)
	}
	mended := w.build("mended", false)
	told := w.test(mended)
	for _, line := range strings.Split(strings.TrimSpace(doc.between("the recorded one:\n\n```\n", "```")), "\n") {
		if line, _, _ = strings.Cut(strings.TrimSpace(line), `"gathered"`); !strings.Contains(told, line) {
			t.Errorf("after the repair the test does not say %q, but\n%s", line, told)
		}
	}
	doc.says("go test ./sample -run TestReplayOfLost -update\n")
	if told := w.test(mended, "-update"); !strings.HasPrefix(told, "PASS") {
		t.Errorf("recording the repair, the test says\n%s", told)
	}
	if told := w.test(mended); !strings.HasPrefix(told, "PASS") {
		t.Errorf("with the repair recorded the test says\n%s", told)
	}
}

// A workshop is a folder in which the package is built with some of its files replaced, as if they were edited.
type workshop struct {
	t   *testing.T
	dir string
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{t: t, dir: t.TempDir()}
	shop, err := os.ReadFile("shop.go")
	if err != nil {
		t.Fatal(err)
	}
	w.write("sample/shop.go", string(shop))
	patch, err := filepath.Abs("../docs/planted.patch")
	if err != nil {
		t.Fatal(err)
	}
	apply := exec.Command("git", "apply", patch)
	apply.Dir, apply.Env = w.dir, append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(w.dir))
	if text, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("docs/planted.patch does not fit sample/shop.go any more: %v\n%s", err, text)
	}
	return w
}

func (w *workshop) path(name string) string { return filepath.Join(w.dir, name) }

func (w *workshop) write(name, text string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// build builds the package's tests, with the planted bug or without, and with lost_rec_test.go once it is there.
func (w *workshop) build(name string, planted bool) string {
	w.t.Helper()
	here, err := os.Getwd()
	if err != nil {
		w.t.Fatal(err)
	}
	replaced := map[string]string{}
	if planted {
		replaced[filepath.Join(here, "shop.go")] = w.path("sample/shop.go")
	}
	if _, err := os.Stat(w.path("lost_rec_test.go")); err == nil {
		replaced[filepath.Join(here, "lost_rec_test.go")] = w.path("lost_rec_test.go")
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("overlay.json", string(overlay))
	exe := w.path(name)
	if text, err := exec.Command("go", "test", "-c", "-overlay", w.path("overlay.json"), "-o", exe, ".").
		CombinedOutput(); err != nil {
		w.t.Fatalf("building: %v\n%s", err, text)
	}
	return exe
}

// test runs the test of the lost light, in the folder where its recording is.
func (w *workshop) test(exe string, flags ...string) string {
	w.t.Helper()
	c := exec.Command(exe, append([]string{"-test.run", "^TestReplayOfLost$"}, flags...)...)
	c.Dir = w.path("game")
	text, err := c.CombinedOutput()
	if err != nil && len(text) == 0 {
		w.t.Fatal(err)
	}
	return string(text)
}

// play starts the game with the bug, lets ann buy two lights, and takes what she lived through.
func (w *workshop) play(doc docPage) (lost string) {
	w.t.Helper()
	prices := strings.ReplaceAll(doc.between("printf '", "' >"), `\n`, "\n")
	c := newRealCluster(w.t, realGame{config: shippedConfig(w.t), prices: prices,
		binary: w.build("game with a bug", true)})
	up := c.Up()
	ann := c.join("ann", "1,1", true)
	ann.collect(3)
	if b := call[*Bought](ann, &Buy{Item: "lantern"}); b.Light != 3 {
		w.t.Fatalf("ann bought %+v", b)
	}
	if b := call[*Bought](ann, &Buy{Item: "ember"}); b.Light != 1 {
		w.t.Fatalf("the bug is not there: ann bought %+v", b)
	}
	lost = c.Path("lost.rec")
	doc.says("go run ./sample record get --actor player/ann -o lost.rec\n")
	if text, code := c.Run("record", "get", "--actor", "player/ann", "-o", lost); code != 0 {
		w.t.Fatalf("exit code %d: %s", code, text)
	}
	doc.says("go run ./sample replay lost.rec\n")
	debugger := c.Command("replay", lost)
	debugger.Stdin = strings.NewReader("run number 5103\nrun number 5103\ndiff\n")
	seen, err := debugger.CombinedOutput()
	for _, want := range []string{doc.says(`Buy {"item":"ember"} ?`), doc.says("== waits until this is durable"),
		doc.says(`glow: {"light":3,`), doc.says(`, and now {"light":1,`)} {
		if err != nil || !strings.Contains(string(seen), want) {
			w.t.Errorf("%v: the debugger does not show %q, but\n%s", err, want, seen)
		}
	}
	up.Stop()
	return lost
}

// generated is the test that is made of the recording.
func (w *workshop) generated(doc docPage, lost string) string {
	w.t.Helper()
	doc.says("go run ./sample replay lost.rec --test\n")
	w.write("game/game.go", "package main\n")
	c := exec.Command(w.path("game with a bug"), "replay", lost, "--test", "--into", w.path("game"))
	c.Env = append(os.Environ(), asGame+"=meadow")
	if text, err := c.CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, text)
	}
	text, err := os.ReadFile(w.path("game/lost_rec_test.go"))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}
