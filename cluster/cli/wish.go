package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/cluster/node"
)

// The verbs that a running `up` can be asked for.
const (
	verbScale = "scale"
	verbDrain = "drain"
	verbStop  = "stop"
	verbStart = "start"
)

// A wish is what an operator asks of a supervisor while it runs.
type wish struct {
	verb  string // scale, drain, stop, start
	node  string // or the table, to scale
	count int

	up    []string // who must be ready in the end
	down  []string // who must have ended, or be gone
	busy  bool     // nodes are being stopped for it
	until time.Time
	errs  []error

	heard   chan Event // how far it is; who reads too slowly misses some
	granted chan error // told once
}

// wishEvents bounds how many events of a wish wait to be read.
const wishEvents = 64

func newWish(verb, node string, count int) *wish {
	return &wish{verb: verb, node: node, count: count, heard: make(chan Event, wishEvents),
		granted: make(chan error, 1)}
}

// String is the wish as it is typed.
func (w *wish) String() string {
	if w.verb == verbScale {
		return fmt.Sprintf("%s %s=%d", w.verb, w.node, w.count)
	}
	return w.verb + " " + w.node
}

// hear tells whoever wished.
func (w *wish) hear(e Event) {
	select {
	case w.heard <- e:
	default:
	}
}

var (
	errStopping = errors.New("cli: `up` is stopping")
	errBusy     = errors.New("cli: somebody else's wish about it is being fulfilled; try again then")
)

// grant begins to fulfil a wish.
func (s *Supervisor) grant(beside, rush context.Context, w *wish) {
	if err := s.begin(beside, rush, w); err != nil {
		w.granted <- err
		return
	}
	s.wishes = append(s.wishes, w)
}

func (s *Supervisor) begin(beside, rush context.Context, w *wish) error {
	if s.phase >= stopping {
		return errStopping
	}
	w.until = time.Now().Add(s.plan.ReadyWithin)
	if w.verb == verbScale {
		return s.beginScale(beside, rush, w)
	}
	c := s.find(w.node)
	switch {
	case c == nil:
		return fmt.Errorf("cli: %s is no node that this `up` runs", w.node)
	case s.isWishedAbout(c.Name):
		return errBusy
	case w.verb == verbStart:
		s.raise(c)
		w.up = []string{c.Name}
	default:
		w.down = []string{c.Name}
		s.lower(beside, rush, w, []*child{c})
	}
	return nil
}

// isWishedAbout says whether a wish that is being fulfilled is about the node.
func (s *Supervisor) isWishedAbout(name string) bool {
	return slices.ContainsFunc(s.wishes, func(w *wish) bool {
		return slices.Contains(w.up, name) || slices.Contains(w.down, name)
	})
}

// raise lets a node run again that was to stay down.
func (s *Supervisor) raise(c *child) {
	if c.held = false; c.state == ended {
		c.state = waiting
	}
}

// beginScale makes more or fewer copies of a table. What is kept for the next supervisor is kept first: if this one
// dies on the way, that one goes on.
func (s *Supervisor) beginScale(beside, rush context.Context, w *wish) error {
	for _, c := range s.children {
		if c.Table == w.node && s.isWishedAbout(c.Name) {
			return errBusy
		}
	}
	config, nodes, err := s.plan.Scale(w.node, w.count)
	if err != nil {
		return err
	}
	s.plan.Config, s.plan.Nodes = config, nodes
	for _, n := range nodes {
		if n.Table != w.node {
			continue
		}
		w.up = append(w.up, n.Name)
		if c := s.find(n.Name); c == nil {
			s.child(n)
		} else {
			s.raise(c)
		}
	}
	s.lower(beside, rush, w, s.surplus(w.node))
	return nil
}

// surplus are the copies of a table that the configuration does not have any more, the highest first. They leave.
func (s *Supervisor) surplus(table string) []*child {
	var all []*child
	for _, c := range slices.Backward(s.children) {
		_, isNode := s.plan.Config.Node(c.Name)
		if isNode || !isCopy(c.Name, table) {
			continue
		}
		c.leaving = true
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b *child) int {
		if len(a.Name) != len(b.Name) {
			return len(b.Name) - len(a.Name) // game-10 is higher than game-9
		}
		return strings.Compare(b.Name, a.Name)
	})
	return all
}

// isCopy says whether a name is one that a table with a count gives.
func isCopy(name, table string) bool {
	number, ok := strings.CutPrefix(name, table+"-")
	n, err := strconv.Atoi(number)
	return ok && err == nil && n > 0
}

