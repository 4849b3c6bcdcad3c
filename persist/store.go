package persist

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/fireflyrt/firefly/actors"
)

// A Database is where rows become durable. Memory, SQLite and MySQL fulfil it, and one contract
// test holds them to it. Its methods block, may be called from many goroutines at once, and fail
// only with the errors of this package (ErrDown and its like).
type Database interface {
	RowDatabase
	// Migrate makes what the schema names and does not exist yet. Several nodes may do so at once.
	Migrate(ctx context.Context, s Schema) error
	// Raise takes fences over, in one statement: each number rises by one, and its holder becomes
	// the claim's. It returns the new numbers in order of the claims; 0 means that this one is not
	// the claimant's: its keeper is stale, or another claimed it a moment later. When it has
	// returned, no statement under an older number can write any more. No two of the claims may
	// name the same role and shard.
	Raise(ctx context.Context, claims []Claim) ([]uint64, error)
	// Load reads all parts of an entity, tombstones too, as they were at one moment. An entity
	// that never was has none.
	Load(ctx context.Context, ref actors.Ref) ([]Part, error)
	// Write writes a batch in one autocommit statement and returns, in order of its entities, what
	// became of each. An entity is written whole or not at all. One that the store has in the same
	// or a newer (epoch, version) is left as it is and counts as written: what was written once may
	// be written again.
	Write(ctx context.Context, b Batch) ([]Outcome, error)
	// Due lists rows that are due, in order of time, id and part.
	Due(ctx context.Context, q Search) ([]Due, error)
	// Purge removes tombstones in one autocommit statement and returns how many: those that are
	// still what they were when they were found (same epoch, same version, deleted), and whose
	// keeper's fence holds.
	Purge(ctx context.Context, kind actors.KindName, tombs []Tomb) (int, error)
	// Level says in a sentence what being written means with the settings that the server has now.
	// It goes to the server each time, and so tells also whether there is one.
	Level(ctx context.Context) (string, error)
	// Close ends all connections. Nothing may be called afterwards.
	Close() error
}

// KeeperRole is the role of the nodes that run keepers, and the role of the keepers' own fences.
const KeeperRole = "persist"

// A Fence is who may write: a number that only rises, and the incarnation of the process that it
// was given to. The store compares both.
type Fence struct {
	Epoch  uint64
	Holder uint64
}

// A Claim asks for a fence.
type Claim struct {
	Role   string
	Shard  int
	Holder uint64 // incarnation of the process that it is for
	Keeper Fence  // claims for owners go through a keeper, whose own must hold; zero for KeeperRole
}

// A Part is one row: the flat cells of an entity (the empty name), or one row of a Rows cell
// (named cell/key).
type Part struct {
	Name    string
	Epoch   uint64 // owner's fence under which it was written; in a Batch the entity's Owner counts
	Version uint64
	Data    json.RawMessage // nil: deleted
	Box     json.RawMessage // of the empty part only: the runtime's own; nil: there is none
	DueAt   int64           // of the empty part only: Unix milliseconds to wake it at; 0: never
}

// A Change is all that one statement writes of one entity. One of the parts is the empty one; it
// carries the entity's version and is what confirms.
type Change struct {
	ID     string
	Shard  int
	Owner  Fence
	Keeper Fence
	Parts  []Part
}

// Version is the entity's version after the change.
func (c Change) Version() uint64 {
	for _, p := range c.Parts {
		if p.Name == "" {
			return p.Version
		}
	}
	return 0
}

// A Batch is many entities of one kind, written by one statement.
type Batch struct {
	Kind    actors.KindName
	Role    string // where the kind lives: whose fence the owners hold
	At      int64  // Unix milliseconds, for the column updated_at
	Changes []Change
}

// Rows is how many rows the batch writes.
func (b Batch) Rows() int {
	n := 0
	for _, c := range b.Changes {
		n += len(c.Parts)
	}
	return n
}

// An Outcome is what became of one entity of a batch.
type Outcome uint8

// The outcomes.
const (
	Written      Outcome = iota + 1 // durable
	OwnerFenced                     // not written: another owner has a higher number
	KeeperFenced                    // not written: another keeper has a higher number
)

func (o Outcome) isWritten() bool { return o == Written }

func (o Outcome) String() string {
	switch o {
	case Written:
		return "written"
	case OwnerFenced:
		return "owner fenced"
	case KeeperFenced:
		return "keeper fenced"
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// Bounds of what a Database takes; a Client refuses more before it is sent.
const (
	MaxPart   = 255              // bytes of a part's name: it is half of a row's key
	MaxChange = actors.MaxChange // bytes of one change, by its Size
)

// maxKind bounds a kind's name, which becomes part of a table's.
const maxKind = 48

// tableName is the kind's table. Kind names go into SQL as text, so nothing but lower case
// letters, digits and underscores gets through.
func tableName(k actors.KindName) (string, error) {
	ok := k != "" && len(k) <= maxKind
	for i, c := range []byte(k) {
		letter := c >= 'a' && c <= 'z'
		ok = ok && (letter || i > 0 && (c >= '0' && c <= '9' || c == '_'))
	}
	if !ok {
		return "", fmt.Errorf("persist: kind %q cannot have a table: its name must be "+
			"1 to %d of a-z, 0-9 and _, a letter first: %w", k, maxKind, ErrRejected)
	}
	return "state_" + string(k), nil
}

// newer reports whether (epoch, version) is above (thanEpoch, thanVersion).
func newer(epoch, version, thanEpoch, thanVersion uint64) bool {
	return epoch > thanEpoch || epoch == thanEpoch && version > thanVersion
}
