package replay

import (
	"slices"

	"github.com/fireflyrt/firefly/actors"
)

// Crash kills a node as kill -9 would, and starts it again: what it had not flushed is gone, and, if it was the gate,
// so are its sessions. It returns when the cluster has recovered; at once, while nodes are cut off or blind.
func (w *World) Crash(node string) {
	w.t.Helper()
	w.kill(node)
	w.recover()
}

// recover waits until the cluster is whole again, unless it cannot be.
func (w *World) recover() {
	w.t.Helper()
	if len(w.cuts)+len(w.blind) == 0 {
		w.awaitReady()
	}
}

// CrashAfter kills a node as Crash does, but in the midst of things: before the World's next step but so many. It
// returns at once, and nobody waits for the cluster to recover. Only the newest order holds; what it returns calls it
// off, and reports whether it was too late.
func (w *World) CrashAfter(node string, steps int) (spare func() (died bool)) {
	w.t.Helper()
	w.member(node)
	died := false
	w.loop.Before = func() {
		if steps--; steps < 0 {
			w.loop.Before, died = nil, true
			w.kill(node)
		}
	}
	return func() bool {
		w.loop.Before = nil
		return died
	}
}

// kill ends a node's life and begins the next one.
func (w *World) kill(node string) {
	m := w.member(node)
	w.fault("crash %s", node)
	m.die()
	if m.Gate != nil {
		for _, c := range w.clients {
			if c.gate == node {
				c.Cut() // as the sockets of a process that ends
			}
		}
		w.clients = slices.DeleteFunc(w.clients, func(c *Client) bool { return c.gate == node })
	}
	w.registry.Certify(m.Incarnation())
	w.start(node)
}

// Wipe loses all that the registry holds, as if its disk had been replaced. Nobody is told: each node finds out, writes
// what its entities have changed, and joins anew under another incarnation; sessions stay.
func (w *World) Wipe() {
	w.t.Helper()
	w.fault("wipe")
	w.registry.Wipe()
}

// CrashActor ends an entity as a panic of the runtime would: what it had not flushed is lost, requests that it was
// handling are answered PANIC, and its next message brings it up from the store. It reports whether the entity ran.
func (w *World) CrashActor(ref actors.Ref) bool {
	w.t.Helper()
	w.loop.Settle()
	crashed := false
	for _, name := range w.Nodes() {
		crashed = w.nodes[name].System.Crash(ref) || crashed
	}
	w.fault("crash %s %v", ref, crashed)
	w.loop.Settle()
	return crashed
}

// fault tells whoever observes, and the transcript, what was done to the World.
func (w *World) fault(format string, args ...any) {
	w.observe("fault "+format, args...)
	w.witness.note(w.Now(), format, args...)
}

// stuck is told that much has run and no time has passed, twice: it fails the test and names who had most turns
// meanwhile.
func (w *World) stuck(steps int, last bool) {
	turns := map[actors.Ref]uint64{}
	for _, name := range w.Nodes() {
		for ref, n := range w.nodes[name].System.Turns() {
			turns[ref] += n
		}
	}
	if !last {
		w.turns = turns
		return
	}
	var most actors.Ref
	for ref, n := range turns {
		switch d := n - w.turns[ref]; {
		case d > turns[most]-w.turns[most], d == turns[most]-w.turns[most] && ref.String() < most.String():
			most = ref
		}
	}
	w.t.Fatalf("the World goes round for ever: %d steps since %v and no time has passed. %s has had %d turns in half "+
		"of them: does it arm a timer of 0 again and again, or send to itself?", steps, w.Now().Sub(born), most,
		turns[most]-w.turns[most])
}
