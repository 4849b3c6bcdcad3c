package scene

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// A Spot is a place on the whole map, in units from its upper left corner.
type Spot struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// Far is the distance between two spots.
func (s Spot) Far(o Spot) float64 { return math.Hypot(o.X-s.X, o.Y-s.Y) }

// Towards goes from s to o, but no farther than most units.
func (s Spot) Towards(o Spot, most float64) Spot {
	d := s.Far(o)
	if d <= most {
		return o
	}
	return Spot{s.X + (o.X-s.X)*most/d, s.Y + (o.Y-s.Y)*most/d}
}

// Round is the spot to a tenth of a unit: exact enough for whoever looks on, and shorter to write.
func (s Spot) Round() Spot { return Spot{math.Round(s.X*10) / 10, math.Round(s.Y*10) / 10} }

// A Grid is a map of rooms of the same size. A room's id is "column,row", from "0,0".
type Grid struct {
	Columns, Rows int
	Wide, High    float64 // of a room, in units
}

// Has reports whether the spot is on the map.
func (g Grid) Has(s Spot) bool {
	return s.X >= 0 && s.X < float64(g.Columns)*g.Wide && s.Y >= 0 && s.Y < float64(g.Rows)*g.High
}

// Room is the id of the room that a spot of the map lies in.
func (g Grid) Room(s Spot) string {
	return strconv.Itoa(int(s.X/g.Wide)) + "," + strconv.Itoa(int(s.Y/g.High))
}

// Index is a room's number, row by row from 0; false if there is no such room.
func (g Grid) Index(room string) (int, bool) {
	column, row, _ := strings.Cut(room, ",")
	i, err1 := strconv.Atoi(column)
	j, err2 := strconv.Atoi(row)
	ok := err1 == nil && err2 == nil && 0 <= i && i < g.Columns && 0 <= j && j < g.Rows
	return j*g.Columns + i, ok && room == strconv.Itoa(i)+","+strconv.Itoa(j)
}

// Within is the spot that lies at these shares, 0 to 1, of a room's width and height.
func (g Grid) Within(room string, x, y float64) Spot {
	i, _ := g.Index(room)
	return Spot{(float64(i%g.Columns) + x) * g.Wide, (float64(i/g.Columns) + y) * g.High}.Round()
}

// Somewhere is a spot in a room, but not at its very border.
func (g Grid) Somewhere(ctx actors.Context, room string) Spot {
	return g.Within(room, 0.05+0.9*ctx.Rand().Float64(), 0.08+0.84*ctx.Rand().Float64())
}

// A Pace bounds how fast somebody may move.
type Pace struct {
	Speed float64 // units a second
	Slack float64 // units that are forgiven each time: messages do not come at even times
}

// Reach is how far somebody may have come since then, of which a second counts at most.
func (p Pace) Reach(since, now time.Time) float64 {
	return p.Slack + p.Speed*max(0, min(now.Sub(since).Seconds(), 1))
}
