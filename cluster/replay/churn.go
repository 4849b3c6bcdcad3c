package replay

import (
	"maps"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster"
)

const (
	churnEvery   = 100 * time.Millisecond // at the latest, in virtual time
	churnPatient = 250 * time.Millisecond // how long an open question is waited for
	churnState   = 64 << 20               // bytes of one shard
)

// Churn has entities move at random moments, between two messages: by planned moves to another node of their role, and,
// while there is one only, out of it and in again. Each is written as it is, forgotten, and made again from that alone.
// A test that passes without Churn and fails with it has found a behaviour that keeps something outside of its cells
// and does not rebuild it in Loaded.
func Churn() Option { return func(w *World) { w.churns = true } }

// churn moves some shards, and does so again and again.
func (w *World) churn() {
	for _, role := range w.entityRoles() {
		var there []*member
		for _, name := range w.Nodes() {
			if n, _ := w.config.Node(name); n.Has(role) {
				there = append(there, w.nodes[name])
			}
		}
		var intents []cluster.Intent
		for shard := range shards {
			switch {
			case w.luck.IntN(4) > 0:
			case len(there) == 1:
				there[0].move(role, shard)
			case len(there) > 1:
				to := there[w.luck.IntN(len(there))].Cluster().Self()
				intents = append(intents, cluster.Intent{Shard: shard, Name: to.Name, Incarnation: to.Incarnation})
			}
		}
		w.registry.Intend(role, intents...)
	}
	w.loop.AfterFunc(time.Duration(w.luck.Int64N(int64(churnEvery))), w.churn)
}

// entityRoles are those of the game's own actors, in order.
func (w *World) entityRoles() []string {
	return slices.Compact(slices.Sorted(maps.Values(w.blueprint.Roles)))
}

// move moves the actors of a shard, if the node has it, out and in again. One that cannot rest now stays.
func (m *member) move(role string, shard int) {
	epoch, hold := m.Cluster().Tenure(role, shard)
	if hold != actors.Held {
		return
	}
	t := actors.Tenure{Role: role, Shard: shard, Epoch: epoch}
	m.System.Freeze(t, churnPatient, func(f *actors.Frozen, err error) {
		if err != nil {
			return
		}
		state, err := f.State(churnState)
		var a *actors.Arrival
		if err == nil {
			a, err = m.System.Prepare(t, state)
		}
		if err != nil {
			f.Thaw()
			return
		}
		f.Discard()
		a.Begin()
	})
}
