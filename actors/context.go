package actors

import (
	"iter"
	"log/slog"
	"math/rand/v2"
	"time"
)

// A Context is one turn: one envelope, one entity. What is edited, sent, timed and bound in it takes effect together
// when the handler returns nil, and not at all when it refuses or fails. It is of no use after its turn.
type Context interface {
	Self() Ref
	Sender() Ref      // who sent the message; for a client's, whom it is logged in as
	Session() Ref     // the client's session that the message came from, else zero
	Now() time.Time   // stands still within a turn, and never runs backwards for one entity
	Rand() *rand.Rand // seeded by the turn, so that a replay draws the same
	Log() *slog.Logger
	Tables() any // the node's hot tables as the turn first saw them; package hotreload reads it

	Send(to Ref, msg any) // to actors and sessions alike; leaves when the turn has succeeded
	Push(msg any)         // to the clients logged in as this entity; nothing when offline
	Emit(event any)       // to this entity's own listeners, now, in this turn; their error fails the turn

	After(d time.Duration, msg any) // one timer per message (number and bytes): arming again replaces
	Every(d time.Duration, msg any) // on a fixed schedule; late ticks are merged
	Remind(at time.Time, msg any)   // stored with the cells; comes once, also if nothing was running at the time
	Cancel(msg any)                 // ends the timer and the reminder of this message, if there are any

	Login(as Ref)                // the session of this turn acts as that entity from now on, and is bound to it
	Bind(to Ref)                 // binds the session of this turn; replaces its binding to another of the kind
	Watch(to Ref)                // binds its ears only: it hears what that entity sends to its audience
	Unbind(k KindName)           // ends a binding of the session of this turn
	Kick(session Ref, code Code) // closes a session

	Commit() // the turn becomes durable before anything of it leaves
	Stop()   // passivates this entity after the turn
}

// SendTo sends one message to many, encoded once for each codec; to is a set, and is served in its canonical order.
func SendTo(ctx Context, to iter.Seq[Ref], msg any) {
	turnOf(ctx).fanOut(sortedSet(to), msg)
}

// SendToAll sends one message to every client that is logged in, through whichever gate: encoded once for each codec,
// and one envelope for each gate. Clients that speak protobuf get protobuf messages only.
func SendToAll(ctx Context, msg any) { turnOf(ctx).sendToAll(msg) }

func turnOf(ctx Context) *turn {
	t, ok := ctx.(*turn)
	if !ok {
		panic("actors: a Context comes from the runtime; tests use cluster/replay")
	}
	t.check()
	return t
}
