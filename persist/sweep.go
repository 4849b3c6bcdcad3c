package persist

import (
	"context"
	"slices"
	"time"
)

// sweepRows bounds how many rows of a kind one round of a sweep finds.
const sweepRows = 1000

// sweepAgain is how long a row that stays due is left alone before it is found again.
const sweepAgain = 10 * time.Second

// A sweep goes through the rows of a kind that are due, oldest first, one round after the other:
// each goes on behind the last row of the one before, and so finds what has become due since. Every
// ten seconds it begins anew, for rows that were found and are due still, and for those that were
// written with a time that it had passed. So it remembers one row, however many are due; and rows
// that stay due for ever take nobody's place.
type sweep struct {
	search Search
	role   string    // where the kind lives
	began  time.Time // zero: it is about to
	atEnd  bool      // there was nothing behind the last row
	failed bool      // the last round could not be had, and the log says why
}

// next finds the next rows in some shards. When there is a shard that the round before did not
// ask for, it begins anew: what is due there may lie behind.
func (s *sweep) next(ctx context.Context, db Database, shards []int, now time.Time) ([]Due, error) {
	gained := slices.ContainsFunc(shards, func(n int) bool {
		return !slices.Contains(s.search.Shards, n)
	})
	s.search.Shards = shards
	if len(shards) == 0 {
		return nil, nil
	}
	if gained || s.atEnd && now.Sub(s.began) >= sweepAgain {
		s.search.After, s.began = Due{}, time.Time{}
	}
	s.search.Until, s.search.Limit = now.UnixMilli(), sweepRows
	found, err := db.Due(ctx, s.search)
	if s.failed = err != nil; s.failed {
		return nil, err
	}
	if s.began.IsZero() {
		s.began = now
	}
	s.atEnd = len(found) < sweepRows
	if len(found) > 0 {
		s.search.After = found[len(found)-1]
	}
	return found, nil
}
