package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
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

// ps prints the nodes as they are, with or without an `up` that watches them: those of this machine as they say
// themselves, those of others as these see them. The error is errDown unless all of this machine's are ready.
func (t *tool) ps(config, host string, asJSON bool) error {
	c, err := t.load(config)
	if err != nil {
		return err
	}
	if host, err = here(c, host); err != nil {
		return err
	}
	rows, err := survey(context.Background(), c, host, t.ownBuild())
	if err != nil {
		return err
	}
	if asJSON {
		writeJSON(t.out, rows)
	} else {
		fmt.Fprintln(t.out, strings.Join(tableLines(rows), "\n"))
		t.remarks(c, rows)
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return !r.isFine() }) {
		return errDown
	}
	return nil
}

// remarks prints what does not fit into the table.
func (t *tool) remarks(c *node.Config, rows []Row) {
	watched := false
	for _, r := range rows {
		watched = watched || r.Watched
		if strings.HasPrefix(r.Store, persist.Degraded) {
			fmt.Fprintf(t.out, "%s: the store is %s\n", r.Node, r.Store)
		}
		if r.Note != "" {
			fmt.Fprintf(t.out, "%s: %s\n", r.Node, r.Note)
		}
	}
	for _, line := range scaledLines(c) {
		fmt.Fprintln(t.out, line)
	}
	if runs := slices.ContainsFunc(rows, func(r Row) bool { return r.PID != 0 }); runs && !watched {
		fmt.Fprintln(t.out, "no `up` watches them: one that dies stays down; up adopts them")
	}
}

// scaledLines say which tables have other copies than in the file.
func scaledLines(c *node.Config) []string {
	var all []string
	for _, table := range slices.Sorted(maps.Keys(c.Scaled)) {
		s := c.Scaled[table]
		all = append(all, fmt.Sprintf("%s: %d nodes, as scale wanted; %s has %d", table, s.Count, filepath.Base(c.Path),
			s.File))
	}
	return all
}

// ownBuild names this binary as install does.
func (t *tool) ownBuild() string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	build, err := hashOf(exe)
	if err != nil {
		return ""
	}
	return build
}

// survey asks all nodes at once.
func survey(ctx context.Context, c *node.Config, host, build string) ([]Row, error) {
	found, err := node.ReadRunning(c.RunDir())
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(r node.Running) bool { return !r.Alive() })
	byUp, members := stateOfUp(ctx, c), membersSeen(ctx, found)
	var rows []Row
	for _, n := range c.Nodes {
		rows = append(rows, Row{Node: n.Name, Roles: strings.Join(n.Roles, ","), Host: n.Host, State: "down"})
	}
	for _, r := range found {
		if _, known := c.Node(r.Name); !known {
			rows = append(rows, Row{Node: r.Name, Roles: strings.Join(r.Roles, ","), Note: strange(c)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) { // another machine may have scaled
		if !slices.ContainsFunc(rows, func(r Row) bool { return r.Node == name }) {
			rows = append(rows, Row{Node: name, Roles: strings.Join(members[name].Roles, ","), State: stateRemote})
		}
	}
	var asked sync.WaitGroup
	for i := range rows {
		row := &rows[i]
		up, isWatched := byUp[row.Node]
		row.Watched = isWatched
		m, isMember := members[row.Node]
		row.Shards = m.Shards
		n, known := c.Node(row.Node)
		at := slices.IndexFunc(found, func(r node.Running) bool { return r.Name == row.Node })
		switch {
		case at < 0 && isMember && (!known || !n.Here(host)):
			row.State = stateRemote
		case at < 0 && known && !n.Here(host):
			row.State = stateRemote + ", not seen"
		case at < 0:
			row.down(up)
		default:
			if known {
				row.Note = notice(c, n, found[at], build)
			}
			asked.Add(1)
			go func() { // ends within twice askWithin and rateOver
				defer asked.Done()
				row.observe(ctx, found[at], up)
			}()
		}
	}
	asked.Wait()
	return rows, nil
}

// stateRemote is that of a node which another machine starts.
const stateRemote = "remote"

// isFine says whether a node is as it should be, as far as this machine can tell.
func (r Row) isFine() bool { return r.State == "ready" || strings.HasPrefix(r.State, stateRemote) }

// down is the state of a node without a process: what the `up` that watches it says of it.
func (r *Row) down(up Row) {
	if up.State != "" && up.PID == 0 {
		r.State = up.State
	}
}

// membersSeen lists who is in the cluster, by name, as the first node sees it that answers.
func membersSeen(ctx context.Context, found []node.Running) map[string]node.Membership {
	for _, r := range found {
		within, cancel := context.WithTimeout(ctx, askWithin)
		all, err := r.Members(within)
		cancel()
		if err != nil || len(all) == 0 {
			continue
		}
		members := map[string]node.Membership{}
		for _, m := range all {
			members[m.Name] = m
		}
		return members
	}
	return nil
}

// observe fills in what a node says of itself, twice, for the rate.
func (r *Row) observe(ctx context.Context, n node.Running, up Row) {
	ctx, cancel := context.WithTimeout(ctx, 2*askWithin+rateOver)
	defer cancel()
	r.PID, r.Build = n.PID, buildOf(n)
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
	if up.PID == n.PID && strings.HasPrefix(up.State, stateDraining) {
		r.State = up.State
	}
	if second.Store != nil {
		r.Store = second.Store.Level
	}
	r.Rate = max(0, float64(second.Messages)-float64(first.Messages)) / rateOver.Seconds()
}
