package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
)

// boxWithin is how long all nodes of this machine together may take to show an entity's box.
const boxWithin = 20 * time.Second

func (t *tool) boxCommand(config *string) *cobra.Command {
	var drop uint64
	var json bool
	c := &cobra.Command{
		Use:   "box KIND/ID [--drop NUMBER]",
		Short: "Show an entity's durable messages and reminders, or give a message up that is not taken",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			ref, err := actors.ParseRef(args[0])
			if err != nil {
				return misuse{err}
			}
			c, err := t.load(*config)
			if err != nil {
				return err
			}
			found, err := lookInto(c, ref, drop)
			if err != nil {
				return err
			}
			if json {
				writeJSON(t.out, found)
			} else {
				t.printBox(ref, found)
			}
			return nil
		},
	}
	c.Flags().Uint64Var(&drop, "drop", 0, "the message to give up; its sender is told Undelivered with DROPPED")
	c.Flags().BoolVar(&json, "json", false, "as one JSON object, as it is stored")
	return c
}

// lookInto asks any node that runs here: it finds the entity.
func lookInto(c *node.Config, ref actors.Ref, drop uint64) (*actors.Contents, error) {
	found, err := node.ReadRunning(c.RunDir())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), boxWithin)
	defer cancel()
	for _, r := range found {
		if !r.Alive() || slices.Contains(r.Roles, node.RoleRegistry) {
			continue
		}
		box, err := r.Box(ctx, ref, drop)
		if err != nil {
			return nil, fmt.Errorf("cli: the box of %s: %w", ref, err)
		}
		return box, nil
	}
	return nil, errors.New("cli: no node runs here that could be asked; up starts them")
}

func (t *tool) printBox(ref actors.Ref, c *actors.Contents) {
	in := func(ms int64) string { return time.Until(time.UnixMilli(ms)).Round(time.Second).String() }
	for _, p := range c.Out {
		fmt.Fprintf(t.out, "out       %d to %s: %s %s; sent again %d times, next in %s\n", p.Seq, p.To,
			t.nameOf(p.Number), p.Body, p.Tries, in(p.Due))
	}
	byName := func(a, b actors.Ref) int { return strings.Compare(a.String(), b.String()) }
	for _, from := range slices.SortedFunc(maps.Keys(c.In), byName) {
		fmt.Fprintf(t.out, "taken     up to %d from %s\n", c.In[from].Seq, from)
	}
	for _, r := range c.Due {
		fmt.Fprintf(t.out, "reminder  %s %s in %s; has failed %d times\n", t.nameOf(r.Number), r.Body,
			in(r.At), r.Tries)
	}
	if len(c.Out)+len(c.In)+len(c.Due) == 0 {
		fmt.Fprintf(t.out, "the box of %s is empty\n", ref)
	}
}

// nameOf is a message's number and its name in the catalogue.
func (t *tool) nameOf(number uint32) string {
	if line := t.catalogue.ByNumber(number); line != nil {
		return line.String()
	}
	return fmt.Sprintf("%d (not in the catalogue)", number)
}
