package replay

import (
	"fmt"
	"maps"
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
			steps, read, err := p.renew(s)
			if err != nil {
				return nil, err
			}
			again := *s
			again.Steps, again.Checks, again.Panics = steps, nil, nil
			maps.Copy(tables, read)
			segments = append(segments, &again)
		}
	}
	return record.New(r.Header, segments, tables), nil
}

// replies are the inputs that come because of what an actor did.
var replies = []actors.InputType{actors.InputAnswer, actors.InputStored, actors.InputUnknown}

// renew plays a segment and returns its steps as they are today, and the tables that they read.
func (p *Playback) renew(s *record.Segment) (steps []*record.Step, read map[string]map[string][]byte, err error) {
	if err := p.Begin(s); err != nil {
		return nil, nil, err
	}
	read = map[string]map[string][]byte{}
	for i, recorded := range s.Steps {
		today, d := p.Step()
		if today == nil && slices.Contains(replies, recorded.Input.Type) {
			continue
		}
		if today == nil {
			return nil, nil, fmt.Errorf("replay: %s", d)
		}
		steps = append(steps, today)
		if hash := today.Input.Tables; hash != "" {
			read[hash] = p.tablesOf(hash)
		}
		next := actors.InputGreet
		if i+1 < len(s.Steps) {
			next = s.Steps[i+1].Input.Type
		}
		if commits(today) && next != actors.InputStored && next != actors.InputUnknown {
			stored, err := p.give(record.Input{Type: actors.InputStored, At: recorded.Input.At})
			if err != nil {
				return nil, nil, fmt.Errorf("replay: %w", err)
			}
			steps = append(steps, stored)
		}
	}
	for i, step := range steps {
		step.Index = s.First + uint64(i)
	}
	return steps, read, nil
}

// commits reports whether a step waits for the store.
func commits(s *record.Step) bool {
	return slices.ContainsFunc(s.Turns, func(t record.Turn) bool {
		return t.Commit && (t.Verdict == actors.Stood || t.Verdict == actors.Kept)
	})
}
