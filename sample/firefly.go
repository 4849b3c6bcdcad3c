package main

import (
	"strings"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/modules/scene"
)

// The meadow that everybody flies over, and how fast they may.
var (
	meadow = scene.Grid{Columns: 3, Rows: 3, Wide: 1600, High: 1000}
	pace   = scene.Pace{Speed: 520, Slack: 40}
)

// A Body is what others see of a firefly.
type Body struct {
	Who string `json:"who"`
	scene.Spot
	Light int `json:"light"`
}

// reach is from how far it gathers sparks, in units.
func (b Body) reach() float64 { return 44 + 9*float64(b.Light) }

const (
	wilds  = 3   // wild fireflies in a room
	stroll = 8.0 // units that they fly in a tick
)

// wildNames have a space in them, so that no player can be called so.
var wildNames = strings.Split("Old Wick,Aunt Glimmer,Little Dot,Tall Tom,Miss Lumen,Uncle Amber,Sleepy Jo,"+
	"Quick Flint,Dame Tansy,Young Thistle,Mister Moss,Sister Fern,Captain Reed,Shy Clover,Lady Sorrel,"+
	"Granny Gleam,Brother Burr,Merry May,Silent Sedge,Doctor Dusk,Baby Blink,Cousin Cress,Sir Bramble,"+
	"Lord Lantern,Wee Willow,Madam Moth,Johnny Jar", ",")

// A Wild firefly has no player: its room flies it, for the sake of lone visitors.
type Wild struct {
	Body
	Goal scene.Spot
}

// hatch makes the wild ones. After a crash they are elsewhere than before, and nobody minds.
func (r *Room) hatch(ctx actors.Context, _ *actors.Started) error {
	room, _ := meadow.Index(ctx.Self().ID)
	for _, who := range wildNames[room*wilds : (room+1)*wilds] {
		at := somewhere(ctx, ctx.Self().ID)
		r.wild.Set(who, Wild{Body{who, at, ctx.Rand().IntN(3)}, at})
	}
	return nil
}

// wandered is a wild one after a tick: where it arrives, it thinks of somewhere else.
func (w Wild) wandered(ctx actors.Context) Wild {
	if w.Spot == w.Goal {
		w.Goal = somewhere(ctx, ctx.Self().ID)
	}
	w.Spot = w.Towards(w.Goal, stroll)
	return w
}

// somewhere is a spot in a room, not at its very border.
func somewhere(ctx actors.Context, room string) scene.Spot {
	return meadow.Within(room, 0.05+0.9*ctx.Rand().Float64(), 0.08+0.84*ctx.Rand().Float64())
}
