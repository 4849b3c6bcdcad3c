package cluster

import "testing"

func TestAMembersFirstRecordIsThatOfItsOwnRegistration(t *testing.T) {
	w := newTown(t, 1)
	y := w.registry
	join := func(incarnation uint64) (Registry, *listener) {
		n, heard := y.Node(), new(listener)
		if err := n.Join(t.Context(), Member{Name: "one", Incarnation: incarnation}, heard); err != nil {
			t.Fatal(err)
		}
		w.settle()
		return n, heard
	}
	_, one := join(1)
	since := sinceOf(one, 1)
	y.Certify(42)
	_, two := join(2)
	if first, since := two.revisions()[0], sinceOf(two, 2); first != since {
		t.Errorf("it joined at revision %d, and first heard %d", since, first)
	}
	y.Cut(1, true)
	w.advance(2 * DefaultLease)
	if sinceOf(two, 1) != 0 {
		t.Fatal("its lease is over, but it is a member")
	}
	y.Cut(1, false)
	w.advance(DefaultLease)
	if m := two.get().Members; len(m) != 2 || m[0].Incarnation != 1 || m[0].Since != since {
		t.Errorf("it first joined at revision %d; after its return the record holds %+v", since, m)
	}
}
