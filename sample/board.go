package main

import (
	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

const boardShown = 10 // lines

// A Standing is a line of the leaderboard, and a row of the SQL table that it is.
type Standing struct {
	Who    string `json:"who" db:"who,key"`
	Sparks int64  `json:"sparks" db:"sparks"`
}

var scores = persist.NewTable[Standing]("score")

// best are the first lines; equals stand in the order of their names.
var best = persist.Query{Order: []persist.Order{persist.Falling("sparks"), persist.Rising("who")}, Limit: boardShown}

// scored writes down what the player has gathered. Nobody waits for it: if the store does not take it now, the next
// spark brings it along.
func (y *Player) scored(ctx actors.Context, _ *scored) error {
	mine := Standing{ctx.Self().ID, y.glow.View().Gathered}
	actors.Then(ctx, scores.Put(mine).Meanwhile(), func(ctx actors.Context, _ Standing, err error) error {
		if err != nil {
			ctx.Log().Warn("score not written", "sparks", mine.Sparks, "error", err)
		}
		return nil
	})
	return nil
}

// top shows the leaderboard to the client.
func (y *Player) top(ctx actors.Context, _ *Top) (*Leaders, error) {
	return actors.Reply(ctx, scores.Find(best), func(ctx actors.Context, top []Standing, err error) (*Leaders, error) {
		if err != nil {
			return nil, err
		}
		return &Leaders{Top: top, You: Standing{ctx.Self().ID, y.glow.View().Gathered}}, nil
	})
}
