package replay

import (
	"fmt"
	"slices"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/record"
)

// renewed is the recording with what its actors do today. Answers to what is not asked any more are left out, and what
// is committed today and was not is written by a store that says yes.
func renewed(b *node.Blueprint, r *record.Recording) (*record.Recording, error) {
	var segments []*record.Segment
	tables := map[string]map[string][]byte{}
	p := NewPlayback(b, r)
	for _, a := range r.Actors() {
		for _, s := range a.Segments {
			steps, err := p.renew(s)
			if err != nil {
				return nil, err
			}
			again := *s
			again.Steps, again.Checks, again.Panics = steps, nil, nil
			for _, step := range steps {
				if hash := step.Input.Tables; hash != "" {
					tables[hash] = r.Tables(hash)
				}
			}
			segments = append(segments, &again)
		}
	}
	return record.New(r.Header, segments, tables), nil
}

// replies are the inputs that come because of what an actor did.
var replies = []actors.InputType{actors.InputAnswer, actors.InputStored, actors.InputUnknown}

func (p *Playback) renew(s *record.Segment) (steps []*record.Step, err error) {
	if err := p.Begin(s); err != nil {
		return nil, err
	}
	for i, recorded := range s.Steps {
		today, d := p.Step()
		if today == nil && slices.Contains(replies, recorded.Input.Type) {
			continue
		}
		if today == nil {
			return nil, fmt.Errorf("replay: %s", d)
		}
		steps = append(steps, today)
		next := actors.InputGreet
		if i+1 < len(s.Steps) {
			next = s.Steps[i+1].Input.Type
		}
		if commits(today) && next != actors.InputStored && next != actors.InputUnknown {
			stored, err := p.give(record.Input{Type: actors.InputStored, At: recorded.Input.At})
			if err != nil {
				return nil, fmt.Errorf("replay: %w", err)
			}
			steps = append(steps, stored)
		}
	}
	for i, step := range steps {
		step.Index = s.First + uint64(i)
	}
	return steps, nil
}

// commits reports whether a step waits for the store.
func commits(s *record.Step) bool {
	return slices.ContainsFunc(s.Turns, func(t record.Turn) bool {
		return t.Commit && (t.Verdict == actors.Stood || t.Verdict == actors.Kept)
	})
}
