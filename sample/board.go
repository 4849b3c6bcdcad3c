package main

import (
	"cmp"
	"slices"

	"github.com/fireflyrt/firefly/actors"
)

const boardMost, boardShown = 100, 10 // scores that are kept, and that are shown

var theBoard = BoardKind.Ref("meadow")

// A Standing is a line of the leaderboard.
type Standing struct {
	Who    string `json:"who"`
	Sparks int64  `json:"sparks"`
}

// A Board remembers the best.
type Board struct {
	scores *actors.Map[string, int64] // by name
}

func newBoard(p *actors.Props) {
	b := &Board{scores: actors.Rows[string, int64](p, "score")}
	actors.Handle(p, b.scored)
	actors.Answer(p, b.rank)
}

func (b *Board) scored(ctx actors.Context, m *Score) error {
	b.scores.Set(ctx.Sender().ID, m.Sparks)
	if b.scores.Len() > boardMost {
		ranked := b.ranked()
		b.scores.Delete(ranked[len(ranked)-1].Who)
	}
	return nil
}

func (b *Board) rank(actors.Context, *Rank) (*Leaders, error) {
	ranked := b.ranked()
	return &Leaders{Top: ranked[:min(boardShown, len(ranked))]}, nil
}

// ranked sorts by sparks; equals stay in the order of their names.
func (b *Board) ranked() []Standing {
	all := make([]Standing, 0, b.scores.Len())
	for who, sparks := range b.scores.All() {
		all = append(all, Standing{who, sparks})
	}
	slices.SortStableFunc(all, func(a, b Standing) int { return cmp.Compare(b.Sparks, a.Sparks) })
	return all
}
