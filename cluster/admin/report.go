// Package admin shows a node from outside: health, readiness and metrics of any node, and on the
// admin node also the game's web files, and a page about the whole cluster.
//
// It promises that reading changes nothing; that whatever changes something wants a login with a
// token from the console, a POST, and proof that the admin page itself sent it; that a page of
// another site can neither read nor post, even with a DNS name that points here; and that a node
// which does not answer is shown as missing, never left out.
//
// It does not gather: nodes fill in their Report, and the admin node is handed a function that
// brings all of them. It does not encrypt: off loopback it belongs behind a proxy that does.
package admin

import "time"

// States of a node, as the page shows them.
const (
	StateReady    = "ready"
	StateStarting = "starting" // State of a node whose Ready is not nil yet, or no more
	StateMissing  = "missing"  // it should be there and does not answer
)

// A Report is one node's snapshot. All counts are since the node's start, and its JSON is what
// /admin/report.json serves and nodes send to the admin node.
type Report struct {
	Node        string    `json:"node"`
	Incarnation string    `json:"incarnation,omitempty"` // text: a script's numbers end at 53 bits
	Roles       []string  `json:"roles,omitempty"`
	Build       string    `json:"build,omitempty"`
	PID         int       `json:"pid,omitempty"`
	State       string    `json:"state"`
	Reason      string    `json:"reason,omitempty"` // why it is not ready
	Started     time.Time `json:"started,omitzero"`
	At          time.Time `json:"at"` // when the snapshot was taken

	Sessions int            `json:"sessions"`
	Actors   int            `json:"actors"` // all kinds together
	Kinds    map[string]int `json:"kinds,omitempty"`
	Messages uint64         `json:"messages"` // handled by actors or taken by the gate
	Numbers  []Number       `json:"numbers,omitempty"`
	Deepest  int            `json:"deepest"`              // messages in the fullest mailbox
	Whose    string         `json:"deepest_of,omitempty"` // the actor with the fullest mailbox

	// Counters by name. A name that ends in _total only rises; others go up and down.
	Mishaps map[string]uint64 `json:"mishaps,omitempty"` // messages that went wrong, by how
	Gate    map[string]int64  `json:"gate,omitempty"`    // of a gate: frames_in_total, ...
	Answers map[string]uint64 `json:"answers,omitempty"` // of a gate: its own refusals, by code
	Closes  map[string]uint64 `json:"closes,omitempty"`  // of a gate: ended sessions, by code
	Store   *Store            `json:"store,omitempty"`   // of a persist node

	Moves  map[string]int64 `json:"moves,omitempty"`  // of shards: given_total, ...
	Record map[string]int64 `json:"record,omitempty"` // of its recorder: steps_total, ...

	Refused map[string]uint64 `json:"peers_refused,omitempty"`    // those who called and were not let in, by reason
	Until   time.Time         `json:"certificate_until,omitzero"` // end of its certificate; zero without one

	Tables  Tables  `json:"tables"`
	Process Process `json:"process"`
}

// A Number is what became of the messages of one number at one kind.
type Number struct {
	Number uint32        `json:"number"`
	Name   string        `json:"name"`
	Kind   string        `json:"kind"`
	Count  uint64        `json:"count"`
	Errors uint64        `json:"errors"`
	P50    time.Duration `json:"p50_ns"`
	P99    time.Duration `json:"p99_ns"`
	Max    time.Duration `json:"max_ns"`
}

// A Store is what a persist node holds between entities and database.
type Store struct {
	Level    string           `json:"level"`     // what being written means; "degraded: ..." if it may be lost
	Dirty    int              `json:"dirty"`     // rows changed that no statement under way holds
	Pending  int              `json:"pending"`   // rows in statements under way
	Oldest   time.Duration    `json:"oldest_ns"` // age of the oldest change that is not durable
	Hits     uint64           `json:"hits"`      // loads that the cache answered
	Misses   uint64           `json:"misses"`    // loads that the database answered
	Counters map[string]int64 `json:"counters,omitempty"`
}

// Tables are a node's hot tables.
type Tables struct {
	Version   string `json:"version,omitempty"`
	LastError string `json:"last_error,omitempty"` // a fault a line; empty: the files are in use
}

// Missing is the report of a node that should be there and does not answer.
func Missing(node string, roles []string, reason string) Report {
	return Report{Node: node, Roles: roles, State: StateMissing, Reason: reason, At: time.Now()}
}
