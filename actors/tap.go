package actors

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is what entities let others hear: every input, and all that came of it. A recorder listens in production, a
// transcript in a World; a Rerun does it all again.

// A Tap listens to the entities of a node. It is told in their own turns: its methods return soon, and call nothing of
// the System.
type Tap interface {
	// Opened says that an entity has its cells and begins. The Trace hears all that it does from now on; nil: nobody.
	Opened(v View) Trace
}

// A Trace hears one activation of one entity, in order, one call at a time.
type Trace interface {
	// Heard tells one input and what came of it, before anything else happens to the entity. The Step is the
	// listener's to keep, and nothing that it points to changes.
	Heard(s *Step)
	// Closed says that the activation is over.
	Closed()
}

// A View is an entity at rest between two inputs. It may be used in calls of Opened, Heard and Closed only.
type View interface {
	Self() Ref
	// Clients are the sessions that are logged in as this entity, in canonical order.
	Clients() []Ref
	// Image is the whole state.
	Image(mask Mask) (*Image, error)
}

// A Mask stands in for a field that is tagged firefly:"sensitive": equal contents give equal masks.
type Mask func(contents string) string

// An InputType says what an input is. The values stand in recordings and never change.
type InputType uint8

// The inputs of an entity.
const (
	InputGreet    InputType = 1 // a new instance: Loaded, and Started if it is cold
	InputMessage  InputType = 2 // Envelope
	InputTimer    InputType = 3 // Envelope, from the entity to itself
	InputAnswer   InputType = 4 // the answer to Question: Envelope, Result or Refusal; none of them: an empty result
	InputStored   InputType = 5 // the outcome of a commit: durable, or not written and why
	InputUnknown  InputType = 9 // a commit's outcome stays unknown: Refusal is the caller's, and the activation ends
	InputUnbound  InputType = 6 // Session has ended, as the entity learned by sending to it
	InputReminded InputType = 7 // Session was bound before this instance was: it is told now
	InputStop     InputType = 8 // passivate
	// InputWritten: all that the turns up to number Question have put into the box is durable, and leaves.
	InputWritten InputType = 10
)

// An Input is one thing that happened to an entity.
type Input struct {
	Type     InputType
	At       int64 // Unix nanoseconds; what ctx.Now says in all turns of the step
	Envelope *Envelope
	Question uint64          // whose answer it is: the Request of the envelope that asked; of InputWritten the turn
	Result   json.RawMessage // of Work
	Refusal  *Refusal
	Session  Ref
	Tables   any   // what ctx.Tables gave to the turns of the step, if one asked
	TooBig   []int // which turns of the step were refused because too much waited for the store with them, by index
}

// A Step is one input, and all that an entity did because of it.
type Step struct {
	Input Input
	Turns []Turn     // in order; none if the input was refused or ignored unhandled
	Out   []Envelope // what left, in order: sends, pushes, questions, answers and refusals; Epoch is 0

	// Before is how many turns the entity had had when the input came.
	Before uint64
	// Quiet says that the input came when nothing was under way, neither question nor commit: that the state then, and
	// the inputs from then on, explain all that follows.
	Quiet bool
	// Asked and Cold are what an Image made before the input says.
	Asked uint64
	Cold  bool
}

// A Turn is what became of one turn.
type Turn struct {
	Number  uint32 // of the message; 0 for events of the runtime
	Name    string
	Verdict Verdict
	Text    string // of the refusal or the failure
	Stack   string // of a panic
	Commit  bool   // it takes effect when the store has it
	Timers  []TimerOrder
	Edits   []Edit // not of turns that were undone
}

// A Verdict says how a turn ended.
type Verdict uint8

// The verdicts. Their values stand in recordings and never change.
const (
	Stood    Verdict = 1 // it takes effect
	Declined Verdict = 2 // a refusal: it was undone
	Kept     Verdict = 3 // a refusal that keeps its effects
	Failed   Verdict = 4 // an error: undone, and the instance was built anew
	Broken   Verdict = 5 // a panic: likewise
)

// A TimerOrder arms a timer or, with Cancel, ends one.
type TimerOrder struct {
	Number uint32        `json:"number"`
	Body   []byte        `json:"body,omitempty"`
	Wait   time.Duration `json:"wait,omitempty"`
	Every  bool          `json:"every,omitempty"`
	Cancel bool          `json:"cancel,omitempty"`
}

// An Edit is one cell, or group, or part of the runtime's own state, that a turn has changed.
type Edit interface {
	// Before writes what it was before the turn.
	Before(p *Patch) error
	// After writes what it is now. It is of use before the entity's next turn only: during Heard.
	After(p *Patch) error
}

// A Patch is some of an entity's state, or all of it, as JSON. What is null is not there.
type Patch struct {
	Cells  map[string]json.RawMessage `json:"cells,omitempty"`  // by name; {"v":1,"d":...}, as in the store
	Rows   map[string]json.RawMessage `json:"rows,omitempty"`   // of Rows cells, by cell/key; likewise
	Groups map[string]map[Ref]bool    `json:"groups,omitempty"` // by name: who is in, and who is not
	Bound  map[Ref]*Bound             `json:"bound,omitempty"`  // by session
	Rest   *Rest                      `json:"rest,omitempty"`

	mask Mask
}

// NewPatch makes an empty one whose sensitive fields are masked; nil: they are not.
func NewPatch(mask Mask) *Patch {
	return &Patch{Cells: map[string]json.RawMessage{}, Rows: map[string]json.RawMessage{},
		Groups: map[string]map[Ref]bool{}, Bound: map[Ref]*Bound{}, mask: mask}
}

// UnmarshalJSON reads a Patch so that Edits can write into it.
func (p *Patch) UnmarshalJSON(b []byte) error {
	type plain Patch
	*p = *NewPatch(nil)
	return json.Unmarshal(b, (*plain)(p))
}

// names are those of the cells and groups in it, in order.
func (p *Patch) names() []string {
	found := map[string]bool{}
	for name := range p.Cells {
		found[name] = true
	}
	for row := range p.Rows {
		cell, _, _ := strings.Cut(row, "/")
		found[cell] = true
	}
	for name := range p.Groups {
		found["group "+name] = true
	}
	return sortedKeys(found)
}

// masked is a copy of contents without what is sensitive in it.
func (p *Patch) masked(r *wire.Redactor, contents any) any {
	if p.mask == nil {
		return contents
	}
	return r.Copy(contents, p.mask)
}

// A Rest is what an entity remembers of its failures.
type Rest struct {
	Failures []int64       `json:"failures,omitempty"` // when, in Unix nanoseconds
	For      time.Duration `json:"for,omitempty"`      // the newest rest
	Until    int64         `json:"until,omitempty"`
}

// An Image is the whole state of an entity between two inputs.
type Image struct {
	Ref   Ref    `json:"ref"`
	Seed  uint64 `json:"seed,string"`  // of its luck
	Turns uint64 `json:"turns,string"` // so far
	Asked uint64 `json:"asked,string"` // questions so far
	At    int64  `json:"at"`           // Now of the newest turn, in Unix nanoseconds
	Cold  bool   `json:"cold"`         // no instance has had Started yet
	// Edition is the Hash of the tables that Loaded read, if it read any and they have one; Tables are they.
	Edition string   `json:"edition,omitempty"`
	Tables  any      `json:"-"`
	State   *Patch   `json:"state"`
	News    []Notice `json:"news,omitempty"` // what is to leave when it is durable; only of an entity that has moved
}
