package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fireflyrt/firefly/cluster/node"
)

// execute runs one verb and returns the exit code.
func (t *tool) execute(args []string) int {
	root := t.root()
	root.SetArgs(doubled(args))
	err := root.Execute()
	if problems := node.Problems(nil); errors.As(err, &problems) {
		fmt.Fprintln(t.err, problems)
	} else if err != nil {
		fmt.Fprintln(t.err, strings.TrimPrefix(err.Error(), "cli: "))
	}
	return exitCode(err)
}

// long is a flag with a word for a name and one dash: -for, as Go's own tools have it.
var long = regexp.MustCompile(`^-[a-z][a-z-]+(=.*)?$`)

// doubled gives such flags their second dash.
func doubled(args []string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		if out[i] = arg; long.MatchString(arg) {
			out[i] = "-" + arg
		}
	}
	return out
}

func (t *tool) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "firefly",
		Short: "A game, its server and its tools in one program.",
		Long: `A game, its server and its tools in one program.

The file runtime.toml describes the cluster; up starts it.
Exit codes: 0 it worked, 1 it did not, 2 the command or the configuration is wrong,
3 the database lacks what this build needs, and migrate makes it.`,
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error {
			return errors.Join(misuse{errors.New("which verb?")}, c.Usage())
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetOut(t.out)
	root.SetErr(t.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misuse{err} })
	config := root.PersistentFlags().String("config", "runtime.toml", "the cluster's description")
	root.AddCommand(t.upCommand(config), t.nodeCommand(config), t.checkCommand(config),
		t.psCommand(config), t.scaleCommand(config), t.drainCommand(config), t.stopCommand(config),
		t.startCommand(config), t.botsCommand(config), t.replayCommand(), t.recordCommand(config),
		t.connectCommand(config), t.migrateCommand(config), t.boxCommand(config), t.certCommand(config),
		t.importCommand(config), t.genCommand(config))
	for _, c := range root.Commands() {
		c.DisableFlagsInUseLine = true
		args := c.Args
		c.Args = func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return misuse{fmt.Errorf("%w; it is used as: %s", err, c.UseLine())}
			}
			return nil
		}
	}
	root.Args = func(_ *cobra.Command, given []string) error {
		if len(given) > 0 {
			return misuse{fmt.Errorf("there is no verb %s; --help lists them", given[0])}
		}
		return nil
	}
	return root
}

func (t *tool) checkCommand(config *string) *cobra.Command {
	var json, keys, behaviours bool
	var lock string
	c := &cobra.Command{
		Use:   "check [--determinism [PACKAGES]]",
		Short: "Say what each node would do, or all that is wrong with the configuration and the numbers of messages",
		Args: func(c *cobra.Command, given []string) error {
			if behaviours {
				return nil
			}
			return cobra.NoArgs(c, given)
		},
		RunE: func(_ *cobra.Command, packages []string) error {
			if behaviours {
				return t.checkDeterminism(packages, json)
			}
			return t.check(*config, lock, json, keys)
		},
	}
	c.Flags().BoolVar(&json, "json", false, "as one JSON object")
	c.Flags().BoolVar(&keys, "keys", false, "list all keys that the file may hold instead")
	c.Flags().StringVar(&lock, "lock", "",
		"the file of gen lock, which must be there; none: messages.lock beside the configuration, if it is there")
	c.Flags().BoolVar(&behaviours, "determinism", false,
		"look in the game's source for what behaviours would do otherwise on replay (./... of its module)")
	return c
}

func (t *tool) botsCommand(config *string) *cobra.Command {
	var n int
	var length time.Duration
	var seed uint64
	var json bool
	c := &cobra.Command{
		Use:   "bots -n 200 -for 10s",
		Short: "Play with bots, on the cluster that is up or their own; 1 if anything goes wrong",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return t.bots(*config, n, length, seed, json)
		},
	}
	c.Flags().IntVarP(&n, "number", "n", 50, "how many")
	c.Flags().DurationVar(&length, "for", 10*time.Second, "how long")
	c.Flags().Uint64Var(&seed, "seed", 1, "of the bots' luck")
	c.Flags().BoolVar(&json, "json", false, "the result as one JSON object")
	return c
}
