package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

// The ranks in which nodes stop: first nobody new comes in, then the game stops changing things,
// then what it changed is written, and the registry goes when nobody needs it any more.
const (
	rankGate = iota
	rankGame
	rankPersist
	rankAdmin
	rankRegistry
	ranks
)

// rankOf is the last rank of any of the roles: a node that does everything stops with the registry.
func rankOf(roles []string) int {
	rank := rankGate
	for _, role := range roles {
		at := rankGame
		switch role {
		case node.RoleGate:
			at = rankGate
		case node.RolePersist:
			at = rankPersist
		case node.RoleAdmin:
			at = rankAdmin
		case node.RoleRegistry:
			at = rankRegistry
		}
		rank = max(rank, at)
	}
	return rank
}

// aliveEvery is how often a process that was asked to end is looked at.
const aliveEvery = 20 * time.Millisecond

// stopInOrder asks the processes to end, rank by rank, and waits for each: timeout for one rank,
// then those that still live are killed. When rush ends, all are killed at once. It returns the
// names of the killed. tell hears of each, one at a time.
func stopInOrder(rush context.Context, all []node.Running, timeout time.Duration,
	tell func(Event)) (hung []string) {
	for rank := range ranks {
		var now []node.Running
		for _, r := range all {
			if rankOf(r.Roles) == rank {
				now = append(now, r)
			}
		}
		hung = append(hung, stopRank(rush, now, timeout, tell)...)
	}
	return hung
}

func stopRank(rush context.Context, now []node.Running, timeout time.Duration,
	tell func(Event)) (hung []string) {
	ctx, cancel := context.WithTimeout(rush, timeout)
	defer cancel()
	var asked sync.WaitGroup
	for _, r := range now {
		asked.Add(1)
		go func() { // ends within askWithin
			defer asked.Done()
			askToStop(ctx, r)
		}()
	}
	asked.Wait()
	for slices.ContainsFunc(now, node.Running.Alive) && sleep(ctx, aliveEvery) == nil {
	}
	for _, r := range now {
		if !r.Alive() {
			continue
		}
		hung = append(hung, r.Name)
		e := Event{At: time.Now(), What: "hung", Node: r.Name, PID: r.PID,
			Text: fmt.Sprintf("did not stop within %s: killed", timeout)}
		if rush.Err() != nil {
			e.Text = "killed"
		}
		tell(e)
		r.Signal(syscall.SIGKILL) //nolint:errcheck // it may have ended just now
	}
	for slices.ContainsFunc(now, node.Running.Alive) { // the kernel ends them
		time.Sleep(aliveEvery)
	}
	return hung
}

// hungError names those that had to be killed, if there are any.
func hungError(hung []string) error {
	if len(hung) == 0 {
		return nil
	}
	return fmt.Errorf("cli: had to kill %s", strings.Join(hung, ", "))
}

// askToStop asks over the control socket, or with a signal if nobody answers there.
func askToStop(ctx context.Context, r node.Running) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	if r.Socket == "" || r.Stop(ctx) != nil {
		r.Signal(syscall.SIGTERM) //nolint:errcheck // one that is not there need not stop
	}
}
