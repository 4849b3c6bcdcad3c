package cli

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/prompt"
	"github.com/fireflyrt/firefly/gate/client"
)

func (t *tool) connectCommand(config *string) *cobra.Command {
	var codec, ticket string
	var json, trusting bool
	c := &cobra.Command{
		Use:   "connect [ADDRESS] [--codec proto] [--ticket T] [--insecure]",
		Short: "Talk to a gate as a client does: send messages by name or number, see replies and pushes",
		Long: `Talk to a gate as a client does: send messages by name or number, see replies and pushes.

ADDRESS is like ws://127.0.0.1:9401, tcp://, wss:// or tls://; without one it is the first gate that runs here. In a
terminal Tab completes and :help explains; what comes through a pipe is a script, each of whose requests waits for its
answer.
Exit codes: 0 the input has ended, 1 there was no connection or no session any more, or not every request of a script
was answered with yes, 2 the command or a line of a script is wrong.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			spoken, err := wire.ParseCodec(codec)
			if err != nil {
				return misuse{err}
			}
			address, way, err := t.door(*config, args)
			if err != nil {
				return err
			}
			if trusting {
				way.TLS = &tls.Config{InsecureSkipVerify: true}
			}
			return t.connect(prompt.Options{Address: address, In: t.in, Out: t.out, JSON: json, Client: client.Options{
				Catalogue: t.catalogue, Codec: spoken, Ticket: ticket, Name: "connect/1", Way: way}})
		},
	}
	c.Flags().StringVar(&codec, "codec", "json", "of the bodies on the wire: json or proto; you write JSON")
	c.Flags().StringVar(&ticket, "ticket", "", "who you are, if the game gives out tickets")
	c.Flags().BoolVar(&trusting, "insecure", false, "believe whatever certificate wss:// and tls:// show")
	c.Flags().BoolVar(&json, "json", false, "print one JSON object for each event")
	return c
}

// door is the address to connect to, and how: the one that was given, or a gate's that runs here.
func (t *tool) door(config string, given []string) (string, client.Way, error) {
	if len(given) > 0 {
		how, where, said := strings.Cut(given[0], "://")
		switch {
		case !said:
			err := fmt.Errorf("%[1]s does not say how; write ws://%[1]s or tcp://%[1]s", given[0])
			return "", client.Way{}, misuse{err}
		case !slices.Contains([]string{"ws", "wss", "tcp", "tls"}, how):
			err := fmt.Errorf("nobody is reached by %s://; write ws://%[2]s, wss://, tcp:// or tls://", how, where)
			return "", client.Way{}, misuse{err}
		}
		return given[0], client.Way{}, nil
	}
	c, err := t.load(config)
	if err != nil {
		return "", client.Way{}, err
	}
	found, err := node.ReadRunning(c.RunDir())
	if err != nil {
		return "", client.Way{}, err
	}
	there := doors(slices.DeleteFunc(found, func(r node.Running) bool { return !r.Alive() }))
	if len(there) == 0 {
		err := errors.New("cli: no gate runs here; up starts one, or name one: connect ws://HOST:PORT")
		return "", client.Way{}, err
	}
	return there[0], way(c, there[0]), nil
}

func (t *tool) connect(o prompt.Options) error {
	ctx, _, end := interrupts()
	defer end()
	err := prompt.Run(ctx, o)
	if wrong := (*prompt.Wrong)(nil); errors.As(err, &wrong) {
		return misuse{err}
	}
	return err
}
