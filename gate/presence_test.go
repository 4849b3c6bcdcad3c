package gate_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/gate"
)

func TestWhoeverListensIsToldWhenAClientIsAwayAndBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) {
		o.Listens = func(kind actors.KindName) bool { return kind == player || kind == door }
	})
	w := d.wanders("ann")
	w.order(&actors.BindOrder{To: room.Ref("1")})
	w.order(&actors.BindOrder{To: player.Ref("bob"), Ears: true})
	d.cluster.take()
	w.drop(true)
	d.tells("away to player/ann")
	w.order(&actors.BindOrder{To: door.Ref("1")})
	var b actors.Bound
	if err := json.Unmarshal(d.cluster.take()[0].Body, &b); err != nil || !b.Away {
		t.Errorf("bound while its client is away: %+v, %v", b, err)
	}
	w.back()
	d.tells("back to player/ann", "back to door/1")
	w.back() // over the connection that it has
	d.tells()
	w.drop(true)
	d.clock.advance(d.gate.Limits.ResumeFor)
	d.tells("away to player/ann", "away to door/1", "unbound from player/ann DISCONNECTED",
		"unbound from room/1 DISCONNECTED", "unbound from player/bob DISCONNECTED", "unbound from door/1 DISCONNECTED")
}

// A player whose lamp goes out must have heard what its client said before, and shine again before what it says next.
func TestAwayAndBackStandAmongTheClientsFramesWhereTheyHappened(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Listens = nil })
	w := d.wanders("ann")
	d.cluster.take()
	w.ask("before", false)
	w.ask("lost on its way", true)
	w.drop(true)
	w.back()
	w.ask("after", false)
	var got []uint32
	for _, e := range d.cluster.take() {
		got = append(got, e.Number)
	}
	if want := []uint32{110, actors.NumberAway, actors.NumberBack, 110, 110}; !slices.Equal(got, want) {
		t.Errorf("the entity was told %d, want %d", got, want)
	}
}
