package replay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/record"
)

// A spy is a test that keeps what it is told.
type spy struct {
	told []string
	ends []func()
}

func (s *spy) Helper()             {}
func (s *spy) Logf(string, ...any) {}
func (s *spy) Failed() bool        { return len(s.told) > 0 }
func (s *spy) Errorf(format string, args ...any) {
	s.told = append(s.told, fmt.Sprintf(format, args...))
}
func (s *spy) Cleanup(f func())                  { s.ends = append(s.ends, f) }
func (s *spy) Fatalf(format string, args ...any) { s.Errorf(format, args...); panic(s) }

// watch runs f as a test and returns what it told.
func watch(f func(replay.TB)) (told string) {
	s := new(spy)
	defer func() {
		if reason := recover(); reason != nil && reason != any(s) {
			panic(reason)
		}
		told = strings.Join(s.told, "\n")
	}()
	f(s)
	for _, end := range slices.Backward(s.ends) {
		end()
	}
	return told
}

// evening is what some people did in a hall, in a file.
func evening(t *testing.T, falls bool) string {
	t.Helper()
	w := replay.NewWorld(t, hall)
	ann, bob := login(w, "ann"), login(w, "bob")
	for i := range 5 {
		replay.Call[*entered](ann, &add{N: i, Save: i%2 == 0})
		replay.Call[*entered](bob, &add{N: 10 * i})
		ann.Send(&say{fmt.Sprint("hello ", i)})
	}
	ann.Refused(&add{N: 101}, tooMuch)
	if falls {
		ann.Refused(&fall{}, actors.Panicked)
	}
	bob.Leave()
	w.Advance(time.Minute)
	path := filepath.Join(t.TempDir(), "evening.rec")
	if err := w.Recording().Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// otherHall is the same game with another behaviour of people.
func otherHall(newPerson func(*actors.Props)) node.App {
	app := hall
	app.Game.Kinds = []actors.Kind{hall.Game.Kinds[0], {Name: personKind, New: newPerson}, hall.Game.Kinds[2]}
	return app
}

// doubled counts what is saved twice; upright does not fall.
func doubled(p *actors.Props) { person(p, 2, upright) }

func upright(actors.Context, *fall) error { return nil }

func TestARecordingPlaysToTheSameEnd(t *testing.T) {
	t.Parallel()
	path := evening(t, false)
	r, err := record.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := replay.Verify(hall, r); err != nil || v.Steps != r.Steps() || v.Actors < 4 {
		t.Errorf("verified %+v, %v", v, err)
	}
	if _, err := replay.Verify(otherHall(doubled), r); err == nil {
		t.Error("another behaviour was found the same")
	}
	p := replay.File(t, hall, path)
	if own := replay.StateOf[counts](p, personKind.Ref("ann"), "own"); own != (counts{6, 4}) {
		t.Errorf("ann ends with %+v", own)
	}
	replay.Dir(t, hall, filepath.Join(filepath.Dir(path), "*.rec"))
	state := func(ref actors.Ref, cell string) func(replay.TB) {
		return func(t replay.TB) { replay.StateOf[int](replay.File(t, hall, path), ref, cell) }
	}
	for what, f := range map[string]func(replay.TB){
		"no recording matches": func(t replay.TB) { replay.Dir(t, hall, "testdata/none/*.rec") },
		"is not in the":        state(hallKind.Ref("x"), "own"),
		"cell nothing":         state(hallKind.Ref("main"), "nothing"),
		"no such file":         func(t replay.TB) { replay.File(t, hall, "testdata/none.rec") },
	} {
		if told := watch(f); !strings.Contains(told, what) {
			t.Errorf("told %q, want %q in it", told, what)
		}
	}
}

func TestADamagedRecordingIsPlayedAsFarAsItIsGood(t *testing.T) {
	t.Parallel()
	path := evening(t, false)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, damaged := range map[string][]byte{"cut": text[:len(text)*9/10],
		"flipped": slices.Concat(text[:len(text)*8/10], []byte{^text[len(text)*8/10]}, text[len(text)*8/10+1:])} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		told := watch(func(t replay.TB) {
			p := replay.File(t, hall, path)
			replay.StateOf[counts](p, personKind.Ref("ann"), "own")
		})
		if !strings.Contains(told, path+": at byte ") || strings.Contains(told, "step ") {
			t.Errorf("%s: told %q", what, told)
		}
	}
}

