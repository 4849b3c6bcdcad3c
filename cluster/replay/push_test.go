package replay_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
)

// A crier is whoever is logged in, and has something told in each of the ways that there are.
type (
	enroll   struct{ Name string }
	proclaim struct {
		To    string // whom: me, session, list, player, tower, all
		Who   []string
		Words string
	}
	proclaimed struct{ Words string }
	murmur     struct{ Words string }
	chime      struct{ Words string }
	askName    struct{}
	toldName   struct{ Session string }
)

const (
	crierKind actors.KindName = "crier"
	tower     actors.KindName = "tower"
	townGate  actors.KindName = "towngate"
)

var borough = node.App{Name: "borough", Game: node.Module{
	Name: "borough",
	Messages: wire.Messages(wire.In[*enroll](811).Public(), wire.In[*proclaim](812), wire.Out[*proclaimed](813),
		wire.Internal[*murmur](814), wire.Internal[*chime](815), wire.In[*askName](816), wire.Out[*toldName](817)),
	Kinds: []actors.Kind{{Name: townGate, Workers: 2, New: newTownGate}, {Name: crierKind, New: newCrier},
		{Name: tower, New: newTower}},
}}

func newTownGate(p *actors.Props) {
	actors.Handle(p, func(ctx actors.Context, m *enroll) error {
		ctx.Login(crierKind.Ref(m.Name))
		ctx.Watch(tower.Ref("1"))
		return nil
	})
}

func newTower(p *actors.Props) {
	within := actors.Audience(p)
	actors.Handle(p, func(ctx actors.Context, m *chime) error {
		within.Send(ctx, &proclaimed{m.Words})
		return nil
	})
}

func newCrier(p *actors.Props) {
	actors.On(p, func(ctx actors.Context, m *murmur) error { ctx.Push(&proclaimed{m.Words}); return nil })
	actors.Answer(p, func(ctx actors.Context, _ *askName) (*toldName, error) {
		return &toldName{ctx.Session().ID}, nil
	})
	actors.Handle(p, func(ctx actors.Context, m *proclaim) error {
		var refs []actors.Ref
		for _, id := range m.Who {
			refs = append(refs, actors.SessionKind.Ref(id))
		}
		switch m.To {
		case "me":
			ctx.Push(&proclaimed{m.Words})
		case "session":
			ctx.Send(refs[0], &proclaimed{m.Words})
		case "list":
			actors.SendTo(ctx, slices.Values(refs), &proclaimed{m.Words})
		case "player":
			ctx.Send(crierKind.Ref(m.Who[0]), &murmur{m.Words})
		case "tower":
			ctx.Send(tower.Ref("1"), &chime{m.Words})
		case "all":
			actors.SendToAll(ctx, &proclaimed{m.Words})
		}
		return nil
	})
}

// Whoever is meant gets it once and nobody else does, through whichever gate, also when it is away.
func TestWhateverIsPushedReachesThoseThatAreMeantAndNobodyElse(t *testing.T) {
	t.Parallel()
	for seed := range seeds(1) {
		w := replay.NewWorld(t, borough, replay.Seed(seed), replay.Gates(2), replay.Churn())
		var clients []*replay.Client
		var sessions []string
		for i := range 5 {
			c := w.ConnectTo(fmt.Sprint("gate-", 1+i%2))
			replay.Call[struct{}](c, &enroll{fmt.Sprint("crier", i)})
			sessions = append(sessions, replay.Call[*toldName](c, &askName{}).Session)
			clients = append(clients, c)
		}
		clients[3].Drop()
		all := []int{0, 1, 2, 3, 4}
		want := map[int][]string{}
		for _, c := range []struct {
			how  proclaim
			hear []int
		}{
			{proclaim{To: "me"}, []int{0}},
			{proclaim{To: "session", Who: sessions[3:4]}, []int{3}},
			{proclaim{To: "list", Who: []string{sessions[4], sessions[1], sessions[3], sessions[1]}}, []int{1, 3, 4}},
			{proclaim{To: "player", Who: []string{"crier2"}}, []int{2}},
			{proclaim{To: "player", Who: []string{"crier3"}}, []int{3}},
			{proclaim{To: "player", Who: []string{"crier9"}}, nil}, // is nowhere
			{proclaim{To: "tower"}, all},
			{proclaim{To: "all"}, all},
		} {
			c.how.Words = fmt.Sprint(c.how.To, c.how.Who)
			replay.Call[struct{}](clients[0], &c.how)
			w.Advance(time.Second)
			for _, i := range c.hear {
				want[i] = append(want[i], c.how.Words)
			}
		}
		if !clients[3].Return() {
			t.Fatal("not resumed")
		}
		w.Advance(time.Second)
		for i, c := range clients {
			var got []string
			for _, m := range replay.All[*proclaimed](c) {
				got = append(got, m.Words)
			}
			if !slices.Equal(got, want[i]) {
				t.Errorf("seed %d: client %d heard %q, want %q", seed, i, got, want[i])
			}
		}
	}
}
