package replay_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
)

// A duel is two actors that challenge each other when the referee calls: each keeps its messages until it has an
// answer.
type (
	call      struct{ Rings [][]string } // who challenges the next, all at one moment
	strike    struct{ To string }
	challenge struct{}
	accepted  struct{}
	outcomes  struct{ Asked, Accepted int }
)

const duelist actors.KindName = "duelist"

var duel = node.App{Name: "duel", Game: node.Module{
	Name: "duel",
	Messages: wire.Messages(wire.Internal[*call](401), wire.Internal[*strike](402), wire.Internal[*challenge](403),
		wire.Internal[*accepted](404)),
	Kinds: []actors.Kind{{Name: duelist, New: newDuelist}, {Name: "referee", New: newReferee}},
}}

func newReferee(p *actors.Props) {
	actors.Handle(p, func(ctx actors.Context, m *call) error {
		for _, ring := range m.Rings {
			for i, who := range ring {
				ctx.Send(duelist.Ref(who), &strike{ring[(i+1)%len(ring)]})
			}
		}
		return nil
	})
}

func newDuelist(p *actors.Props) {
	met := actors.State[outcomes](p, "met")
	refused := actors.CarryRows[int, string](p, "refused")
	actors.Handle(p, func(ctx actors.Context, m *strike) error {
		met.Edit().Asked++
		actors.Then(ctx, actors.Ask[*accepted](duelist.Ref(m.To), &challenge{}),
			func(_ actors.Context, _ *accepted, err error) error {
				if err == nil {
					met.Edit().Accepted++
				} else {
					refused.Set(refused.Len(), err.Error())
				}
				return nil
			})
		return nil
	})
	actors.Answer(p, func(actors.Context, *challenge) (*accepted, error) { return &accepted{}, nil })
}

// rings are duelists in circles of 1, 2, 3 and so on; with so many, most circles go through both nodes.
func rings() (all [][]string) {
	for i := range 12 {
		var ring []string
		for j := range 1 + i%4 {
			ring = append(ring, fmt.Sprintf("%d-%d", i, j))
		}
		all = append(all, ring)
	}
	return all
}

// told is what the duelists of a ring were refused with.
func told(w *replay.World, ring []string) (refused []string, accepted int) {
	for _, who := range ring {
		accepted += replay.Peek[outcomes](w, duelist.Ref(who), "met").Accepted
		for _, r := range replay.Peek[map[int]string](w, duelist.Ref(who), "refused") {
			refused = append(refused, r)
		}
	}
	return refused, accepted
}

func TestACycleThroughSeveralNodesIsFoundOnceAndAtOnce(t *testing.T) {
	t.Parallel()
	found := 0
	for seed := range uint64(10) {
		w := replay.NewWorld(t, duel, replay.Seed(seed+1))
		w.Tell(actors.KindName("referee").Ref("x"), &call{rings()})
		w.Advance(time.Second)
		for _, ring := range rings() {
			refused, accepted := told(w, ring)
			if len(refused) > 1 || len(refused)+accepted != len(ring) {
				t.Errorf("seed %d: of %v %d were accepted, and refused %v", seed, ring, accepted, refused)
			}
			for _, r := range refused {
				found++
				if !strings.HasPrefix(r, "CYCLE: duelist/") || strings.Count(r, " -> ") != len(ring) {
					t.Errorf("seed %d: %v were refused %s", seed, ring, r)
				}
			}
		}
	}
	if found < 60 {
		t.Errorf("%d of 120 circles were closed; the test tests little", found)
	}
}

func TestWhoCannotReachOneAnotherIsInNoCycle(t *testing.T) {
	t.Parallel()
	deadlines := 0
	for seed := range uint64(20) {
		w := replay.NewWorld(t, duel, replay.Seed(seed+1))
		w.Partition("game-1", "game-2")
		w.Tell(actors.KindName("referee").Ref("x"), &call{rings()})
		w.Advance(time.Duration(seed) * 400 * time.Millisecond)
		w.Heal() // now questions come, and of some nobody waits for the answer any more
		w.Advance(10 * time.Second)
		for _, ring := range rings() {
			cycles := 0
			refused, accepted := told(w, ring)
			for _, r := range refused {
				if strings.HasPrefix(r, "CYCLE") {
					cycles++
				} else {
					deadlines++
				}
			}
			if cycles > 1 || len(refused)+accepted != len(ring) {
				t.Errorf("seed %d: of %v %d were accepted, and refused %v", seed, ring, accepted, refused)
			}
		}
	}
	if deadlines == 0 {
		t.Error("no circle went through both nodes; the test tests nothing")
	}
}
