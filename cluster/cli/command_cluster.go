package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// This file is the commands that run nodes, and change which do.

// asEvents is what --json means for them.
const asEvents = "one JSON object for each event"

func (t *tool) upCommand(config *string) *cobra.Command {
	var once time.Duration
	var host string
	var json bool
	c := &cobra.Command{
		Use:   "up [--host NAME]",
		Short: "Run all nodes: adopt those that run, start the others, restart what dies; Ctrl-C stops all in order",
		Long: `Run all nodes: adopt those that run already, start the others, show and watch them, restart what dies.
Ctrl-C stops all in order. If up itself is killed, the nodes go on without it, and the next up adopts them.

Exit codes: 0 everything was stopped in order; 1 something was not ready, had to be killed, or another up runs;
2 the configuration is wrong, or no node is for this machine; 3 the database lacks what this build needs.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return t.up(*config, host, once, json)
		},
	}
	c.Flags().StringVar(&host, "host", "", "which machine this is, as nodes name it (its own name)")
	c.Flags().DurationVar(&once, "once", 0, "run so long (30s) and stop: a test of everything")
	c.Flags().BoolVar(&json, "json", false, asEvents)
	return c
}

func (t *tool) nodeCommand(config *string) *cobra.Command {
	var json bool
	c := &cobra.Command{
		Use:   "node NAME",
		Short: "Run one node in the foreground, as up does for each, or systemd",
		Long: `Run one node in the foreground, as up does for each, or systemd. It waits for the registry as long as
it takes; SIGTERM ends it in order. An up on this machine adopts it.

Exit codes: 0 it ended in order; 1 it did not, or runs already: start it again; 2 the configuration is wrong;
3 the database lacks what this build needs.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := t.load(*config)
			if err != nil {
				return err
			}
			if _, ok := c.Node(args[0]); !ok {
				return misuse{fmt.Errorf("%s has no node %s", *config, args[0])}
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			log := slog.Handler(slog.NewTextHandler(os.Stderr, nil))
			if json {
				log = slog.NewJSONHandler(os.Stderr, nil)
			}
			return t.run(ctx, c, args[0], slog.New(log))
		},
	}
	c.Flags().BoolVar(&json, "json", false, "log in JSON, one object a line")
	return c
}

func (t *tool) psCommand(config *string) *cobra.Command {
	var host string
	var json bool
	c := &cobra.Command{
		Use:   "ps",
		Short: "List the nodes as they are; 1 unless all of this machine are ready",
		Long: `List the nodes as they are, those of other machines as those of this one see them.

Exit codes: 0 all nodes of this machine are ready; 1 one is not; 2 the configuration is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return t.ps(*config, host, json)
		},
	}
	c.Flags().StringVar(&host, "host", "", "which machine this is (the one that up was told)")
	c.Flags().BoolVar(&json, "json", false, "as one JSON list")
	return c
}

func (t *tool) scaleCommand(config *string) *cobra.Command {
	var json bool
	c := &cobra.Command{
		Use:   "scale TABLE=COUNT",
		Short: "Run more or fewer copies of a node, game=4, while the cluster plays; up does it",
		Long: `Run more or fewer copies of a node while the cluster plays: scale game=4 for [node.game].

The up that runs does it: new ones are started, the highest are drained and stopped. It holds over restarts,
until runtime.toml has another count.

Exit codes: 0 so many are ready, and no more run; 1 they are not, or no up runs; 2 the command or the configuration is
wrong, also if so many copies would not fit (their ports).`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return t.refused(t.scale(*config, args[0], json), json)
		},
	}
	c.Flags().BoolVar(&json, "json", false, asEvents)
	return c
}

func (t *tool) drainCommand(config *string) *cobra.Command {
	var json bool
	c := &cobra.Command{
		Use:   "drain NODE",
		Short: "Let a node hand its shards over to others, and stop it; nobody notices",
		Long: `Let a node hand its shards over to others, show how many are left, and stop it. It stays down until the
next up, a scale, or start. Without an up the node is asked itself. After drain_timeout it is stopped with what it has
left.

Exit codes: 0 it had no shard left and ended in order, or did not run; 1 otherwise, also if no other node has its role:
then nothing was done; 2 the command or the configuration is wrong.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return t.refused(t.drain(*config, args[0], json), json)
		},
	}
	c.Flags().BoolVar(&json, "json", false, asEvents)
	return c
}

func (t *tool) stopCommand(config *string) *cobra.Command {
	var json bool
	c := &cobra.Command{
		Use:   "stop [NODE]",
		Short: "Stop all nodes in order, and up; or one node, which stays down",
		Long: `Stop all nodes in order, and the up that runs; or one node, which stays down until the next up, a scale,
or start. Without an up the nodes are asked themselves.

Exit codes: 0 nothing of it runs any more; 1 something had to be killed, or still runs; 2 the command or the
configuration is wrong.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return t.refused(t.stop(*config, strings.Join(args, ""), json), json)
		},
	}
	c.Flags().BoolVar(&json, "json", false, asEvents)
	return c
}

func (t *tool) startCommand(config *string) *cobra.Command {
	var json bool
	c := &cobra.Command{
		Use:   "start NODE",
		Short: "Let a node run again that was drained or stopped; up does it",
		Long: `Let a node run again that was drained or stopped. The up that runs does it.

Exit codes: 0 it is ready; 1 it is not, or no up runs; 2 the command or the configuration is wrong.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return t.refused(t.start(*config, args[0], json), json)
		},
	}
	c.Flags().BoolVar(&json, "json", false, asEvents)
	return c
}
