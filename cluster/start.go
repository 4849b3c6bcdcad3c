package cluster

import (
	"maps"
	"slices"

	"github.com/fireflyrt/firefly/actors"
)

// show puts a new picture up. Shards that are this node's by it, and were not before, get a door that is open, or, if
// something is to be done or waits for them, a tenure; so whoever goes by the new picture finds one or the other. The
// caller holds the turn.
func (n *tenancy) show(next *picture) {
	n.mu.Lock()
	defer n.mu.Unlock()
	me, now := n.c.self.Incarnation, n.c.o.Clock.Now()
	for _, t := range n.at { // a tenure's end is seen once: later it is not known any more who is older
		if o := next.view.Owner(t.Role, t.Shard); o.Epoch == t.Epoch+1 {
			t.ended = o.At
		}
	}
	for _, role := range slices.Sorted(maps.Keys(next.view.Roles)) {
		old := n.c.picture.Load().view
		for shard, o := range next.view.Roles[role].Owners {
			if shard >= n.c.o.Shards || o.Incarnation != me {
				continue
			}
			of := actors.Tenure{Role: role, Shard: shard, Epoch: o.Epoch}
			was := old.Owner(role, shard)
			switch known := was.Incarnation == me && was.Epoch == o.Epoch; {
			case n.at[of] != nil || known:
			case o.From == 0:
				n.door(role, shard).open()
			default:
				n.at[of] = newTenure(of, now)
			}
			if t := n.at[of]; t != nil && t.phase == coming {
				n.door(role, shard).shut()
			}
		}
	}
	n.c.picture.Store(next)
}

// start lets the tenures begin that a new picture gives to this node, and ends those that it gives to others although
// they were not handed over. The caller holds the turn.
func (n *tenancy) start(next *picture) {
	n.clear(next.view)
	n.mu.Lock()
	all := n.sorted()
	n.mu.Unlock()
	for _, t := range all {
		o := next.view.Owner(t.Role, t.Shard)
		n.mu.Lock()
		phase := t.phase
		n.mu.Unlock()
		switch {
		case phase == coming && o.Epoch == t.Epoch && o.Incarnation == n.c.self.Incarnation:
			n.startOne(t, o, next)
		case phase == over || o.Epoch < t.Epoch && !n.forlorn(t):
		case o.Epoch != t.Epoch || o.Incarnation != n.c.self.Incarnation:
			n.lose(t)
		}
	}
	n.look()
}

// forlorn reports whether a tenure was waited for so long that it will not come.
func (n *tenancy) forlorn(t *tenure) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return t.phase == coming && n.c.o.Clock.Now().Sub(t.since) >= absentFor
}

// startOne lets a tenure begin: its actors run, then what came along with them is delivered, and then what was passed
// on.
func (n *tenancy) startOne(t *tenure, o Owner, next *picture) {
	n.mu.Lock()
	s := n.stages[t.Tenure]
	n.mu.Unlock()
	if s != nil && s.arrival != nil {
		s.arrival.Begin()
	} else if o.From != 0 {
		n.c.o.Log.Error("a shard came without its actors: they begin from what is stored", "role", t.Role,
			"shard", t.Shard, "epoch", t.Epoch)
	}
	n.mu.Lock()
	t.owner, t.chain, t.free = o, []uint64{o.From}, o.From == 0
	early := t.take()
	if s != nil {
		n.taken++
		t.chain = s.chain
		delete(n.stages, t.Tenure)
		n.staged -= s.size
		for _, k := range s.luggage {
			t.pass(k)
			if k.e != nil {
				k.e.Epoch = t.Epoch
				n.count.Add(1)
				n.bytes += len(k.e.Body)
			}
		}
	}
	t.queue = append(t.queue, early...)
	t.enter(running, n.c.o.Clock.Now())
	t.release(next.since)
	n.mu.Unlock()
	n.work(t)
}

// lose ends a tenure that was taken from this node, or that never was its own.
func (n *tenancy) lose(t *tenure) {
	n.mu.Lock()
	m := n.moves[t.Tenure]
	n.mu.Unlock()
	if m != nil {
		n.lost(m)
	} else {
		n.forsake(t.Tenure)
	}
}

// look sees to tenures for which time, or the end of a member, changes something: holds end when what they wait for
// cannot come any more, what nobody sends to is forgotten, and moves wait no longer for who is gone. The caller holds
// the turn.
func (n *tenancy) look() {
	seen := n.c.picture.Load()
	n.mu.Lock()
	all := n.sorted()
	for _, t := range all {
		if t.phase == coming {
			continue
		}
		n.breach(seen, t)
		for _, member := range slices.Sorted(maps.Keys(t.held)) {
			if seen.lost(n.c, member) {
				t.open(member) // its marker may be lost with it
			}
		}
		t.release(seen.since)
	}
	n.mu.Unlock()
	for _, t := range all {
		n.work(t)
	}
	n.settling()
}
