package main

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
)

// This file is a game that does on purpose what a game must not, and that has a role of its own. This test binary is
// its program: see TestMain.

const (
	rudeDoor actors.KindName = "door"
	imp      actors.KindName = "imp"  // a client's, in the role game
	ring     actors.KindName = "ring" // in the role battle
	tooMuch                  = 600 << 10
)

var rudeNumbers = wire.Messages(
	wire.In[*knock](200).Public(),
	wire.Out[*welcome](201),
	wire.In[*fail](210),
	wire.In[*stumble](211),
	wire.In[*keepQuiet](212),
	wire.In[*dawdle](213).Within(300*time.Millisecond),
	wire.In[*boast](214),
	wire.Out[*boasted](215),
	wire.In[*strike](220),
	wire.Out[*struck](221),
	wire.Internal[*blow](222),
)

type (
	knock     struct{ Name string }
	welcome   struct{ Name string }
	fail      struct{}
	stumble   struct{}
	keepQuiet struct{}
	dawdle    struct{}
	boast     struct{}
	boasted   struct{ Text string }
	strike    struct{ Ring string }
	struck    struct{ Blows int }
	blow      struct{}
)

var rude = node.App{Name: "rude", Game: node.Module{Name: "rude", Messages: rudeNumbers, Kinds: []actors.Kind{
	{Name: rudeDoor, New: newRudeDoor, Workers: 2},
	{Name: imp, New: newImp},
	{Name: ring, Role: "battle", New: newRing},
}}}

func newRudeDoor(p *actors.Props) {
	actors.Answer(p, func(ctx actors.Context, m *knock) (*welcome, error) {
		ctx.Login(imp.Ref(m.Name))
		return &welcome{m.Name}, nil
	})
}

func newImp(p *actors.Props) {
	actors.Handle(p, func(actors.Context, *fail) error { return errors.New("a secret of the server") })
	actors.Handle(p, func(actors.Context, *stumble) error {
		panic("a secret of the server")
	})
	actors.Answer(p, func(actors.Context, *keepQuiet) (*welcome, error) { return nil, nil })
	actors.Answer(p, func(ctx actors.Context, _ *dawdle) (*welcome, error) {
		longer := actors.Work(func() (int, error) {
			time.Sleep(time.Second) // a game that blocks
			return 0, nil
		}).Within(5 * time.Second).Meanwhile()
		return actors.Reply(ctx, longer, func(actors.Context, int, error) (*welcome, error) { return &welcome{}, nil })
	})
	actors.Answer(p, func(actors.Context, *boast) (*boasted, error) {
		return &boasted{strings.Repeat("I", tooMuch)}, nil
	})
	actors.Answer(p, func(ctx actors.Context, m *strike) (*struck, error) {
		at := ring.Ref(cmp.Or(m.Ring, "middle"))
		return actors.Reply(ctx, actors.Ask[*struck](at, &blow{}),
			func(_ actors.Context, s *struck, err error) (*struck, error) { return s, err })
	})
}

func newRing(p *actors.Props) {
	blows := actors.State[int](p, "blow")
	actors.Answer(p, func(ctx actors.Context, _ *blow) (*struck, error) {
		*blows.Edit()++
		ctx.Commit()
		return &struck{blows.View()}, nil
	})
}
