package replay_test

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
)

// A lamp counts who comes, who goes and why, and how often it has gone out.
type (
	enterLit struct{ Name string }
	shine    struct{}
	light    struct{ Came, Went, Lost, Out int }
)

const (
	lampKind actors.KindName = "lamp"
	lampDoor actors.KindName = "lampdoor"
)

var lamps = node.App{Name: "lamps", Game: node.Module{
	Name:     "lamps",
	Messages: wire.Messages(wire.In[*enterLit](801).Public(), wire.In[*shine](802), wire.Out[*light](803)),
	Kinds: []actors.Kind{{Name: lampKind, New: newLamp, IdleAfter: 20 * time.Second},
		{Name: lampDoor, Workers: 1, New: newLampDoor}},
}}

func newLampDoor(p *actors.Props) {
	actors.Handle(p, func(ctx actors.Context, m *enterLit) error {
		ctx.Login(lampKind.Ref(m.Name))
		return nil
	})
}

func newLamp(p *actors.Props) {
	seen := actors.State[light](p, "seen")
	actors.On(p, func(actors.Context, *actors.Bound) error { seen.Edit().Came++; return nil })
	actors.On(p, func(_ actors.Context, m *actors.Unbound) error {
		if seen.Edit().Went++; m.Code == actors.Unavailable {
			seen.Edit().Lost++
		}
		return nil
	})
	actors.On(p, func(actors.Context, *actors.Stopped) error { seen.Edit().Out++; return nil })
	actors.Answer(p, func(actors.Context, *shine) (*light, error) { l := seen.View(); return &l, nil })
}

func atLamp(w *replay.World, name string) *replay.Client {
	c := w.Connect()
	if _, err := c.Ask(&enterLit{name}); err != nil {
		panic(err)
	}
	return c
}

// TestAGatesDeathEndsItsSessionsEverywhere: nobody sends anything to them, and their entity may go to sleep.
func TestAGatesDeathEndsItsSessionsEverywhere(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, lamps)
	ann := atLamp(w, "ann")
	for range 5 {
		w.Advance(15 * time.Second)
		ann.Send(&shine{}) // a silent client is taken for dead
	}
	w.Advance(time.Second)
	if l := replay.Peek[light](w, lampKind.Ref("ann"), "seen"); l != (light{Came: 1}) {
		t.Fatalf("while its client is there the lamp has seen %+v", l)
	}
	w.Crash("gate-1")
	w.Advance(time.Second)
	if l := replay.Peek[light](w, lampKind.Ref("ann"), "seen"); l != (light{Came: 1, Went: 1, Lost: 1}) {
		t.Fatalf("after the gate's death the lamp has seen %+v", l)
	}
	w.Advance(time.Minute)
	if l := replay.Call[*light](atLamp(w, "ann"), &shine{}); *l != (light{Came: 2, Went: 1, Lost: 1, Out: 1}) {
		t.Errorf("a minute later the lamp has seen %+v", *l)
	}
}

// TestAGateThatWasForgottenSaysAgainWhoIsThere: the registry had not heard of it for more than a minute, but its
// sessions go on.
func TestAGateThatWasForgottenSaysAgainWhoIsThere(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, lamps)
	ann := atLamp(w, "ann")
	w.Partition("gate-1", replay.Registry)
	for range 8 {
		w.Advance(10 * time.Second)
		ann.Send(&shine{}) // it is not silent
	}
	if l := replay.Peek[light](w, lampKind.Ref("ann"), "seen"); l != (light{Came: 1, Went: 1, Lost: 1}) {
		t.Errorf("without the gate the lamp has seen %+v", l)
	}
	w.Heal()
	w.Advance(5 * time.Second)
	if l := replay.Call[*light](ann, &shine{}); *l != (light{Came: 2, Went: 1, Lost: 1}) {
		t.Errorf("after its return the lamp has seen %+v", *l)
	}
}
