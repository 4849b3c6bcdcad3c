package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// Whatever stands in a first frame, the gate says one thing to it: Welcome, or Close with one of three
// reasons. What it keeps of it is bounded, and what it says is short.
func FuzzHello(f *testing.F) {
	for _, body := range []string{
		`{"version":2}`,
		`{"version":2,"codec":"proto","client":"bots/1"}`,
		`{"version":2,"ticket":"good"}`,
		`{"version":2,"ticket":"bad"}`,
		`{"version":2,"resume":{"session":"gate-1.j.7.1","token":"t","received":12}}`,
		`{"version":1}`, `{"version":2.5}`, `{"version":"2"}`, `{"version":2,"version":3}`,
		`{"version":99999999999999999999999999999999}`,
		`{"version":2,"resume":{"received":-1}}`, `{"version":2,"resume":null}`,
		`null`, `[]`, `2`, `{`, `{"version":2}}`, "", "\x00", `{"version":2,"client":"\ud800"}`,
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, tickets bool) {
		d := newDesk(t, func(o *gate.Options) {
			if tickets {
				o.Authenticate = func(_ context.Context, ticket string) (actors.Ref, error) {
					if ticket == "good" {
						return player.Ref("ann"), nil
					}
					return actors.Ref{}, errors.New("no such ticket")
				}
			}
		})
		if len(body) > d.gate.Limits.FrameMax {
			return
		}
		g := d.connect()
		g.visit.Receive(wire.AppendFrame(nil, 0, wire.NumberHello, 1, body))
		d.offload.work()
		said := g.one()
		if len(said.body) > 1024 {
			t.Errorf("it says %d bytes: %.100s", len(said.body), said.body)
		}
		switch said.Number {
		case wire.NumberWelcome:
			var w wire.Welcome
			if err := json.Unmarshal(said.body, &w); err != nil || w.Session == "" || said.Seq != 1 {
				t.Errorf("%+v %s: %v", said.Header, said.body, err)
			}
			if all := d.gate.Sessions(2); len(all) != 1 || len(all[0].Client) > 64 {
				t.Errorf("%+v", all)
			}
		case wire.NumberClose:
			var c wire.Close
			err := json.Unmarshal(said.body, &c)
			if err != nil || c.Number != wire.CloseBadFrame && c.Number != wire.CloseVersion &&
				c.Number != wire.CloseUnauthenticated {
				t.Errorf("%s: %v", said.body, err)
			}
			if d.gate.Counters.Handshakes.Load() != 0 {
				t.Error("a handshake is still counted")
			}
		default:
			t.Errorf("it says %+v %s", said.Header, said.body)
		}
	})
}
