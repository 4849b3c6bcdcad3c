package replay

import (
	"errors"
	"strings"

	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/record"
)

// A Verified is what was found the same when a recording was played.
type Verified struct {
	Actors int // segments of actors
	Steps  int // whose outcomes are those that were recorded
	Checks int // states whose hashes are
	Panics int // of the steps: those that panicked, then and now
}

// Verify plays all of a recording. The error is the first difference of each actor: an outcome or a state that is not
// the recorded one. It is stricter than File: a panic is an outcome like any other.
func Verify(app node.App, r *record.Recording) (Verified, error) {
	var v Verified
	b, err := app.Build()
	if err != nil {
		return v, err
	}
	p := NewPlayback(b, r)
	var errs []error
	for _, a := range r.Actors() {
		for _, s := range a.Segments {
			v.Actors++
			errs = append(errs, p.verify(s, &v))
		}
	}
	return v, errors.Join(errs...)
}

func (p *Playback) verify(s *record.Segment, v *Verified) error {
	if err := p.Begin(s); err != nil {
		return err
	}
	for !p.Done() {
		today, d := p.Step()
		if d != nil {
			return errors.New(strings.TrimRight(d.String(), "\n"))
		}
		v.Steps++
		if brokenTurn(today) != nil {
			v.Panics++
		}
		checked, err := p.Check()
		if err != nil {
			return err
		}
		if checked {
			v.Checks++
		}
	}
	return nil
}
