package cluster

// place gives every orphaned shard to the candidate that has the least for its weight, the first by name among
// equals, and moves nothing else. It returns nil if nothing changes. Candidates are sorted by name.
//
// It is a function of its arguments alone, so that two coordinators that see the same decide the same.
func place(old *Assignment, candidates []Member, orphaned func(Owner) bool) *Assignment {
	if len(candidates) == 0 {
		return nil
	}
	loads, next := make([]int, len(candidates)), old.clone()
	at := map[uint64]int{}
	for i, m := range candidates {
		at[m.Incarnation] = i
	}
	for _, o := range old.Owners {
		if i, ok := at[o.Incarnation]; ok && !orphaned(o) {
			loads[i]++
		}
	}
	changed := false
	for shard, o := range old.Owners {
		if !orphaned(o) {
			continue
		}
		i := lightest(candidates, loads)
		loads[i]++
		m := candidates[i]
		next.Owners[shard] = Owner{Name: m.Name, Incarnation: m.Incarnation, Epoch: o.Epoch + 1, Root: o.Epoch + 1}
		next.abandon(shard)
		changed = true
	}
	if !changed {
		return nil
	}
	return next
}

// lightest picks the candidate that would carry least per weight with one shard more.
func lightest(candidates []Member, loads []int) int {
	best := 0
	for i := 1; i < len(candidates); i++ {
		// (loads[i]+1)/weight[i] < (loads[best]+1)/weight[best], without fractions
		if (loads[i]+1)*candidates[best].weight() < (loads[best]+1)*candidates[i].weight() {
			best = i
		}
	}
	return best
}
