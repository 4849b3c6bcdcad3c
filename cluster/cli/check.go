package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/cluster/determinism"
	"github.com/fireflyrt/firefly/cluster/node"
)

// A checked node is what one node would do, for --json.
type checkedNode struct {
	Node      string            `json:"node"`
	Roles     []string          `json:"roles"`
	Host      string            `json:"host,omitempty"`
	Kinds     []string          `json:"kinds,omitempty"`
	Listeners map[string]string `json:"listeners"`
	Store     string            `json:"store,omitempty"`
}

// check prints what each node would do, or returns all that is wrong.
func (t *tool) check(config, lock string, asJSON, keys bool) error {
	if keys {
		return node.WriteKeys(t.out)
	}
	c, err := t.load(config)
	if err == nil {
		err = c.CheckCertificates(time.Now())
	}
	wrong := node.Problems(nil)
	if err != nil && !errors.As(err, &wrong) {
		return err
	}
	left, locked, err := t.checkLock(config, lock)
	if err != nil {
		return err
	}
	if wrong = append(wrong, left...); len(wrong) > 0 {
		if asJSON {
			writeJSON(t.out, map[string]any{"problems": wrong})
			return misuse{fmt.Errorf("%d problems", len(wrong))}
		}
		return wrong
	}
	var all []checkedNode
	for _, n := range c.Nodes {
		all = append(all, t.checked(c, n))
	}
	if asJSON {
		said := map[string]any{"cluster": c.Cluster.Name, "nodes": all, "locked": locked}
		if len(c.Scaled) > 0 {
			said["scaled"] = c.Scaled
		}
		writeJSON(t.out, said)
		return nil
	}
	fmt.Fprintf(t.out, "cluster %s: %d nodes, nothing wrong\n", c.Cluster.Name, len(all))
	for _, line := range scaledLines(c) {
		fmt.Fprintln(t.out, line)
	}
	if !locked {
		fmt.Fprintf(t.out, "there is no %s to say whether numbers still mean the same; `gen lock` makes it\n",
			lockOf(config, ""))
	}
	for _, n := range all {
		n.print(t.out, c)
	}
	return nil
}

// checkDeterminism prints what would make behaviours do otherwise on replay, one finding a line.
func (t *tool) checkDeterminism(packages []string, asJSON bool) error {
	ctx, _, end := interrupts()
	defer end()
	found, err := determinism.Check(ctx, ".", packages...)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return errors.New("interrupted")
	case err != nil:
		return err
	case asJSON:
		writeJSON(t.out, found)
	case len(found.Findings) == 0:
		fmt.Fprintf(t.out, "%d behaviours in %d packages, nothing found\n", found.Behaviours, found.Packages)
	}
	if len(found.Findings) == 0 {
		return nil
	}
	if !asJSON {
		for _, f := range found.Findings {
			fmt.Fprintln(t.out, f)
		}
	}
	return misuse{fmt.Errorf("%d findings; docs/determinism.md says more about each", len(found.Findings))}
}

func (t *tool) checked(c *node.Config, n node.NodeConfig) checkedNode {
	k := checkedNode{Node: n.Name, Roles: n.Roles, Host: n.Host, Listeners: map[string]string{}}
	for _, l := range c.Listeners(n) {
		k.Listeners[l.Key] = l.Address
	}
	for _, kind := range t.kinds {
		if n.Has(kind.Role) {
			k.Kinds = append(k.Kinds, kind.Kind)
		}
	}
	if n.Has(node.RolePersist) {
		k.Store = storeOf(c)
	}
	return k
}

// storeOf names the store without its secrets.
func storeOf(c *node.Config) string {
	switch c.Persist.Store {
	case node.StoreEmbedded:
		return "SQLite, " + c.StoreFile()
	case node.StoreMySQL:
		dsn := c.Persist.DSN
		schema := strings.LastIndex(dsn, "/")
		if schema < 0 {
			return "MySQL, by a dsn that names no schema"
		}
		secret := strings.LastIndex(dsn[:schema], "@") // passwords may hold both
		return "MySQL, " + dsn[secret+1:]
	default:
		return "memory: nothing outlives the node"
	}
}

func (k checkedNode) print(w io.Writer, c *node.Config) {
	fmt.Fprintf(w, "\n%s (%s)\n", k.Node, strings.Join(k.Roles, ", "))
	if k.Host != "" {
		fmt.Fprintf(w, "  is started on %s\n", k.Host)
	}
	if n, _ := c.Node(k.Node); n.Has(node.RoleRegistry) {
		fmt.Fprintf(w, "  runs the embedded etcd, files in %s\n", c.EtcdDir())
	}
	if len(k.Kinds) > 0 {
		fmt.Fprintf(w, "  runs %s\n", strings.Join(k.Kinds, ", "))
	}
	if k.Store != "" {
		fmt.Fprintf(w, "  writes every %s to %s\n", c.Persist.FlushEvery, k.Store)
	}
	var names []string
	for key := range k.Listeners {
		names = append(names, key)
	}
	slices.Sort(names)
	for _, key := range names {
		fmt.Fprintf(w, "  %-14s %s\n", key, k.Listeners[key])
	}
}
