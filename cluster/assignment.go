package cluster

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// An Owner is who runs a shard's actors. A zero Incarnation: nobody does.
type Owner struct {
	Name        string
	Incarnation uint64
	Epoch       uint64 // rises with every new owner of the shard
	From        uint64 // the incarnation that handed the shard over by a planned move; 0: taken after a death, or first
	Root        uint64 // the epoch at which the unbroken chain of planned moves began that led here; Epoch if none did
	At          int64  // the registry's revision that made it; a writer leaves it 0
}

// follows reports whether planned moves alone lead from an earlier tenure of the shard to this one: nothing was lost
// between them.
func (o Owner) follows(epoch uint64) bool { return o.Root <= epoch && epoch < o.Epoch }

// An Intent is a planned move that the coordinator wants: the shard's owner is to hand it over. It goes when that is
// done or given up.
type Intent struct {
	Shard       int
	Name        string // the target
	Incarnation uint64
	At          int64 // the registry's revision that made it, which tells it from a later one; a writer leaves it 0
}

// An Assignment is who owns which shard of one role, and who is to. It is one record in the registry, so there is no
// partial view.
type Assignment struct {
	Generation uint64   // of the cluster, drawn for its first role; epochs are compared within one only
	Revision   int64    // of the record; a writer names the one it has read
	Owners     []Owner  // by shard
	Intents    []Intent // by shard; one at most for each
}

// clone copies the assignment, for a writer to change.
func (a *Assignment) clone() *Assignment {
	next := *a
	next.Owners, next.Intents = slices.Clone(a.Owners), slices.Clone(a.Intents)
	return &next
}

// dated is the assignment as it stands in the registry at this revision: what is new in it has this date.
func (a *Assignment) dated(revision int64) *Assignment {
	next := a.clone()
	next.Revision = revision
	for s := range next.Owners {
		next.Owners[s].At = cmp.Or(next.Owners[s].At, revision)
	}
	for i := range next.Intents {
		next.Intents[i].At = cmp.Or(next.Intents[i].At, revision)
	}
	return next
}

// intent finds the intent of a shard; nil: it is to stay where it is.
func (a *Assignment) intent(shard int) *Intent {
	i, ok := slices.BinarySearchFunc(a.Intents, shard, func(n Intent, s int) int { return cmp.Compare(n.Shard, s) })
	if !ok {
		return nil
	}
	return &a.Intents[i]
}

// intend adds an intent to an assignment that is being made.
func (a *Assignment) intend(n Intent) {
	i, _ := slices.BinarySearchFunc(a.Intents, n.Shard, func(n Intent, s int) int { return cmp.Compare(n.Shard, s) })
	a.Intents = slices.Insert(a.Intents, i, n)
}

// abandon takes a shard's intent out of an assignment that is being made.
func (a *Assignment) abandon(shard int) {
	a.Intents = slices.DeleteFunc(a.Intents, func(n Intent) bool { return n.Shard == shard })
}

// without is the assignment after an owner gave up all it had. It reports false if that was nothing.
func (a *Assignment) without(incarnation uint64) (*Assignment, bool) {
	next, changed := a.clone(), false
	for s, o := range next.Owners {
		if o.Incarnation == incarnation {
			next.Owners[s] = Owner{Epoch: o.Epoch, Root: o.Epoch, At: o.At}
			next.abandon(s)
			changed = true
		}
	}
	return next, changed
}

// assignmentJSON is an assignment as it is stored: each incarnation once, shards by its place in the list. What moves
// have added is left out while there is none of it.
type assignmentJSON struct {
	Generation uint64      `json:"generation"`
	Nodes      []ownerJSON `json:"nodes"`
	Owners     []int       `json:"owners"` // -1: nobody
	Epochs     []uint64    `json:"epochs"`
	From       []int       `json:"from,omitempty"`    // -1: nobody
	Chains     []uint64    `json:"chains,omitempty"`  // Epoch - Root
	At         []int64     `json:"at,omitempty"`      // 0: this very revision
	Intents    [][3]int64  `json:"intents,omitempty"` // shard, the target's place, At
}

