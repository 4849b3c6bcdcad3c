package main

import (
	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// What a gift can be refused with.
const (
	Unheard actors.Code = "GIFT_UNHEARD" // nobody of that name has ever been here
	ToSelf  actors.Code = "GIFT_TO_SELF"
)

var giftMessages = wire.Messages(
	wire.In[*Give](5301).Retry(),
	wire.Out[*Given](5302),
	wire.Out[*Received](5303),
	wire.Internal[*Gift](5304).Durable(),
)

type (
	// Give is a player's wish to give sparks away.
	Give struct {
		To     string `json:"to"`
		Sparks int64  `json:"sparks"`
	}
	// Given says that the sparks have left, for good or until nobody takes them.
	Given struct {
		To     string `json:"to"`
		Sparks int64  `json:"sparks"`
	}
	// Received tells a player of a gift, or that one of its own came back.
	Received struct {
		From   string `json:"from"`
		Sparks int64  `json:"sparks"`
		Back   bool   `json:"back,omitempty"`
	}
	// Gift is on its way from player to player. It is stored with the debit, and arrives once whatever dies.
	Gift struct{ Sparks int64 }
)

// give takes the sparks and sends them, in one turn that is durable before anybody hears of it.
func (y *Player) give(ctx actors.Context, m *Give) (*Given, error) {
	to := PlayerKind.Ref(m.To)
	if to == ctx.Self() {
		return nil, ToSelf.Refuse("they are yours already")
	}
	if err := y.wallet.Take(ctx, Sparks, m.Sparks, "gift"); err != nil {
		return nil, err
	}
	ctx.Send(to, &Gift{m.Sparks})
	ctx.Commit()
	return &Given{m.To, m.Sparks}, nil
}

// given takes a gift, unless this player was made up by the sender.
func (y *Player) given(ctx actors.Context, m *Gift) error {
	if !y.account.Claimed() {
		return Unheard.Refuse("nobody knows %s", ctx.Self().ID)
	}
	ctx.Push(&Received{From: ctx.Sender().ID, Sparks: m.Sparks})
	return y.wallet.Earn(ctx, Sparks, m.Sparks, "gift")
}

// back earns again what was refused.
func (y *Player) back(ctx actors.Context, u *actors.Undelivered) error {
	m, ok := u.Msg.(*Gift)
	if !ok {
		return nil
	}
	ctx.Push(&Received{From: u.To.ID, Sparks: m.Sparks, Back: true})
	return y.wallet.Earn(ctx, Sparks, m.Sparks, "gift came back")
}
