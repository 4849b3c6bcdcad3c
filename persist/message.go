package persist

import (
	"encoding/json"
	"fmt"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// Numbers of the messages between game nodes and keepers: 20 to 29 of the runtime's. All travel as
// JSON. An answer has its request's number, and is empty but for claimed and loaded.
const (
	NumberClaim = 20 // claim -> claimed
	NumberLoad  = 21 // load -> loaded
	NumberSave  = 22 // save -> empty
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
}

// A load asks for an entity.
type load struct {
	Kind  actors.KindName `json:"kind"`
	ID    string          `json:"id"`
	Fence uint64          `json:"fence"`
}

// A loaded is an entity as it is, what is pending included.
type loaded struct {
	Version uint64                     `json:"version"`
	Cells   json.RawMessage            `json:"cells,omitempty"`
	Parts   map[string]json.RawMessage `json:"parts,omitempty"`
	Box     json.RawMessage            `json:"box,omitempty"`
}

// A save asks to write a change of an entity.
type save struct {
	Kind    actors.KindName            `json:"kind"`
	ID      string                     `json:"id"`
	Fence   uint64                     `json:"fence"`
	Holder  uint64                     `json:"holder"`
	Version uint64                     `json:"version"`
	Cells   json.RawMessage            `json:"cells"`
	Parts   map[string]json.RawMessage `json:"parts,omitempty"` // null deletes
	Box     json.RawMessage            `json:"box,omitempty"`
	DueAt   int64                      `json:"due_at,omitempty"`
	Commit  bool                       `json:"commit,omitempty"`
	Again   bool                       `json:"again,omitempty"` // sent before, and no outcome was heard
}

func (s *save) ref() actors.Ref { return s.Kind.Ref(s.ID) }

// read decodes a message's body.
func read(e *actors.Envelope, into any) error {
	if err := json.Unmarshal(e.Body, into); err != nil {
		return actors.BadBody.Refuse("number %d: %v", e.Number, err)
	}
	return nil
}

// request makes the envelope of a message to the keeper of a shard.
func request(keeper actors.Ref, number uint32, msg any) (*actors.Envelope, error) {
	body, err := json.Marshal(msg)
	if err != nil {
		return nil, fmt.Errorf("persist: encode a request: %w", err)
	}
	return &actors.Envelope{Type: actors.Message, To: keeper, Number: number, Codec: wire.JSON,
		Body: body}, nil
}

// isNull: a raw message of null stands for a deleted part.
func isNull(data json.RawMessage) bool { return len(data) == 0 || string(data) == "null" }
