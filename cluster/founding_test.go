package cluster

import (
	"slices"
	"testing"
	"time"
)

// pioneers are members without any assignment: a, b play "game", k "keep", and g nothing that has shards.
func pioneers(letters string) *Record {
	r := &Record{Coordinator: 'a'}
	for _, c := range letters {
		role := map[rune]string{'a': "game", 'b': "game", 'k': "keep", 'g': RoleGate}[c]
		r.Members = append(r.Members, Member{Name: string(c), Incarnation: uint64(c), Roles: []string{role}})
	}
	return r
}

func newFounder() *chair {
	h := newChair(0)
	h.expected = map[string]int{"game": 2, "keep": 1, RoleGate: 1}
	return h
}

func TestAClusterIsFoundedWhenAllAreThereOrAfterALease(t *testing.T) {
	h := newFounder()
	if d := h.step(pioneers("abk"), h.now); d != nil {
		t.Errorf("a node that may act for a cluster before is missing, and %+v was decreed", d)
	}
	if d := h.step(pioneers("abkg"), h.now); len(d) != 2 {
		t.Errorf("all are there, and %+v was decreed", d)
	}
	h = newFounder()
	h.step(pioneers("abk"), h.now)
	h.wait(4 * time.Second)
	if d := h.step(pioneers("abk"), h.now); d != nil {
		t.Errorf("after 4 of 5 s %+v was decreed", d)
	}
	h.wait(time.Second)
	if d := h.step(pioneers("abk"), h.now); len(d) != 2 {
		t.Errorf("after a lease %+v was decreed", d)
	}
}

func TestAFoundingBeginsAnewAfterAnElectionAndALapseOfContact(t *testing.T) {
	cases := map[string]func(h *chair){
		"another was elected":   func(h *chair) { h.step(&Record{Coordinator: 'z'}, h.now) },
		"the registry was away": func(h *chair) { h.now = h.now.Add(6 * time.Second); h.contact(h.now) },
	}
	for what, happens := range cases {
		h := newFounder()
		h.step(pioneers("abk"), h.now)
		h.wait(4 * time.Second)
		happens(h)
		h.step(pioneers("abk"), h.now)
		h.wait(4 * time.Second)
		if d := h.step(pioneers("abk"), h.now); d != nil {
			t.Errorf("%s: after 4 of 5 s %+v was decreed", what, d)
		}
		h.wait(time.Second)
		if d := h.step(pioneers("abk"), h.now); len(d) != 2 {
			t.Errorf("%s: after a lease %+v was decreed", what, d)
		}
	}
}

func TestAllRolesOfAClusterHaveOneGeneration(t *testing.T) {
	h, drawn := newFounder(), uint64(0)
	h.draw = func() uint64 { drawn++; return drawn }
	first := h.step(pioneers("abkg"), h.now)
	again := h.step(pioneers("abkg"), h.now) // nothing of it was written
	for _, d := range slices.Concat(first, again) {
		if d.Next.Generation != 1 {
			t.Errorf("%s begins in generation %d", d.Role, d.Next.Generation)
		}
	}
	r := pioneers("abkg")
	r.Roles = map[string]*Assignment{"game": assignmentOf("abab")}
	r.Roles["game"].Generation = 7
	if d := h.step(r, h.now); len(d) != 1 || d[0].Role != "keep" || d[0].Next.Generation != 7 {
		t.Errorf("a role that is new in generation 7 gets %+v", d)
	}
}
