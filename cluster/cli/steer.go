package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

// This file is the verbs that change which nodes run while a cluster plays. They ask the `up` that watches the nodes,
// since it would start again what somebody else ends; where none runs, nodes that are to end are asked themselves.

// errNoUp means that nobody is there who could start a node.
var errNoUp = errors.New("cli: no `up` runs here")

// result ends a verb: what an operator reads last says how it went.
func (l lines) result(err error, done string) error {
	e := Event{At: time.Now(), What: "done", Text: done}
	if err != nil {
		e.What, e.Text = "failed", strings.TrimPrefix(err.Error(), "cli: ")
	}
	if err == nil || l.json {
		l.Event(e)
	}
	return err
}

// refused ends a verb that never began, since the command or the configuration is wrong: its last event says so too.
func (t *tool) refused(err error, asJSON bool) error {
	if asJSON && exitCode(err) == exitUsage {
		return lines{t.out, true}.result(err, "")
	}
	return err
}

// lower drains or stops one node, and keeps it down.
func (t *tool) lower(c *node.Config, verb, name string, asJSON bool) error {
	r, runs := living(c.RunDir(), name)
	n, known := c.Node(name)
	if !known && !runs {
		return misuse{fmt.Errorf("%s has no node %s", c.Path, name)}
	}
	view := lines{t.out, asJSON}
	done := name + " stopped"
	if verb == verbDrain {
		done = name + " drained and stopped"
	}
	ctx, rush, end := interrupts()
	defer end()
	if h, watched := holder(c.Cluster.Data); watched {
		err := askUp(ctx, h.socket, verb, url.Values{"node": {name}}, view.Event)
		return view.result(err, done)
	}
	if !runs {
		done = "nothing runs"
		if n.Host != "" {
			done = fmt.Sprintf("nothing runs here; %s is started on %s", name, n.Host)
		}
		return view.result(nil, done)
	}
	if verb == verbDrain {
		if err := mayDrain(ctx, r, nil); err != nil {
			return view.result(err, "")
		}
	}
	err := stopEach(ctx, rush, []node.Running{r}, verb == verbDrain, c.Cluster.DrainTimeout, view.Event)
	return view.result(errors.Join(err, r.Forget(c.RunDir())), done)
}

// drain lets a node hand its shards over, stops it and keeps it down.
func (t *tool) drain(config, name string, asJSON bool) error {
	c, err := t.load(config)
	if err != nil {
		return err
	}
	return t.lower(c, verbDrain, name, asJSON)
}

// start lets a node that was stopped run again.
func (t *tool) start(config, name string, asJSON bool) error {
	c, err := t.load(config)
	if err != nil {
		return err
	}
	if _, known := c.Node(name); !known {
		return misuse{fmt.Errorf("%s has no node %s", c.Path, name)}
	}
	ctx, _, end := interrupts()
	defer end()
	view := lines{t.out, asJSON}
	h, watched := holder(c.Cluster.Data)
	if !watched {
		err := fmt.Errorf("%w; run it in the foreground: node %s", errNoUp, name)
		return view.result(err, "")
	}
	return view.result(askUp(ctx, h.socket, verbStart, url.Values{"node": {name}}, view.Event), name+" is ready")
}

// scale makes a table have more or fewer copies, now and after a restart.
func (t *tool) scale(config, wanted string, asJSON bool) error {
	table, count, err := parseScale(wanted)
	if err != nil {
		return misuse{err}
	}
	c, err := t.load(config)
	if err != nil {
		return err
	}
	if _, err := node.LoadScaled(config, t.kinds, table, count); err != nil {
		return asMisuse(err)
	}
	ctx, _, end := interrupts()
	defer end()
	view := lines{t.out, asJSON}
	h, watched := holder(c.Cluster.Data)
	if !watched {
		err := fmt.Errorf("%w; start one and scale then, or write count = %d into [node.%s] before", errNoUp, count,
			table)
		return view.result(err, "")
	}
	query := url.Values{"node": {table}, "count": {strconv.Itoa(count)}}
	return view.result(askUp(ctx, h.socket, verbScale, query, view.Event), fmt.Sprintf("%s has %d nodes", table, count))
}

// parseScale reads game=4.
func parseScale(wanted string) (table string, count int, err error) {
	table, number, ok := strings.Cut(wanted, "=")
	if count, err = strconv.Atoi(number); !ok || err != nil || table == "" {
		return "", 0, fmt.Errorf("%q is not like game=4", wanted)
	}
	return table, count, nil
}

// asMisuse says that a wish for copies which cannot be is an error of whoever typed it.
func asMisuse(err error) error {
	if problems := node.Problems(nil); errors.As(err, &problems) {
		return err
	}
	return misuse{err}
}

// rescale is what a supervisor does to have other copies.
func (t *tool) rescale(path, host string) func(table string, count int) (*node.Config, []node.NodeConfig, error) {
	return func(table string, count int) (*node.Config, []node.NodeConfig, error) {
		c, err := node.LoadScaled(path, t.kinds, table, count)
		if err != nil {
			return nil, nil, err
		}
		nodes := local(c, host)
		if !slices.ContainsFunc(nodes, func(n node.NodeConfig) bool { return n.Table == table }) {
			return nil, nil, fmt.Errorf("cli: no node of %s is started here, on %s", table, host)
		}
		return c, nodes, c.KeepScale()
	}
}

// stateOfUp is the table as the `up` of a cluster sees it, by node; nil if none answers.
func stateOfUp(ctx context.Context, c *node.Config) map[string]Row {
	h, watched := holder(c.Cluster.Data)
	if !watched {
		return nil
	}
	rows, err := rowsOfUp(ctx, h.socket)
	if err != nil {
		return nil
	}
	all := map[string]Row{}
	for _, r := range rows {
		all[r.Node] = r
	}
	return all
}
