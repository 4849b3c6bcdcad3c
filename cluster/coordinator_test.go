package cluster

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// assignmentOf reads owners written as letters, "-" for nobody: "aab-". Owner a is node a, incarnation 'a'.
func assignmentOf(owners string) *Assignment {
	a := &Assignment{Generation: 1, Revision: 5}
	for _, o := range owners {
		if o == '-' {
			a.Owners = append(a.Owners, Owner{Epoch: 3, Root: 3})
		} else {
			a.Owners = append(a.Owners, Owner{Name: string(o), Incarnation: uint64(o), Epoch: 3, Root: 3})
		}
	}
	return a
}

func lettersOf(a *Assignment) string {
	var b strings.Builder
	for _, o := range a.Owners {
		if o.Incarnation == 0 {
			b.WriteByte('-')
		} else {
			b.WriteString(o.Name)
		}
	}
	return b.String()
}

// membersOf reads members written as letters with an optional weight: "a b3". All play the role "game".
func membersOf(text string) []Member {
	var all []Member
	for _, w := range strings.Fields(text) {
		m := Member{Name: w[:1], Incarnation: uint64(w[0]), Roles: []string{"game"}}
		if len(w) > 1 {
			m.Weight = int(w[1] - '0')
		}
		all = append(all, m)
	}
	return all
}

func TestShardsArePlacedWithTheFewestMoves(t *testing.T) {
	cases := []struct{ what, old, members, gone, want string }{
		{"a fresh role is dealt out in turn", "--------", "a b", "", "abababab"},
		{"weight counts", "--------", "a b3", "", "bbabbbab"},
		{"nobody is there", "--", "", "", ""},
		{"nothing is orphaned", "aabb", "a b", "", ""},
		{"a join moves nothing", "aaaa", "a b", "", ""},
		{"the dead one's go to the least loaded", "aabbcc", "a b", "c", "aabbab"},
		{"a newcomer catches up with orphans first", "aaaabb", "a c", "b", "aaaacc"},
		{"those of a living owner who left the role stay", "aabb", "a", "", ""},
		{"holes are filled", "a-b-", "a b", "", "aabb"},
	}
	for _, c := range cases {
		orphaned := func(o Owner) bool { return o.Incarnation == 0 || strings.Contains(c.gone, o.Name) }
		old := assignmentOf(c.old)
		next := place(old, membersOf(c.members), orphaned)
		if next == nil {
			if c.want != "" {
				t.Errorf("%s: nothing changed", c.what)
			}
			continue
		}
		if got := lettersOf(next); got != c.want {
			t.Errorf("%s: %s became %s, want %s", c.what, c.old, got, c.want)
		}
		for s, o := range next.Owners {
			if changed := o.Incarnation != old.Owners[s].Incarnation; changed != (o.Epoch == 4) {
				t.Errorf("%s: shard %d has epoch %d", c.what, s, o.Epoch)
			}
		}
		if lettersOf(old) != c.old {
			t.Errorf("%s: the old assignment was changed", c.what)
		}
	}
}

// chair is a coordinator with incarnation 'a', 4 shards and a lease of 5 s, and the time it is shown.
type chair struct {
	coordinator
	now time.Time
}

func newChair(expected int) *chair {
	h := &chair{now: time.Unix(100, 0)}
	h.coordinator = coordinator{me: 'a', shards: 4, lease: 5 * time.Second, draw: func() uint64 { return 9 }}
	if expected > 0 {
		h.expected = map[string]int{"game": expected}
	}
	h.contact(h.now)
	return h
}

// see shows the coordinator a record and returns what it decrees for the role "game", as letters.
func (h *chair) see(members, owners, dead string) string {
	r := &Record{Members: membersOf(members), Dead: map[uint64]bool{}, Coordinator: 'a'}
	if owners != "" {
		r.Roles = map[string]*Assignment{"game": assignmentOf(owners)}
	}
	for _, d := range dead {
		r.Dead[uint64(d)] = true
	}
	for _, d := range h.step(r, h.now) {
		if d.Role == "game" {
			return lettersOf(d.Next)
		}
	}
	return ""
}

