package replay

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/record"
)

// errSound means that there is nothing to shrink.
var errSound = errors.New("replay: nothing in the recording differs or panics; there is nothing to shrink")

// Shrink finds a shorter recording of one actor that still shows the first difference of r, or still panics as r does:
// it leaves out what comes after, begins as late as a state can be had, and leaves out inputs in between as long as
// what remains does as before (delta debugging: Zeller and Hildebrandt, 2002). Inputs that were left out may have led
// to the state that others find; those that remain are checked against what was recorded of them, and that is all.
func Shrink(app node.App, r *record.Recording) (*record.Recording, error) {
	b, err := app.Build()
	if err != nil {
		return nil, err
	}
	for _, a := range r.Actors() {
		for _, s := range a.Segments {
			k := &shrinker{play: NewPlayback(b, r)}
			short, err := k.shrink(s)
			if errors.Is(err, errSound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			return record.New(r.Header, []*record.Segment{short}, k.tables(short)), nil
		}
	}
	return nil, errSound
}

// A shrinker looks for shorter segments that end in the same symptom.
type shrinker struct {
	play    *Playback
	symptom string
}

func (k *shrinker) shrink(s *record.Segment) (*record.Segment, error) {
	p := k.play
	if err := p.Begin(s); err != nil {
		return nil, err
	}
	for !p.Done() && k.symptom == "" {
		k.symptom = symptomOf(p.Step())
	}
	if k.symptom == "" {
		return nil, errSound
	}
	short := *s
	short.Steps, short.Checks, short.Panics, short.Closed = s.Steps[:p.Next()], nil, nil, false
	later, err := k.later(&short)
	if err != nil {
		return nil, err
	}
	return k.fewer(later), nil
}

// symptomOf is what a step shows, if it is not as recorded or panics.
func symptomOf(today *record.Step, d *Difference) string {
	if today != nil {
		if t := brokenTurn(today); t != nil {
			return fmt.Sprintf("%s %d", t.Name, t.Verdict)
		}
	}
	if d != nil {
		return d.What
	}
	return ""
}

// shows reports whether the last step of a segment, and no other, shows the symptom.
func (k *shrinker) shows(s *record.Segment) bool {
	p := k.play
	if err := p.Begin(s); err != nil {
		return false
	}
	for !p.Done() {
		if found := symptomOf(p.Step()); found != "" {
			return p.Done() && found == k.symptom
		}
	}
	return false
}

// later begins as late as possible: at the last quiet moment from which the symptom still comes.
func (k *shrinker) later(s *record.Segment) (*record.Segment, error) {
	for i := len(s.Steps) - 1; i > 0; i-- {
		if !s.Steps[i].Quiet || s.Steps[i].Input.Type == actors.InputGreet {
			continue
		}
		image, err := k.imageAt(s, i)
		if err != nil {
			return nil, err
		}
		short := *s
		short.Image, short.Steps, short.First, short.At = image, s.Steps[i:], s.First+uint64(i), image.At
		if k.shows(&short) {
			return &short, nil
		}
	}
	return s, nil
}

// imageAt is the state before step i.
func (k *shrinker) imageAt(s *record.Segment, i int) (*actors.Image, error) {
	p := k.play
	if err := p.Begin(s); err != nil {
		return nil, err
	}
	for p.Next() < i {
		p.Step()
	}
	return p.rerun.Image(nil)
}

// fewer leaves out inputs before the last one, in pieces that get smaller.
func (k *shrinker) fewer(s *record.Segment) *record.Segment {
	for piece := len(s.Steps) / 2; piece > 0; piece /= 2 {
		for from := 0; from+piece < len(s.Steps); {
			short := *s
			short.Steps = slices.Concat(s.Steps[:from], s.Steps[from+piece:])
			if k.shows(&short) {
				s = &short
			} else {
				from += piece
			}
		}
	}
	return numbered(s)
}

// numbered gives the steps that remain consecutive numbers.
func numbered(s *record.Segment) *record.Segment {
	steps := slices.Clone(s.Steps)
	for i, step := range steps {
		c := *step
		c.Index = s.First + uint64(i)
		steps[i] = &c
	}
	s.Steps = steps
	return s
}

func (k *shrinker) tables(s *record.Segment) map[string]map[string][]byte {
	tables := map[string]map[string][]byte{}
	for _, step := range s.Steps {
		if hash := step.Input.Tables; hash != "" {
			tables[hash] = k.play.recording.Tables(hash)
		}
	}
	return tables
}
