package main

import (
	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/modules/account"
	"github.com/fireflyrt/firefly/modules/chat"
	"github.com/fireflyrt/firefly/modules/scene"
	"github.com/fireflyrt/firefly/modules/wallet"
)

// Sparks is the meadow's currency.
const Sparks = "spark"

// A Player is a firefly for life: what it has, what it has become, and where it was. The room flies it.
type Player struct {
	account *account.Account
	wallet  *wallet.Wallet
	visitor *scene.Visitor
	glow    *actors.Cell[Glow]
}

// Glow is what a player has become.
type Glow struct {
	Light    int   `json:"light"`
	Gathered int64 `json:"gathered" firefly:"index"` // sparks, ever; operators find players by it
}

func newPlayer(p *actors.Props) { // the constructor is the whole wiring
	y := &Player{glow: actors.State[Glow](p, "glow")}
	y.account = account.Mount(p)
	y.wallet = wallet.Mount(p)
	y.visitor = scene.MountVisitor(p, RoomKind, func() int { return y.glow.View().Light })
	chat.MountSpeaker(p, y.visitor.Room)
	actors.On(p, y.created)
	actors.On(p, y.earned)
	actors.Answer(p, y.browse)
	actors.Answer(p, y.buy)
	actors.Handle(p, y.scored)
	actors.Answer(p, y.top)
	actors.Answer(p, y.give)
	actors.Handle(p, y.given)
	actors.On(p, y.back)
}

// created lets a new firefly hatch in the room that it wished for, or in the middle.
func (y *Player) created(ctx actors.Context, e *account.Created) error {
	room := e.Wish
	if _, ok := meadow.Index(room); !ok {
		room = "1,1"
	}
	y.visitor.Begin(scene.Place{Room: room, Spot: meadow.Somewhere(ctx, room)})
	return nil
}

// earned counts for the leaderboard what the wallet has taken in.
func (y *Player) earned(ctx actors.Context, e *wallet.Changed) error {
	if e.Currency == Sparks && e.Delta > 0 {
		y.glow.Edit().Gathered += e.Delta
		ctx.Send(ctx.Self(), &scored{}) // in a turn of its own: this one may not be one that asks
	}
	return nil
}
