package node

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster"
	"github.com/fireflyrt/firefly/persist"
)

// This file is what outlives an incarnation. When the registry has forgotten the cluster, because it was wiped or is of
// another generation, the node's part of the cluster ends, and another one joins as a node that nobody has seen before.
// Actors that live by shards are written and end; sessions, and what lives by them, stay and never notice.

// How a node goes from one life to the next.
const (
	lingerEvery = 50 * time.Millisecond // how often keepers look whether anybody still needs them
	lateAfter   = time.Second           // what was on its way to the life before has come by then
)

// lives are the lives of a node, one after another, for those who need the cluster as it is now. It fulfils
// actors.Router.
type lives struct {
	berth *cluster.Berth
	now   atomic.Pointer[cluster.Cluster]
	last  atomic.Bool // the present life is forgotten: it only writes what was done
	there atomic.Bool // it has joined

	ctx    context.Context // of the way into the next
	cancel context.CancelFunc

	mu     sync.Mutex
	ending bool // there is no next
}

func newLives(c cluster.Carrier) *lives {
	ctx, cancel := context.WithCancel(context.Background())
	return &lives{berth: cluster.NewBerth(c), ctx: ctx, cancel: cancel}
}

// Route implements actors.Router.
func (l *lives) Route(e *actors.Envelope) { l.now.Load().Route(e) }

// Tenure implements actors.Router.
func (l *lives) Tenure(role string, shard int) (uint64, actors.Hold) {
	return l.now.Load().Tenure(role, shard)
}

// Shards implements actors.Router.
func (l *lives) Shards() int { return l.now.Load().Shards() }

// A ward is the router as a node's actors see it: while a life ends, its keepers still take what others have to write.
// Whether it is theirs to write the store decides, as always; they raise no fence meanwhile.
type ward struct{ *lives }

// Tenure implements actors.Router.
func (w ward) Tenure(role string, shard int) (uint64, actors.Hold) {
	epoch, hold := w.lives.Tenure(role, shard)
	if hold == actors.Paused && role == persist.KeeperRole && w.last.Load() {
		hold = actors.Held
	}
	return epoch, hold
}

// Cluster is the node's part of the cluster, in its present life.
func (n *Node) Cluster() *cluster.Cluster { return n.lives.now.Load() }

// Incarnation is that of the present life.
func (n *Node) Incarnation() uint64 { return n.Cluster().Incarnation() }

// reborn ends this life: entities are written and end, then keepers, once nobody needs them any more. It returns at
// once.
func (n *Node) reborn() {
	n.lives.last.Store(true)
	since, lease := n.parts.Clock.Now(), n.config.Cluster.Lease
	n.parts.Scheduler.Run(func() {
		n.Cluster().Stay(func() {
			n.System.Retire(false, lease, func(left int) {
				n.unwritten("entities", left)
				n.linger(since)
			})
		})
	})
}

// linger keeps the keepers for those who write, for as long as any other node with entities answers, at most a lease:
// by then each has noticed, and it is no earlier that anybody else may own what they keep.
func (n *Node) linger(since time.Time) {
	if n.archive == nil {
		n.next()
		return
	}
	lease, clock := n.config.Cluster.Lease, n.parts.Clock
	if !n.Cluster().Alone(n.hasEntities) && clock.Now().Sub(since) < lease {
		clock.AfterFunc(lingerEvery, func() { n.linger(since) })
		return
	}
	n.System.Retire(true, lease, func(left int) {
		n.unwritten("keepers", left)
		n.next()
	})
}

// hasEntities reports whether a member may have something to write.
func (n *Node) hasEntities(m *cluster.Member) bool {
	return slices.ContainsFunc(n.roles, func(role string) bool { return role != persist.KeeperRole && m.HasRole(role) })
}

func (n *Node) unwritten(what string, left int) {
	if left > 0 {
		n.parts.Log.Error("the cluster forms anew, and not everything could be written first", what, left)
	}
}

// next begins the next life.
func (n *Node) next() {
	l := n.lives
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending {
		return
	}
	incarnation := n.parts.Draw()
	young, err := n.newCluster(incarnation)
	if err != nil {
		n.fail(err)
		return
	}
	young.Serve(mover{n.System})
	n.store.Renew(incarnation)
	if n.archive != nil {
		n.archive.Renew(incarnation)
	}
	l.there.Store(false)
	old := l.now.Swap(young)
	l.last.Store(false)
	n.System.Resume()
	inherit := func(e *actors.Envelope) {
		if e.To.Kind == persist.KeeperKind { // of an owner who was forgotten, and would be taken for one
			n.refuse(e)
			return
		}
		young.Route(e)
	}
	old.Abandon(inherit)
	n.parts.Clock.AfterFunc(lateAfter, func() {
		old.Abandon(inherit)
		old.Close()
	})
	if n.parts.Reborn != nil {
		n.parts.Reborn(incarnation)
	}
	n.parts.Scheduler.Offload(func() {
		if err := young.Start(l.ctx, mover{n.System}); err != nil {
			n.fail(err)
			return
		}
		l.there.Store(true)
		n.parts.Log.Info("node joined anew", "incarnation", incarnation)
	})
}

// refuse answers what is left of the life before.
func (n *Node) refuse(e *actors.Envelope) {
	if e.Request != 0 {
		r := &actors.Refusal{Code: actors.Unavailable, Text: n.self.Name + " has joined anew since"}
		n.System.Route(e.Refuse(r))
	}
}

// fail ends the process: there is no next life, and it is not because the node stops.
func (n *Node) fail(err error) {
	if n.lives.ctx.Err() == nil && n.parts.Condemned != nil {
		n.parts.Log.Error("the node could not join anew", "error", err)
		n.parts.Condemned()
	}
}

// end lets no further life begin.
func (l *lives) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending = true
	l.cancel()
}

// isNobody reports whether the present life is no member: it is forgotten, or has not begun.
func (l *lives) isNobody() bool { return l.last.Load() || !l.there.Load() }

// leave takes leave of the cluster, if there is anybody to take leave of.
func (l *lives) leave(ctx context.Context) error {
	defer l.berth.Close()
	if l.isNobody() {
		l.now.Load().Close()
		return nil
	}
	return l.now.Load().Stop(ctx)
}

// Close ends the node's part of the cluster at once, as a death would.
func (n *Node) Close() {
	n.lives.end()
	n.Cluster().Close()
	n.lives.berth.Close()
}
