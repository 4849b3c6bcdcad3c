package gate

import (
	"errors"
	"fmt"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// Limits bound what clients may cost. Each has a behaviour at the bound, said here, and a counter.
type Limits struct {
	// FrameMax is the longest body that a client may send, in bytes. A longer one closes the
	// connection with BAD_FRAME: nothing behind its header can be trusted.
	FrameMax int
	// ReplyMax is the longest body that the gate sends, in bytes. A longer answer becomes the
	// error TOO_BIG; a longer push is dropped and counted.
	ReplyMax int
	// Hello is how long a new connection may take to its first whole frame, else HELLO_TIMEOUT.
	Hello time.Duration
	// Authenticate is how long checking a ticket may take, else UNAUTHENTICATED.
	Authenticate time.Duration
	// Held is how many frames a client may send while its ticket is checked, else RATE_LIMITED
	// closes it.
	Held int
	// Rate and Burst are the session's token bucket: messages per second, and how many at once.
	// What is over is answered RATE_LIMITED and goes no further.
	Rate, Burst int
	// RateGrace is how long a client may go on sending too much before RATE_LIMITED closes it, and
	// Refusals how many messages too many close it before: answering a flood costs the others. A
	// second in which nothing was refused ends both counts.
	RateGrace time.Duration
	Refusals  int
	// BadSeqs is how many seqs of one session may fail to rise; the last of them closes it.
	BadSeqs int
	// Requests is how many requests of one session may be open; the next is answered OVERLOADED.
	Requests int
	// Behind is how many messages of one session may wait at the gate for one entity, because a
	// request to it is to be sent again; RepeatBytes bounds their bodies together with those of
	// the open requests that may have to be sent again (one may be longer). Beyond, OVERLOADED.
	Behind, RepeatBytes int
	// Within is the deadline of a request whose number has none of its own, else DEADLINE.
	Within time.Duration
	// QueueFrames bounds the frames that wait while the client's socket is full, QueueBytes what
	// waits at any time. At the bound Lossy frames are dropped; if there are none, SLOW_CLIENT.
	QueueFrames, QueueBytes int
	// Heartbeat is the silence after which the gate pings; Dead the one after which it hangs up.
	Heartbeat, Dead time.Duration
	// ResumeFor is how long a session waits for a client that has lost its connection; 0 ends it
	// with that. Away bounds how many wait at a time; one more ends at once, and one that is not
	// logged in does when half as many wait.
	ResumeFor time.Duration
	Away      int
	// UnackedFrames and UnackedBytes bound what a client was sent and has not acknowledged; what
	// follows waits in its queue. One frame may be longer. While the client is away, its queue may
	// be twice as long; beyond, its session ends.
	UnackedFrames, UnackedBytes int
	// Linger is how long a closed connection has to take its last frames.
	Linger time.Duration
	// Bindings bounds how many entities one session may be bound to; further binds are counted as
	// refused.
	Bindings int
	// Connections bounds all open connections, Handshakes those without a session yet. A
	// connection over either is closed as soon as it is accepted.
	Connections, Handshakes int
	// AddressOpen and AddressNew bound open and new-per-second connections of one address;
	// loopback and trusted networks are exempt. One over is closed as soon as it is accepted.
	AddressOpen, AddressNew int
	// Offences is how many connections of one address may come to nothing within a minute: broken
	// off or timed out before anybody logged in, or closed for what they sent. Each that logs in,
	// or stays for ten seconds, makes up for one. Over it the address is shut out for Ban, twice as
	// long each time it goes on, at most for BanMax. Loopback and trusted networks are exempt.
	Offences    int
	Ban, BanMax time.Duration
	// Handshake is the longest HTTP header that opens a WebSocket, in bytes, else status 431.
	Handshake int
}

// DefaultLimits are meant for a game on the open internet.
func DefaultLimits() Limits {
	return Limits{
		FrameMax: 64 << 10, ReplyMax: 512 << 10,
		Hello: 5 * time.Second, Authenticate: 5 * time.Second, Held: 64,
		Rate: 60, Burst: 120, RateGrace: 3 * time.Second, Refusals: 500, BadSeqs: 3,
		Requests: 256, Within: 5 * time.Second, Behind: 256, RepeatBytes: 256 << 10,
		QueueFrames: 256, QueueBytes: 1 << 20,
		Heartbeat: 15 * time.Second, Dead: 45 * time.Second, Linger: time.Second,
		ResumeFor: time.Minute, Away: 5000, UnackedFrames: 256, UnackedBytes: 1 << 20,
		Bindings:    64,
		Connections: 15000, Handshakes: 4096, AddressOpen: 1000, AddressNew: 200,
		Offences: 60, Ban: 10 * time.Second, BanMax: 10 * time.Minute,
		Handshake: 8 << 10,
	}
}

// Validate reports every limit that cannot work, joined, or nil.
func (l Limits) Validate() error {
	var errs []error
	for _, n := range []struct {
		name string
		is   int
	}{
		{"FrameMax", l.FrameMax}, {"ReplyMax", l.ReplyMax}, {"Held", l.Held}, {"Rate", l.Rate},
		{"Burst", l.Burst}, {"Refusals", l.Refusals}, {"BadSeqs", l.BadSeqs}, {"Requests", l.Requests},
		{"Behind", l.Behind}, {"RepeatBytes", l.RepeatBytes},
		{"QueueFrames", l.QueueFrames}, {"QueueBytes", l.QueueBytes}, {"Bindings", l.Bindings},
		{"Away", l.Away}, {"UnackedFrames", l.UnackedFrames}, {"UnackedBytes", l.UnackedBytes},
		{"Connections", l.Connections}, {"Handshakes", l.Handshakes},
		{"AddressOpen", l.AddressOpen}, {"AddressNew", l.AddressNew}, {"Handshake", l.Handshake},
		{"Offences", l.Offences},
	} {
		if n.is < 1 {
			errs = append(errs,
				fmt.Errorf("gate: limit %s is %d; it must be at least 1", n.name, n.is))
		}
	}
	for _, d := range []struct {
		name string
		is   time.Duration
	}{
		{"Hello", l.Hello}, {"Authenticate", l.Authenticate}, {"RateGrace", l.RateGrace},
		{"Within", l.Within}, {"Heartbeat", l.Heartbeat}, {"Dead", l.Dead}, {"Linger", l.Linger},
		{"Ban", l.Ban},
	} {
		if d.is <= 0 {
			errs = append(errs, fmt.Errorf("gate: limit %s is %v; it must be over 0", d.name, d.is))
		}
	}
	if l.ResumeFor < 0 {
		errs = append(errs, fmt.Errorf("gate: limit ResumeFor is %v; it must be 0 or more", l.ResumeFor))
	}
	if l.FrameMax > wire.MaxBody || l.ReplyMax > wire.MaxBody {
		errs = append(errs,
			fmt.Errorf("gate: a frame's length has 3 bytes: at most %d", wire.MaxBody))
	}
	if l.ReplyMax+wire.HeaderSize > l.QueueBytes {
		errs = append(errs, fmt.Errorf(
			"gate: a reply of %d bytes would never fit into a queue of %d",
			l.ReplyMax, l.QueueBytes))
	}
	if l.Dead <= l.Heartbeat {
		errs = append(errs, fmt.Errorf("gate: Dead (%v) must be longer than Heartbeat (%v)",
			l.Dead, l.Heartbeat))
	}
	if l.BanMax < l.Ban {
		errs = append(errs, fmt.Errorf("gate: BanMax (%v) must not be shorter than Ban (%v)", l.BanMax, l.Ban))
	}
	return errors.Join(errs...)
}
