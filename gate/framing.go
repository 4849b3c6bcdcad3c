package gate

import (
	"errors"
	"fmt"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A framing is how frames lie in a connection's bytes. It knows no socket; one belongs to one
// connection and is used by one goroutine at a time.
type framing interface {
	// cut takes whole frames off the front of b and hands each to taker; the frame is a part of b,
	// which cut may change. It returns how many bytes it is done with; the others must come again
	// with what follows them. After an error nothing more can be read.
	cut(b []byte, to taker) (done int, err error)
	// reply appends what the framing itself has to say since the last call, and forgets it.
	reply(b []byte) []byte
	// wrap appends a frame as it goes over the connection.
	wrap(b, frame []byte) []byte
	// farewell appends what comes behind the last frame.
	farewell(b []byte, c *wire.Close) []byte
}

// A taker is what a framing has to do with a visit.
type taker interface {
	Receive(frame []byte)
	Touch()
	Leave()
}

// Ends of a connection whose client knows why: it has said so itself, or the framing's reply tells
// it.
var (
	errHangUp    = errors.New("gate: the client hangs up")
	errHandshake = errors.New("gate: the handshake failed")
	errOrigin    = fmt.Errorf("%w: a page elsewhere", errHandshake)
)

// A stream is the framing of TCP: frames follow one another.
type stream struct{ frameMax int }

func (s stream) cut(b []byte, to taker) (done int, err error) {
	for {
		h, _, rest, err := wire.CutFrame(b[done:], s.frameMax)
		switch {
		case errors.Is(err, wire.ErrShortHeader), errors.Is(err, wire.ErrShortBody):
			return done, nil
		case err != nil:
			return done, err
		}
		end := len(b) - len(rest)
		to.Receive(b[done : done+wire.HeaderSize+h.Length])
		done = end
	}
}

func (stream) reply(b []byte) []byte                   { return b }
func (stream) wrap(b, frame []byte) []byte             { return append(b, frame...) }
func (stream) farewell(b []byte, _ *wire.Close) []byte { return b }
