package cluster

import (
	"slices"
	"testing"

	"github.com/fireflyrt/firefly/actors"
)

// A gate's clients go on while it hears of a death. What they send just then overtakes neither the announcement of who
// is bound, nor what the gate sends again.
func TestNothingOvertakesWhatIsSaidAtATakeover(t *testing.T) {
	for _, open := range []bool{false, true} {
		w, gate, one, two := trio(t, 25)
		id := owned(t, one)
		gate.hear = func(e *actors.Envelope) {
			if e.Type == actors.Refused && e.Request == 1 {
				again := request(gate, id, 1)
				again.Attempt = 1
				gate.Route(again)
			}
		}
		if open {
			gate.Route(request(gate, id, 1))
			w.settle()
		}
		gate.OnView(func(_, now *View) {
			if _, lives := now.Member("game-1"); open && !lives {
				open = false
				gate.Route(request(gate, id, 2))
			}
		})
		want := []uint64{0, 1, 2, 3}
		if !open {
			want = []uint64{0, 2, 3}
		}
		gate.OnOwners(func(_ string, _, _ []int, told func()) {
			defer told()
			if want[1] == 2 {
				gate.Route(request(gate, id, 2))
			}
			to := actors.KindName("player").Ref(id)
			gate.Route(actors.Announce(to, &actors.Bound{Session: request(gate, id, 1).Session, Number: 1}))
		})
		one.Close()
		w.registry.Certify(one.Self().Incarnation)
		w.settle()
		gate.Route(request(gate, id, 3))
		w.settle()
		var got []uint64
		for _, e := range two.take() {
			got = append(got, e.Request)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the announcement is 0, the repeat 1, what follows 2 and 3; of %v the entity got %v", want, got)
		}
	}
}