type ownerJSON struct {
	Name        string `json:"name,omitempty"`
	Incarnation uint64 `json:"incarnation"`
}

// place is where an incarnation stands in the list of nodes, which grows by it.
func (s *assignmentJSON) place(name string, incarnation uint64) int {
	if incarnation == 0 {
		return -1
	}
	at := slices.IndexFunc(s.Nodes, func(n ownerJSON) bool { return n.Incarnation == incarnation })
	if at < 0 {
		at = len(s.Nodes)
		s.Nodes = append(s.Nodes, ownerJSON{Incarnation: incarnation})
	}
	s.Nodes[at].Name = cmp.Or(s.Nodes[at].Name, name)
	return at
}

// node is who stands at a place; it must be in the list, or -1 for nobody.
func (s *assignmentJSON) node(at int) (ownerJSON, error) {
	if at >= len(s.Nodes) || at < -1 {
		return ownerJSON{}, fmt.Errorf("cluster: assignment names node %d of %d", at, len(s.Nodes))
	}
	if at < 0 {
		return ownerJSON{}, nil
	}
	return s.Nodes[at], nil
}

// MarshalJSON writes what the registry stores; the revision is the registry's own.
func (a *Assignment) MarshalJSON() ([]byte, error) {
	s := assignmentJSON{Generation: a.Generation}
	var moved, dated bool
	for _, o := range a.Owners {
		s.Owners, s.Epochs = append(s.Owners, s.place(o.Name, o.Incarnation)), append(s.Epochs, o.Epoch)
		moved, dated = moved || o.From != 0, dated || o.At != 0
	}
	for _, o := range a.Owners {
		if moved {
			s.From, s.Chains = append(s.From, s.place("", o.From)), append(s.Chains, o.Epoch-min(o.Root, o.Epoch))
		}
		if dated {
			s.At = append(s.At, o.At)
		}
	}
	for _, n := range a.Intents {
		s.Intents = append(s.Intents, [3]int64{int64(n.Shard), int64(s.place(n.Name, n.Incarnation)), n.At})
	}
	return json.Marshal(s)
}

// UnmarshalJSON reads what MarshalJSON wrote, now or before there were moves. Revision must be set before, if what is
// read is to have its dates.
func (a *Assignment) UnmarshalJSON(b []byte) error {
	var s assignmentJSON
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	n := len(s.Owners)
	if len(s.Epochs) != n || len(s.From) != len(s.Chains) || len(s.From) != 0 && len(s.From) != n ||
		len(s.At) != 0 && len(s.At) != n {
		return fmt.Errorf("cluster: assignment has %d owners, %d epochs, %d and %d ways, %d dates", n, len(s.Epochs),
			len(s.From), len(s.Chains), len(s.At))
	}
	next := &Assignment{Generation: s.Generation, Owners: make([]Owner, n)}
	for shard := range next.Owners {
		if err := s.owner(shard, &next.Owners[shard]); err != nil {
			return err
		}
	}
	for _, i := range s.Intents {
		target, err := s.node(int(i[1]))
		if err != nil || i[0] < 0 || i[0] >= int64(n) || next.intent(int(i[0])) != nil {
			return fmt.Errorf("cluster: assignment holds an intent %v that cannot be", i)
		}
		next.intend(Intent{Shard: int(i[0]), Name: target.Name, Incarnation: target.Incarnation, At: i[2]})
	}
	*a = *next.dated(a.Revision)
	return nil
}

// owner reads what is stored of one shard.
func (s *assignmentJSON) owner(shard int, o *Owner) error {
	n, err := s.node(s.Owners[shard])
	if err != nil {
		return err
	}
	*o = Owner{Name: n.Name, Incarnation: n.Incarnation, Epoch: s.Epochs[shard], Root: s.Epochs[shard]}
	if len(s.From) > 0 {
		from, err := s.node(s.From[shard])
		if err != nil {
			return err
		}
		o.From, o.Root = from.Incarnation, o.Epoch-min(s.Chains[shard], o.Epoch)
	}
	if len(s.At) > 0 {
		o.At = s.At[shard]
	}
	return nil
}
