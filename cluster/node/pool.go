package node

import (
	"sync"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// wallClock is the process's own time.
type wallClock struct{}

// WallClock is the clock of production.
func WallClock() actors.Clock { return wallClock{} }

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return time.AfterFunc(d, f).Stop
}

// A Pool runs the work of actors on goroutines: one for each mailbox that has something to do, and a bounded number
// for work that may block. It is the scheduler of production.
type Pool struct {
	slots   chan struct{} // one for each piece of blocking work under way
	mu      sync.Mutex
	waiting []func() // blocking work without a slot, oldest first
	running sync.WaitGroup
}

// NewPool makes a pool that lets at most blocking pieces of offloaded work run at once; more wait their turn. What
// waits is bounded by those who offload: an entity by its open questions, keepers by their writers and requests.
func NewPool(blocking int) *Pool { return &Pool{slots: make(chan struct{}, blocking)} }

// Run runs a mailbox's turns.
func (p *Pool) Run(f func()) { p.running.Go(f) }

// Offload runs work that may block, as soon as there is room.
func (p *Pool) Offload(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.slots <- struct{}{}:
		p.running.Go(func() { p.work(f) })
	default:
		p.waiting = append(p.waiting, f)
	}
}

// work runs f and then whatever waits, and gives its slot back when nothing does.
func (p *Pool) work(f func()) {
	for f != nil {
		f()
		p.mu.Lock()
		f = nil
		if len(p.waiting) > 0 {
			f, p.waiting = p.waiting[0], p.waiting[1:]
		} else {
			<-p.slots
		}
		p.mu.Unlock()
	}
}

// Wait returns when everything that was given to the pool has run.
func (p *Pool) Wait() { p.running.Wait() }
