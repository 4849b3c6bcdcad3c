package gate

import (
	"errors"
	"slices"
	"sync/atomic"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// Counters count what a gate does, each at the one place where it happens. All but the first four
// only rise.
type Counters struct {
	Connections atomic.Int64 // open now, with or without a session
	Handshakes  atomic.Int64 // of them, those without a session yet
	Sessions    atomic.Int64 // welcomed and not ended
	Addresses   atomic.Int64 // that are remembered, exempt ones left out
	Away        atomic.Int64 // of them, those whose client is away

	Accepted  atomic.Uint64 // connections
	Shut      atomic.Uint64 // connections over a limit, closed unread; by limit:
	Malformed atomic.Uint64 // connections that failed the WebSocket handshake
	Unsecured atomic.Uint64 // connections that failed the TLS handshake
	Unproxied atomic.Uint64 // connections of proxies that did not say whose they are
	Bans      atomic.Uint64 // times that an address was shut out for a while

	ShutConnections, ShutHandshakes atomic.Uint64 // over the bounds of all
	ShutOpen, ShutNew, ShutBanned   atomic.Uint64 // over those of their address

	Resumed   atomic.Uint64 // clients that came back to their session
	Unresumed atomic.Uint64 // clients that wanted to, and began another
	Missed    atomic.Uint64 // sessions that ended because too much waited for a client that was away

	FramesIn, FramesOut atomic.Uint64
	BytesIn, BytesOut   atomic.Uint64 // frames' headers and bodies, not WebSocket's own

	Refused     atomic.Uint64 // refusals of actors passed on to clients
	Dropped     atomic.Uint64 // Lossy frames that a slow client did not get
	Late        atomic.Uint64 // answers that came when nobody waited any more
	Retried     atomic.Uint64 // requests that were sent again
	Overtaken   atomic.Uint64 // answers to a request that had been sent again meanwhile
	Gone        atomic.Uint64 // envelopes for sessions that had ended
	Forbidden   atomic.Uint64 // pushes whose number or codec their client must not get
	Oversized   atomic.Uint64 // pushes over ReplyMax
	BindRefused atomic.Uint64 // bind orders over a bound or to no valid Ref

	WrongMagic   atomic.Uint64 // connections that begin as no client of the original's does here
	WrongVersion atomic.Uint64 // clients of the original's of another version
	Unsaid       atomic.Uint64 // errors of which clients of the original's are not told

	errors [len(answers)]atomic.Uint64
	closes [len(closings)]atomic.Uint64
}

// answers are the codes with which a gate itself answers clients.
var answers = [...]actors.Code{actors.UnknownNumber, actors.NotBound, actors.BadSeq,
	actors.DeadlinePassed, actors.Overloaded, actors.RateLimited, actors.TooBig, actors.Internal, actors.BadBody}

// closings are the reasons for which a session ends.
var closings = [...]actors.Code{"RESTARTING", "SLOW_CLIENT", "RATE_LIMITED", "BAD_FRAME",
	"HELLO_TIMEOUT", "VERSION", "UNAUTHENTICATED", "TAKEN_OVER", "KICKED", Disconnected, Silent, Replaced}

// Ends of connections that no Close frame tells.
const (
	Disconnected actors.Code = "DISCONNECTED" // the client went away
	Silent       actors.Code = "SILENT"       // nothing was heard of it for Limits.Dead
	Replaced     actors.Code = "REPLACED"     // the client is here by another connection
)

func (c *Counters) answered(code actors.Code) {
	if i := slices.Index(answers[:], code); i >= 0 {
		c.errors[i].Add(1)
	}
}

// strange counts a frame of firefly/1 that is of another game or of another version.
func (c *Counters) strange(err error) {
	switch {
	case errors.Is(err, wire.ErrMagic):
		c.WrongMagic.Add(1)
	case errors.Is(err, wire.ErrVersion):
		c.WrongVersion.Add(1)
	}
}

func (c *Counters) closed(code actors.Code) {
	if i := slices.Index(closings[:], code); i >= 0 {
		c.closes[i].Add(1)
	}
}

// Errors is how often the gate itself has answered each code; codes never used are left out.
func (c *Counters) Errors() map[actors.Code]uint64 { return tally(answers[:], c.errors[:]) }

// Closes is how often connections have ended for each reason; reasons never met are left out.
func (c *Counters) Closes() map[actors.Code]uint64 { return tally(closings[:], c.closes[:]) }

func tally(codes []actors.Code, counts []atomic.Uint64) map[actors.Code]uint64 {
	all := map[actors.Code]uint64{}
	for i := range counts {
		if n := counts[i].Load(); n > 0 {
			all[codes[i]] = n
		}
	}
	return all
}

// codeOf is the code that stands beside a close number.
func codeOf(n wire.CloseNumber) actors.Code { return actors.Code(n.String()) }
