package wallet_test

import (
	"math"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/modules/account"
	"github.com/fireflyrt/firefly/modules/wallet"
)

const playerKind actors.KindName = "player"

// earn and spend are what a game with a wallet might let its clients ask for.
type (
	earn  struct{ Amount int64 }
	spend struct{ Amount int64 }
	total struct{ Earned, Spent int64 } // carried: what the listener heard
)

func newPlayer(p *actors.Props) {
	account.Mount(p)
	w := wallet.Mount(p)
	heard := actors.Carry[total](p, "heard")
	actors.Handle(p, func(ctx actors.Context, m *earn) error { return w.Earn(ctx, "gold", m.Amount, "work") })
	actors.Handle(p, func(ctx actors.Context, m *spend) error { return w.Take(ctx, "gold", m.Amount, "fun") })
	actors.On(p, func(_ actors.Context, e *wallet.Changed) error {
		if e.Delta > 0 {
			heard.Edit().Earned += e.Delta
		} else {
			heard.Edit().Spent -= e.Delta
		}
		return nil
	})
}

var app = node.App{
	Name: "purses",
	Game: node.Module{
		Name:     "purses",
		Messages: wire.Messages(wire.In[*earn](5001), wire.In[*spend](5002)),
		Kinds: []actors.Kind{
			{Name: "login", New: account.Door(playerKind), Workers: 2},
			{Name: playerKind, New: newPlayer},
		},
	},
	Modules: []node.Module{
		{Name: "account", Messages: account.Messages},
		{Name: "wallet", Messages: wallet.Messages},
	},
}

func enter(w *replay.World) *replay.Client {
	c := w.Connect()
	replay.Call[*account.LoggedIn](c, &account.Login{Name: "ann", Secret: "the long secret of ann"})
	return c
}

func gold(w *replay.World) int64 {
	return replay.Peek[map[string]int64](w, playerKind.Ref("ann"), "wallet")["gold"]
}

func TestABalanceChangesByWhatWasEarnedAndSpentAndIsNeverNegative(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, app)
	ann := enter(w)
	ann.Refused(&spend{1}, wallet.Poor)
	replay.Call[struct{}](ann, &earn{10})
	replay.Call[struct{}](ann, &spend{7})
	ann.Refused(&spend{4}, wallet.Poor)
	replay.Call[struct{}](ann, &spend{3})
	for _, want := range []wallet.Balance{{"gold", 10, "work"}, {"gold", 3, "fun"}, {"gold", 0, "fun"}} {
		if b := replay.Expect[*wallet.Balance](ann); *b != want {
			t.Errorf("pushed %+v, not %+v", *b, want)
		}
	}
	replay.ExpectNone[*wallet.Balance](ann)
	if heard := replay.Peek[total](w, playerKind.Ref("ann"), "heard"); heard != (total{10, 10}) {
		t.Errorf("other modules heard %+v", heard)
	}
}

func TestStrangeAmountsAreRefusedWhoeverSendsThem(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, app)
	ann := enter(w)
	replay.Call[struct{}](ann, &earn{5})
	for _, amount := range []int64{0, -1, math.MinInt64, math.MaxInt64, wallet.Most + 1} {
		ann.Refused(&earn{amount}, wallet.BadAmount)
		ann.Refused(&spend{amount}, wallet.BadAmount)
		w.Tell(playerKind.Ref("ann"), &wallet.Earn{Currency: "gold", Amount: amount, Why: "mischief"})
	}
	if n := gold(w); n != 5 {
		t.Errorf("after all that ann has %d", n)
	}
	ann.Refused(&earn{wallet.Most - 4}, wallet.Full)
	replay.Call[struct{}](ann, &earn{wallet.Most - 5})
	ann.Refused(&earn{1}, wallet.Full)
}

func TestTheClientLearnsItsBalancesWhenItComesBack(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, app)
	ann := enter(w)
	w.Tell(playerKind.Ref("ann"), &wallet.Earn{Currency: "silver", Amount: 3, Why: "gift"})
	replay.Call[struct{}](ann, &earn{10})
	ann.Leave()
	again := enter(w)
	for _, want := range []wallet.Balance{{"gold", 10, ""}, {"silver", 3, ""}} {
		if b := replay.Expect[*wallet.Balance](again); *b != want {
			t.Errorf("pushed %+v, not %+v", *b, want)
		}
	}
}
