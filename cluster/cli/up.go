package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

// readyWithin bounds how long `up --once`, and whoever wants a node started, waits until it is ready.
const readyWithin = time.Minute

// up runs a machine's nodes until a signal, or until once is over. Without a host it is this machine by its own name.
func (t *tool) up(config, host string, once time.Duration, json bool) error {
	c, err := t.load(config)
	if err != nil {
		return err
	}
	name := host
	if name == "" {
		if name, err = os.Hostname(); err != nil {
			return fmt.Errorf("cli: asking for this machine's name: %w", err)
		}
	}
	if len(local(c, name)) == 0 {
		return misuse{fmt.Errorf("%s starts no node on %s, but on %s; say which machine this is: --host NAME", config,
			name, strings.Join(hosts(c), ", "))}
	}
	ctx, rush, end := interrupts()
	defer end()
	return t.supervise(ctx, rush, c, host, once, newView(t.out, json))
}

// supervise takes the lock, installs the binary and runs a supervisor.
func (t *tool) supervise(ctx, rush context.Context, c *node.Config, host string, once time.Duration,
	view View) (err error) {
	l, err := takeLock(c.Cluster.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.release()) }()
	socket, err := deskSocket(c.Cluster.Data)
	if err == nil {
		err = l.say(holding{os.Getpid(), socket, host})
	}
	if err != nil {
		return err
	}
	s, err := t.supervisor(c, host, once, view)
	if err != nil {
		return err
	}
	if err := t.checkSchema(ctx, c, s.plan.Nodes); err != nil {
		return err
	}
	d, err := openDesk(socket, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	return s.Run(ctx, rush)
}

func (t *tool) supervisor(c *node.Config, host string, once time.Duration, view View) (*Supervisor, error) {
	host, err := here(c, host)
	if err != nil {
		return nil, err
	}
	nodes := local(c, host)
	exe := t.binary
	if exe == "" {
		if exe, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("cli: finding the own binary: %w", err)
		}
	}
	binary, err := install(exe, c)
	if err != nil {
		return nil, err
	}
	p := Plan{Config: c, Nodes: nodes, Binary: binary, Env: t.env, Once: once,
		ReadyWithin: readyWithin, View: view, Scale: t.rescale(c.Path, host),
		Login: func(ctx context.Context, gates []node.Running) error { return t.login(ctx, c, gates) }}
	if t.certify != nil {
		p.Certify = func(ctx context.Context, dead node.Running) error {
			return t.certify(ctx, c, dead)
		}
	}
	return NewSupervisor(p), nil
}

// portsWithin is how long a port may stay taken: who was just killed gives it back a little later.
const portsWithin = 2 * time.Second

// takenPorts says where somebody else listens although these nodes will.
func takenPorts(c *node.Config, nodes []node.NodeConfig) []string {
	var taken []string
	for _, n := range nodes {
		for _, l := range c.Listeners(n) {
			if free, err := net.Listen("tcp", l.Address); err != nil {
				taken = append(taken, fmt.Sprintf("%s of %s: %v", l.Key, n.Name, err))
			} else {
				free.Close() //nolint:errcheck // it took no connection
			}
		}
	}
	return taken
}
