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

// readyWithin bounds how long `up --once` waits until everything is ready.
const readyWithin = time.Minute

// up runs this machine's nodes until a signal, or until once is over.
func (t *tool) up(config string, once time.Duration, json bool) error {
	c, err := t.load(config)
	if err != nil {
		return err
	}
	ctx, rush, end := interrupts()
	defer end()
	return t.supervise(ctx, rush, c, once, newView(t.out, json))
}

// supervise takes the lock, installs the binary and runs a supervisor.
func (t *tool) supervise(ctx, rush context.Context, c *node.Config, once time.Duration,
	view View) (err error) {
	l, err := takeLock(c.Cluster.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.release()) }()
	s, err := t.supervisor(c, once, view)
	if err != nil {
		return err
	}
	if err := t.checkSchema(ctx, c, s.plan.Nodes); err != nil {
		return err
	}
	return s.Run(ctx, rush)
}

func (t *tool) supervisor(c *node.Config, once time.Duration, view View) (*Supervisor, error) {
	nodes, err := local(c)
	if err != nil {
		return nil, err
	}
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
		ReadyWithin: readyWithin, Login: t.login, View: view}
	if t.certify != nil {
		p.Certify = func(ctx context.Context, dead node.Running) error {
			return t.certify(ctx, c, dead)
		}
	}
	return NewSupervisor(p), nil
}

// portsWithin is how long a port may stay taken: who was just killed gives it back a little later.
const portsWithin = 2 * time.Second

// checkPorts looks whether somebody else listens where the nodes will; the error names all of them.
func checkPorts(ctx context.Context, c *node.Config, nodes []node.NodeConfig) error {
	ctx, cancel := context.WithTimeout(ctx, portsWithin)
	defer cancel()
	for {
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
		if len(taken) == 0 {
			return nil
		}
		if sleep(ctx, aliveEvery) != nil {
			return fmt.Errorf("cli: another program listens where a node should; stop it, "+
				"or change %s:\n  %s", c.Path, strings.Join(taken, "\n  "))
		}
	}
}
