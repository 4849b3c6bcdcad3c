package cluster

import (
	"encoding/json"
	"fmt"
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

// An Owner is who runs a shard's actors. A zero Incarnation: nobody does.
type Owner struct {
	Name        string
	Incarnation uint64
	Epoch       uint64 // rises with every new owner of the shard
}

// An Assignment is who owns which shard of one role. It is one record in the registry, so there is no partial view.
type Assignment struct {
	Generation uint64  // drawn when a role's record is first made; epochs are compared within one only
	Revision   int64   // of the record; a writer names the one it has read
	Owners     []Owner // by shard
}

// clone copies the assignment, for a writer to change.
func (a *Assignment) clone() *Assignment {
	return &Assignment{Generation: a.Generation, Revision: a.Revision, Owners: slices.Clone(a.Owners)}
}

// without is the assignment after an owner gave up all it had. It reports false if that was nothing.
func (a *Assignment) without(incarnation uint64) (*Assignment, bool) {
	next, changed := a.clone(), false
	for s, o := range next.Owners {
		if o.Incarnation == incarnation {
			next.Owners[s] = Owner{Epoch: o.Epoch}
			changed = true
		}
	}
	return next, changed
}

// assignmentJSON is an assignment as it is stored: each owner once, shards by the owner's place in the list.
type assignmentJSON struct {
	Generation uint64      `json:"generation"`
	Nodes      []ownerJSON `json:"nodes"`
	Owners     []int       `json:"owners"` // -1: nobody
	Epochs     []uint64    `json:"epochs"`
}

type ownerJSON struct {
	Name        string `json:"name"`
	Incarnation uint64 `json:"incarnation"`
}

// MarshalJSON writes what the registry stores; the revision is the registry's own.
func (a *Assignment) MarshalJSON() ([]byte, error) {
	s := assignmentJSON{Generation: a.Generation, Owners: make([]int, len(a.Owners)),
		Epochs: make([]uint64, len(a.Owners))}
	place := map[uint64]int{}
	for shard, o := range a.Owners {
		s.Epochs[shard] = o.Epoch
		if o.Incarnation == 0 {
			s.Owners[shard] = -1
			continue
		}
		at, known := place[o.Incarnation]
		if !known {
			at = len(s.Nodes)
			place[o.Incarnation] = at
			s.Nodes = append(s.Nodes, ownerJSON{o.Name, o.Incarnation})
		}
		s.Owners[shard] = at
	}
	return json.Marshal(s)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (a *Assignment) UnmarshalJSON(b []byte) error {
	var s assignmentJSON
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if len(s.Owners) != len(s.Epochs) {
		return fmt.Errorf("cluster: assignment has %d owners and %d epochs", len(s.Owners), len(s.Epochs))
	}
	a.Generation, a.Owners = s.Generation, make([]Owner, len(s.Owners))
	for shard, at := range s.Owners {
		if at >= len(s.Nodes) {
			return fmt.Errorf("cluster: assignment gives shard %d to owner %d of %d", shard, at, len(s.Nodes))
		}
		a.Owners[shard].Epoch = s.Epochs[shard]
		if at >= 0 {
			n := s.Nodes[at]
			a.Owners[shard].Name, a.Owners[shard].Incarnation = n.Name, n.Incarnation
		}
	}
	return nil
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

// changes lists, of one role, the shards that node me lost between two views, and those that have a new owner.
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
		same := was == is && (before == nil || before.Generation == a.Generation)
		if same {
			continue
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
