package persist

import (
	"context"
	"sync"
)

// maxRaise bounds how many fences one statement takes over.
const maxRaise = 256

// raiser takes fences over for all keepers of the node, as many as are asked for in one statement:
// when a node comes up, that is hundreds within moments.
type raiser struct {
	db       Database
	work     *backlog
	health   *health
	counters *counters

	mu      sync.Mutex
	wanted  []raise // oldest first
	running bool
}

// A raise is a claim and who waits for its number; done is called from any goroutine.
type raise struct {
	claim Claim
	done  func(number uint64, err error)
}

// ask returns at once.
func (r *raiser) ask(c Claim, done func(uint64, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = append(r.wanted, raise{c, done})
	if !r.running {
		r.running = true
		r.work.offload(r.next)
	}
}

// next raises what one statement takes.
func (r *raiser) next() {
	taken := r.take()
	claims := make([]Claim, len(taken))
	for i, t := range taken {
		claims[i] = t.claim
	}
	numbers, err := r.db.Raise(context.Background(), claims)
	r.health.told(err)
	for i, t := range taken {
		if err != nil {
			t.done(0, err)
			continue
		}
		r.counters.raises.Add(1)
		t.done(numbers[i], nil)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running = len(r.wanted) > 0; r.running {
		r.work.offload(r.next)
	}
}

// take leaves for the next statement what names a fence that this one names already.
func (r *raiser) take() []raise {
	r.mu.Lock()
	defer r.mu.Unlock()
	var taken, left []raise
	named := make(map[fenceKey]bool)
	for _, w := range r.wanted {
		key := fenceKey{w.claim.Role, w.claim.Shard}
		if named[key] || len(taken) == maxRaise {
			left = append(left, w)
			continue
		}
		named[key] = true
		taken = append(taken, w)
	}
	r.wanted = left
	return taken
}
