package main

import (
	"strings"

	"github.com/fireflyrt/firefly/modules/scene"
)

const (
	stroll = 8.0 // units that a wild firefly flies in a tick
	faint  = 3   // the light of wild ones is less
)

// The meadow that everybody flies over, how fast they may, and the wild ones, whom no player can be called: their
// names have a space in them.
var (
	meadow = scene.Grid{Columns: 3, Rows: 3, Wide: 1600, High: 1000}
	pace   = scene.Pace{Speed: 520, Slack: 40}
	wild   = strings.Split("Old Wick,Aunt Glimmer,Little Dot,Tall Tom,Miss Lumen,Uncle Amber,Sleepy Jo,"+
		"Quick Flint,Dame Tansy,Young Thistle,Mister Moss,Sister Fern,Captain Reed,Shy Clover,Lady Sorrel,"+
		"Granny Gleam,Brother Burr,Merry May,Silent Sedge,Doctor Dusk,Baby Blink,Cousin Cress,Sir Bramble,"+
		"Lord Lantern,Wee Willow,Madam Moth,Johnny Jar", ",")
)

// A Body is what others see of a firefly.
type Body struct {
	Who string `json:"who"`
	scene.Spot
	Light int `json:"light"`
}

// reach is from how far it gathers sparks, in units.
func (b Body) reach() float64 { return 44 + 9*float64(b.Light) }
