package client

import (
	"sync"
	"time"
)

// deadBeats is how many beats a gate may be silent before its connection counts as dead.
const deadBeats = 3

// A pulse looks, at every heartbeat that the gate has named, whether the gate was heard since: a
// connection may die without a word. A client that does not come back has a pulse that stands.
type pulse struct {
	client *Client
	pipe   *Pipe
	every  time.Duration

	mu    sync.Mutex
	timer *time.Timer // nil: it stands
	quiet int         // beats since the gate was heard
}

// feel begins to look, until stop.
func feel(c *Client, p *Pipe) *pulse {
	u := &pulse{client: c, pipe: p, every: time.Duration(c.Welcome().Heartbeat) * time.Second}
	if c.o.Policy != Once && u.every > 0 {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.timer = time.AfterFunc(u.every, u.beat)
	}
	return u
}

// felt notes that the gate was heard.
func (u *pulse) felt() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.quiet = 0
}

// soon has the next beat come after d, because a Ping was refused until then.
func (u *pulse) soon(d time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.timer != nil {
		u.timer.Reset(min(d, u.every))
	}
}

func (u *pulse) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.timer != nil {
		u.timer.Stop()
		u.timer = nil
	}
}

// beat asks the gate for a sign, if there was none or if it has not acknowledged everything, and
// hangs up if there was none for too long.
func (u *pulse) beat() {
	u.mu.Lock()
	if u.timer == nil {
		u.mu.Unlock()
		return
	}
	u.timer.Reset(u.every)
	u.quiet++
	quiet := u.quiet
	u.mu.Unlock()
	switch {
	case quiet > deadBeats:
		u.pipe.Close() //nolint:errcheck // it is dead
	case quiet > 1 || u.client.unacknowledged():
		u.client.say(u.client.ping()) //nolint:errcheck // the next beat tells
	}
}
