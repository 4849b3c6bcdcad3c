package cluster

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// drainCheck is how often it is looked whether all has been handed over, and tried again what failed.
const drainCheck = 50 * time.Millisecond

// Drain hands over all shards of this node by planned moves, and passes on what still comes, until nobody sends
// anything to it any more. Then it is done: the node owns nothing, and Leave loses nothing. done is called once, from
// any goroutine; an error says what the node still has: no other can take it, or the time is over. The node goes on to
// work in either case, but gets no shards any more.
func (c *Cluster) Drain(within time.Duration, done func(error)) {
	c.tenancy.drain()
	c.drainOn(c.o.Clock.Now().Add(within), done)
}

func (c *Cluster) drainOn(until time.Time, done func(error)) {
	rest, hopeless := c.undrained()
	switch late := !c.o.Clock.Now().Before(until); {
	case c.closed.Load():
		done(errClosed)
		return
	case rest == nil:
		c.confirmAll()
		done(nil)
		return
	case late || hopeless:
		done(fmt.Errorf("cluster: drain: %w", rest))
		return
	}
	again := func() { c.o.Clock.AfterFunc(drainCheck, func() { c.drainOn(until, done) }) }
	if me, here := c.View().Member(c.self.Name); here && me.Draining {
		again()
		return
	}
	c.o.Registry.Drain(func(err error) {
		if err != nil {
			c.o.Log.Warn("this node could not be marked as draining", "error", err)
		}
		again()
	})
}

// undrained says what this node still has; nil: nothing. It is hopeless if no other node may take it.
func (c *Cluster) undrained() (rest error, hopeless bool) {
	seen := c.picture.Load()
	if me, here := seen.view.Member(c.self.Name); !here || !me.Draining {
		return errors.New("it is not marked as draining"), false
	}
	for _, role := range slices.Sorted(maps.Keys(seen.view.Roles)) {
		owned := 0
		for _, o := range seen.view.Roles[role].Owners {
			if o.Incarnation == c.self.Incarnation {
				owned++
			}
		}
		able := slices.ContainsFunc(seen.view.Members, func(m Member) bool { return m.HasRole(role) && takes(&m) })
		switch {
		case owned > 0 && (!able || c.mover == nil):
			return fmt.Errorf("nobody else can take the %d shards of %q", owned, role), true
		case owned > 0:
			return fmt.Errorf("%d shards of %q are still here", owned, role), false
		}
	}
	if rest := c.tenancy.undrained(); rest != nil {
		return rest, false
	}
	return seen.unsettled(), false
}

// Undrained says what keeps a drain of this node from being done: shards that it owns, tenures that others may still
// send to, with the members it waits for, or envelopes that are not where they were to go. nil: nothing does.
func (c *Cluster) Undrained() error {
	rest, _ := c.undrained()
	return rest
}

// unsettled says whose envelopes came here and are not where they were to go; nil: nobody's.
func (s *picture) unsettled() error {
	var whose []string
	for _, incarnation := range slices.Sorted(maps.Keys(s.known)) {
		p := s.known[incarnation]
		if n := p.in.book.count.Load(); n > 0 {
			whose = append(whose, fmt.Sprintf("%d batches of %s", n, p.member.Name))
		}
	}
	if whose == nil {
		return nil
	}
	return fmt.Errorf("what came is not where it was to go: %s", strings.Join(whose, ", "))
}

// namedAtMost is how many tenures are named when many are not forgotten.
const namedAtMost = 3

// drain lets no shard be moved here any more, even if whoever wants it does not know yet that this node is draining.
func (n *tenancy) drain() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drains = true
}

// undrained says what moves have left here; nil: nothing.
func (n *tenancy) undrained() error {
	n.mu.Lock()
	on := len(n.stages)
	n.mu.Unlock()
	if on > 0 {
		return fmt.Errorf("%d shards are on their way here", on)
	}
	return n.unforgotten()
}

// unforgotten says which tenures are not forgotten, and what they wait for; nil: all are.
func (n *tenancy) unforgotten() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.at) == 0 {
		return nil
	}
	all := n.sorted()
	var named []string
	for _, t := range all[:min(len(all), namedAtMost)] {
		named = append(named, n.describe(t))
	}
	return fmt.Errorf("others may still send to %d shards that were here: %s", len(all), strings.Join(named, "; "))
}

// describe says what a tenure waits for. The caller holds mu.
func (n *tenancy) describe(t *tenure) string {
	seen, since := n.c.picture.Load(), n.c.o.Clock.Now().Sub(t.since).Round(time.Millisecond)
	text := fmt.Sprintf("%s/%d, epoch %d, %s for %s", t.Role, t.Shard, t.Epoch, t.phase, since)
	if waiting := len(t.queue) + len(t.aside); waiting > 0 {
		text += fmt.Sprintf(", %d wait in it", waiting)
	}
	if len(t.held) > 0 {
		text += ", holds back what comes from " + seen.names(n.c, slices.Collect(maps.Keys(t.held)))
	}
	if t.phase != over {
		return text
	}
	if is := seen.view.Owner(t.Role, t.Shard).Epoch; is <= t.Epoch {
		return text + fmt.Sprintf(", though this node sees epoch %d", is)
	}
	if who := n.awaited(t); len(who) > 0 {
		text += ", waits for " + seen.names(n.c, who)
	}
	return text
}

// names lists members as an operator knows them.
func (s *picture) names(c *Cluster, incarnations []uint64) string {
	var all []string
	for _, incarnation := range incarnations {
		name := incarnationText(incarnation)
		if p := s.known[incarnation]; p != nil {
			name = p.member.Name
		} else if incarnation == c.self.Incarnation {
			name = c.self.Name
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// confirmAll tells all peers how far everything is settled, with something that is sent again until it arrives: when
// this node is gone, they must know that what they asked here is with others.
func (c *Cluster) confirmAll() {
	known := c.picture.Load().known
	for _, incarnation := range slices.Sorted(maps.Keys(known)) {
		known[incarnation].add(&item{tag: tagDone})
	}
}
