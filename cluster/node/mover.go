package node

import (
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster"
)

// A mover is the node's actors as the cluster sees them: it brings them to rest, and lets them go on elsewhere.
type mover struct{ *actors.System }

// Freeze implements cluster.Mover.
func (m mover) Freeze(t actors.Tenure, within time.Duration, done func(cluster.Frozen, error)) {
	m.System.Freeze(t, within, func(f *actors.Frozen, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		done(f, nil)
	})
}

// Prepare implements cluster.Mover.
func (m mover) Prepare(t actors.Tenure, state []byte) (cluster.Arrival, error) {
	a, err := m.System.Prepare(t, state)
	if err != nil {
		return nil, err
	}
	return a, nil
}
