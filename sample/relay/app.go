// Relay is the smallest game in which nothing may be lost, doubled or out of order: runners that take numbered steps,
// and judges that count them. Nothing of it is stored, so that whoever loses an entity's state on its way from one node
// to another is found out.
//
// It promises: as long as no process dies, each step of a client is answered once and in order, the judge has heard of
// it once and in order, and the client is told so once and in order; whatever moves meanwhile. The tests beside it let
// nodes come and go, and their coordinator and their registry die, to see whether that is true.
package main

import (
	"context"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
)

// The kinds of the relay.
const (
	RunnerKind actors.KindName = "runner"
	JudgeKind  actors.KindName = "judge"
)

// NoTicket refuses who does not say whom they want to act as.
const NoTicket actors.Code = "RELAY_NO_TICKET"

var messages = wire.Messages(
	wire.In[*Step](101).Within(answerWithin),
	wire.Out[*Stepped](102),
	wire.Out[*Counted](103),
	wire.In[*Look](104).Within(answerWithin),
	wire.Out[*Race](105),
	wire.Internal[*Baton](106),
	wire.Internal[*Verdict](107),
	wire.Internal[*beat](108),
)

// answerWithin is long: on a machine that does other things an answer may be late, and is not lost.
const answerWithin = time.Minute

// App is the whole game.
var App = node.App{
	Name: "relay",
	Game: node.Module{Name: "relay", Messages: messages, Kinds: []actors.Kind{
		{Name: RunnerKind, New: newRunner, IdleAfter: time.Hour},
		{Name: JudgeKind, New: newJudge, IdleAfter: time.Hour},
	}},
	Authenticate: enter,
}

// enter lets everybody be the runner they say they are: a ticket is runner/17.
func enter(_ context.Context, ticket string) (actors.Ref, error) {
	who, err := actors.ParseRef(ticket)
	if err != nil || who.Kind != RunnerKind {
		return actors.Ref{}, NoTicket.Refuse("a ticket is runner/NAME")
	}
	return who, nil
}
