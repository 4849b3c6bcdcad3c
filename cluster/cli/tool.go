package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/gate/client"
	"github.com/fireflyrt/firefly/persist"
)

// The exit codes of every verb.
const (
	exitOK     = 0
	exitFailed = 1 // it was tried and did not work; the last line on stderr says why
	exitUsage  = 2 // the command line or the configuration is wrong, and nothing was started
	exitBehind = 3 // the database lacks what this build needs: migrate makes it
)

// A tool is the program: the verbs, and what of the App they need.
type tool struct {
	kinds []node.KindRole
	// run runs one node in the foreground until ctx ends; nil is an orderly end.
	run func(ctx context.Context, c *node.Config, name string, log *slog.Logger) error
	// certify tells the registry that a process has ended; nil: nobody is told.
	certify func(ctx context.Context, c *node.Config, dead node.Running) error
	// login logs in through the gates.
	login func(ctx context.Context, c *node.Config, gates []node.Running) error
	app   string // its name
	// catalogue and bot are what `bots` plays with; a nil bot: the game has none.
	catalogue wire.Catalogue
	bot       func(b *client.Bot) error
	// replies says what answers a number of the catalogue (nil: an empty body), and whether anybody handles it.
	replies func(number uint32) (reply *wire.Type, handled bool)

	blueprint *node.Blueprint // what replay plays with
	in        io.Reader       // commands of the debugger

	binary   string // what `up` installs and starts; "": this program
	env      []string
	out, err io.Writer
}

// A misuse is an error of whoever typed the command.
type misuse struct{ error }

// exitCode says how the process ends.
func exitCode(err error) int {
	problems, wrong, behind := node.Problems(nil), misuse{}, persist.Behind(nil)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &problems), errors.As(err, &wrong):
		return exitUsage
	case errors.As(err, &behind), errors.Is(err, errBehind):
		return exitBehind
	default:
		return exitFailed
	}
}

// load reads the configuration and compares it with the App.
func (t *tool) load(path string) (*node.Config, error) {
	c, err := node.Load(path, t.kinds)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, misuse{fmt.Errorf("there is no %s; go where it is, or name it: --config FILE",
			path)}
	}
	if err == nil {
		err = c.CheckMessages(t.catalogue)
	}
	return c, err
}

// here says which machine this is: as asked for, else as the newest `up` took it, else by its own name.
func here(c *node.Config, asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	if h := lastHolder(c.Cluster.Data); h.host != "" {
		return h.host, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("cli: asking for this machine's name: %w", err)
	}
	return host, nil
}

// local lists the nodes that a machine starts.
func local(c *node.Config, host string) []node.NodeConfig {
	var all []node.NodeConfig
	for _, n := range c.Nodes {
		if n.Here(host) {
			all = append(all, n)
		}
	}
	return all
}

// hosts lists the machines that the configuration names.
func hosts(c *node.Config) []string {
	var all []string
	for _, n := range c.Nodes {
		if n.Host != "" && !slices.Contains(all, n.Host) {
			all = append(all, n.Host)
		}
	}
	return all
}

// interrupts returns a context that ends with the first signal to stop, and one that ends with the
// second. A closed terminal is such a signal too, unless the program was told to survive it
// (nohup). The last function ends the watching.
func interrupts() (ctx, rush context.Context, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	rush, cancelRush := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	wanted := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		wanted = append(wanted, syscall.SIGHUP)
	}
	signal.Notify(signals, wanted...)
	watched := make(chan struct{})
	go func() { // ends with end
		defer close(watched)
		for _, next := range [...]func(){cancel, cancelRush} {
			if _, ok := <-signals; !ok {
				return
			}
			next()
		}
	}()
	return ctx, rush, func() {
		signal.Stop(signals)
		close(signals)
		<-watched
		cancel()
		cancelRush()
	}
}
