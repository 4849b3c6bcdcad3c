package actors

import (
	"encoding/json"
	"fmt"
)

// A Migration brings a cell's stored contents from one version to the next.
type Migration struct {
	from int
	step func(old json.RawMessage) (any, error)
}

// From declares the step from a cell's version to the one after it. Versions begin at 1; a cell's current version is
// one more than that of its last step.
func From[Old, New any](version int, fn func(Old) (New, error)) Migration {
	return Migration{version, func(raw json.RawMessage) (any, error) {
		var old Old
		if err := json.Unmarshal(raw, &old); err != nil {
			return nil, err
		}
		return fn(old)
	}}
}

func currentVersion(steps []Migration) int { return len(steps) + 1 }

func (p *Props) checkSteps(cell string, steps []Migration) {
	for i, s := range steps {
		if s.from != i+1 {
			p.table.refuse("cell %q: step %d migrates from version %d; steps go 1, 2, 3, ...", cell, i+1, s.from)
		}
	}
}

// stored is how a cell, or a row of one, stands in the store.
type storedCell struct {
	Version int             `json:"v"`
	Plain   json.RawMessage `json:"d"`
}

func versioned(version int, contents any) (json.RawMessage, error) {
	plain, err := json.Marshal(contents)
	if err != nil {
		return nil, err
	}
	return json.Marshal(storedCell{version, plain})
}

// upToDate takes stored contents through the steps that they have not been through yet.
func upToDate(raw json.RawMessage, version int, steps []Migration) (json.RawMessage, error) {
	var s storedCell
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	if s.Version < 1 || s.Version > version {
		return nil, fmt.Errorf("stored version %d, this build knows 1 to %d: it is older than the data",
			s.Version, version)
	}
	for ; s.Version < version; s.Version++ {
		next, err := steps[s.Version-1].step(s.Plain)
		if err == nil {
			s.Plain, err = json.Marshal(next)
		}
		if err != nil {
			return nil, fmt.Errorf("migrate from version %d: %w", s.Version, err)
		}
	}
	return s.Plain, nil
}
