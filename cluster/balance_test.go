package cluster

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// moversOf reads members as membersOf does; a capital letter is one that drains, a "!" one that cannot move.
func moversOf(text string) []Member {
	var all []Member
	for _, w := range strings.Fields(text) {
		m := membersOf(strings.ToLower(w[:1]) + strings.Trim(w[1:], "!"))[0]
		m.Draining, m.Moves = w[0] < 'a', !strings.HasSuffix(w, "!")
		all = append(all, m)
	}
	return all
}

// intentsOf writes intents as "shard>target".
func intentsOf(a *Assignment) string {
	var all []string
	for _, n := range a.Intents {
		all = append(all, fmt.Sprintf("%d>%s", n.Shard, n.Name))
	}
	return strings.Join(all, " ")
}

func TestIntentsMoveAsFewShardsAsTheyCan(t *testing.T) {
	cases := []struct{ what, old, members, want string }{
		{"nothing to do", "abab", "a b", ""},
		{"one more is nobody's fault", "ababa", "a b", ""},
		{"a newcomer gets its share", "abababab", "a b c", "0>c 1>c"},
		{"from whoever has most", "aaaaab", "a b", "0>b 1>b"},
		{"weight counts", "aaaa", "a b3", "0>b 1>b 2>b"},
		{"who drains gives all", "aabb", "A b c", "0>c 1>c"},
		{"who drains gets nothing", "aaaa", "a B", ""},
		{"nobody is left to take", "aa", "A B", ""},
		{"who cannot move keeps what it has", "aaaa", "a! b", ""},
		{"and gets nothing", "aaaa", "a b!", ""},
		{"eight at a time", strings.Repeat("a", 20), "A b", "0>b 1>b 2>b 3>b 4>b 5>b 6>b 7>b"},
	}
	for _, c := range cases {
		got := ""
		if next := balance(assignmentOf(c.old), moversOf(c.members)); next != nil {
			got = intentsOf(next)
		}
		if got != c.want {
			t.Errorf("%s: %s with %s: %q, want %q", c.what, c.old, c.members, got, c.want)
		}
	}
}

func TestIntentsUnderWayCountAsDone(t *testing.T) {
	old := assignmentOf("aaaabb")
	old.intend(Intent{Shard: 1, Name: "b", Incarnation: 'b', At: 4})
	if next := balance(old, moversOf("a b")); next != nil {
		t.Errorf("moves %s more than once", intentsOf(next))
	}
}

func TestAnIntentGoesWithItsTarget(t *testing.T) {
	old := assignmentOf("aabb")
	old.intend(Intent{Shard: 0, Name: "b", Incarnation: 'b', At: 4})
	old.intend(Intent{Shard: 1, Name: "c", Incarnation: 'c', At: 4})
	if next := tidy(old, moversOf("a b c")); next != nil {
		t.Errorf("all targets are there, but %s is left", intentsOf(next))
	}
	for _, members := range []string{"a b", "a b C", "a b c!"} {
		if next := tidy(old, moversOf(members)); next == nil || intentsOf(next) != "0>b" {
			t.Errorf("with %s this is left: %v", members, next)
		}
	}
	next := place(old, moversOf("b c"), func(o Owner) bool { return o.Incarnation == 'a' })
	if next == nil || len(next.Intents) != 0 {
		t.Errorf("the owner is dead, but its intents are %v", next.Intents)
	}
}

func TestTheCoordinatorBalancesOnlyInCalm(t *testing.T) {
	h := newChair(0)
	h.contact(h.now)
	r := &Record{Members: moversOf("a b"), Coordinator: 'a',
		Roles: map[string]*Assignment{"game": assignmentOf("aaac")}}
	if d := h.step(r, h.now); len(d) != 0 {
		t.Fatalf("while c is away: %s", intentsOf(d[0].Next))
	}
	h.wait(h.lease)
	d := h.step(r, h.now)
	if len(d) != 1 || lettersOf(d[0].Next) != "aaab" || len(d[0].Next.Intents) != 0 {
		t.Fatalf("c is gone: %+v", d)
	}
	r.Roles["game"] = d[0].Next.dated(6)
	if d = h.step(r, h.now); len(d) != 1 || intentsOf(d[0].Next) != "0>b" || !d[0].Coordinator {
		t.Fatalf("in calm: %+v", d)
	}
	r.Roles["game"], r.Members = d[0].Next.dated(7), moversOf("a B")
	if d = h.step(r, h.now); len(d) != 1 || intentsOf(d[0].Next) != "3>a" {
		t.Fatalf("b drains: %+v", d)
	}
}

