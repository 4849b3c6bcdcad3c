package cluster

import (
	"maps"
	"slices"
	"strings"
)

// A View is the cluster as one node sees it at one moment. It never changes; a newer one takes its place.
type View struct {
	Revision int64                  // the registry's; rises from view to view
	Members  []Member               // the living, by name
	Roles    map[string]*Assignment // who owns the shards of each role; read only
}

// Member finds a member by its name.
func (v *View) Member(name string) (*Member, bool) {
	i, ok := slices.BinarySearchFunc(v.Members, name, func(m Member, n string) int {
		return strings.Compare(m.Name, n)
	})
	if !ok {
		return nil, false
	}
	return &v.Members[i], true
}

// With lists the names of the members that play a role, in order.
func (v *View) With(role string) []string {
	var names []string
	for i := range v.Members {
		if v.Members[i].HasRole(role) {
			names = append(names, v.Members[i].Name)
		}
	}
	return names
}

// Owner says who owns a shard. An unknown role or shard has no owner.
func (v *View) Owner(role string, shard int) Owner {
	a := v.Roles[role]
	if a == nil || shard < 0 || shard >= len(a.Owners) {
		return Owner{}
	}
	return a.Owners[shard]
}

// A Record is all that the registry holds, at one revision. Nobody changes it.
type Record struct {
	Revision    int64
	Members     []Member               // by Since; may hold two lives of one name
	Roles       map[string]*Assignment // by role
	Dead        map[uint64]bool        // incarnations with a death certificate
	Coordinator uint64                 // the incarnation that holds the election; 0: nobody
}

// view is the record as routing sees it: of each name the newest life, without the dead.
func (r *Record) view() *View {
	newest := map[string]Member{}
	for _, m := range r.Members {
		if !r.Dead[m.Incarnation] {
			newest[m.Name] = m
		}
	}
	v := &View{Revision: r.Revision, Roles: r.Roles}
	for _, name := range slices.Sorted(maps.Keys(newest)) {
		v.Members = append(v.Members, newest[name])
	}
	return v
}

// changes lists, of one role, the shards that node me lost between two views, and those that have a new owner. A shard
// that was handed over by planned moves is in neither list: its actors are where they are.
func changes(old, now *View, role string, me uint64) (lost, moved []int) {
	a := now.Roles[role]
	if a == nil {
		a = &Assignment{}
	}
	before := old.Roles[role]
	shards := len(a.Owners)
	if before != nil {
		shards = max(shards, len(before.Owners))
	}
	for s := range shards {
		was, is := old.Owner(role, s), now.Owner(role, s)
		if before == nil || before.Generation == a.Generation {
			if was.Epoch == is.Epoch && was.Incarnation == is.Incarnation || was.Epoch > 0 && is.follows(was.Epoch) {
				continue
			}
		}
		if was.Incarnation == me {
			lost = append(lost, s)
		}
		if is.Incarnation != 0 {
			moved = append(moved, s)
		}
	}
	return lost, moved
}
