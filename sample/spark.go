package main

import (
	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/modules/scene"
	"github.com/fireflyrt/firefly/modules/wallet"
)

const sparksMost = 18 // in a room

// A Spark lies in a room until somebody flies by.
type Spark struct {
	scene.Spot
	Worth int64 `json:"worth"`
}

// grow lets a spark appear, the sooner the fewer there are.
func (r *Room) grow(ctx actors.Context) {
	n, luck := r.sparks.Len(), ctx.Rand()
	if n >= sparksMost || luck.IntN(3+2*n) > 0 {
		return
	}
	s := Spark{meadow.Somewhere(ctx, ctx.Self().ID), 1}
	if luck.IntN(10) == 0 {
		s.Worth = 5
	}
	id := luck.Uint32()
	r.sparks.Set(id, s)
	r.audience.Send(ctx, &Sparked{id, s})
}

// gather gives the sparks within reach of a firefly to its player.
func (r *Room) gather(ctx actors.Context, b Body) {
	for id, s := range r.sparks.All() {
		if b.Far(s.Spot) <= b.reach() {
			r.sparks.Delete(id)
			ctx.Send(PlayerKind.Ref(b.Who), &wallet.Earn{Currency: Sparks, Amount: s.Worth, Why: "gathered"})
			r.audience.Send(ctx, &Collected{id, b.Who})
		}
	}
}
