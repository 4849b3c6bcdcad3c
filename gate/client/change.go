package client

import (
	"fmt"
	"time"
)

// A State is what has become of a connection.
type State uint8

// The states.
const (
	Connected State = iota + 1 // by Dial
	Lost                       // and it will be tried again
	Resumed                    // there is a connection again, and nothing was lost
	Anew                       // there is one, but the session is another
)

func (s State) String() string {
	return [...]string{"none", "connected", "lost", "resumed", "anew"}[s]
}

// A Change tells of a client's connection.
type Change struct {
	State   State
	Session string        // that goes on or has begun
	Err     error         // Lost: why, a *Closed if the gate said so. Anew: a *Gone
	Failed  int           // Lost: attempts to connect again that have failed since
	Wait    time.Duration // Lost: until the next one
}

func (c Change) String() string {
	switch c.State {
	case Lost:
		return fmt.Sprintf("lost, trying again in %v: %v", c.Wait.Round(time.Millisecond), c.Err)
	case Anew:
		return fmt.Sprintf("anew as %s: %v", c.Session, c.Err)
	}
	return fmt.Sprintf("%s as %s", c.State, c.Session)
}

func (c *Client) tell(change Change) {
	if c.o.Changed != nil {
		c.o.Changed(change)
	}
}
