package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// generating runs a verb of the smallest game.
func generating(args ...string) (code int, out, err string) {
	var o, e bytes.Buffer
	code = run(echo, args, &o, &e)
	return code, o.String(), e.String()
}

func TestGenWritesTheMessagesForClients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const request = `export const call: Request<call, callBack> = { number: 200, name: "call", reply: callBack };`
	code, out, errs := generating("gen", "ts", "--client", "@fireflyrt/client")
	if code != exitOK || !strings.Contains(out, request) || !strings.Contains(out, `} from "@fireflyrt/client";`) ||
		strings.Contains(out, "poke") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	for file, wants := range map[string]map[string]string{
		"m.ts": {"m.ts": request},
		"n.js": {"n.js": `export const call = { number: 200, name: "call", reply: callBack };`,
			"n.d.ts": "export declare const call: Request<call, callBack>;"},
	} {
		code, out, errs := generating("gen", "ts", "-o", filepath.Join(dir, file))
		for name, want := range wants {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if code != exitOK || out != "" || err != nil || !strings.Contains(string(text), want) {
				t.Errorf("%s: exit code %d: %s%s: %v\n%s", name, code, out, errs, err, text)
			}
		}
	}
	code, out, errs = generating("gen", "cs")
	if code != exitOK || !strings.Contains(out, "namespace Echo\n") ||
		!strings.Contains(out, "public sealed partial class Call : IRequest<CallBack>\n") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"gen"}, exitUsage, "gen what? ts, cs or lock"},
		{[]string{"gen", "ts", "now"}, exitUsage, "what is now? it is used as: firefly gen ts"},
		{[]string{"gen", "ts", "-o", filepath.Join(dir, "no", "m.ts")}, exitFailed, "writing what was generated: "},
	} {
		if code, _, errs := generating(c.args...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d: %s", c.args, code, errs)
		}
	}
}

func TestCheckComparesTheNumbersWithTheirLock(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	lock := filepath.Join(filepath.Dir(p.config.Path), "messages.lock")
	says := func(want int, text string, args ...string) {
		t.Helper()
		code, out, errs := generating(append(args, "--config", p.config.Path)...)
		if code != want || !strings.Contains(out+errs, text) {
			t.Errorf("%v: exit code %d, no %q in: %s%s", args, code, text, out, errs)
		}
	}
	edit := func(pairs ...string) string {
		t.Helper()
		text, err := os.ReadFile(lock)
		if err != nil {
			t.Fatal(err)
		}
		edited := strings.NewReplacer(pairs...).Replace(string(text))
		if err := os.WriteFile(lock, []byte(edited), 0o600); err != nil {
			t.Fatal(err)
		}
		return edited
	}
	says(exitOK, "there is no "+lock+" to say whether numbers still mean the same; `gen lock` makes it", "check")
	says(exitOK, `"locked":false`, "check", "--json")
	says(exitUsage, lock+":1:1: there is no such file; make it: `gen lock`", "check", "--lock", lock)
	says(exitOK, lock+" is written: 5 messages", "gen", "lock")
	says(exitOK, "6 nodes, nothing wrong\n\nregistry-1", "check", "--lock", lock)
	says(exitOK, `"locked":true`, "check", "--json")
	says(exitOK, lock+" is as it should be\n", "gen", "lock")

	const renamed = ":5:1: 200 was shout and is call now; a number is for ever: give call one of its own, 205 is " +
		"free; or, if it is shout under another name, say so: `gen lock --accept 200`\n"
	before := edit("in public call", "in public shout",
		"204 internal poke", "198 retired oh\n\n204 internal poke\n  n int64")
	says(exitUsage, lock+renamed, "check")
	says(exitUsage, "204 poke has lost the field n; bring it back, or", "check")
	says(exitUsage, `"Line":5,"what":"200 was shout`, "check", "--json")
	says(exitUsage, lock+renamed, "gen", "lock")
	says(exitUsage, "204 poke has lost the field n", "gen", "lock", "--accept", "200")
	says(exitUsage, "there is nothing to accept of 202", "gen", "lock", "--accept", "200,202")
	if edit() != before {
		t.Error("a lock was written although something stood against it")
	}
	says(exitOK, "is written", "gen", "lock", "--accept", "200,204")
	if text := edit("in public call", "in call"); !strings.Contains(text, "\n198 retired oh\n\n200 in call -> 201\n") {
		t.Errorf("the lock is\n%s", text)
	}
	says(exitUsage, "200 call has changed in a way that hurts nobody: it is public; write it down: `gen lock`", "check")
	says(exitOK, "is written", "gen", "lock")

	edit("198 retired oh", "202 retired oh", "202 in public peek", "197 in public peek")
	const twice = "202 is retired, it was oh, and peek has it now; " +
		"no number is used twice: give peek another, 205 is free"
	says(exitUsage, twice, "gen", "lock", "--accept", "197")
	edit("app echo", "app other")
	says(exitUsage, ":3:1: it is the lock of other, and this is echo; name another file: --lock FILE", "check")
}

// Whoever runs a game need not have what belongs to its source.
func TestABadLockKeepsNoClusterFromStarting(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	lock := filepath.Join(filepath.Dir(p.config.Path), "messages.lock")
	if err := os.WriteFile(lock, []byte("<<<<<<< HEAD\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, code := p.run("check"); code != exitUsage || !strings.Contains(text, `"<<<<<<< HEAD" is not understood`) {
		t.Errorf("exit code %d: %s", code, text)
	}
	if text, code := p.run("up", "--once", "100ms"); code != exitOK {
		t.Errorf("exit code %d: %s", code, text)
	}
}
