package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

// stop ends all nodes of this machine in order, or the named one. An `up` that runs is asked to
// end, and does it; without one, the nodes are asked directly.
func (t *tool) stop(config, name string) error {
	c, err := t.load(config)
	if err != nil {
		return err
	}
	if _, ok := c.Node(name); name != "" && !ok {
		return misuse{fmt.Errorf("%s has no node %s", config, name)}
	}
	ctx, rush, end := interrupts()
	defer end()
	if pid := holder(c.Cluster.Data); pid > 0 && name == "" {
		return t.stopUp(ctx, c, pid)
	}
	found, err := node.ReadRunning(c.RunDir())
	if err != nil {
		return err
	}
	var alive []node.Running
	for _, r := range found {
		if r.Alive() && (name == "" || r.Name == name) {
			alive = append(alive, r)
		}
	}
	if len(alive) == 0 {
		fmt.Fprintln(t.out, "nothing runs")
		return nil
	}
	hung := stopInOrder(rush, alive, c.Cluster.DrainTimeout, lines{w: t.out}.Event)
	for _, r := range alive {
		if err := r.Forget(c.RunDir()); err != nil {
			return err
		}
	}
	if len(hung) > 0 {
		return fmt.Errorf("cli: had to kill %s", strings.Join(hung, ", "))
	}
	for _, r := range alive {
		fmt.Fprintf(t.out, "%s stopped\n", r.Name)
	}
	return nil
}

// stopUp asks the `up` that runs to end and waits for it: each rank of nodes may take its time.
func (t *tool) stopUp(ctx context.Context, c *node.Config, pid int) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("cli: asking `up` (pid %d) to stop: %w", pid, err)
	}
	fmt.Fprintf(t.out, "asked `up` (pid %d) to stop everything\n", pid)
	within := ranks*c.Cluster.DrainTimeout + 10*time.Second
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for holder(c.Cluster.Data) == pid {
		if sleep(ctx, aliveEvery) != nil {
			return errors.New("cli: `up` has not stopped yet; ps shows what still runs")
		}
	}
	fmt.Fprintln(t.out, "stopped")
	return nil
}