func TestTheFirstDifferenceIsShownWithMessageOutcomesAndState(t *testing.T) {
	t.Parallel()
	path := evening(t, false)
	told := watch(func(t replay.TB) { replay.File(t, otherHall(doubled), path) })
	for _, want := range []string{`person/ann, step `, `add {"N":2,"Save":true}`, `recorded == own {"Saved":2,`,
		`today    == own {"Saved":4,`, `own: {"Saved":2,"Loose":1}, and now {"Saved":4,"Loose":1}`} {
		if !strings.Contains(told, want) {
			t.Errorf("no %q in:\n%s", want, told)
		}
	}
}

func TestAPanicFailsTheTestUntilItIsMended(t *testing.T) {
	t.Parallel()
	path := evening(t, true)
	told := watch(func(t replay.TB) { replay.File(t, hall, path) })
	if !strings.Contains(told, "fall still panicked: panic: on purpose") || !strings.Contains(told, "newPerson") {
		t.Errorf("told %s", told)
	}
	replay.File(t, otherHall(func(p *actors.Props) { person(p, 1, upright) }), path)
}

func TestShrinkingLeavesOneStepThatStillShowsIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		app   node.App
		falls bool
		shows string
	}{{otherHall(doubled), false, `add {"N":2,"Save":true}`}, {hall, true, "still panicked"}} {
		path := evening(t, c.falls)
		r, err := record.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		short, err := replay.Shrink(c.app, r)
		if err != nil {
			t.Fatal(err)
		}
		if n := short.Steps(); n != 1 || len(short.Actors()) != 1 {
			t.Errorf("%d steps of %d actors are left", n, len(short.Actors()))
		}
		if err := short.Write(path); err != nil {
			t.Fatal(err)
		}
		if told := watch(func(t replay.TB) { replay.File(t, c.app, path) }); !strings.Contains(told, c.shows) {
			t.Errorf("the short one shows %s", told)
		}
	}
	r, err := record.Read(evening(t, false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replay.Shrink(hall, r); err == nil {
		t.Error("something was found in a recording that is sound")
	}
}

func TestABehaviourThatIsNoFunctionOfItsInputsIsNamed(t *testing.T) {
	t.Parallel()
	heard := 0
	told := watch(func(spied replay.TB) {
		w := replay.NewWorld(spied, otherHall(func(p *actors.Props) {
			own := actors.State[counts](p, "own")
			actors.Answer(p, func(_ actors.Context, m *add) (*entered, error) {
				heard++
				own.Edit().Saved = heard
				return &entered{}, nil
			})
			actors.Handle(p, func(actors.Context, *fall) error { return nil })
		}))
		login(w, "ann")
	})
	if !strings.Contains(told, "person is no function of its inputs: given number 103 again") ||
		!strings.Contains(told, "add {") {
		t.Errorf("told %q", told)
	}
}

func TestATranscriptReadsAsWhatHappened(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, hall, replay.Golden("testdata/hall.golden"))
	ann, bob := login(w, "ann"), login(w, "bob")
	replay.Call[*entered](ann, &add{N: 3, Save: true})
	ann.Refused(&add{N: 101}, tooMuch)
	bob.Send(&say{"good night"})
	bob.Leave()
	w.Advance(time.Minute)
}

func TestAnotherTranscriptIsShownWhereItParts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.golden")
	told := watch(func(t replay.TB) {
		replay.NewWorld(t, hall, replay.Golden(path))
	})
	if !strings.Contains(told, "run the test with -update once") {
		t.Errorf("told %q", told)
	}
	text, err := os.ReadFile("testdata/hall.golden")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), `"N":3`, `"N":4`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	told = watch(func(t replay.TB) {
		w := replay.NewWorld(t, hall, replay.Golden(path))
		ann := login(w, "ann")
		login(w, "bob")
		replay.Call[*entered](ann, &add{N: 3, Save: true})
	})
	for _, want := range []string{"they part in line ", `  - `, `"N":4`, `  + `, `"N":3`} {
		if !strings.Contains(told, want) {
			t.Errorf("no %q in:\n%s", want, told)
		}
	}
}
