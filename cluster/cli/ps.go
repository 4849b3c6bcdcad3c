package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/persist"
)

// rateOver is how long ps watches to say how many messages there are a second.
const rateOver = 500 * time.Millisecond

// errDown means that not every node of the configuration is ready.
var errDown = errors.New("not every node is ready")

// ps prints the nodes of this machine as they are, with or without an `up` that watches them. The
// error is errDown unless all are ready.
func (t *tool) ps(config string, asJSON bool) error {
	c, err := t.load(config)
	if err != nil {
		return err
	}
	nodes, err := local(c)
	if err != nil {
		return err
	}
	rows, err := survey(context.Background(), c, nodes)
	if err != nil {
		return err
	}
	if asJSON {
		writeJSON(t.out, rows)
	} else {
		fmt.Fprintln(t.out, strings.Join(tableLines(rows), "\n"))
		for _, r := range rows {
			if strings.HasPrefix(r.Store, persist.Degraded) {
				fmt.Fprintf(t.out, "%s: the store is %s\n", r.Node, r.Store)
			}
		}
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return r.State != "ready" }) {
		return errDown
	}
	return nil
}

// survey asks all nodes at once.
func survey(ctx context.Context, c *node.Config, nodes []node.NodeConfig) ([]Row, error) {
	found, err := node.ReadRunning(c.RunDir())
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(nodes))
	var asked sync.WaitGroup
	for i, n := range nodes {
		rows[i] = Row{Node: n.Name, Roles: strings.Join(n.Roles, ","), State: "down"}
		at := slices.IndexFunc(found, func(r node.Running) bool {
			return r.Name == n.Name && r.Alive()
		})
		if at < 0 {
			continue
		}
		asked.Add(1)
		go func() { // ends within twice askWithin and rateOver
			defer asked.Done()
			rows[i].observe(ctx, found[at])
		}()
	}
	asked.Wait()
	return rows, nil
}

// observe fills in what a node says of itself, twice, for the rate.
func (r *Row) observe(ctx context.Context, n node.Running) {
	ctx, cancel := context.WithTimeout(ctx, 2*askWithin+rateOver)
	defer cancel()
	r.PID = n.PID
	first, err := ask(ctx, n)
	if err == nil {
		err = sleep(ctx, rateOver)
	}
	var second node.Report
	if err == nil {
		second, err = ask(ctx, n)
	}
	if err != nil {
		r.State = "not ready: " + err.Error()
		return
	}
	r.State, r.Sessions, r.Actors = "ready", second.Sessions, second.Actors
	if second.Store != nil {
		r.Store = second.Store.Level
	}
	r.Rate = max(0, float64(second.Messages)-float64(first.Messages)) / rateOver.Seconds()
}
