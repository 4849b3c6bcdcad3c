package actors

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/virtual"
)

// This file asks for what comes from outside of an entity in ways that a recording could miss. The witness of each
// world does it again.

// lone is a world of one behaviour, which answers each buy, on a clock as a process has it.
func lone(t *testing.T, kind Kind) (*world, Ref) {
	w := newWorld(t, testMessages)
	w.Time = virtual.New(time.Now(), nil) // it has a zone and a monotonic part
	kind.Name = "lone"
	w.boot(testMessages, kind)
	return w, kind.Name.Ref("a")
}

func TestWhateverATurnAsksForIsInItsInput(t *testing.T) {
	errCard := errors.New("card declined")
	works := func(fails error) func(Context, *Cell[purse]) (*bought, error) {
		return func(ctx Context, c *Cell[purse]) (*bought, error) {
			return Reply(ctx, Work(func() (purse, error) { return purse{}, fails }),
				func(_ Context, _ purse, err error) (*bought, error) {
					if c.Edit().Gold++; errors.Is(err, errCard) {
						return nil, poor.Refuse("card")
					}
					return &bought{len(err.Error())}, err
				})
		}
	}
	told := func(of func(time.Time) int) func(Context, *Cell[purse]) (*bought, error) {
		return func(ctx Context, _ *Cell[purse]) (*bought, error) { return &bought{of(ctx.Now())}, nil }
	}
	for what, turn := range map[string]func(Context, *Cell[purse]) (*bought, error){
		"the time as text":          told(func(now time.Time) int { return len(now.String()) }),
		"the hour":                  told(time.Time.Hour),
		"an error with a refusal":   works(fmt.Errorf("charging: %w", poor.Refuse("no money"))),
		"an error that keeps":       works(Keep(poor.Refuse("no money"))),
		"an error that has a name":  works(errCard),
		"a group of nobody at home": nil,
	} {
		t.Run(what, func(t *testing.T) {
			w, a := lone(t, Kind{New: func(p *Props) {
				c, g := State[purse](p, "purse"), NewGroup(p, "crowd")
				Answer(p, func(ctx Context, _ *buy) (*bought, error) {
					if turn != nil {
						return turn(ctx, c)
					}
					g.Add(KindName("lone").Ref(""))
					return &bought{}, nil
				})
			}})
			_, err := w.call(a, &buy{1})
			if turn == nil && !errors.Is(err, BadBody) {
				t.Errorf("nobody was taken into a group: %v", err)
			}
			w.advance(time.Second)
			w.call(a, &buy{1})
			was := time.Local
			time.Local = time.FixedZone("elsewhere", 9*3600)
			defer func() { time.Local = was }()
			w.witness.proves()
		})
	}
}

func TestAnActorThatStopsWithItsNodeStopsAgain(t *testing.T) {
	host := KindName("host").Ref("h")
	w := newWorld(t, testMessages, Kind{Name: "lone", New: func(p *Props) {
		c := State[purse](p, "purse")
		On(p, func(ctx Context, _ *Started) error {
			ctx.Every(time.Second, &beat{})
			Then(ctx, Ask[*bought](host, &look{}).Within(time.Minute).Meanwhile(),
				func(Context, *bought, error) error { return nil })
			return nil
		})
		On(p, func(Context, *Stopped) error { c.Edit().Gold++; return nil })
		Handle(p, func(ctx Context, _ *beat) error { ctx.Stop(); return nil })
		Answer(p, func(Context, *buy) (*bought, error) { return &bought{}, nil })
	}})
	w.routed = func(e *Envelope) bool { return e.To == host } // no answer comes
	w.call(KindName("lone").Ref("a"), &buy{1})
	w.sys.stopping = true
	w.advance(20 * time.Second)
	if l := w.witness.lives[0]; l.view != nil {
		t.Error("it did not stop")
	}
}

func TestARerunThatHasEndedSaysSo(t *testing.T) {
	w, a := lone(t, Kind{New: func(p *Props) {
		Answer(p, func(ctx Context, _ *buy) (*bought, error) { ctx.Stop(); return &bought{}, nil })
	}})
	w.call(a, &buy{1})
	l := w.witness.lives[0]
	r, err := NewRerun(RerunOptions{Kinds: w.witness.kinds, Catalogue: w.sys.o.Catalogue}, l.image)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range l.steps {
		if _, err := r.Step(s.Input); err != nil {
			t.Fatal(err)
		}
	}
	r.end(&Refusal{Code: Restarted})
	wrong := map[string]Input{"it has ended": l.steps[1].Input, "without an envelope": {Type: InputMessage}}
	for what, in := range wrong {
		if _, err := r.Step(in); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWhatJSONLeavesOutIsNoCell(t *testing.T) {
	type shy struct{ gold int }
	type mute struct {
		Gold int `json:"-"`
	}
	for what, declare := range map[string]func(*Props){
		"shy.gold":  func(p *Props) { Carry[shy](p, "x") },
		"mute.Gold": func(p *Props) { Rows[int, mute](p, "x") },
	} {
		_, err := NewSystem(Options{Catalogue: testMessages, Kinds: []Kind{{Name: "lone", New: declare}}})
		if err == nil || !strings.Contains(err.Error(), what+" is left out of JSON") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if s := (shy{1}); s.gold != 1 {
		t.Error("unused")
	}
}

func TestWhatBreaksOutsideOfHandlersIsHeardToo(t *testing.T) {
	made := 0
	w, a := lone(t, Kind{New: func(p *Props) {
		if made++; made == 3 { // after the probe and the first instance
			panic("no constructor")
		}
		Answer(p, func(Context, *buy) (*bought, error) { return nil, errors.New("on purpose") })
	}})
	if _, err := w.call(a, &buy{1}); err == nil {
		t.Error("it was answered with a result")
	}
	steps := w.witness.lives[0].steps
	last := steps[len(steps)-1]
	if len(last.Turns) != 2 || last.Turns[1].Verdict != Broken || last.Turns[1].Text != "panic: no constructor" {
		t.Errorf("heard %+v of made %d", last.Turns, made)
	}
	w.impure = true
}

func TestWhoIsThereIsToldToALifeThatIsTakenUp(t *testing.T) {
	w, a := lone(t, Kind{New: func(p *Props) {
		online := 0
		On(p, func(Context, *Bound) error { online++; return nil })
		On(p, func(Context, *Unbound) error { online--; return nil })
		Answer(p, func(Context, *buy) (*bought, error) { return &bought{online}, nil })
	}})
	w.bind(w.client, a, 1)
	w.call(a, &buy{1})
	w.call(a, &buy{1})
}
