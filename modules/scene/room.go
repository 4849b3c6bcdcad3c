package scene

import (
	"iter"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// A Room is the module in a room's entity.
type Room struct {
	player actors.KindName
	grid   Grid
	pace   Pace
	visits *actors.Map[string, Visit] // by the player's id
}

// A Visit is somebody in the room. It is not stored: after a crash the clients are bound again, and the players say
// again where they are.
type Visit struct {
	Spot
	Look    int
	Session actors.Ref // whose client moves it
	At      time.Time  // when it last moved
	Told    Spot       // where its player thinks it is
	Placed  bool       // its player has said where it is
}

// MountRoom lets players of a kind visit this entity, whose id is the room's. Its cell is "visit", which travels.
func MountRoom(p *actors.Props, player actors.KindName, g Grid, pace Pace) *Room {
	r := &Room{player: player, grid: g, pace: pace, visits: actors.CarryRows[string, Visit](p, "visit")}
	actors.On(p, r.bound)
	actors.On(p, r.unbound)
	actors.Handle(p, r.arrive)
	return r
}

// All runs over who is here, by id.
func (r *Room) All() iter.Seq2[string, Visit] {
	return func(yield func(string, Visit) bool) {
		for who, v := range r.visits.All() {
			if v.Placed && !yield(who, v) {
				return
			}
		}
	}
}

// Get finds one who is here.
func (r *Room) Get(who string) (Visit, bool) {
	v := r.visits.At(who)
	return v, v.Placed
}

// Move moves the sender of this turn's message towards a spot, as far as its pace allows, and over the border if need
// be: then its client is bound to the room beyond. The result is where it is now; its Room is empty while the sender
// is on its way from one room to the next.
func (r *Room) Move(ctx actors.Context, to Spot) (Place, error) {
	if !r.grid.Has(to) {
		return Place{}, OffTheMap.Refuse("%g, %g is not on the map", to.X, to.Y)
	}
	who := ctx.Sender().ID
	v, ok := r.Get(who)
	if !ok {
		return Place{}, nil
	}
	v.Spot = v.Towards(to, r.pace.Reach(v.At, ctx.Now())).Round()
	v.At = ctx.Now()
	at := Place{r.grid.Room(v.Spot), v.Spot}
	if at.Room == ctx.Self().ID {
		r.visits.Set(who, v)
		return at, nil
	}
	r.leave(ctx, who, at)
	ctx.Bind(actors.Ref{Kind: ctx.Self().Kind, ID: at.Room})
	return at, nil
}

// Tell lets every player know where it is; call it about once a second.
func (r *Room) Tell(ctx actors.Context) {
	for who, v := range r.All() {
		if v.Told != v.Spot {
			ctx.Send(r.player.Ref(who), &Place{ctx.Self().ID, v.Spot})
			v.Told = v.Spot
			r.visits.Set(who, v)
		}
	}
}

// bound is a client that came to this room; its player says where in the room it is.
func (r *Room) bound(ctx actors.Context, e *actors.Bound) error {
	v := r.visits.At(e.Who.ID)
	v.Session = e.Session
	r.visits.Set(e.Who.ID, v)
	ctx.Send(e.Who, &Locate{})
	return nil
}

func (r *Room) arrive(ctx actors.Context, m *Arrive) error {
	who := ctx.Sender().ID
	if !r.visits.Has(who) {
		return nil // its client has left, or comes later, and then we ask
	}
	v := r.visits.At(who)
	if !v.Placed {
		v.Placed, v.Spot, v.Told, v.At = true, m.Spot, m.Spot, ctx.Now()
	}
	v.Look = m.Look
	r.visits.Set(who, v)
	ctx.Emit(&Came{who})
	return nil
}

// unbound is a client that has gone; a player that came back on another session stays.
func (r *Room) unbound(ctx actors.Context, e *actors.Unbound) error {
	if v := r.visits.At(e.Who.ID); v.Session == e.Session {
		r.leave(ctx, e.Who.ID, Place{ctx.Self().ID, v.Spot})
	}
	return nil
}

func (r *Room) leave(ctx actors.Context, who string, to Place) {
	_, here := r.Get(who)
	r.visits.Delete(who)
	if here {
		ctx.Send(r.player.Ref(who), &to)
		ctx.Emit(&Went{who})
	}
}
