package actors

import (
	"errors"
	"fmt"
)

// A Code is an error that a stranger may see: the client of a request, or another actor that asked. Games declare their
// own as constants: const Poor actors.Code = "WALLET_POOR". Test for one with errors.Is(err, Poor).
type Code string

// Codes of the runtime; docs/errors.md says of each what it means and what to do.
const (
	UnknownNumber    Code = "UNKNOWN_NUMBER"
	NotBound         Code = "NOT_BOUND"
	BadBody          Code = "BAD_BODY"
	BadSeq           Code = "BAD_SEQ"
	Internal         Code = "INTERNAL"
	Panicked         Code = "PANIC"
	NoReply          Code = "NO_REPLY"
	DeadlinePassed   Code = "DEADLINE"
	Unavailable      Code = "UNAVAILABLE"
	MailboxFull      Code = "MAILBOX_FULL"
	Overloaded       Code = "OVERLOADED"
	RateLimited      Code = "RATE_LIMITED"
	StoreUnavailable Code = "STORE_UNAVAILABLE"
	StoreBehind      Code = "STORE_BEHIND"
	StoreRefused     Code = "STORE_REFUSED"
	CommitUnknown    Code = "COMMIT_UNKNOWN"
	OutcomeUnknown   Code = "OUTCOME_UNKNOWN"
	Restarted        Code = "RESTARTED"
	TooManyHops      Code = "TOO_MANY_HOPS"
	TooBig           Code = "TOO_BIG"
	Cycle            Code = "CYCLE"
)

func (c Code) Error() string { return string(c) }

// Refuse makes an error that undoes the turn and answers the code, with a text for whoever reads it.
func (c Code) Refuse(format string, args ...any) error {
	return &Refusal{Code: c, Text: fmt.Sprintf(format, args...)}
}

// A Refusal is an answer that is not a result: a code, a text, and, for a failure of ours, the incident under which the
// log tells more. It is how errors look to the one who asked.
type Refusal struct {
	Code       Code   `json:"code"`
	Text       string `json:"text,omitempty"`
	RetryAfter int64  `json:"retry_after_ms,omitempty"` // milliseconds; 0: no advice
	Incident   string `json:"incident,omitempty"`
}

func (r *Refusal) Error() string {
	if r.Text == "" {
		return string(r.Code)
	}
	return string(r.Code) + ": " + r.Text
}

// Is makes errors.Is(err, code) work.
func (r *Refusal) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == r.Code
}

// kept is a refusal whose turn is not undone.
type kept struct{ error }

func (k kept) Unwrap() error { return k.error }

// Keep refuses and yet keeps the turn's edits and sends: a counter of failed logins. With Commit the turn is committed.
// Keep(nil) is nil.
func Keep(err error) error {
	if err == nil {
		return nil
	}
	return kept{err}
}

// refusalOf finds the refusal in an error, if the error is one.
func refusalOf(err error) (*Refusal, bool) {
	if r := (*Refusal)(nil); errors.As(err, &r) {
		return r, true
	}
	if c := Code(""); errors.As(err, &c) {
		return &Refusal{Code: c}, true
	}
	return nil, false
}
