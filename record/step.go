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
	TooBig   []int  // which turns were refused because too much waited for the store with them, by index
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
	e, p := new(Step), actors.NewPatch(m.mask)
	if err := after(s, p); err != nil {
		return nil, err
	}
	m.form(e, new(actors.Envelope), s)
	e.Patch = plain(p)
	return e, nil
}

// after writes what a step has changed.
func after(s *actors.Step, p *actors.Patch) error {
	for i := range s.Turns {
		for _, edit := range s.Turns[i].Edits {
			if err := edit.After(p); err != nil {
				return fmt.Errorf("record: what an edit became: %w", err)
			}
		}
	}
	return nil
}

// form fills in a step without its edits; in is the place of the input's envelope. It uses what the slices of e have.
func (m *Masking) form(e *Step, in *actors.Envelope, s *actors.Step) {
	was := &s.Input
	e.Before, e.Quiet = s.Before, s.Quiet
	e.Input = Input{Type: was.Type, At: was.At, Question: was.Question, Result: was.Result, Refusal: was.Refusal,
		Session: was.Session, TooBig: was.TooBig}
	if t, ok := was.Tables.(Tables); ok {
		e.Input.Tables = t.Hash()
	}
	if was.Envelope != nil {
		*in = *was.Envelope
		m.envelope(in)
		e.Input.Envelope = in
	}
	e.Turns, e.Out = e.Turns[:0], e.Out[:0]
	for i := range s.Turns {
		t := &s.Turns[i]
		e.Turns = append(e.Turns, Turn{Number: t.Number, Name: t.Name, Verdict: t.Verdict, Text: t.Text, Stack: t.Stack,
			Commit: t.Commit, Timers: m.timers(t.Timers)})
	}
	e.Out = append(e.Out, s.Out...)
	for i := range e.Out {
		m.envelope(&e.Out[i])
	}
}

// A bench is what an actor's turn needs to write a step, used again and again.
type bench struct {
	b     []byte
	step  Step
	in    actors.Envelope
	patch *actors.Patch
}

// encode is Encode into a record of a stream; the bytes live until the bench is used again.
func (w *bench) encode(s *actors.Step, m *Masking, stream, index uint64) (err error) {
	defer recovered(&err)
	p := w.patch
	clear(p.Cells)
	clear(p.Rows)
	clear(p.Groups)
	clear(p.Bound)
	p.Rest = nil
	if err := after(s, p); err != nil {
		return err
	}
	m.form(&w.step, &w.in, s)
	w.step.Index, w.step.Patch = index, nil
	if len(p.Cells)+len(p.Rows)+len(p.Groups)+len(p.Bound) > 0 || p.Rest != nil {
		w.step.Patch = p
	}
	w.b = appendStep(w.b[:0], stream, &w.step)
	return nil
}

// rest forgets what it has written about, so that nothing is kept alive by it.
func (w *bench) rest() {
	clear(w.step.Turns)
	clear(w.step.Out)
	w.step.Input, w.in = Input{}, actors.Envelope{}
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