// goOn finishes what an earlier supervisor had begun: copies that were scaled away and still run.
func (s *Supervisor) goOn(beside, rush context.Context) {
	for _, table := range slices.Sorted(maps.Keys(s.plan.Config.Scaled)) {
		if all := s.surplus(table); len(all) > 0 {
			w := newWish(verbScale, table, s.plan.Config.Scaled[table].Count)
			w.until = time.Now().Add(s.plan.ReadyWithin)
			s.lower(beside, rush, w, all)
			s.wishes = append(s.wishes, w)
		}
	}
}

// lower stops nodes, one after another, and keeps them down. What does not run is down already.
func (s *Supervisor) lower(beside, rush context.Context, w *wish, all []*child) {
	var alive []node.Running
	for _, c := range all {
		c.held = true
		switch {
		case c.state == running:
			w.down = append(w.down, c.Name)
			alive = append(alive, c.running)
		default:
			c.state = ended
			if c.leaving {
				s.forget(c)
			}
		}
	}
	if len(alive) == 0 {
		return
	}
	w.busy = true
	leaving := s.leaving()
	drain, timeout := w.verb != verbStop, s.plan.Config.Cluster.DrainTimeout
	tell := func(e Event) {
		w.hear(e)
		select {
		case s.told <- e:
		case <-beside.Done():
		}
	}
	s.beside.Add(1)
	go func() { // ends when the last of them has
		defer s.beside.Done()
		var err error
		if w.verb == verbDrain {
			err = mayDrain(beside, alive[0], leaving)
		}
		isRefused := err != nil
		if !isRefused {
			err = stopEach(beside, rush, alive, drain, timeout, tell)
		}
		select {
		case s.retired <- retirement{w, isRefused, err}:
		case <-beside.Done():
		}
	}()
}

// leaving names the nodes that are to be down: they take nobody's shards over.
func (s *Supervisor) leaving() (names []string) {
	for _, c := range s.children {
		if c.held || c.leaving {
			names = append(names, c.Name)
		}
	}
	return names
}

// forget ends what a supervisor knows of a node.
func (s *Supervisor) forget(c *child) {
	s.children = slices.DeleteFunc(s.children, func(o *child) bool { return o == c })
}

// A retirement says that the nodes a wish wanted down are, or why not.
type retirement struct {
	wish      *wish
	isRefused bool // nothing was done
	err       error
}

func (s *Supervisor) hasRetired(r retirement) {
	r.wish.busy = false
	if r.err != nil {
		r.wish.errs = append(r.wish.errs, r.err)
	}
	if !r.isRefused {
		return
	}
	for _, name := range r.wish.down {
		if c := s.find(name); c != nil {
			c.held = false
		}
	}
	r.wish.down = nil
}

// tellOn takes in what happens to nodes beside, and shows it.
func (s *Supervisor) tellOn(e Event) {
	if c := s.find(e.Node); c != nil && e.Shards != nil {
		c.drains, c.shards = true, *e.Shards
	}
	s.plan.View.Event(e)
}

// fulfil answers the wishes that have come true, or cannot any more.
func (s *Supervisor) fulfil(now time.Time) {
	s.wishes = slices.DeleteFunc(s.wishes, func(w *wish) bool {
		isOver, err := s.outcome(w, now)
		if isOver {
			w.granted <- err
		}
		if isOver && err != nil {
			s.tell(nil, "failed", "%s: %s", w, strings.TrimPrefix(err.Error(), "cli: "))
		} else if isOver {
			s.tell(nil, "done", "%s: done", w)
		}
		return isOver
	})
}

// outcome says whether a wish is over, and how it went.
func (s *Supervisor) outcome(w *wish, now time.Time) (isOver bool, err error) {
	if s.phase >= stopping {
		return true, errors.Join(append(w.errs, errStopping)...)
	}
	if w.busy {
		w.until = now.Add(s.plan.ReadyWithin)
		return false, nil
	}
	for _, name := range w.down {
		if c := s.find(name); c != nil && c.state == running {
			return false, nil // its end is about to be seen
		} else if c != nil && c.failure != "" {
			w.errs = append(w.errs, fmt.Errorf("cli: %s ended with %s", name, c.failure))
			c.failure = ""
		}
	}
	if len(w.errs) > 0 {
		return true, errors.Join(w.errs...)
	}
	var missing []string
	for _, name := range w.up {
		c := s.find(name)
		if c != nil && (c.state != running || c.readyAt.IsZero() || c.trouble != "") {
			missing = append(missing, name+" ("+c.describe()+")")
		}
	}
	if len(missing) > 0 && now.Before(w.until) {
		return false, nil
	}
	if len(missing) > 0 {
		return true, fmt.Errorf("cli: not ready after %s: %s", s.plan.ReadyWithin, strings.Join(missing, ", "))
	}
	return true, nil
}
