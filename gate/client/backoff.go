package client

import (
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// How long a client waits before it connects again.
const (
	firstWait = 100 * time.Millisecond // at most, the first time
	laterWait = time.Second            // at most, the first time after a gate said: later
	mostWait  = 10 * time.Second
)

// A backoff spreads out the attempts of clients that have lost their gate at the same moment: each
// waits a random part of a time that doubles until a connection has been of use.
type backoff struct {
	luck  func() float64 // from [0, 1)
	tried int            // since a connection was of use
}

// next is how long to wait before the next attempt. Told to come later, it is at least half the time.
func (b *backoff) next(advice wire.Return) time.Duration {
	most, least := firstWait, time.Duration(0)
	if advice == wire.ReturnLater {
		most = laterWait
	}
	for range b.tried {
		most = min(2*most, mostWait)
	}
	if advice == wire.ReturnLater {
		least = most / 2
	}
	b.tried = min(b.tried+1, 16)
	return least + time.Duration(b.luck()*float64(most-least))
}

// useful notes that a connection carried something.
func (b *backoff) useful() { b.tried = 0 }
