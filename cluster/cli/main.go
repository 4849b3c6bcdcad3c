// Package cli is the one program that a game becomes: its server, node by node, the supervisor that
// runs them, and the tools to look at them and to play against them.
//
// It promises that what it starts it watches, restarts and stops in order, that nodes outlive a
// supervisor that dies and are adopted by the next, that everything wrong with a configuration is
// said at once and before anything starts, and that exit codes can be relied on: 0 it worked, 1 it
// did not, 2 the command or the configuration is wrong, 3 the database lacks what this build needs.
// It does not start nodes on other machines.
package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/fireflyrt/firefly/cluster"
	"github.com/fireflyrt/firefly/cluster/node"
)

// Main runs the verb on the command line and ends the process with its exit code.
func Main(app node.App) { os.Exit(run(app, os.Args[1:], os.Stdout, os.Stderr)) }

func run(app node.App, args []string, out, err io.Writer) int {
	b, wrong := app.Build()
	if wrong != nil {
		fmt.Fprintln(err, wrong)
		return exitUsage
	}
	t := &tool{app: app.Name, kinds: b.KindRoles(), catalogue: b.Catalogue, replies: b.Replies, bot: app.Bot,
		blueprint: b, in: os.Stdin, out: out, err: err,
		run: func(ctx context.Context, c *node.Config, name string, log *slog.Logger) error {
			return node.Run(ctx, b, c, name, log)
		},
		certify: func(ctx context.Context, c *node.Config, dead node.Running) error {
			o := node.RegistryOptions(c, slog.New(slog.DiscardHandler))
			return cluster.Certify(ctx, o, dead.Incarnation)
		}}
	t.login = t.probe
	return t.execute(args)
}
