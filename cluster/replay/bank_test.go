package replay_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/persist"
)

// A bank is a game of accounts, between which money goes by durable messages, and which are reminded of things.
type (
	pay struct {
		To     string
		Amount int
		Commit bool
	}
	paid    struct{ Amount int }
	promise struct {
		In     time.Duration
		Serial int
	}
	promised struct{ Serial int }
	rest     struct{}
	rise     struct{}
	state    struct{ Gold, Sent, Got, Back, Set, Fired int }
)

const (
	accountKind actors.KindName = "account"
	shut        actors.Code     = "SHUT"
)

var bank = node.App{Name: "bank", Game: node.Module{
	Name: "bank",
	Messages: wire.Messages(wire.Internal[*pay](201), wire.Internal[*paid](202).Durable(), wire.Internal[*promise](203),
		wire.Internal[*promised](204), wire.Internal[*rest](205), wire.Internal[*rise](206)),
	Kinds: []actors.Kind{{Name: accountKind, New: newAccount}},
}}

func newAccount(p *actors.Props) {
	books := actors.State[state](p, "books")
	actors.Handle(p, func(ctx actors.Context, m *pay) error {
		books.Edit().Gold -= m.Amount
		books.Edit().Sent++
		ctx.Send(accountKind.Ref(m.To), &paid{m.Amount})
		if m.Commit {
			ctx.Commit()
		}
		return nil
	})
	actors.Handle(p, func(ctx actors.Context, m *paid) error {
		if ctx.Self().ID == "shut" {
			return shut.Refuse("for ever")
		}
		books.Edit().Gold += m.Amount
		books.Edit().Got++
		if ctx.Rand().IntN(10) == 0 {
			return fmt.Errorf("by bad luck")
		}
		return nil
	})
	actors.On(p, func(_ actors.Context, u *actors.Undelivered) error {
		books.Edit().Gold += u.Msg.(*paid).Amount
		books.Edit().Back++
		return nil
	})
	actors.Handle(p, func(ctx actors.Context, m *promise) error {
		books.Edit().Set++
		ctx.Remind(ctx.Now().Add(m.In), &promised{m.Serial})
		return nil
	})
	actors.Handle(p, func(ctx actors.Context, m *promised) error {
		if books.Edit().Fired++; m.Serial%2 == 0 {
			ctx.Commit()
		}
		return nil
	})
	actors.Handle(p, func(ctx actors.Context, _ *rest) error { ctx.Stop(); return nil })
	actors.Handle(p, func(actors.Context, *rise) error { return nil })
}

var bankers = []string{"a", "b", "c", "d", "shut"}

// hire is a World of the bank's, and what may be done in it.
func hire(t *rapid.T) (*replay.World, map[string]func(*rapid.T)) {
	w := replay.NewWorld(t, bank, replay.Seed(rapid.Uint64Range(0, 99).Draw(t, "seed")))
	serial := 0
	who := func(t *rapid.T) string { return rapid.SampledFrom(bankers[:4]).Draw(t, "who") }
	aNode := func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"game-1", "game-2", "persist-1"}).Draw(t, "node")
	}
	pays := func(t *rapid.T) {
		w.Tell(accountKind.Ref(who(t)), &pay{To: rapid.SampledFrom(bankers).Draw(t, "to"),
			Amount: rapid.IntRange(1, 9).Draw(t, "amount"), Commit: rapid.Bool().Draw(t, "commit")})
	}
	wait := func(t *rapid.T) { w.Advance(time.Duration(rapid.IntRange(0, 30_000).Draw(t, "ms")) * time.Millisecond) }
	return w, map[string]func(*rapid.T){
		"pay": pays, "pay more": pays, "pay most": pays, "wait": wait,
		"promise": func(t *rapid.T) {
			serial++
			in := time.Duration(rapid.IntRange(0, 60).Draw(t, "s")) * time.Second
			w.Tell(accountKind.Ref(who(t)), &promise{in, serial})
		},
		"passivate":   func(t *rapid.T) { w.Tell(accountKind.Ref(who(t)), &rest{}) },
		"wipe":        func(*rapid.T) { w.Wipe() },
		"crash":       func(t *rapid.T) { w.Crash(aNode(t)) },
		"crash actor": func(t *rapid.T) { w.CrashActor(accountKind.Ref(who(t))) },
		"cut":         func(t *rapid.T) { w.Partition(aNode(t), aNode(t)) },
		"isolate":     func(t *rapid.T) { w.Partition(aNode(t)) },
		"lose":        func(t *rapid.T) { w.Store().Lose(rapid.IntRange(1, 3).Draw(t, "n")) },
		"contend":     func(t *rapid.T) { w.Store().Refuse(rapid.IntRange(1, 6).Draw(t, "n"), persist.ErrContended) },
		"down": func(t *rapid.T) {
			w.Store().Down(time.Duration(rapid.IntRange(0, 9).Draw(t, "s")) * time.Second)
		},
		"heal": func(*rapid.T) { w.Heal() },
	}
}

// together is what all accounts have at one moment, and how many were not kept as many promises as they were made. They
// are woken by what sends nothing: it would be under way.
func together(w *replay.World) (all state, deceived int) {
	for _, id := range bankers {
		w.Tell(accountKind.Ref(id), &rise{})
	}
	w.Advance(5 * time.Second)
	for _, id := range bankers {
		s := replay.Peek[state](w, accountKind.Ref(id), "books")
		all.Gold, all.Sent, all.Got, all.Back = all.Gold+s.Gold, all.Sent+s.Sent, all.Got+s.Got, all.Back+s.Back
		if all.Set, all.Fired = all.Set+s.Set, all.Fired+s.Fired; s.Fired != s.Set {
			deceived++
		}
	}
	return all, deceived
}

// Whatever happens, in whatever order: what was paid arrives once or comes back, and what was promised is kept once.
func TestAPaymentTakesEffectOnceAndAPromiseIsKeptWhateverHappens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, acts := hire(t)
		t.Repeat(acts)
		w.Heal()
		w.Advance(time.Minute)
		for _, id := range bankers { // who could do so at all times can do so now
			w.Tell(accountKind.Ref(id), &pay{To: id})
		}
		for range 9 { // until what was tried in vain is tried again
			w.Advance(time.Minute)
		}
		all, deceived := together(w)
		for range 100 { // bad luck again and again doubles the pauses
			if deceived == 0 && all.Sent == all.Got+all.Back {
				break
			}
			w.Advance(10 * time.Minute)
			all, deceived = together(w)
		}
		if all.Gold != 0 || all.Sent != all.Got+all.Back || deceived > 0 || all.Sent < len(bankers) {
			t.Errorf("together they have %+v; %d were promised something else than was kept", all, deceived)
		}
	})
}

// Nobody sends it anything: the persist nodes wake it, also those that were not there at the time.
func TestAPromiseIsKeptThoughAllWasDownAtTheTime(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, bank)
	ann := accountKind.Ref("ann")
	w.Tell(ann, &promise{10 * time.Minute, 1})
	w.Advance(time.Minute)
	w.Tell(ann, &rest{})
	w.Advance(8*time.Minute + 55*time.Second)
	for _, node := range []string{"persist-1", "game-1", "game-2"} {
		w.Crash(node)
	}
	w.Advance(2 * time.Minute)
	if s := replay.Peek[state](w, ann, "books"); s.Fired != 1 {
		t.Errorf("ann has %+v", s)
	}
}
