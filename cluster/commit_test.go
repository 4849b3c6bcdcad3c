package cluster

import (
	"fmt"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// twoCrews is two nodes that own two shards each; actors live in those of the first.
func twoCrews(t *testing.T) (w *voyage, one, two *crew) {
	w = newVoyage(t, 1)
	one, two = w.join("game-1", "game"), w.join("game-2", "game")
	w.settleIn(one, two)
	for i := range 40 {
		if id := fmt.Sprint(i); one.shard(actors.KindName("player").Ref(id))%2 == 0 {
			w.ask(one, id)
		}
	}
	w.time.Advance(time.Second)
	return w, one, two
}

// The record of the first move comes before its transaction's outcome is told, and no other record follows.
func TestAMoveThatIsReadyWhileATransactionIsUnderWayFollowsIt(t *testing.T) {
	t.Parallel()
	w, _, two := twoCrews(t)
	w.late = 100 * time.Millisecond
	w.intend(0, two.n.self)
	w.time.Advance(50 * time.Millisecond)
	w.intend(2, two.n.self)
	w.time.Advance(time.Second)
	for _, shard := range []int{0, 2} {
		if o := w.owner(shard); o.Epoch == 1 { // whoever has it now: the coordinator balances
			t.Errorf("shard %d is still with %s", shard, o.Name)
		}
	}
	w.complete()
}

// Whoever wants to put a move off while its transaction is under way hears that it was written before the record shows.
func TestAMoveThatIsToBePutOffIsNotWhenItsTransactionWasWritten(t *testing.T) {
	t.Parallel()
	w, one, two := twoCrews(t)
	w.late = 100 * time.Millisecond
	w.decreed = func(d Decree) {
		if d.Next.Owners[0].Incarnation == two.n.self.Incarnation {
			w.registry.Blind(one.n.self.Incarnation, true)
		}
	}
	w.intend(0, two.n.self)
	for range 200 { // ms
		if w.time.Advance(time.Millisecond); w.owner(0).Name == two.name {
			break
		}
	}
	one.n.Stay(func() {})
	arrived := 0
	for range 150 { // ms, in which the outcome is told
		w.time.Advance(time.Millisecond)
		arrived = max(arrived, len(two.sailor[0]))
		if n := len(one.sailor[0]); n > 0 && !one.asleep[0] {
			t.Fatalf("%d actors go on at %s, and %d live at %s", n, one.name, arrived, two.name)
		}
	}
	if arrived == 0 {
		t.Error("no actor has arrived")
	}
	w.registry.Blind(one.n.self.Incarnation, false)
	w.time.Advance(time.Second)
	w.complete()
}
