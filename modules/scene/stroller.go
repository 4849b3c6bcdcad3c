package scene

import (
	"iter"

	"github.com/fireflyrt/firefly/actors"
)

// Strollers are those in a room whom nobody plays: they wander, so that a lone visitor sees life.
type Strollers struct {
	grid  Grid
	names []string
	looks int
	all   *actors.Map[string, Stroller]
}

// A Stroller walks to its goal and then thinks of another one.
type Stroller struct {
	Spot
	Look int
	Goal Spot
}

// MountStrollers lets some live in this room, whose id is the room's: names are shared out among all rooms of the
// grid, looks are from 0 to less than looks. Their cell is "stroller", which travels; after a crash they are elsewhere.
func MountStrollers(p *actors.Props, g Grid, names []string, looks int) *Strollers {
	s := &Strollers{grid: g, names: names, looks: looks, all: actors.CarryRows[string, Stroller](p, "stroller")}
	actors.On(p, s.started)
	return s
}

// All runs over them by name.
func (s *Strollers) All() iter.Seq2[string, Stroller] { return s.all.All() }

// Stroll lets each of them go so many units.
func (s *Strollers) Stroll(ctx actors.Context, units float64) {
	for name, w := range s.all.All() {
		if w.Spot == w.Goal {
			w.Goal = s.grid.Somewhere(ctx, ctx.Self().ID)
		}
		w.Spot = w.Towards(w.Goal, units)
		s.all.Set(name, w)
	}
}

func (s *Strollers) started(ctx actors.Context, _ *actors.Started) error {
	room, ok := s.grid.Index(ctx.Self().ID)
	if !ok {
		return nil
	}
	here := len(s.names) / (s.grid.Columns * s.grid.Rows)
	for _, name := range s.names[room*here : (room+1)*here] {
		at := s.grid.Somewhere(ctx, ctx.Self().ID)
		s.all.Set(name, Stroller{Spot: at, Goal: at, Look: ctx.Rand().IntN(s.looks)})
	}
	return nil
}
