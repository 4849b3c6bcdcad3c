package client

import (
	"math/rand/v2"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// Options are what a client says in Hello, how it hears, and what becomes of it when its connection
// dies. Only Catalogue is needed.
type Options struct {
	Catalogue wire.Catalogue
	Codec     wire.Codec // JSON if zero
	Ticket    string
	Name      string // name/version, for the gate's log
	Way       Way    // to the gate

	// Push gets every message that answers nothing, in order, in the reading goroutine: it must
	// not wait for an answer. Without it they go to Pushes.
	Push func(msg any)
	// Queue is how many pushes wait in Pushes; what comes then is dropped and counted. Default
	// 1024.
	Queue int
	// Strayed, if set, gets every error that names no request, in order with pushes.
	Strayed func(*actors.Refusal)
	// Answered, if set, is told of every answer how long it took.
	Answered func(number uint32, took time.Duration)

	// Policy says what becomes of the client when its connection ends. Default Once.
	Policy Policy
	// Changed, if set, is told of the connection, in order with pushes, in the reading goroutine:
	// it must not wait for an answer.
	Changed func(Change)
	// Backlog is how many frames may be unsent or unacknowledged; with one more, or with more than
	// 4 MiB of them, the error is ErrFull. Default 1024.
	Backlog int
	// GiveUp is how long a client without a connection tries to come back before it ends. Default
	// 2 minutes.
	GiveUp time.Duration
	// Luck draws from [0, 1) how long to wait before connecting again. Default: the process's.
	Luck func() float64
}

// backlogBytes bounds what a client keeps, beside Options.Backlog.
const backlogBytes = 4 << 20

func (o *Options) defaults() {
	if o.Codec == 0 {
		o.Codec = wire.JSON
	}
	if o.Queue == 0 {
		o.Queue = 1024
	}
	if o.Backlog == 0 {
		o.Backlog = 1024
	}
	if o.GiveUp == 0 {
		o.GiveUp = 2 * time.Minute
	}
	if o.Luck == nil {
		o.Luck = rand.Float64
	}
}

// A Policy says what becomes of a client whose connection has ended. Whatever it says, a client that
// was closed by Close, or told by the gate not to come back (3xxx), ends.
type Policy uint8

// The policies.
const (
	// Once ends the client with its connection, and keeps nothing of what it has sent.
	Once Policy = iota
	// Resume connects again and goes on with the session: nothing is lost or doubled in either
	// direction. When the gate does not have the session any more, the client ends with a *Gone.
	Resume
	// Return is Resume, but when the gate does not have the session any more it begins a new one:
	// with Options.Ticket, if there is one, else not logged in. What was under way fails with a *Gone.
	Return
)
