package cluster

import (
	"context"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// This file holds what the cluster needs from others: a registry that all nodes agree on, something that carries
// bytes between two of them, and the actors of this node. Production has etcd and protoactor remote, the test kit has
// memory; the code between is the same.

// A Registry keeps what all nodes must agree on. One of them serves one incarnation.
type Registry interface {
	// Join registers the member under a lease, reads the record, tells w, and keeps both fresh until Leave or Close.
	// It blocks at most as long as ctx lives. A lease that is lost is replaced, with the same incarnation.
	Join(ctx context.Context, m Member, w Witness) error
	// Assign writes one role's assignment, if its conditions still hold and the writer is a member: ErrConflict if not,
	// and then the record that says why is on its way. It returns at once; done is called once, later, from any
	// goroutine.
	Assign(d Decree, done func(error))
	// Drain writes into the member's record that it drains, for as long as it lives. It returns at once; done is called
	// once, later, from any goroutine.
	Drain(done func(error))
	// Leave removes the member and writes the assignments without it, all or nothing, so that nobody waits for its
	// lease to end; ErrConflict if one of them has changed. The witness goes on to hear the record until Close. It
	// returns at once; done is called once, later, from any goroutine.
	Leave(without []Decree, done func(error))
	// Close ends the watch and waits for it, but leaves the member's record to its lease, as a death would.
	Close()
}

// A Witness hears what a registry knows. Its methods are called one at a time and must return soon.
type Witness interface {
	// Changed brings the whole record. Its revision never falls.
	Changed(r *Record)
	// Renewed says that a keep-alive sent at this time has been answered, so that the lease runs until sent + lease at
	// least. After a lapse, a record read since then was brought first.
	Renewed(sent time.Time)
	// Forgotten says that the registry is not the one that was joined: it was wiped, or has another generation. It is
	// the last thing that is heard; whoever goes on joins as new.
	Forgotten()
}

// A Decree is a new assignment and what must be true for it to be written.
type Decree struct {
	Role        string
	Next        *Assignment // Revision: the one it was made from, 0 if the role had none
	Coordinator bool        // the writer must hold the election
	Absent      []uint64    // incarnations that must still not be registered
	Alive       []uint64    // incarnations that must still be registered
}

// A Carrier carries opaque batches between nodes. It may lose, double and reorder them: the streams above it do not
// mind. It never changes the bytes that it is given and does not mind if others read them.
type Carrier interface {
	// Listen begins to receive, and returns the address that other nodes reach this one by.
	Listen(r Receiver) (address string, err error)
	// Connect says that batches for this address will come. It returns at once.
	Connect(address string)
	// Disconnect says that no more will come, or, followed by Connect, that the connection seems stuck.
	Disconnect(address string)
	// Send begins to carry a batch. It may wait for a connection that is being made, for no longer than 3 s.
	Send(address string, batch []byte)
	// Close ends all connections and waits until nothing more is received.
	Close()
}

// A Receiver takes what a Carrier brings. Its methods are called from any goroutine.
type Receiver interface {
	// Receive takes a batch, which is the receiver's from now on. An error costs the connection that it came by.
	Receive(batch []byte) error
	// Connected says that a connection to the address is new: what was sent before may be lost.
	Connected(address string)
}

// A Local is the actors of this node; *actors.System fulfils it.
type Local interface {
	// Deliver hands over an envelope whose receiver lives here. It never blocks.
	Deliver(e *actors.Envelope)
	// Placement says how actors of a kind are placed.
	Placement(k actors.KindName) (actors.Placement, bool)
}

// A Mover is a Local whose actors can be moved to another node and from one. Without it a node neither hands shards
// over nor is given any but after deaths.
type Mover interface {
	// Freeze brings all actors of a shard to rest between two messages: a commit that is pending is waited for, an open
	// question for as long as within. Meanwhile answers are still delivered, and nothing else. done is called once,
	// later, from any goroutine. With an error nothing has changed and they go on. While they are frozen nothing of
	// them runs, nothing leaves, and nothing is delivered for the shard.
	Freeze(t actors.Tenure, within time.Duration, done func(Frozen, error))
	// Prepare reads a state and makes its actors for tenure t, without running them. An error says what does not fit.
	// It may take time.
	Prepare(t actors.Tenure, state []byte) (Arrival, error)
}

// Frozen is the actors of a shard at rest. Thaw or Discard ends it.
type Frozen interface {
	// State is the whole of them, and all that waits in their mailboxes; an error if that is more than limit bytes.
	State(limit int) ([]byte, error)
	// Asked is the requests that wait in their mailboxes, to be read only.
	Asked() []*actors.Envelope
	// Thaw lets them go on here, as if nothing had been.
	Thaw()
	// Discard ends them without a word: they live elsewhere now.
	Discard()
}

// Arrival is actors that came from elsewhere and do not run yet. Begin or Drop ends it.
type Arrival interface {
	// Begin lets them run. Nothing of their shard was delivered before.
	Begin()
	// Drop forgets them.
	Drop()
}
