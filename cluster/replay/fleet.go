package replay

import (
	"slices"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
)

// This file is what an operator does to a cluster: nodes come and go.

const (
	drainWithin = 25 * time.Second // one attempt, in virtual time
	drainAgain  = time.Second      // after an attempt that failed
)

// Drain takes a node away as the verb drain does: it hands over all that it has by planned moves and leaves, so that
// nothing is lost and nobody notices. It returns at once, and things take their course as time passes; out reports
// whether that node has gone. What fails is tried again, so a drain ends when what hinders it does: no other node can
// take its shards, or a Partition. A Crash ends it, too: the next life stays. Start brings the node back. A gate cannot
// be drained.
func (w *World) Drain(node string) (out func() bool) {
	w.t.Helper()
	m := w.leaver(node)
	w.fault("drain %s", node)
	w.drain(node, m)
	w.loop.Settle()
	return m.isOut
}

// Stop takes a node away as the verb stop does: its actors write what they changed and end, and others come up from
// that where they are needed next. It returns at once; out reports whether that node has gone. Start brings it back. A
// gate says RESTARTING to its clients first; the World's only one cannot be stopped, but crash.
func (w *World) Stop(node string) (out func() bool) {
	w.t.Helper()
	m := w.leaver(node)
	w.fault("stop %s", node)
	if m.Gate != nil {
		m.Gate.Close(wire.CloseRestarting, "the server restarts")
	}
	w.leave(node, m)
	w.loop.Settle()
	return m.isOut
}

// Start lets a node run that does not: one that was drained or stopped, or another copy of a role's, game-3. It is
// given its share by planned moves, as time passes. Start returns when the cluster is ready; at once, while nodes are
// cut off or blind.
func (w *World) Start(name string) {
	w.t.Helper()
	if w.nodes[name] != nil {
		w.t.Fatalf("%s runs already", name)
	}
	w.know(name)
	w.fault("start %s", name)
	w.start(name)
	w.loop.Settle()
	w.recover()
}

// leaver is a node that can go.
func (w *World) leaver(name string) *member {
	w.t.Helper()
	m := w.member(name)
	if m.Gate != nil && w.gates == 1 {
		w.t.Fatalf("%s is the World's only gate: it can Crash", name)
	}
	return m
}

// isOut reports whether this life is over.
func (m *member) isOut() bool { return m.share.dead }

// drain lets a node hand over what it has, again and again, and then leave.
func (w *World) drain(name string, m *member) {
	m.Cluster().Drain(drainWithin, func(err error) {
		if err == nil {
			w.leave(name, m)
			return
		}
		w.observe("%s is not drained yet: %v", name, err)
		m.share.AfterFunc(drainAgain, func() { w.drain(name, m) })
	})
}

// leave ends a life in order. What could not take leave is declared dead, as a supervisor would.
func (w *World) leave(name string, m *member) {
	m.Leave(func(err error) {
		w.loop.Run(m.share.alive(func() {
			incarnation := m.Incarnation()
			w.bury(name)
			delete(w.nodes, name)
			w.fault("%s has gone", name)
			if err != nil {
				w.registry.Certify(incarnation)
			}
		}))
	})
}

// know makes room in the configuration for another copy of a node.
func (w *World) know(name string) {
	w.t.Helper()
	if _, known := w.config.Node(name); known {
		return
	}
	kind := name[:strings.LastIndexByte(name, '-')+1]
	for _, n := range w.config.Nodes {
		if kind == "" || !strings.HasPrefix(n.Name, kind) || n.Has(node.RoleGate) {
			continue
		}
		n.Name = name
		next := *w.config
		next.Nodes = append(slices.Clone(next.Nodes), n)
		w.config = &next
		return
	}
	w.t.Fatalf("the World knows no node of which %s could be a copy", name)
}
