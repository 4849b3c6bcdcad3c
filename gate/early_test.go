package gate_test

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// This file is what a stranger, or a client that comes back, meets when a session is just beginning or ending.

// busy is a desk whose guests come from several goroutines.
func busy(t *testing.T) *desk {
	t.Helper()
	return newDesk(t, func(o *gate.Options) { o.Draw, o.Clock = rand.Uint64, realClock{} })
}

// A newcomer is a connection that only says Hello, and hears what that is answered with.
type newcomer struct{}

func (newcomer) Wake() {}
func (newcomer) Cut()  {}

// hello says Hello over a new connection, and returns the first frame that answers it.
func (d *desk) hello(r *wire.Resume) (wire.Header, []byte) {
	visit := d.gate.Open(newcomer{}, "10.0.0.1:1")
	hello, err := json.Marshal(wire.Hello{Version: wire.Version, Resume: r})
	if err != nil {
		d.t.Error(err)
	}
	visit.Receive(wire.AppendFrame(nil, 0, wire.NumberHello, 1, hello))
	raw, _ := visit.Take(nil, 1)
	if len(raw) == 0 {
		return wire.Header{}, nil // it has ended over this connection already
	}
	h, body, _, err := wire.CutFrame(raw[0], wire.MaxBody)
	if err != nil {
		d.t.Error(err)
	}
	return h, body
}

// With the race detector this finds whoever reads a session before it is whole.
func TestAGuessedNameOfASessionThatJustBeginsOpensNothing(t *testing.T) {
	t.Parallel()
	d := busy(t)
	var both sync.WaitGroup
	both.Go(func() {
		for range 2000 {
			d.hello(nil)
		}
	})
	both.Go(func() {
		for n := range 2000 {
			name := "gate-1.json.7." + strconv.FormatInt(int64(n), 36)
			_, body := d.hello(&wire.Resume{Session: name, Token: "guessed"})
			var w wire.Welcome
			if err := json.Unmarshal(body, &w); err != nil || w.Resumed {
				t.Errorf("%s: %s, %v", name, body, err)
			}
		}
	})
	both.Wait()
}

func TestWhoComesBackWhileItIsClosedForGoodIsToldSo(t *testing.T) {
	t.Parallel()
	d := busy(t)
	for range 2000 {
		_, body := d.hello(nil)
		var w wire.Welcome
		if err := json.Unmarshal(body, &w); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() { d.gate.Kick(actors.SessionKind.Ref(w.Session), "CHEAT", "") })
		h, body := d.hello(&wire.Resume{Session: w.Session, Token: w.Token})
		both.Wait()
		var again wire.Welcome
		if json.Unmarshal(body, &again) == nil && h.Number == wire.NumberWelcome && !again.Resumed {
			t.Fatalf("whoever was kicked got another session: %s", body)
		}
	}
}
