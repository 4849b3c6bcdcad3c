// Package scene is a gameplay module: a map of rooms side by side, each of them an actor, and visitors who move on it
// from room to room. A player's entity mounts a Visitor, a room's entity a Room; what else happens in a room, and who
// hears of it, is the game's.
//
// It promises that a visitor's client speaks to the room that its visitor is in, that nobody moves faster than the
// pace, that strange numbers (NaN, infinities, negative ones) are nowhere on a map, and that the player knows where it
// was, to a second, after whatever crash.
package scene

import (
	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// OffTheMap refuses a move to where there is no room.
const OffTheMap actors.Code = "SCENE_OFF_THE_MAP"

// Messages has the numbers 1600 to 1699.
var Messages = wire.Messages(
	wire.Internal[*Locate](1601),
	wire.Internal[*Arrive](1602),
	wire.Internal[*Place](1603),
)

// Locate is a room asking a player: your client is bound to me; are you here?
type Locate struct{}

// Arrive is a player telling its room: I am here, and look like this.
type Arrive struct {
	Spot
	Look int `json:"look"`
}

// A Place is a room telling a player: this is where you are. It is also what the player keeps.
type Place struct {
	Room string `json:"room"` // empty: on the way from one to the next
	Spot
}

// Came is emitted in a room when a visitor has arrived, or looks different now.
type Came struct{ Who string }

// Went is emitted in a room when a visitor has gone.
type Went struct{ Who string }
