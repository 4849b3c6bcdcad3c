package persist

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// How long the node waits before it asks a store that was down whether it is back.
const (
	firstProbe   = 50 * time.Millisecond // doubles
	longestProbe = 2 * time.Second
)

// health knows whether the store is to be had. Whoever calls the store says how it went; while it
// is down, health asks it from time to time, and nobody else needs to.
type health struct {
	db    Database
	clock actors.Clock
	work  *backlog
	log   *slog.Logger
	up    func() // called when the store is back, from any goroutine

	isDown atomic.Bool
	level  atomic.Pointer[string] // what the store said of itself when it last came up
	mu     sync.Mutex             // guards what follows
	wait   time.Duration
	stop   func() bool // of the next probe's timer
}

// down reports whether the store was not to be had when it was last called.
func (h *health) down() bool { return h.isDown.Load() }

// told takes notice of how a call ended that changed something, or of how another one failed.
func (h *health) told(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		h.wait = 0
	case !errors.Is(err, ErrDown) && !errors.Is(err, ErrUnclear):
		// The store answered; that it did not like the question is not its health.
	case !h.isDown.Swap(true):
		h.log.Error("store is down; commits are refused, changes are kept", "error", err)
		h.probeLater()
	}
}

// probeLater: the caller holds the lock.
func (h *health) probeLater() {
	h.wait = min(max(2*h.wait, firstProbe), longestProbe)
	h.stop = h.clock.AfterFunc(h.wait, func() { h.work.offload(h.probe) })
}

func (h *health) probe() {
	level, err := h.db.Level(context.Background())
	h.mu.Lock()
	if err != nil {
		h.probeLater()
		h.mu.Unlock()
		return
	}
	h.isDown.Store(false)
	h.level.Store(&level)
	h.mu.Unlock()
	LogLevel(h.log, "store is back", level)
	h.up()
}

func (h *health) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stop != nil {
		h.stop()
	}
}
