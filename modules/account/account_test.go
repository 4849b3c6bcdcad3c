package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/modules/account"
)

const playerKind actors.KindName = "player"

// whoami is a request that only a logged-in client can make.
type (
	whoami struct{}
	youAre struct {
		Name string `json:"name"`
		Wish string `json:"wish"`
	}
)

type wish struct{ Text string }

func newPlayer(p *actors.Props) {
	account.Mount(p)
	wished := actors.State[wish](p, "wish")
	actors.On(p, func(_ actors.Context, e *account.Created) error {
		wished.Edit().Text = e.Wish
		return nil
	})
	actors.Answer(p, func(ctx actors.Context, _ *whoami) (*youAre, error) {
		return &youAre{ctx.Self().ID, wished.View().Text}, nil
	})
}

var app = node.App{
	Name: "doors",
	Game: node.Module{
		Name:     "doors",
		Messages: wire.Messages(wire.In[*whoami](5001), wire.Out[*youAre](5002)),
		Kinds: []actors.Kind{
			{Name: "login", New: account.Door(playerKind), Workers: 2},
			{Name: playerKind, New: newPlayer},
		},
	},
	Modules: []node.Module{{Name: "account", Messages: account.Messages}},
}

func key(name string) *account.Login {
	return &account.Login{Name: name, Secret: "the long secret of " + name, Wish: "a blue hat"}
}

func TestWhoeverComesFirstOwnsTheName(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, app)
	ann := w.Connect()
	ann.Refused(&whoami{}, actors.NotBound)
	if in := replay.Call[*account.LoggedIn](ann, key("ann")); in.Name != "ann" || !in.New {
		t.Errorf("the first visit: %+v", in)
	}
	if you := replay.Call[*youAre](ann, &whoami{}); *you != (youAre{"ann", "a blue hat"}) {
		t.Errorf("ann is %+v", you)
	}
	thief := w.Connect()
	thief.Refused(&account.Login{Name: "ann", Secret: "something else entirely"}, account.WrongSecret)
	thief.Refused(&whoami{}, actors.NotBound)
	for _, n := range []string{"game-1", "game-2", "persist-1", "gate-1"} {
		w.Crash(n)
	}
	again := w.Connect()
	if in := replay.Call[*account.LoggedIn](again, key("ann")); in.New {
		t.Error("ann was forgotten, although the name was committed")
	}
	w.Connect().Refused(&account.Login{Name: "ann", Secret: "something else entirely"}, account.WrongSecret)
}

func TestTooManyWrongSecretsLockThePlayerForAWhile(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, app)
	replay.Call[*account.LoggedIn](w.Connect(), key("ann"))
	wrong := &account.Login{Name: "ann", Secret: "something else entirely"}
	for range account.TriesMost {
		w.Connect().Refused(wrong, account.WrongSecret)
	}
	w.Connect().Refused(key("ann"), account.Locked)
	w.Advance(account.LockedFor)
	replay.Call[*account.LoggedIn](w.Connect(), key("ann"))
	for range account.TriesMost - 1 { // a right one in between forgives
		w.Connect().Refused(wrong, account.WrongSecret)
	}
	replay.Call[*account.LoggedIn](w.Connect(), key("ann"))
	w.Connect().Refused(wrong, account.WrongSecret)
	replay.Call[*account.LoggedIn](w.Connect(), key("ann"))
}

func TestNamesAndSecretsAreBounded(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, app)
	for _, name := range []string{"", " ", "a b", "a/b", "ann\n", "ann\x00", strings.Repeat("n", 17), "<b>"} {
		w.Connect().Refused(key(name), account.BadName)
	}
	for _, name := range []string{"a", "Jürgen_2", "花火", strings.Repeat("n", 16)} {
		replay.Call[*account.LoggedIn](w.Connect(), key(name))
	}
	for _, n := range []int{0, account.SecretLeast - 1, account.SecretMost + 1} {
		w.Connect().Refused(&account.Login{Name: "bob", Secret: strings.Repeat("s", n)}, account.BadSecret)
	}
	for name, n := range map[string]int{"bob": account.SecretLeast, "cat": account.SecretMost} {
		replay.Call[*account.LoggedIn](w.Connect(), &account.Login{Name: name, Secret: strings.Repeat("s", n)})
	}
	wishful := key("dan")
	wishful.Wish = strings.Repeat("w", account.WishMost+1)
	w.Connect().Refused(wishful, account.BadSecret)
}

func TestAClientThatGuessesIsSlowedDown(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, app)
	c := w.Connect()
	for range 5 {
		c.Refused(key(""), account.BadName)
	}
	c.Refused(key(""), actors.RateLimited)
	w.Advance(10 * time.Second)
	c.Refused(key(""), account.BadName)
}
