package replay

import (
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

const (
	churnEvery   = 100 * time.Millisecond // at the latest, in virtual time
	churnPatient = 250 * time.Millisecond // how long an open question is waited for
	churnState   = 64 << 20               // bytes of one shard
)

// Churn has entities move at random moments: between two messages one is written as it is, forgotten, and made again
// from that alone, as a planned move to another node does. A test that passes without it and fails with it has found a
// behaviour that keeps something outside of its cells and does not rebuild it in Loaded.
func Churn() Option { return func(w *World) { w.churns = true } }

// churn moves some shards, and does so again and again.
func (w *World) churn() {
	for _, n := range w.config.Nodes {
		for _, role := range n.Roles {
			if !slices.Contains(w.entityRoles(), role) {
				continue
			}
			for shard := range shards {
				if w.luck.IntN(4) == 0 {
					w.nodes[n.Name].move(role, shard)
				}
			}
		}
	}
	w.loop.AfterFunc(time.Duration(w.luck.Int64N(int64(churnEvery))), w.churn)
}

// entityRoles are those of the game's own actors.
func (w *World) entityRoles() []string {
	var roles []string
	for _, role := range w.blueprint.Roles {
		roles = append(roles, role)
	}
	return roles
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
