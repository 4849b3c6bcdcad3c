package main

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/replay"
	"github.com/fireflyrt/firefly/modules/wallet"
)

func TestAGiftArrivesOnceAndComesBackFromNobody(t *testing.T) {
	t.Parallel()
	w := replay.NewWorld(t, App)
	ann, bob := enter(w, "ann"), enter(w, "bob")
	ann.earn(w, 50)
	w.Advance(time.Second)
	replay.Call[*Given](ann.Client, &Give{To: "bob", Sparks: 20})
	w.Crash("game-1")
	w.Crash("game-2") // wherever they live: the gift is stored
	w.Advance(20 * time.Second)
	replay.Call[*Given](ann.Client, &Give{To: "nobody", Sparks: 7})
	ann.Refused(&Give{To: "ann", Sparks: 1}, ToSelf)
	ann.Refused(&Give{To: "bob", Sparks: 1000}, wallet.Poor)
	ann.Refused(&Give{To: "", Sparks: 1}, actors.BadBody)
	w.Advance(5 * time.Second)
	if back := replay.Expect[*Received](ann.Client); !back.Back || back.Sparks != 7 {
		t.Errorf("ann was told %+v", back)
	}
	for who, want := range map[*visitor]int64{ann: 30, bob: 20} {
		if purse := replay.Peek[map[string]int64](w, PlayerKind.Ref(who.name), "wallet"); purse[Sparks] != want {
			t.Errorf("%s has %d sparks, and should have %d", who.name, purse[Sparks], want)
		}
	}
}
