package actors

import (
	"encoding/json"
	"time"
)

// This file holds what actors need from the floors above. The production node fulfils it with etcd, sockets and SQL;
// the test kit with memory and virtual time; the code between is the same.

// A Router knows where actors live. The cluster fulfils it.
type Router interface {
	// Route hands an envelope over to whatever node its receiver lives on. It never blocks and keeps the order of
	// envelopes from one goroutine to one receiver. What cannot go is refused to the one who asked (UNAVAILABLE,
	// OVERLOADED), or counted when nobody asked.
	Route(e *Envelope)
	// Tenure says how this node stands to a shard of a role. It is asked before every turn, so it must be cheap.
	Tenure(role string, shard int) (epoch uint64, hold Hold)
	// Shards is how many shards each role has; it never changes while the process lives.
	Shards() int
}

// A Hold is how a node stands to a shard.
type Hold uint8

// The ways to stand to a shard.
const (
	Lost   Hold = iota // another node owns it, or nobody: its actors here must end and write nothing
	Paused             // owned, but the lease may be over: wait, do nothing
	Held               // owned: run
)

// A Clock is where all time comes from: the process's own, or a World's virtual one.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once, d from now at the earliest, from any goroutine; stop forbids it if it is not too late.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// A Scheduler runs the work of actors: a goroutine per call in production, one queue with a seeded order in a World.
// Both methods return at once.
type Scheduler interface {
	Run(f func())     // a mailbox's turns: short, never blocks
	Offload(f func()) // work that may block: store, hashing, HTTP; bounded
}

// A Store loads and saves entities. The persistence client fulfils it. Both calls return at once; done is called
// exactly once, from any goroutine.
type Store interface {
	// Load reads an entity as it was last confirmed or is pending. An entity that never was is an empty Snapshot.
	Load(ref Ref, t Tenure, done func(Snapshot, error))
	// Save writes a change of one entity in one statement, whole or not at all. A nil error: it is durable. An error
	// that Is ErrFenced: another activation owns the entity, stop. One that Is ErrUnknown: it may be written or not;
	// send the same version again. Any other: it is known not to be written. With Fence 0 the Store finds the number of
	// the tenure itself: the entity was carried along to it, so whoever may write for the tenure may write the entity.
	Save(ref Ref, t Tenure, c Change, done func(error))
}

// A Tenure is one ownership of one shard by one node.
type Tenure struct {
	Role  string
	Shard int
	Epoch uint64
}

// A Snapshot is an entity as the store has it.
type Snapshot struct {
	Version uint64                     // of the newest confirmed change; 0: it never was
	Fence   uint64                     // the owner's number in the store, under which this tenure writes
	Cells   json.RawMessage            // the flat cells by name, as in Change; nil if none
	Parts   map[string]json.RawMessage // the rows of Rows cells, by cell/key
	Box     json.RawMessage            // the runtime's own part of the entity, as in Change; nil if none
}

// A Change is what one statement writes of an entity.
type Change struct {
	Version uint64                     // rises by at least one with every Change of an entity, and is never used again
	Fence   uint64                     // from the Snapshot of this tenure; 0: the entity has moved here, see Save
	Cells   json.RawMessage            // all flat cells: {"wallet":{"v":1,"d":{...}}}
	Parts   map[string]json.RawMessage // rows that changed, by cell/key; nil deletes
	Box     json.RawMessage            // the runtime's own part of the entity; nil: there is none
	DueAt   int64                      // Unix milliseconds after which the entity is to be woken; 0: never
	Commit  bool                       // somebody waits: do not gather
}

// Errors of a Store.
const (
	ErrFenced  Code = "FENCED"        // another owner writes this entity now
	ErrUnknown Code = "STORE_UNKNOWN" // the outcome could not be learned
)
