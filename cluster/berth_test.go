package cluster

import (
	"slices"
	"testing"
)

// heard keeps what it receives.
type heard struct{ batches []string }

func (h *heard) Receive(b []byte) error { h.batches = append(h.batches, string(b)); return nil }
func (h *heard) Connected(string)       {}

func TestTheLivesOfAProcessUseOneAddressOneAfterAnother(t *testing.T) {
	w := newTown(t, 1)
	berth, other := NewBerth(w.network.Node("here")), w.network.Node("there")
	old, young, far := new(heard), new(heard), new(heard)
	if _, err := other.Listen(far); err != nil {
		t.Fatal(err)
	}
	say := func(text string) {
		other.Send("here", []byte(text))
		w.settle()
	}
	one, two := berth.Tenant(), berth.Tenant()
	for _, life := range []struct {
		carrier Carrier
		heard   *heard
	}{{one, old}, {two, young}} {
		if at, err := life.carrier.Listen(life.heard); err != nil || at != "here" {
			t.Fatalf("it listens at %q: %v", at, err)
		}
		life.carrier.Connect("there")
		say("to you")
	}
	one.Send("there", []byte("of the old life"))
	two.Send("there", []byte("of the new"))
	one.Close() // late
	say("still there?")
	w.settle()
	two.Close()
	say("nobody hears this")
	if !slices.Equal(old.batches, []string{"to you"}) || !slices.Equal(far.batches, []string{"of the new"}) ||
		!slices.Equal(young.batches, []string{"to you", "still there?"}) {
		t.Errorf("the old life heard %q, the new %q, the other %q", old.batches, young.batches, far.batches)
	}
	berth.Close()
	if len(w.network.nodes) != 1 {
		t.Error("the berth is closed, and its address taken")
	}
}