// done is the assignment after all intents were done.
func done(a *Assignment) *Assignment {
	next := a.clone()
	next.Intents = nil
	for _, n := range a.Intents {
		o := &next.Owners[n.Shard]
		*o = Owner{Name: n.Name, Incarnation: n.Incarnation, Epoch: o.Epoch + 1, From: o.Incarnation, Root: o.Root}
	}
	return next.dated(a.Revision + 1)
}

func TestBalancingConvergesAndMovesNoShardTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var words []string
		for i := range rapid.IntRange(1, 5).Draw(t, "members") {
			name := string(rune('a' + i))
			if rapid.IntRange(0, 4).Draw(t, "drains") == 0 {
				name = strings.ToUpper(name)
			}
			words = append(words, fmt.Sprint(name, rapid.IntRange(1, 4).Draw(t, "weight")))
		}
		members := moversOf(strings.Join(words, " "))
		var owners strings.Builder
		for range rapid.IntRange(1, 64).Draw(t, "shards") {
			owners.WriteByte(byte('a' + rapid.IntRange(0, len(members)-1).Draw(t, "owner")))
		}
		a := assignmentOf(owners.String())
		gave, got := map[string]bool{}, map[string]bool{}
		for rounds := 0; ; rounds++ {
			next := balance(a, members)
			if next == nil {
				break
			}
			if rounds > 64 {
				t.Fatal("it goes on for ever")
			}
			for _, n := range next.Intents {
				gave[a.Owners[n.Shard].Name], got[n.Name] = true, true
			}
			a = done(next)
		}
		w := newScale(a, members)
		for i, m := range members {
			if gave[m.Name] && got[m.Name] {
				t.Fatalf("%s both gave and got: %s became %s", m.Name, owners.String(), lettersOf(a))
			}
			if m.Draining && got[m.Name] {
				t.Fatalf("%s drains and got something", m.Name)
			}
			if able := slices.ContainsFunc(members, func(m Member) bool { return takes(&m) }); m.Draining && able &&
				w.loads[i] > 0 {
				t.Fatalf("%s still has %d", m.Name, w.loads[i])
			}
			for j, n := range members {
				if takes(&m) && takes(&n) && w.loads[i]*n.weight() > (w.loads[j]+1)*m.weight() {
					t.Fatalf("%s has %d, %s has %d", m.Name, w.loads[i], n.Name, w.loads[j])
				}
			}
		}
		for s, o := range a.Owners {
			if o.Epoch > 4 {
				t.Fatalf("shard %d moved %d times", s, o.Epoch-3)
			}
		}
	})
}

func TestMovesSurviveTheRecordAndOldRecordsAreRead(t *testing.T) {
	a := assignmentOf("ab-a").dated(5)
	a.intend(Intent{Shard: 3, Name: "c", Incarnation: 'c', At: 4})
	a.Owners[1].From, a.Owners[1].Root, a.Owners[1].At = 'z', 1, 3
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	back := &Assignment{Revision: 5}
	if err := json.Unmarshal(text, back); err != nil || !reflect.DeepEqual(a, back) {
		t.Errorf("%s became %+v (%v)", text, back, err)
	}
	const before = `{"generation":1,"nodes":[{"name":"a","incarnation":97},{"name":"b","incarnation":98}],` +
		`"owners":[0,1,-1,0],"epochs":[3,3,3,3]}`
	old := &Assignment{Revision: 5}
	if err := json.Unmarshal([]byte(before), old); err != nil ||
		!reflect.DeepEqual(old, assignmentOf("ab-a").dated(5)) {
		t.Errorf("an old record became %+v (%v)", old, err)
	}
	for _, bad := range []string{`{"owners":[-1],"epochs":[1],"intents":[[1,-1,0]]}`,
		`{"owners":[-1],"epochs":[1],"intents":[[0,7,0]]}`, `{"owners":[-1],"epochs":[1],"from":[-1]}`,
		`{"owners":[-1],"epochs":[1],"from":[2],"chains":[0]}`, `{"owners":[-1],"epochs":[1],"at":[1,2]}`,
		`{"owners":[-2],"epochs":[1]}`, `{"owners":[-1],"epochs":[1],"intents":[[0,-1,0],[0,-1,0]]}`} {
		if err := json.Unmarshal([]byte(bad), new(Assignment)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
