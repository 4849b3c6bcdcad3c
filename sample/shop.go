package main

import (
	"errors"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/hotreload"
)

// A Price is a line of the shop.
type Price struct {
	Item   string `csv:"item" json:"item"`
	Name   string `csv:"name" json:"name"`
	Light  int    `csv:"light" json:"light"`
	Sparks int64  `csv:"sparks" json:"sparks"`
}

// Prices change while people play: save tables/prices.csv.
var Prices = hotreload.CSV("prices.csv", func(p Price) string { return p.Item }).Check(fair)

func fair(p Price) error {
	if p.Light < 1 || p.Light > 9 || p.Sparks < 1 {
		return errors.New("light is 1 to 9, and nothing is free")
	}
	return nil
}

func (y *Player) browse(ctx actors.Context, _ *Browse) (*Wares, error) {
	m := &Wares{}
	for _, price := range Prices.All(ctx) {
		m.Wares = append(m.Wares, price)
	}
	return m, nil
}

// buy either takes the sparks and gives the light, durably, or does nothing.
func (y *Player) buy(ctx actors.Context, m *Buy) (*Bought, error) {
	price, ok := Prices.Get(ctx, m.Item)
	if !ok {
		return nil, NotSold.Refuse("nobody sells %.32q here", m.Item)
	}
	if price.Light <= y.glow.View().Light {
		return nil, AlreadyLit.Refuse("your light is brighter than %s", price.Name)
	}
	if err := y.wallet.Take(ctx, Sparks, price.Sparks, "shop"); err != nil {
		return nil, err
	}
	y.glow.Edit().Light = price.Light
	y.visitor.Show(ctx)
	ctx.Commit()
	return &Bought{m.Item, price.Light}, nil
}
