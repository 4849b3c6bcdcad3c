package client

import (
	"errors"
	"fmt"

	"github.com/fireflyrt/firefly/actors/wire"
)

// ErrClosed is the end of a client by Close.
var ErrClosed = errors.New("client: closed")

// ErrFull means that nothing was sent, because too much waits to be: the gate does not keep up, or
// there has been no connection for long. Try again later.
var ErrFull = errors.New("client: too much waits to be sent")

// errNonsense is what no gate may say: coming back would not help.
var errNonsense = errors.New("client: the gate contradicts itself")

// A Closed is why a gate closed the connection. It is what Err returns then.
type Closed struct{ wire.Close }

func (c *Closed) Error() string {
	return fmt.Sprintf("client: closed by the gate: %s (%d) %s", c.Code, c.Number, c.Text)
}

// A Gone means that the gate does not have the session any more. As the error of a call it says
// whether the request may have been handled: then ask the game what is so before asking again.
type Gone struct {
	Session string // that is gone
	Reason  string // as the gate gave it
	Sent    bool   // the request had left, and nobody knows what became of it
}

func (g *Gone) Error() string {
	text := fmt.Sprintf("client: session %s is gone: %s", g.Session, g.Reason)
	if g.Sent {
		text += "; what became of the request is not known"
	}
	return text
}
