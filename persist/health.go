package persist

import (
	"context"
	"errors"
	"log/slog"
	"strings"
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

// maxReasons bounds how many reasons of one outage are logged; each is logged once.
const maxReasons = 16

// A condition is what is known of the store. Down, it is called by health alone. Then it answers and takes writes as
// far as health can tell: it is on trial, and one batch at a time is let through to prove it.
type condition int32

const (
	well condition = iota
	onTrial
	down
)

// health knows whether the store is to be had. Whoever calls the store says how it went; while it
// is down, health asks it from time to time, and nobody else needs to.
type health struct {
	db    Database
	clock actors.Clock
	work  *backlog
	log   *slog.Logger
	fell  func() // called when the store has gone down, from any goroutine
	up    func() // called when the store may be called again, or by more at once, from any goroutine

	condition atomic.Int32
	why       atomic.Pointer[outage] // newest; set before the store is down
	level     atomic.Pointer[string] // what the store said of itself when it last came up
	mu        sync.Mutex             // guards what follows, and changes of the condition
	wait      time.Duration
	logged    map[string]bool // reasons, since it was well for longestProbe; nil: it still is
	waiting   []func()        // until it is not down
	stop      func() bool     // of the next probe's timer
}

// An outage is ErrDown and says why.
type outage string

func (o outage) Error() string { return "the store is down: " + string(o) }

// Is makes an outage ErrDown.
func (o outage) Is(target error) bool { return target == ErrDown }

func (h *health) is() condition { return condition(h.condition.Load()) }

// down reports whether nobody but health may call the store.
func (h *health) down() bool { return h.is() == down }

// outage is why the store is down, or last was.
func (h *health) outage() error { return *h.why.Load() }

// told takes notice of how a call failed; nil says nothing.
func (h *health) told(err error) {
	if !errors.Is(err, ErrDown) && !errors.Is(err, ErrUnclear) {
		return // the store answered; that it did not like the question is not its health
	}
	h.mu.Lock()
	if h.down() { // why it is so now, the probe says
		h.mu.Unlock()
		return
	}
	h.fall(err)
	h.mu.Unlock()
	h.fell()
}

// wrote takes notice of a batch that was written.
func (h *health) wrote() {
	if h.is() != onTrial {
		return // one that was under way when the store went down proves nothing
	}
	h.mu.Lock()
	isProof := h.is() == onTrial
	if isProof {
		h.wait = 0
		h.back()
	}
	h.mu.Unlock()
	if isProof {
		h.up()
	}
}

// fall: the caller holds the lock.
func (h *health) fall(err error) {
	if h.logged == nil {
		h.wait = 0
	}
	h.because(err)
	h.condition.Store(int32(down))
	h.probeLater()
}

// because keeps the newest reason, and logs one that is new in this outage. The caller holds the lock.
func (h *health) because(err error) {
	o := outage(strings.TrimPrefix(err.Error(), "persist: "))
	h.why.Store(&o)
	key := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1 // ports and numbers of connections make no other reason
		}
		return r
	}, string(o))
	if h.logged[key] || len(h.logged) >= maxReasons {
		return
	}
	text := "store is still down, for another reason"
	if h.logged == nil {
		h.logged = make(map[string]bool)
		text = "store is down; commits are refused, changes are kept"
	}
	h.logged[key] = true
	h.log.Error(text, "error", err)
}

// back: the store is well, and if it stays so, that is news. The caller holds the lock.
func (h *health) back() {
	h.condition.Store(int32(well))
	h.stop()
	h.stop = h.clock.AfterFunc(longestProbe, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.is() == well && h.logged != nil {
			h.logged = nil
			LogLevel(h.log, "store is back", *h.level.Load())
		}
	})
}

// probeLater: the caller holds the lock.
func (h *health) probeLater() {
	h.wait = min(max(2*h.wait, firstProbe), longestProbe)
	h.probeIn(h.wait)
}

func (h *health) probeIn(d time.Duration) {
	if h.stop != nil {
		h.stop()
	}
	h.stop = h.clock.AfterFunc(d, func() { h.work.offload(h.probe) })
}

// probe asks the store. What it can tell is not all: a disk may be full for rows alone. So the store is on trial first,
// and it is back when a batch was written, or, if there was none, by the next probe.
func (h *health) probe() {
	level, err := h.ask()
	h.mu.Lock()
	before := h.is()
	var waiting []func()
	switch {
	case before == well:
	case err != nil && before == down:
		h.because(err)
		h.probeLater()
	case err != nil:
		h.fall(err)
	case before == down:
		h.level.Store(&level)
		h.condition.Store(int32(onTrial))
		waiting, h.waiting = h.waiting, nil
		h.probeIn(longestProbe)
	default:
		h.back()
	}
	h.mu.Unlock()
	switch {
	case err == nil && before != well:
		h.up()
	case err != nil && before == onTrial:
		h.fell()
	}
	for _, f := range waiting {
		f()
	}
}

// nobody's claim is granted to nobody. Where nothing may be written it is refused nevertheless.
var nobody = [...]Claim{{Role: KeeperRole, Keeper: Fence{Epoch: 1 << 62, Holder: 1}}}

// ask asks the store what it says of itself, and has it execute a statement that writes.
func (h *health) ask() (level string, err error) {
	ctx := context.Background()
	if level, err = h.db.Level(ctx); err != nil {
		return "", err
	}
	if _, err = h.db.Raise(ctx, nobody[:]); errors.Is(err, ErrRejected) || errors.Is(err, ErrContended) {
		err = nil // it answered
	}
	return level, err
}

// await calls f when the store is not down, from any goroutine. Each keeper awaits it once.
func (h *health) await(f func()) {
	h.mu.Lock()
	if h.down() {
		h.waiting = append(h.waiting, f)
		h.mu.Unlock()
		return
	}
	h.mu.Unlock()
	f()
}

func (h *health) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stop != nil {
		h.stop()
	}
}
