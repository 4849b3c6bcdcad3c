package replay

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/record"
)

// update makes tests write what they would compare with: go test -update.
var update = flag.Bool("update", false, "write golden transcripts, and recordings with today's outcomes")

// A Played is what became of a recording that was played: each actor as it is after its last step.
type Played struct {
	t      TB
	states map[actors.Ref]*actors.Image
}

// File plays a recording: every actor in it is given its inputs again, and must do what it did. The first difference
// fails the test, and is shown with the message, both outcomes and the state. A step that panicked or failed when it
// was recorded is a bug that the recording tells of: it fails the test for as long as it still does, and whatever else
// the behaviour does instead is taken for the repair.
//
// With -update the recording is written anew, with the outcomes of today.
func File(t TB, app node.App, path string) *Played {
	t.Helper()
	b, err := app.Build()
	if err != nil {
		t.Fatalf("%v", err)
	}
	r, err := record.Read(path)
	if damage := (*record.Damage)(nil); errors.As(err, &damage) && damage.Open {
		err = nil
	}
	if err != nil {
		t.Errorf("%v", err) // what is good of it is played
	}
	if r == nil || r.Steps() == 0 {
		t.Fatalf("replay: there is nothing to play in %s", path)
	}
	if *update {
		if r, err = renewed(b, r); err == nil {
			err = r.Write(path)
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
	p := &Played{t: t, states: map[actors.Ref]*actors.Image{}}
	y := NewPlayback(b, r)
	for _, a := range r.Actors() {
		for _, s := range a.Segments {
			p.play(y, s, path)
		}
	}
	return p
}

// Dir plays all recordings that the pattern matches: replay.Dir(t, App, "testdata/*.rec"). None is an error.
func Dir(t TB, app node.App, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("replay: no recording matches %s (%v)", pattern, err)
	}
	for _, file := range files {
		File(t, app, file)
	}
}

func (p *Played) play(y *Playback, s *record.Segment, path string) {
	p.t.Helper()
	if err := y.Begin(s); err != nil {
		p.t.Errorf("%s: %v", path, err)
		return
	}
	if err := y.toTheEnd(); err != nil {
		p.t.Errorf("%s: %v", path, err)
	}
	image, err := y.State()
	if err != nil {
		p.t.Errorf("%s: %v", path, err)
		return
	}
	p.states[s.Ref] = image
}

// toTheEnd plays until the end, a difference, or a bug that is still there or mended.
func (p *Playback) toTheEnd() error {
	for !p.Done() {
		recorded := p.Segment.Steps[p.next]
		today, d := p.Step()
		bug := brokenTurn(recorded)
		switch {
		case today != nil && brokenTurn(today) != nil:
			return fmt.Errorf("%s, step %d: %s still %s: %s\n  %s %s\n%s", p.Segment.Ref, p.next-1,
				brokenTurn(today).Name, verdicts[brokenTurn(today).Verdict], brokenTurn(today).Text, signIn,
				p.Tell.input(recorded.Input), brokenTurn(today).Stack)
		case bug != nil && d != nil:
			return nil // mended: what follows in the recording is what the bug led to
		case d != nil:
			return errors.New(strings.TrimRight(d.String(), "\n"))
		}
		if _, err := p.Check(); err != nil {
			return err
		}
	}
	return nil
}

// brokenTurn is the turn of a step that panicked or failed.
func brokenTurn(s *record.Step) *record.Turn {
	i := slices.IndexFunc(s.Turns, func(t record.Turn) bool {
		return t.Verdict == actors.Broken || t.Verdict == actors.Failed
	})
	if i < 0 {
		return nil
	}
	return &s.Turns[i]
}

// StateOf is the state of an actor after its last step: the T of a cell, or of a Rows cell a map[string]V by key. An
// actor or a cell that is not there fails the test. What is sensitive is blank.
func StateOf[T any](p *Played, ref actors.Ref, cell string) (contents T) {
	p.t.Helper()
	image := p.states[ref]
	if image == nil {
		p.t.Fatalf("replay: %s is not in the recording", ref)
		return contents
	}
	raw, ok := image.State.Cells[cell]
	if !ok {
		raw = rowsOf(image, cell)
	}
	var stored struct {
		Plain json.RawMessage `json:"d"`
	}
	err := json.Unmarshal(raw, &stored)
	if err == nil {
		err = json.Unmarshal(stored.Plain, &contents)
	}
	if err != nil {
		p.t.Fatalf("replay: cell %s of %s: %v", cell, ref, err)
	}
	return contents
}

// rowsOf gathers the rows of a cell into one value.
func rowsOf(image *actors.Image, cell string) json.RawMessage {
	rows := map[string]json.RawMessage{}
	for name, raw := range image.State.Rows {
		if key, ok := strings.CutPrefix(name, cell+"/"); ok {
			rows[key] = json.RawMessage(contents(raw))
		}
	}
	text, err := json.Marshal(map[string]any{"d": rows})
	if err != nil {
		return nil
	}
	return text
}