// wait lets time pass with the registry in contact.
func (h *chair) wait(d time.Duration) {
	for ; d > 0; d -= time.Second {
		h.now = h.now.Add(time.Second)
		h.contact(h.now)
	}
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: decreed %q, want %q", what, got, want)
	}
}

func TestTheFirstAssignmentWaitsForTheExpectedOrALease(t *testing.T) {
	h := newChair(2)
	want(t, "one of two", h.see("a", "", ""), "")
	h.wait(2 * time.Second)
	want(t, "both", h.see("a b", "", ""), "abab")
	h = newChair(2)
	want(t, "one of two", h.see("a", "", ""), "")
	h.wait(4 * time.Second)
	want(t, "shortly before the lease", h.see("a", "", ""), "")
	h.wait(time.Second)
	want(t, "after the lease", h.see("a", "", ""), "aaaa")
	want(t, "nobody is expected", newChair(0).see("a", "", ""), "")
	want(t, "there was a cluster before", newChair(0).see("a", "----", ""), "aaaa")
}

func TestAnAbsentOwnerIsWaitedForAndADeadOneIsNot(t *testing.T) {
	h := newChair(0)
	h.contact(h.now)
	want(t, "just gone", h.see("a", "aabb", ""), "")
	h.wait(4 * time.Second)
	want(t, "not yet a lease", h.see("a", "aabb", ""), "")
	h.wait(time.Second)
	want(t, "a lease", h.see("a", "aabb", ""), "aaaa")
	want(t, "certified", newChair(0).see("a", "aabb", "b"), "aaaa")
	want(t, "certified, its record still there", newChair(0).see("a b", "aabb", "b"), "aaaa")
	want(t, "given up", newChair(0).see("a", "aa--", ""), "aaaa")
}

func TestAbsenceBeginsAnewAfterAReturnAnElectionAndALapseOfContact(t *testing.T) {
	cases := map[string]func(h *chair){
		"it came back meanwhile":   func(h *chair) { h.see("a b", "aabb", "") },
		"another was elected":      func(h *chair) { h.step(&Record{Coordinator: 'z'}, h.now) },
		"the registry was away":    func(h *chair) { h.now = h.now.Add(6 * time.Second); h.contact(h.now) },
		"its shards were taken on": func(h *chair) { h.see("a", "aaaa", "") },
	}
	for what, happens := range cases {
		h := newChair(0)
		h.contact(h.now)
		h.see("a", "aabb", "")
		h.wait(4 * time.Second)
		happens(h)
		want(t, what+": at once", h.see("a", "aabb", ""), "")
		h.wait(4 * time.Second)
		want(t, what+": shortly before the lease", h.see("a", "aabb", ""), "")
		h.wait(time.Second)
		want(t, what+": after a whole lease", h.see("a", "aabb", ""), "aaaa")
	}
}

func TestARoleThatHadSomebodyToTakeOverDoesNotWait(t *testing.T) {
	h := newChair(2)
	h.see("a b", "aaaa", "") // b is there and idle
	want(t, "the owner of all died", h.see("b", "aaaa", "a"), "bbbb")
	h = newChair(2)
	h.see("", "aaaa", "a")
	want(t, "all had died, and the first is back", h.see("c", "aaaa", "a"), "")
	want(t, "and the second", h.see("c d", "aaaa", "a"), "cdcd")
}

func TestTheSuccessorOfACoordinatorThatLeftInOrderDoesNotWait(t *testing.T) {
	h := newChair(2)
	under := func(coordinator uint64, members, owners string) {
		h.step(&Record{Members: membersOf(members), Coordinator: coordinator,
			Roles: map[string]*Assignment{"game": assignmentOf(owners)}}, h.now)
	}
	under('b', "a b", "bbbb")
	under(0, "a", "----") // what b left
	want(t, "a was there all the time", h.see("a", "----", ""), "aaaa")
	h = newChair(2)
	under('b', "b", "----") // all had left in order, and b is back before a
	under(0, "a", "----")
	want(t, "a cluster that starts again", h.see("a", "----", ""), "")
}

