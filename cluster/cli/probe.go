package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/gate/client"
)

// doors are the addresses of gates as clients dial them, those of each gate in turn.
func doors(gates []node.Running) []string {
	var all []string
	for _, g := range gates {
		all = append(all, g.Doors()...)
	}
	return all
}

// way is how this program comes to a gate of its own machine. It says itself what a proxy before the gate would say,
// and looks at no certificate: that is for the name that players dial.
func way(c *node.Config, door string) client.Way {
	w := client.Way{TLS: &tls.Config{InsecureSkipVerify: true}}
	if _, address, _ := strings.Cut(door, "://"); c.Proxied(address) {
		w.Head = []byte(gate.ProxyLocal)
	}
	return w
}

// probe logs in at every door as a player would: a bot lives there until its first request is
// answered. A game without bots is greeted only.
func (t *tool) probe(ctx context.Context, config *node.Config, gates []node.Running) error {
	for _, door := range doors(gates) {
		if err := t.probeDoor(ctx, config, door); err != nil {
			return fmt.Errorf("cli: logging in at %s: %w", door, err)
		}
	}
	return nil
}

func (t *tool) probeDoor(ctx context.Context, config *node.Config, door string) error {
	life, enough := context.WithCancel(ctx)
	defer enough()
	// a goroutine of the client's tells of the first answer
	c, err := t.dial(ctx, config, door, func(time.Duration) { enough() })
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
