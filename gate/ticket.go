package gate

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/fireflyrt/firefly/actors"
)

// This file is how the game is asked about a ticket. What it is handed comes from strangers, and its
// code from the game: neither may cost more than the one connection.

// errTicketPanic is what becomes of a panic; the log has the rest.
var errTicketPanic = errors.New("gate: Authenticate panicked")

// whose asks the game whom a ticket stands for. It runs where blocking is allowed.
func (g *Gate) whose(ctx context.Context, ticket string) (who actors.Ref, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			g.Log.Error("Authenticate panicked", "panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
			err = errTicketPanic
		}
	}()
	if err = ctx.Err(); err == nil { // it may have waited for too long already
		who, err = g.Authenticate(ctx, ticket)
	}
	if err != nil {
		return actors.Ref{}, err
	}
	if err = who.Check(); err == nil && g.Plays != nil && !g.Plays(who.Kind) {
		err = fmt.Errorf("gate: Authenticate says %s, and nobody can play a %q", who, who.Kind)
	}
	return who, err
}
