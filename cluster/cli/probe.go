package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/gate/client"
)

// doors are the addresses of gates as clients dial them, TCP and WebSocket in turn.
func doors(gates []node.Running) []string {
	var all []string
	for _, g := range gates {
		if g.TCP != "" {
			all = append(all, "tcp://"+g.TCP)
		}
		if g.WS != "" {
			all = append(all, "ws://"+g.WS)
		}
	}
	return all
}

// probe logs in at every door as a player would: a bot lives there until its first request is
// answered. A game without bots is greeted only.
func (t *tool) probe(ctx context.Context, gates []node.Running) error {
	for _, door := range doors(gates) {
		if err := t.probeDoor(ctx, door); err != nil {
			return fmt.Errorf("cli: logging in at %s: %w", door, err)
		}
	}
	return nil
}

func (t *tool) probeDoor(ctx context.Context, door string) error {
	life, enough := context.WithCancel(ctx)
	defer enough()
	// a goroutine of the client's tells of the first answer
	o := t.options(func(time.Duration) { enough() })
	c, err := client.Dial(ctx, door, o)
	if err != nil {
		return err
	}
	if t.bot != nil {
		err = t.bot(&client.Bot{Client: c, Rand: rand.New(rand.NewPCG(1, 1)), Until: life})
		if counts := c.Counts(); err == nil && counts.Replies+counts.Refusals == 0 {
			err = context.Cause(ctx)
		}
	}
	return errors.Join(err, c.Close())
}
