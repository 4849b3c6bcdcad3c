package cli

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

// stop ends all nodes of this machine in order, or the named one. An `up` that runs is asked to
// do it; without one, the nodes are asked directly.
func (t *tool) stop(config, name string, asJSON bool) error {
	c, err := t.load(config)
	if err != nil {
		return err
	}
	if name != "" {
		return t.lower(c, verbStop, name, asJSON)
	}
	view := lines{t.out, asJSON}
	ctx, rush, end := interrupts()
	defer end()
	if h, runs := holder(c.Cluster.Data); runs {
		return view.result(t.stopUp(ctx, c, h.pid, view), "stopped")
	}
	found, err := node.ReadRunning(c.RunDir())
	if err != nil {
		return view.result(err, "")
	}
	var alive []node.Running
	for _, r := range found {
		if r.Alive() {
			alive = append(alive, r)
		}
	}
	if len(alive) == 0 {
		return view.result(nil, "nothing runs")
	}
	hung := stopInOrder(rush, alive, c.Cluster.DrainTimeout, view.Event)
	for _, r := range alive {
		if err := r.Forget(c.RunDir()); err != nil {
			return view.result(err, "")
		}
	}
	return view.result(hungError(hung), "stopped")
}

// stopUp asks the `up` that runs to end and waits for it: each rank of nodes may take its time.
func (t *tool) stopUp(ctx context.Context, c *node.Config, pid int, view View) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("cli: asking `up` (pid %d) to stop: %w", pid, err)
	}
	view.Event(Event{At: time.Now(), What: "stopping", PID: pid,
		Text: fmt.Sprintf("asked `up` (pid %d) to stop everything", pid)})
	within := ranks*c.Cluster.DrainTimeout + 10*time.Second
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		if h, runs := holder(c.Cluster.Data); !runs || h.pid != pid {
			return nil
		}
		if sleep(ctx, aliveEvery) != nil {
			return errors.New("cli: `up` has not stopped yet; ps shows what still runs")
		}
	}
}
