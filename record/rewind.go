package record

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/fireflyrt/firefly/actors"
)

// rewind takes a state back to before the first of the steps that led to it, with what their edits remember. At is the
// time of the input before them. It returns what each step has changed, as it was after it. The edits are asked only
// for what was before them, which they know for ever.
func rewind(i *actors.Image, steps []*actors.Step, at int64, mask actors.Mask) ([]*actors.Patch, error) {
	patches := make([]*actors.Patch, len(steps))
	for n, s := range slices.Backward(steps) {
		before := actors.NewPatch(mask)
		for _, t := range slices.Backward(s.Turns) {
			for _, e := range slices.Backward(t.Edits) {
				if err := e.Before(before); err != nil {
					return nil, fmt.Errorf("record: what an edit has changed: %w", err)
				}
			}
		}
		patches[n] = plain(pick(i.State, before))
		undo(i.State, before)
		i.Turns, i.Asked, i.Cold = s.Before, s.Asked, s.Cold
	}
	if len(steps) > 0 {
		i.At = at
	}
	return patches, nil
}

// pick is the part of a state that a patch is about.
func pick(state, about *actors.Patch) *actors.Patch {
	p := actors.NewPatch(nil)
	for name := range about.Cells {
		p.Cells[name] = state.Cells[name]
	}
	for name := range about.Rows {
		p.Rows[name] = state.Rows[name]
	}
	for name, members := range about.Groups {
		p.Groups[name] = map[actors.Ref]bool{}
		for ref := range members {
			p.Groups[name][ref] = state.Groups[name][ref]
		}
	}
	for session := range about.Bound {
		p.Bound[session] = state.Bound[session]
	}
	if about.Rest != nil {
		p.Rest = state.Rest
	}
	return p
}

// undo writes what was before into a state. What was not there goes.
func undo(state, before *actors.Patch) {
	restore(state.Cells, before.Cells, func(text json.RawMessage) bool { return isThere(text) })
	restore(state.Rows, before.Rows, func(text json.RawMessage) bool { return isThere(text) })
	restore(state.Bound, before.Bound, func(b *actors.Bound) bool { return b != nil })
	for name, members := range before.Groups {
		if state.Groups[name] == nil {
			state.Groups[name] = map[actors.Ref]bool{}
		}
		restore(state.Groups[name], members, func(is bool) bool { return is })
		if len(state.Groups[name]) == 0 {
			delete(state.Groups, name)
		}
	}
	if before.Rest != nil {
		state.Rest = before.Rest
	}
}

func isThere(text json.RawMessage) bool { return text != nil && string(text) != "null" }

func restore[K comparable, V any](state, before map[K]V, there func(V) bool) {
	for k, v := range before {
		if there(v) {
			state[k] = v
		} else {
			delete(state, k)
		}
	}
}
