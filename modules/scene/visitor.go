package scene

import "github.com/fireflyrt/firefly/actors"

// A Visitor is the module in a player's entity.
type Visitor struct {
	room  actors.KindName
	place *actors.Cell[Place]
	look  func() int
}

// MountVisitor lets a player move through rooms of a kind; look is asked for what others shall see of it, a number
// that the game gives a meaning to. Its cell is "place". Begin must have been called before the first client is bound.
func MountVisitor(p *actors.Props, room actors.KindName, look func() int) *Visitor {
	v := &Visitor{room: room, place: actors.State[Place](p, "place"), look: look}
	actors.On(p, v.bound)
	actors.Handle(p, v.located)
	actors.Handle(p, v.moved)
	return v
}

// Begin says where the player is when it is created.
func (v *Visitor) Begin(at Place) { *v.place.Edit() = at }

// Room is the room that the player is in.
func (v *Visitor) Room() actors.Ref { return v.room.Ref(v.place.View().Room) }

// Show tells the room how the player looks now.
func (v *Visitor) Show(ctx actors.Context) {
	ctx.Send(v.Room(), &Arrive{Spot: v.place.View().Spot, Look: v.look()})
}

// bound is a client that logged in: from now on its moves go straight to the room.
func (v *Visitor) bound(ctx actors.Context, _ *actors.Bound) error {
	ctx.Bind(v.Room())
	return nil
}

// located answers a room that has our client. When the client was faster than the news that we have crossed a border,
// the room is not the one we know of; then the answer follows the news, in moved.
func (v *Visitor) located(ctx actors.Context, _ *Locate) error {
	if ctx.Sender() == v.Room() {
		v.Show(ctx)
	}
	return nil
}

// moved is a room telling where we are: now and then, when we leave, and when we crossed its border.
func (v *Visitor) moved(ctx actors.Context, m *Place) error {
	was := v.place.View()
	if *m == was {
		return nil
	}
	*v.place.Edit() = *m
	if m.Room != was.Room {
		v.Show(ctx)
	}
	return nil
}
