package record

import (
	"encoding/json"
	"fmt"

	"github.com/fireflyrt/firefly/actors"
)

// A Step is one input of an actor and all that came of it, as a recording holds it: an actors.Step with its sensitive
// fields masked and its edits written out.
type Step struct {
	Index  uint64 // of the activation's inputs, from 0
	Before uint64 // how many turns the actor had had
	Quiet  bool   // nothing was under way when the input came
	Input  Input
	Turns  []Turn
	Out    []actors.Envelope
	Patch  *actors.Patch // what has changed, as it is after the step; nil: nothing
}

// An Input is one thing that happened to an actor.
type Input struct {
	Type     actors.InputType
	At       int64 // Unix nanoseconds
	Envelope *actors.Envelope
	Question uint64
	Result   json.RawMessage
	Refusal  *actors.Refusal
	Session  actors.Ref
	Tables   string // hash of the tables that the step read; "": none
}

// A Turn is what became of one turn. Its changes stand in the step's Patch.
type Turn struct {
	Number  uint32
	Name    string
	Verdict actors.Verdict
	Text    string
	Stack   string
	Commit  bool
	Timers  []actors.TimerOrder
}

// Tables are an edition of hot tables as a recording keeps them. A *hotreload.Edition is one.
type Tables interface {
	// Hash names the contents; different contents have different hashes.
	Hash() string
	// Files are the source files by name. They never change.
	Files() map[string][]byte
}

// Encode writes a step as a recording holds it, masked. Call it while the step's Trace is being told: edits know what
// they have become only then. Index is the caller's to fill in.
func Encode(s *actors.Step, m *Masking) (*Step, error) {
	e := form(s, m)
	p := actors.NewPatch(m.mask)
	for _, t := range s.Turns {
		for _, edit := range t.Edits {
			if err := edit.After(p); err != nil {
				return nil, fmt.Errorf("record: what an edit became: %w", err)
			}
		}
	}
	e.Patch = plain(p)
	return e, nil
}

// form is a step without its edits.
func form(s *actors.Step, m *Masking) *Step {
	in := s.Input
	e := &Step{Before: s.Before, Quiet: s.Quiet, Input: Input{Type: in.Type, At: in.At, Question: in.Question,
		Result: in.Result, Refusal: in.Refusal, Session: in.Session}}
	if t, ok := in.Tables.(Tables); ok {
		e.Input.Tables = t.Hash()
	}
	if in.Envelope != nil {
		masked := m.envelope(*in.Envelope)
		e.Input.Envelope = &masked
	}
	if len(s.Turns) > 0 {
		e.Turns = make([]Turn, len(s.Turns))
	}
	for i, t := range s.Turns {
		e.Turns[i] = Turn{Number: t.Number, Name: t.Name, Verdict: t.Verdict, Text: t.Text, Stack: t.Stack,
			Commit: t.Commit, Timers: m.timers(t.Timers)}
	}
	if len(s.Out) > 0 {
		e.Out = make([]actors.Envelope, len(s.Out))
	}
	for i, out := range s.Out {
		e.Out[i] = m.envelope(out)
	}
	return e
}

// plain is a patch as it reads from a file: what holds nothing is nil, and it masks nothing any more.
func plain(p *actors.Patch) *actors.Patch {
	c := &actors.Patch{Cells: plainTexts(p.Cells), Rows: plainTexts(p.Rows), Rest: p.Rest}
	if len(p.Groups) > 0 {
		c.Groups = p.Groups
	}
	if len(p.Bound) > 0 {
		c.Bound = p.Bound
	}
	if len(c.Cells)+len(c.Rows)+len(c.Groups)+len(c.Bound) == 0 && c.Rest == nil {
		return nil
	}
	return c
}

func plainTexts(texts map[string]json.RawMessage) map[string]json.RawMessage {
	if len(texts) == 0 {
		return nil
	}
	for name, text := range texts {
		if string(text) == "null" {
			texts[name] = nil
		}
	}
	return texts
}
