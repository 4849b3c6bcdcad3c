package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// An Original is how a listener serves clients of the original Firefly, which speak firefly/1 and
// know nothing of firefly/2. To its session such a client is like any other: here its frames become
// those of firefly/2, and back. There is no Hello, so the session begins with the connection; no
// heartbeat, so the kernel's keep-alive finds the dead; no seq, so every frame wants an answer, and
// gets a seq that its client never sees; and no resume.
type Original struct {
	wire.Original            // what stands in front of each frame
	Codec         wire.Codec // of the game's bodies: nobody asks for one
	// Errors is the number under which clients are told of errors, and why the gate hangs up, with
	// a body in JSON. 0 says nothing, as the original did: they know only replies.
	Errors uint32
	// First bounds how long a client may take to its first whole frame, else HELLO_TIMEOUT closes
	// it; 0: it may take for ever.
	First time.Duration
}

// goodbye is the number with which the original's processes told each other that a client has gone.
// Entities hear that as Unbound. A client that sends it is taken at its word.
const goodbye = 2

// errWorn ends a connection whose requests have used up all seqs, after years.
var errWorn = errors.New("gate: a connection carries 4294967295 frames; open another")

// An original is the framing of firefly/1.
type original struct {
	how  *Original
	gate *Gate
	seq  uint32 // of the newest frame
}

// cut writes the header that a session reads over the end of the client's own, which is longer.
func (o *original) cut(b []byte, to taker) (done int, err error) {
	const spare = wire.OriginalHeaderSize - wire.HeaderSize
	for {
		number, body, rest, err := o.how.CutFrame(b[done:], o.gate.Limits.FrameMax)
		switch {
		case errors.Is(err, wire.ErrShortHeader), errors.Is(err, wire.ErrShortBody):
			return done, nil
		case err != nil:
			o.gate.Counters.strange(err)
			return done, err
		case number == goodbye:
			to.Leave()
			return len(b) - len(rest), errHangUp
		case o.seq == math.MaxUint32:
			return done, errWorn
		}
		o.seq++
		end := len(b) - len(rest)
		frame := b[done+spare : end : end]
		wire.Header{Length: len(body), Number: number, Seq: o.seq}.Append(frame[:0])
		to.Receive(frame)
		done = end
	}
}

func (o *original) reply(b []byte) []byte { return b }

// wrap leaves out what is between the gate and clients of firefly/2.
func (o *original) wrap(b, frame []byte) []byte {
	h, body, _, err := wire.CutFrame(frame, wire.MaxBody)
	switch {
	case err != nil: // a session makes none that is not whole
		return b
	case h.Flags&wire.FlagError != 0:
		return o.fault(b, named(body, h))
	case h.Number < wire.FirstGameNumber:
		return b
	}
	return o.how.AppendFrame(b, h.Number, body)
}

// farewell says why the gate hangs up.
func (o *original) farewell(b []byte, c *wire.Close) []byte {
	body, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("gate: a Close is strings and numbers: %v", err))
	}
	return o.fault(b, body)
}

// fault tells a client of an error, or does not.
func (o *original) fault(b, body []byte) []byte {
	if o.how.Errors == 0 {
		o.gate.Counters.Unsaid.Add(1)
		return b
	}
	return o.how.AppendFrame(b, o.how.Errors, body)
}

// named is an error's body with the command that it is about, since no number of the frame's says it.
func named(body []byte, h wire.Header) []byte {
	if h.Seq == 0 || len(body) <= len("{}") {
		return body
	}
	all := make([]byte, 0, len(body)+len(`,"command":4294967295`))
	all = append(append(all, body[:len(body)-1]...), `,"command":`...)
	return append(strconv.AppendUint(all, uint64(h.Number), 10), '}')
}

// first holds a client of the original's to the bound for its first frame.
func (s *Session) first(now time.Time) {
	by := s.gate.time(s.opened).Add(s.original.First)
	switch {
	case s.original.First == 0 || s.lastSeq > 0:
	case now.Before(by):
		s.alarm(by)
	default:
		s.end(wire.CloseHelloTimeout, "no frame within "+s.original.First.String())
	}
}
