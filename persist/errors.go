package persist

import "errors"

// What a Database says about a call that failed. Every error of its methods Is exactly one of
// these, because what to do next depends on nothing else.
var (
	// ErrDown: nothing was written; the store cannot be reached, or takes no writes at present.
	// Try again later.
	ErrDown = errors.New("the store is not to be had")
	// ErrContended: nothing was written; the statement lost against others (deadlock, lock wait).
	// Try the same again, as a whole.
	ErrContended = errors.New("the statement lost against others")
	// ErrUnclear: it may have been written or not. Raise the keeper's fence, then write the same
	// again: either it is found, or it is written now.
	ErrUnclear = errors.New("the store's answer was lost")
	// ErrRejected: nothing was written, and never will be: the store refuses what it says. Send
	// the parts of the batch alone, set aside the one that is refused again, tell an operator.
	ErrRejected = errors.New("the store refuses this")
)
