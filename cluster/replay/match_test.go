package replay_test

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
)

// A match is the smallest game at 30 Hz: two runners in an arena, which lets them run for a while when they are told
// to.
type (
	join   struct{ Name string }
	joined struct{}
	run    struct{ For int } // ticks
	ran    struct {
		Who string
		At  int
	}
	beat  struct{}
	clock struct{ Beats int }
	body  struct{ At, Left int }
)

const (
	frame = time.Second / 30

	benchKind actors.KindName = "bench"
	arenaKind actors.KindName = "arena"
)

var match = node.App{Name: "match", Game: node.Module{
	Name: "match",
	Messages: wire.Messages(wire.In[*join](301).Public(), wire.Out[*joined](302), wire.In[*run](303),
		wire.Out[*ran](304), wire.Internal[*beat](305)),
	Kinds: []actors.Kind{{Name: benchKind, Workers: 1, New: newBench}, {Name: arenaKind, New: newArena}},
}}

func newBench(p *actors.Props) {
	actors.Answer(p, func(ctx actors.Context, m *join) (*joined, error) {
		ctx.Login(actors.KindName("runner").Ref(m.Name))
		ctx.Bind(arenaKind.Ref("a"))
		return &joined{}, nil
	})
}

func newArena(p *actors.Props) {
	there := actors.Audience(p)
	bodies := actors.CarryRows[string, body](p, "bodies")
	time := actors.Carry[clock](p, "clock")
	actors.On(p, func(ctx actors.Context, _ *actors.Bound) error {
		if there.Len() == 1 {
			ctx.Every(frame, &beat{})
		}
		return nil
	})
	actors.Handle(p, func(ctx actors.Context, m *run) error {
		b := bodies.At(ctx.Sender().ID)
		b.Left = m.For
		bodies.Set(ctx.Sender().ID, b)
		return nil
	})
	actors.Handle(p, func(ctx actors.Context, _ *beat) error {
		time.Edit().Beats++
		for who, b := range bodies.All() {
			if b.Left > 0 {
				b = body{b.At + 1, b.Left - 1}
				bodies.Set(who, b)
				there.Send(ctx, &ran{who, b.At})
			}
		}
		return nil
	})
}

// play plays a match and returns how many beats the arena counted, and how far each runner came.
func play(t replay.TB, lasts time.Duration) (beats int, bodies map[string]body) {
	t.Helper()
	w := replay.NewWorld(t, match)
	var runners []*replay.Client
	for _, name := range []string{"ann", "bob"} {
		c := w.Connect()
		replay.Call[*joined](c, &join{name})
		runners = append(runners, c)
	}
	for began := w.Now(); w.Now().Sub(began) < lasts; w.Advance(5 * time.Second) {
		for i, c := range runners {
			c.Send(&run{30 * (i + 1)})
			c.Forget()
		}
	}
	return replay.Peek[clock](w, arenaKind.Ref("a"), "clock").Beats,
		replay.Peek[map[string]body](w, arenaKind.Ref("a"), "bodies")
}

func TestAMatchOfTenMinutesAt30HzIsPlayedToItsEnd(t *testing.T) {
	t.Parallel()
	beats, bodies := play(t, 10*time.Minute)
	if beats != 18_000 || bodies["ann"].At != 120*30 || bodies["bob"].At != 120*60 {
		t.Errorf("%d beats, %+v", beats, bodies)
	}
}

// A match of ten minutes takes well under a second: that is the budget.
func BenchmarkAMatchOfTenMinutes(b *testing.B) {
	for b.Loop() {
		play(b, 10*time.Minute)
	}
}
