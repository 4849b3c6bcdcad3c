package persist

import (
	"context"
	"errors"

	"github.com/fireflyrt/firefly/actors"
)

// A RowDatabase is where the rows of Tables are. Every Database is one. Its methods fail only with the errors of this
// package.
type RowDatabase interface {
	// CheckTables compares tables with what they are mapped to; the error says all that is wrong, and is ErrRejected.
	CheckTables(ctx context.Context, tables []*Mapping) error
	// Rows reads rows as they are at one moment.
	Rows(ctx context.Context, q RowQuery) ([]Values, error)
	// WriteRows writes a batch in one autocommit statement, and returns, in order, what became of each row: all of
	// those whose keeper is not overtaken are written, or none and an error.
	WriteRows(ctx context.Context, b RowBatch) ([]RowOutcome, error)
	// TakeIDs takes n ids that nobody has taken before, above all that the table has, and returns the first.
	TakeIDs(ctx context.Context, m *Mapping, n uint64) (first uint64, err error)
}

// A RowQuery asks for rows.
type RowQuery struct {
	Table *Mapping
	Where []RowTerm // all of them
	Order []RowOrder
	Limit int // rows at most
	Bytes int // at most, of all of them; beyond, ErrRejected that Is TooManyRows
}

// A RowTerm compares a column with a value.
type RowTerm struct {
	Column int
	Op     Comparison
	Value  *string // nil: NULL, only with Equal and Unequal
}

// A RowOrder sorts by a column.
type RowOrder struct {
	Column     int
	Descending bool
}

// A RowVerb is what a statement does with rows.
type RowVerb uint8

// The verbs.
const (
	InsertRows RowVerb = iota + 1
	UpdateRows
	DeleteRows
)

// A RowBatch is many rows of one table, written by one statement.
type RowBatch struct {
	Table *Mapping
	Verb  RowVerb
	Names []int // of UpdateRows: the columns to write
	Rows  []RowWrite
}

// A RowWrite is one row of a batch. No two of a batch have the same key.
type RowWrite struct {
	Shard  int // the persistence shard: whose keeper writes
	Keeper Fence
	Values Values
}

// A RowOutcome is what became of one row of a batch.
type RowOutcome struct {
	Outcome Outcome // Written or KeeperFenced
	Stored  Values  // the row as it is in the store now; nil: it is not there
}

func (o RowOutcome) isWritten() bool { return o.Outcome == Written }

// A flaw is an error that is told with a code of its own.
type flaw struct {
	error
	code actors.Code
}

func (f flaw) Unwrap() []error { return []error{f.error, f.code} }

// codeOf is the code that a failed call is told with.
func codeOf(err error) actors.Code {
	var f flaw
	switch {
	case errors.As(err, &f):
		return f.code
	case errors.Is(err, ErrRejected):
		return actors.StoreRefused
	}
	return actors.StoreUnavailable
}
