package chat_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/modules/account"
	"github.com/fireflyrt/firefly/modules/chat"
)

const (
	playerKind actors.KindName = "player"
	hallKind   actors.KindName = "hall"
)

// walk takes a client to another hall.
type walk struct{ Hall string }

type place struct{ Hall string }

func newPlayer(p *actors.Props) {
	account.Mount(p)
	at := actors.State[place](p, "place")
	chat.MountSpeaker(p, func() actors.Ref { return hallKind.Ref(at.View().Hall) })
	actors.Handle(p, func(ctx actors.Context, m *walk) error {
		at.Edit().Hall = m.Hall
		ctx.Bind(hallKind.Ref(m.Hall))
		return nil
	})
}

var app = node.App{
	Name: "talk",
	Game: node.Module{
		Name:     "talk",
		Messages: wire.Messages(wire.In[*walk](5001)),
		Kinds: []actors.Kind{
			{Name: "login", New: account.Door(playerKind), Workers: 2},
			{Name: playerKind, New: newPlayer},
			{Name: hallKind, New: func(p *actors.Props) { chat.MountHall(p) }},
		},
	},
	Modules: []node.Module{
		{Name: "account", Messages: account.Messages},
		{Name: "chat", Messages: chat.Messages},
	},
}

func enter(w *replay.World, name, hall string) *replay.Client {
	c := w.Connect()
	replay.Call[*account.LoggedIn](c, &account.Login{Name: name, Secret: "the long secret of " + name})
	replay.Call[struct{}](c, &walk{hall})
	return c
}

func say(c *replay.Client, text string) { replay.Call[struct{}](c, &chat.Say{Text: text}) }

func TestWhatIsSaidIsHeardInTheHallAndNowhereElse(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, app)
	ann, bob, cat := enter(w, "ann", "north"), enter(w, "bob", "north"), enter(w, "cat", "south")
	say(ann, " good evening ")
	for _, c := range []*replay.Client{ann, bob} {
		if h := replay.Expect[*chat.Heard](c); *h != (chat.Heard{Who: "ann", Text: "good evening"}) {
			t.Errorf("heard %+v", h)
		}
	}
	replay.Call[struct{}](ann, &walk{"south"})
	say(ann, "and here")
	if h := replay.Expect[*chat.Heard](cat); h.Text != "and here" {
		t.Errorf("heard %+v", h)
	}
	replay.ExpectNone[*chat.Heard](bob)
}

func TestANewcomerHearsTheLastLinesInOrder(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, app)
	ann := enter(w, "ann", "north")
	const lines = chat.History + 7
	for i := range lines {
		say(ann, fmt.Sprint("line ", i))
		w.Advance(time.Second) // within the rate
	}
	w.Advance(3 * time.Second)
	for _, n := range []string{"game-1", "game-2", "persist-1"} {
		w.Crash(n)
	}
	bob := enter(w, "bob", "north")
	for i := lines - chat.History; i < lines; i++ {
		want := chat.Heard{Who: "ann", Text: fmt.Sprint("line ", i), Old: true}
		if h := replay.Expect[*chat.Heard](bob); *h != want {
			t.Fatalf("heard %+v, not %+v", *h, want)
		}
	}
	replay.ExpectNone[*chat.Heard](bob)
}

func TestWhoeverTalksTooFastOrTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, app)
	ann := enter(w, "ann", "north")
	ann.Refused(&chat.Say{}, chat.Empty)
	for range 4 {
		say(ann, "and")
	}
	ann.Refused(&chat.Say{Text: "and"}, actors.RateLimited)
	w.Advance(5 * time.Second)
	say(ann, "so on")
}
