package persist

import (
	"errors"
	"slices"
)

// contendedTries is how often a statement that loses against others is sent at once.
const contendedTries = 5

// A sender sends the statements that writers have put together.
type sender struct {
	health   *health
	counters *counters
}

// send sends one statement for all of ps, and tells what became of each; what it wrote of p counts as size(p) rows. If
// the store refuses what they say, the halves are sent by themselves, and so on, until the culprit stands alone.
func send[P any, O interface{ isWritten() bool }](s sender, ps []P, size func(P) int, run func([]P) ([]O, error),
	tell func([]P, []O, error),
) {
	rows := 0
	for _, p := range ps {
		rows += size(p)
	}
	s.counters.sent.Add(int64(rows))
	outcomes, err := attempt(s.counters, ps, run)
	s.counters.sent.Add(-int64(rows))
	if s.health.told(err); slices.ContainsFunc(outcomes, O.isWritten) {
		s.health.wrote()
	}
	if errors.Is(err, ErrRejected) && len(ps) > 1 {
		send(s, ps[:len(ps)/2], size, run, tell)
		send(s, ps[len(ps)/2:], size, run, tell)
		return
	}
	if errors.Is(err, ErrUnclear) {
		s.counters.unclear.Add(1)
	}
	if err != nil {
		outcomes = make([]O, len(ps))
	}
	for i, p := range ps {
		switch {
		case err != nil:
		case outcomes[i].isWritten():
			s.counters.written.Add(uint64(size(p)))
		default:
			s.counters.fenced.Add(1)
		}
	}
	tell(ps, outcomes, err)
}

// attempt sends a statement again, as a whole, while it loses against others.
func attempt[P, O any](c *counters, ps []P, run func([]P) ([]O, error)) (outcomes []O, err error) {
	for try := range contendedTries {
		if try > 0 {
			c.retries.Add(1)
		}
		c.statements.Add(1)
		if outcomes, err = run(ps); !errors.Is(err, ErrContended) {
			return outcomes, err
		}
	}
	return nil, err
}
