package contract

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A change is what becomes of messages, and what is said about it; testdata/change.txt has them.
type change struct{ name, was, is, said string }

// lockText is a lock's file with the entries.
func lockText(app, entries string) string { return fmt.Sprintf(preface, app) + "\n" + entries }

func parsed(t *testing.T, text string) *Lock {
	t.Helper()
	l, wrong := ParseLock([]byte(text))
	if len(wrong) > 0 {
		t.Fatalf("%v\n%s", wrong, text)
	}
	return l
}

// toldOf prints differences as check does, without the file.
func toldOf(all []Difference) string {
	var lines []string
	for _, d := range all {
		lines = append(lines, fmt.Sprintf("%d: %s; %s", d.Line, d.What, d.Do))
	}
	return strings.Join(lines, "\n")
}

// changes reads them.
func changes(t testing.TB) []change {
	t.Helper()
	text, err := os.ReadFile("testdata/change.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []change
	for _, section := range strings.Split(string(text), "\n== ")[1:] {
		name, rest, _ := strings.Cut(section, "\n-- was\n")
		was, rest, _ := strings.Cut(rest, "-- is\n")
		is, said, whole := strings.Cut(rest, "-- said\n")
		if !whole {
			t.Fatalf("%s: it needs -- was, -- is and -- said", name)
		}
		all = append(all, change{name, was, is, strings.TrimSpace(said)})
	}
	if len(all) < 30 {
		t.Fatalf("only %d changes", len(all))
	}
	return all
}

func TestEveryChangeIsToldWithWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range changes(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := []byte(lockText("meadow", c.was))
			program := parsed(t, lockText("meadow", c.is))
			if got := toldOf(Check(file, program)); got != c.said {
				t.Errorf("said\n%s\nand should say\n%s", got, c.said)
			}
		})
	}
}

// What hurts nobody is written down; what hurts only when its number is named; a retired number never.
func TestALockIsRenewedOnlyAsFarAsWasMeant(t *testing.T) {
	t.Parallel()
	for _, c := range changes(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := []byte(lockText("meadow", c.was))
			program := parsed(t, lockText("meadow", c.is))
			found := Check(file, program)
			var accepted []uint32
			worst := Fine
			for _, d := range found {
				if worst = max(worst, d.Grade); d.Grade == Breaking {
					accepted = append(accepted, d.Number)
				}
			}
			text, against := Renew(file, program)
			if (worst == Fine) != (text != nil) || (worst == Fine) != (len(against) == 0) {
				t.Errorf("renewed without being told to: %q, against %v", text, against)
			}
			if text, against = Renew(file, program, accepted...); worst == Never {
				if text != nil || len(against) == 0 {
					t.Errorf("a number was used twice: %q", text)
				}
				return
			}
			if left := Check(text, program); len(against)+len(left) > 0 {
				t.Errorf("%v, and afterwards %v\n%s", against, left, text)
			}
		})
	}
}

func TestARetiredNumberStaysSoForEver(t *testing.T) {
	t.Parallel()
	const both = "103 in Buy -> 104\n  item string\n\n104 out Bought\n  light int64\n"
	text := []byte(lockText("meadow", both))
	without := parsed(t, lockText("meadow", "104 out Bought\n  light int64\n"))
	text, against := Renew(text, without, 103)
	if want := lockText("meadow", "103 retired Buy\n\n104 out Bought\n  light int64\n"); string(text) != want {
		t.Fatalf("%v\n%s", against, text)
	}
	if again, against := Renew(text, without); string(again) != string(text) {
		t.Errorf("%v\n%s", against, again)
	}
	if text, against := Renew(text, parsed(t, lockText("meadow", both)), 103); text != nil || len(against) != 1 {
		t.Errorf("%v\n%s", against, text)
	}
}

func TestALockIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/every.lock")
	if err != nil {
		t.Fatal(err)
	}
	if again := parsed(t, string(text)).Text(); string(again) != string(text) {
		t.Errorf("it was written anew as\n%s", again)
	}
	l, err := every(t).Lock()
	if err != nil {
		t.Fatal(err)
	}
	if found := Check([]byte(strings.ReplaceAll(string(text), "\n", "\r\n")), l); len(found) > 0 {
		t.Errorf("with the line ends of Windows: %v", found)
	}
	if text, against := Renew(nil, l); len(against) > 0 || len(Check(text, l)) > 0 {
		t.Errorf("the first lock is %s, against %v", text, against)
	}
}

func TestAFileThatIsNoLockSaysWhere(t *testing.T) {
	t.Parallel()
	const do = "; put it right by hand, or take the file as it was before; `gen lock` writes it"
	const twice = "103 Sell stands here, and in line 2 103 Buy does: two have taken the same number"
	for _, c := range []struct{ text, want string }{
		{"", "0: it does not say whose it is" + strings.Replace(do, "put it right by hand, or ", "", 1)},
		{"app a\nx", `2: "x" is not understood` + do},
		{"app a\n<<<<<<< HEAD\n103 in Buy\n", `2: "<<<<<<< HEAD" is not understood` + do},
		{"app a\n103 in Buy\n103 in Sell\n", "3: " + twice + do},
		{"app a\n99999999999 in Buy\n", "2: 99999999999 is no number of a message" + do},
		{"app a\n  n int64\n", `2: "  n int64" is not understood` + do},
		{"app a\n103 in Buy\n  n\n", `3: "  n" is not understood` + do},
		{"app a\n103 in Buy\n  n x #99999999999\n", "3: 99999999999 is no number of a field" + do},
		{"app a\n103 in Buy\n  n x\n  n y\n", "4: the field n does not belong here" + do},
		{"app a\n103 retired Buy\n  n x\n", "3: the field n does not belong here" + do},
		{"app a\napp b\n", `2: "app b" is not understood` + do},
		{"app b\n", "1: it is the lock of b, and this is a; name another file: --lock FILE"},
	} {
		if got := toldOf(Check([]byte(c.text), &Lock{App: "a"})); got != c.want {
			t.Errorf("%q: said\n%s\nand should say\n%s", c.text, got, c.want)
		}
	}
}

func TestAMessageHasNotMoreFieldsThanALockTakes(t *testing.T) {
	t.Parallel()
	type (
		four    struct{ A, B, C, D int }
		forty   struct{ A, B, C, D, E, F, G, H, I, J four }
		most    struct{ A, B, C, D, E, F, G, H, I, J forty }
		overall struct{ A, B, C, D, E, F, G, H, I, J most }
	)
	c, err := Of("a", wire.Messages(wire.Out[*most](100)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if l, err := c.Lock(); err != nil || len(l.Entries[0].Lines) != 10+100+400 {
		t.Errorf("%d, %v", len(l.Entries[0].Lines), err)
	}
	c, err = Of("a", wire.Messages(wire.Out[*overall](100)), nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = "contract: 100 overall has more than 4096 fields, those of its parts counted: make it smaller"
	if _, err = c.Lock(); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func FuzzALockIsReadOrSaysWhereNot(f *testing.F) {
	for _, c := range changes(f) {
		f.Add(lockText("meadow", c.was))
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, wrong := ParseLock([]byte(text))
		if len(wrong) > 0 {
			return
		}
		again, wrong := ParseLock(l.Text())
		if len(wrong) > 0 || string(again.Text()) != string(l.Text()) {
			t.Errorf("%v\n%s", wrong, l.Text())
		}
	})
}
