package replay_test

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
)

type (
	visit   struct{}
	visits  struct{ Count, Stored, Cold int }
	counter struct{ N int }
)

const hutKind actors.KindName = "hut"

// hutApp is a hut that counts its visitors, in a carried cell or, if it is forgetful, in a field of its own; and how
// often it came up cold.
func hutApp(forgetful bool) node.App {
	return node.App{Name: "hut", Game: node.Module{Name: "hut",
		Messages: wire.Messages(wire.In[*visit](500).Public(), wire.Out[*visits](501), wire.Internal[*counter](502)),
		Kinds: []actors.Kind{
			{Name: "door", Workers: 1, New: func(p *actors.Props) {
				actors.Answer(p, func(ctx actors.Context, m *visit) (*visits, error) {
					return actors.Reply(ctx, actors.Ask[*visits](hutKind.Ref("h"), &counter{}),
						func(_ actors.Context, v *visits, err error) (*visits, error) { return v, err })
				})
			}},
			{Name: hutKind, New: func(p *actors.Props) {
				carried, stored := actors.Carry[counter](p, "carried"), actors.State[counter](p, "stored")
				starts, field := actors.Carry[counter](p, "starts"), 0
				actors.On(p, func(actors.Context, *actors.Started) error { starts.Edit().N++; return nil })
				actors.Answer(p, func(_ actors.Context, _ *counter) (*visits, error) {
					stored.Edit().N++
					carried.Edit().N++
					if field++; forgetful {
						return &visits{field, stored.View().N, starts.View().N}, nil
					}
					return &visits{carried.View().N, stored.View().N, starts.View().N}, nil
				})
			}},
		}}}
}

func TestChurnFindsWhatIsKeptOutsideOfCells(t *testing.T) {
	t.Parallel()
	const calls, worlds = 20, 5
	for _, forgetful := range []bool{false, true} {
		found := 0
		for seed := range uint64(worlds) {
			for _, options := range [][]replay.Option{{replay.Seed(seed)}, {replay.Seed(seed), replay.Churn()}} {
				w := replay.NewWorld(t, hutApp(forgetful), options...)
				c := w.Connect()
				last := &visits{}
				for range calls {
					last = replay.Call[*visits](c, &visit{})
					w.Advance(50 * time.Millisecond)
				}
				if last.Stored != calls || last.Cold != 1 {
					t.Errorf("seed %d: after %d visits %+v", seed, calls, last)
				}
				if isFound := last.Count != calls; isFound && len(options) < 2 {
					t.Errorf("seed %d: found without moves: %+v", seed, last)
				} else if isFound {
					found++
				}
			}
		}
		if forgetful && found < worlds || !forgetful && found > 0 {
			t.Errorf("forgetful %t: found in %d of %d Worlds", forgetful, found, worlds)
		}
	}
}
