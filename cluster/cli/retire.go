package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

// drainEvery is how often a node that drains is asked how far it is.
const drainEvery = 100 * time.Millisecond

// errAlone means that nobody could take a node's shards over.
var errAlone = errors.New("nobody could take its shards over")

// stopEach stops processes one after another, and lets each hand its shards over first if drain says so: all of them
// are marked before the first is stopped, so that no shard goes to one that goes too. The error names those that did
// not do what they should; when a drain or a stop has taken longer than timeout, the next step is taken all the same.
func stopEach(ctx, rush context.Context, all []node.Running, drain bool, timeout time.Duration,
	tell func(Event)) error {
	var errs []error
	if drain {
		for _, r := range all {
			if _, err := askToDrain(ctx, r); err != nil && r.Alive() {
				errs = append(errs, err)
			}
		}
	}
	for _, r := range all {
		if drain {
			errs = append(errs, awaitDrained(ctx, r, timeout, tell))
		}
		if hung := stopRank(rush, []node.Running{r}, timeout, tell); len(hung) > 0 {
			errs = append(errs, fmt.Errorf("cli: had to kill %s", r.Name))
		}
	}
	return errors.Join(errs...)
}

func askToDrain(ctx context.Context, r node.Running) (node.Drained, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	return r.Drain(ctx)
}

// awaitDrained waits until a node has no shards any more and nobody sends anything to it, and tells whenever there are
// fewer.
func awaitDrained(ctx context.Context, r node.Running, timeout time.Duration, tell func(Event)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	rest := "it did not answer"
	for last := -1; ; {
		now, err := askToDrain(ctx, r)
		switch {
		case !r.Alive():
			return fmt.Errorf("cli: %s ended before it was drained", r.Name)
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("cli: draining %s: %w", r.Name, err)
		case err == nil && now.Shards != last:
			last = now.Shards
			tell(Event{At: time.Now(), What: "drain", Node: r.Name, PID: r.PID, Shards: &now.Shards,
				Text: fmt.Sprintf("drains, %d shards left", now.Shards)})
		}
		if err == nil && now.Done {
			return nil
		}
		if err == nil {
			rest = cmp.Or(now.Rest, fmt.Sprintf("it had %d shards", now.Shards))
		}
		if sleep(ctx, drainEvery) != nil {
			return fmt.Errorf("cli: %s was not drained after %s: %s", r.Name, timeout, rest)
		}
	}
}

// newcomersWithin is how long a node may take to hear of another that runs already.
const newcomersWithin = time.Second

// mayDrain returns an error if a node owns shards and is the only one that could, also when it has heard the latest.
// Those that leave do not count: who drains already, and others that are about to.
func mayDrain(ctx context.Context, r node.Running, others []string) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	for until := time.Now().Add(newcomersWithin); ; {
		err := isAlone(ctx, r, others)
		if !errors.Is(err, errAlone) || time.Now().After(until) || sleep(ctx, drainEvery) != nil {
			return err
		}
	}
}

// isAlone returns an error if a node owns shards and sees no other that could, and stays.
func isAlone(ctx context.Context, r node.Running, leaving []string) error {
	members, err := r.Members(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(members, func(m node.Membership) bool { return m.Incarnation == r.Incarnation })
	if i < 0 || members[i].Shards == 0 {
		return nil
	}
	for _, role := range r.Roles {
		if slices.Contains([]string{node.RoleGate, node.RoleAdmin, node.RoleRegistry}, role) {
			continue
		}
		if !slices.ContainsFunc(members, func(m node.Membership) bool {
			stays := !m.Draining && !slices.Contains(leaving, m.Name)
			return m.Incarnation != r.Incarnation && slices.Contains(m.Roles, role) && stays
		}) {
			return fmt.Errorf("cli: %s is the only node with the role %s that stays: %w; "+
				"stop it, or start another first", r.Name, role, errAlone)
		}
	}
	return nil
}
