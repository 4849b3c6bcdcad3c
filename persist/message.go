package persist

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// Numbers of the messages between game nodes and keepers: 20 to 29 of the runtime's. An answer has its request's
// number, and is empty but for claimed, loaded and saved.
const (
	NumberClaim = 20 // claim -> claimed
	NumberLoad  = 21 // load -> loaded
	NumberSave  = 22 // save -> empty, or saved
)

// KeeperKind is the kind of the keepers; an id is the decimal number of a shard.
const KeeperKind actors.KindName = "persist"

// A claim asks the keeper to raise the owner's fence of its shard for a game node.
type claim struct {
	Role   string `json:"role"`
	Holder uint64 `json:"holder"`
	Tenure uint64 `json:"tenure"` // epoch of the tenure that the node holds the shard by
}

type claimed struct {
	Fence uint64 `json:"fence"`
	Term  uint64 `json:"term"`
}

// A load asks for an entity.
type load struct {
	Kind  actors.KindName
	ID    string
	Fence uint64
	Anew  bool   // what was sent before and has no outcome must not be taken any more
	Page  uint64 // of the entity, if it is too large for one message; see page
}

// A loaded is an entity as it is, what is pending included, or as much of it as one message holds.
type loaded struct {
	Version uint64
	Cells   json.RawMessage
	Parts   map[string]json.RawMessage
	Box     json.RawMessage
	Term    uint64
	More    bool // there are more pages
}

// rowOverhead is what a row needs in a message beside its name and data, at most.
const rowOverhead = 20

// page is what one message holds of it, the n-th of them: none is larger than a change. Cells and box are in page 0.
func (m *loaded) page(n uint64) *loaded {
	p := &loaded{Version: m.Version, Cells: m.Cells, Box: m.Box, Term: m.Term, Parts: make(map[string]json.RawMessage)}
	bytes := len(m.Cells) + len(m.Box)
	for _, name := range slices.Sorted(maps.Keys(m.Parts)) {
		size := len(name) + len(m.Parts[name]) + rowOverhead
		if bytes > 0 && bytes+size > MaxChange {
			if n == 0 {
				p.More = true
				return p
			}
			n, bytes = n-1, 0
			p = &loaded{Version: m.Version, Term: m.Term, Parts: make(map[string]json.RawMessage)}
		}
		p.Parts[name], bytes = m.Parts[name], bytes+size
	}
	return p
}

// A save asks to write a change of an entity.
type save struct {
	Kind    actors.KindName
	ID      string
	Fence   uint64
	Holder  uint64
	Version uint64
	Cells   json.RawMessage
	Parts   map[string]json.RawMessage // null deletes
	Box     json.RawMessage
	DueAt   int64
	Commit  bool
	Again   bool   // sent before, and no outcome was heard
	Term    uint64 // the newest that is known of its keeper
	Shown   bool   // by the keeper before: somebody has loaded it, so it is not given up
}

// A saved answers a save that was not taken, because it has an old term. A save that was taken and is durable is
// answered with nothing.
type saved struct {
	Term uint64
}

func (m *save) ref() actors.Ref { return m.Kind.Ref(m.ID) }

// suits says why a store would not take a change of so many bytes, if it is so.
func (m *save) suits(bytes int) error {
	for name := range m.Parts {
		if len(name) > MaxPart || name == "" {
			return actors.StoreRefused.Refuse("a row's name is 1 to %d bytes: %.40q...", MaxPart, name)
		}
	}
	if bytes > MaxChange { // entities see to it that none is
		return actors.TooBig.Refuse("the change is %d bytes, the bound is %d", bytes, MaxChange)
	}
	return nil
}

// An encoder has an encoding of its own; all other messages travel as JSON.
type encoder interface {
	encode() []byte
	decode([]byte) error
}

// encoded is a message's body and how it is written.
func encoded(msg any) (wire.Codec, []byte, error) {
	if m, ok := msg.(encoder); ok {
		return wire.Proto, m.encode(), nil
	}
	body, err := json.Marshal(msg)
	return wire.JSON, body, err
}

// decoded reads a body into a message.
func decoded(body []byte, into any) error {
	if m, ok := into.(encoder); ok {
		return m.decode(body)
	}
	return json.Unmarshal(body, into)
}

// read decodes a request's body.
func read(e *actors.Envelope, into any) error {
	if err := decoded(e.Body, into); err != nil {
		return actors.BadBody.Refuse("number %d: %v", e.Number, err)
	}
	return nil
}

// request makes the envelope of a message to the keeper of a shard.
func request(keeper actors.Ref, number uint32, msg any) (*actors.Envelope, error) {
	codec, body, err := encoded(msg)
	if err != nil {
		return nil, fmt.Errorf("persist: encode a request: %w", err)
	}
	return &actors.Envelope{Type: actors.Message, To: keeper, Number: number, Codec: codec, Body: body}, nil
}

// isNull: a raw message of null stands for a deleted part.
func isNull(data json.RawMessage) bool { return len(data) == 0 || string(data) == "null" }
