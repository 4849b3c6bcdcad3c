package cluster

import "slices"

// movesAtOnce is how many intents stand at a time against one node: a move costs its shard a moment's silence, and what
// is moved later may be decided better.
const movesAtOnce = 8

// A scale weighs the members of a role against each other: how many shards each has, or will have when all intents are
// done. It is a function of the assignment and the members alone, so that two coordinators that see the same decide the
// same.
type scale struct {
	old     *Assignment
	members []Member // of the role, by name
	at      map[uint64]int
	loads   []int   // by member
	free    [][]int // by member: the shards it has that no intent speaks of, in order
	leaving []int   // by member: how many intents take shards from it
}

func newScale(old *Assignment, members []Member) *scale {
	w := &scale{old: old, members: members, at: map[uint64]int{}, loads: make([]int, len(members)),
		free: make([][]int, len(members)), leaving: make([]int, len(members))}
	for i, m := range members {
		w.at[m.Incarnation] = i
	}
	for shard, o := range old.Owners {
		i, here := w.at[o.Incarnation]
		n := old.intent(shard)
		switch {
		case n != nil && here:
			w.leaving[i]++
		case here:
			w.free[i] = append(w.free[i], shard)
			w.loads[i]++
		}
		if n != nil {
			if to, here := w.at[n.Incarnation]; here {
				w.loads[to]++
			}
		}
	}
	return w
}

// tidy takes the intents out whose target cannot take the shard any more. It returns nil if all may stay.
func tidy(old *Assignment, members []Member) *Assignment {
	next := old.clone()
	next.Intents = slices.DeleteFunc(next.Intents, func(n Intent) bool {
		i := slices.IndexFunc(members, func(m Member) bool { return m.Incarnation == n.Incarnation })
		return i < 0 || !takes(&members[i]) || old.Owners[n.Shard].Incarnation == n.Incarnation
	})
	if len(next.Intents) == len(old.Intents) {
		return nil
	}
	return next
}

// takes reports whether a member may get shards by a planned move.
func takes(m *Member) bool { return m.Moves && !m.Draining }

// balance adds intents that move as few shards as they can, until nobody has too many for its weight and who is
// draining has none. It returns nil if there is nothing to add now.
func balance(old *Assignment, members []Member) *Assignment {
	w, next := newScale(old, members), old.clone()
	for {
		from, to := w.tilt()
		if from < 0 {
			break
		}
		shard := w.free[from][0]
		w.free[from] = w.free[from][1:]
		w.loads[from]--
		w.loads[to]++
		if w.leaving[from] < movesAtOnce { // the rest is weighed too, so that what is decided now is right then
			m := members[to]
			next.intend(Intent{Shard: shard, Name: m.Name, Incarnation: m.Incarnation})
		}
		w.leaving[from]++
	}
	if len(next.Intents) == len(old.Intents) {
		return nil
	}
	return next
}

// tilt picks who gives the next shard and who takes it: who is draining gives first, then who has most for its weight,
// and the lightest takes. It returns -1 when no move makes it better.
func (w *scale) tilt() (from, to int) {
	from, to = -1, -1
	for i := range w.members {
		m := &w.members[i]
		if takes(m) && (to < 0 || w.lighter(i, to)) {
			to = i
		}
		if m.Moves && len(w.free[i]) > 0 && (from < 0 || w.gives(i, from)) {
			from = i
		}
	}
	if from < 0 || to < 0 {
		return -1, -1
	}
	a, b := &w.members[from], &w.members[to]
	if !a.Draining && w.loads[from]*b.weight() <= (w.loads[to]+1)*a.weight() {
		return -1, -1
	}
	return from, to
}

// gives reports whether i is to give before j.
func (w *scale) gives(i, j int) bool {
	a, b := &w.members[i], &w.members[j]
	if a.Draining != b.Draining {
		return a.Draining
	}
	return w.loads[i]*b.weight() > w.loads[j]*a.weight()
}

// lighter reports whether i would carry less for its weight than j, with one shard more.
func (w *scale) lighter(i, j int) bool {
	return (w.loads[i]+1)*w.members[j].weight() < (w.loads[j]+1)*w.members[i].weight()
}
