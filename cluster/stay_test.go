package cluster

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// grant makes a node the owner of a shard, as a coordinator does after a death; a zero member gives it to nobody.
func (w *voyage) grant(shard int, m Member) {
	w.registry.mu.Lock()
	defer w.registry.mu.Unlock()
	next := w.registry.roles["game"].clone()
	epoch := next.Owners[shard].Epoch + 1
	next.Owners[shard] = Owner{Name: m.Name, Incarnation: m.Incarnation, Epoch: epoch, Root: epoch}
	w.registry.write(Decree{Role: "game", Next: next})
	w.registry.publish()
}

// correspondents are a player who writes to another, of another shard.
func (w *voyage) correspondents() (writer, reader string) {
	for _, writer := range w.players {
		if reader := w.friend(writer); reader != "" && w.shardOf(reader) != w.shardOf(writer) {
			return writer, reader
		}
	}
	w.t.Fatal("all who write to each other are of one shard")
	return "", ""
}

func (w *voyage) shardOf(player string) int {
	return actors.KindName("player").Ref(player).Shard(w.shards)
}

// What an actor has sent waits on its node, for a shard without an owner. If the actor went on elsewhere meanwhile,
// what it sends there would overtake that.
func TestAMoveWaitsForWhatItsActorsSentAndWaitsOnTheirNode(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		w := newVoyage(t, seed)
		w.registry.coordinator = 999
		gate := w.join("gate-1", "gate")
		a, b, c := w.join("game-1", "game"), w.join("game-2", "game"), w.join("game-3", "game")
		w.settleIn(a, a)
		writer, reader := w.correspondents()
		w.grant(w.shardOf(reader), Member{})
		write := func(times int) {
			for range 2 * times { // every second request makes a letter
				w.ask(gate, writer)
				w.time.Advance(5 * time.Millisecond)
			}
		}
		write(1)
		w.intend(w.shardOf(writer), b.n.self)
		w.time.Advance(200 * time.Millisecond)
		if o := w.owner(w.shardOf(writer)); o.Incarnation != a.n.self.Incarnation {
			t.Fatalf("%s: it was moved while a letter waited on its node", w)
		}
		w.slow[[2]string{"game-1#2", "game-3#4"}] = 400 * time.Millisecond
		w.grant(w.shardOf(reader), c.n.self)
		write(50)
		w.time.Advance(5 * time.Second)
		if o := w.owner(w.shardOf(writer)); o.Incarnation != b.n.self.Incarnation {
			t.Fatalf("%s: it was not moved when the letter was read", w)
		}
		w.complete()
		for _, h := range w.crews {
			h.n.Close()
		}
		if w.time.Close(); t.Failed() {
			return
		}
	}
}