func TestADecreeNamesWhoMustStillBeAbsent(t *testing.T) {
	h := newChair(0)
	h.contact(h.now)
	r := &Record{Members: membersOf("a"), Dead: map[uint64]bool{'c': true}, Coordinator: 'a',
		Roles: map[string]*Assignment{"game": assignmentOf("abc-")}}
	h.step(r, h.now)
	h.wait(5 * time.Second)
	d := h.step(r, h.now)
	if len(d) != 1 || !slices.Equal(d[0].Absent, []uint64{'b'}) || !d[0].Coordinator || d[0].Next.Revision != 5 {
		t.Errorf("decreed %+v", d)
	}
}

func TestOnlyWhoHoldsTheElectionDecrees(t *testing.T) {
	h := newChair(0)
	if d := h.step(&Record{Members: membersOf("a"), Coordinator: 'b'}, h.now); d != nil {
		t.Errorf("decreed %+v", d)
	}
}

func TestAnAssignmentSurvivesItsRecord(t *testing.T) {
	a := assignmentOf("ab-a").dated(5)
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	back := &Assignment{Revision: a.Revision}
	if err := json.Unmarshal(text, back); err != nil || !reflect.DeepEqual(a, back) {
		t.Errorf("%s became %+v (%v)", text, back, err)
	}
	for _, bad := range []string{`{"owners":[0],"epochs":[]}`, `{"owners":[1],"epochs":[1],"nodes":[{}]}`, `[`} {
		if err := json.Unmarshal([]byte(bad), new(Assignment)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestChangesNameWhatWasLostAndWhatHasANewOwner(t *testing.T) {
	view := func(owners string) *View {
		if owners == "" {
			return &View{}
		}
		return &View{Roles: map[string]*Assignment{"game": assignmentOf(owners)}}
	}
	cases := []struct {
		old, now    string
		lost, moved []int
	}{
		{"", "ab", nil, []int{0, 1}},
		{"ab", "ab", nil, nil},
		{"aab", "abb", []int{1}, []int{1}},
		{"ab", "-b", []int{0}, nil},
		{"-b", "ab", nil, []int{0}},
		{"ab", "", []int{0}, nil},
	}
	for _, c := range cases {
		lost, moved := changes(view(c.old), view(c.now), "game", 'a')
		if !slices.Equal(lost, c.lost) || !slices.Equal(moved, c.moved) {
			t.Errorf("from %q to %q: lost %v, moved %v", c.old, c.now, lost, moved)
		}
	}
	again := view("ab")
	o := &again.Roles["game"].Owners[0] // lost and regained between two looks
	o.Epoch, o.Root = o.Epoch+1, o.Root+1
	if lost, moved := changes(view("ab"), again, "game", 'a'); len(lost) != 1 || len(moved) != 1 {
		t.Errorf("a regained shard: lost %v, moved %v", lost, moved)
	}
}

func TestAViewHoldsOfEachNameTheNewestLifeAndNoDead(t *testing.T) {
	r := &Record{Dead: map[uint64]bool{3: true}, Members: []Member{
		{Name: "b", Incarnation: 1}, {Name: "a", Incarnation: 2}, {Name: "c", Incarnation: 3},
		{Name: "b", Incarnation: 4}}}
	lives := map[string]uint64{}
	for _, m := range r.view().Members {
		lives[m.Name] = m.Incarnation
	}
	if !maps.Equal(lives, map[string]uint64{"a": 2, "b": 4}) {
		t.Errorf("members are %v", lives)
	}
	if m, ok := r.view().Member("a"); !ok || m.Incarnation != 2 {
		t.Errorf("a is %+v", m)
	}
}
