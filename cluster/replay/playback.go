package replay

import (
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/hotreload"
	"github.com/fireflyrt/firefly/record"
)

// A Playback does again what actors did in a recording, a segment at a time: the inputs are those that were recorded,
// the behaviours those of today. It is used by one goroutine.
type Playback struct {
	Segment *record.Segment // that is being played
	Tell    *Telling

	blueprint *node.Blueprint
	recording *record.Recording
	masking   *record.Masking
	rerun     *actors.Rerun
	editions  map[string]*hotreload.Edition // by hash
	today     *hotreload.Edition            // nil until one is needed
	edition   *hotreload.Edition            // the newest that a step read
	next      int
}

// NewPlayback puts a recording in; nothing is played before Begin.
func NewPlayback(b *node.Blueprint, r *record.Recording) *Playback {
	return &Playback{Tell: NewTelling(b.Catalogue), blueprint: b, recording: r,
		masking: record.MaskingOf(r, b.Catalogue), editions: map[string]*hotreload.Edition{}}
}

// Begin begins with a segment.
func (p *Playback) Begin(s *record.Segment) error {
	p.Segment = s
	return p.Rewind()
}

// Rewind goes back to before the segment's first step.
func (p *Playback) Rewind() (err error) {
	p.next = 0
	if p.edition, err = p.firstEdition(); err != nil {
		return err
	}
	image := *p.Segment.Image
	image.Tables = p.edition
	p.rerun, err = actors.NewRerun(
		actors.RerunOptions{Kinds: p.blueprint.Kinds, Catalogue: p.blueprint.Catalogue}, &image)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}

// Next is the number of the step that comes next, from 0; the number of steps if there is none.
func (p *Playback) Next() int { return p.next }

// Done reports whether there is no further step.
func (p *Playback) Done() bool { return p.next >= len(p.Segment.Steps) }

// State is the state of today's actor, with what is sensitive blanked if it is in the recording.
func (p *Playback) State() (*actors.Image, error) { return p.rerun.Image(p.masking.Mask()) }

// Step gives the actor its next input and returns what it did today, and how that differs from what was recorded: nil
// if it does not. An error means that the input could not be given; it is a difference, too.
func (p *Playback) Step() (today *record.Step, d *Difference) {
	recorded := p.Segment.Steps[p.next]
	d = &Difference{Ref: p.Segment.Ref, Step: p.next, Recorded: recorded, tell: p.Tell}
	p.next++
	p.rerun.SkipTo(recorded.Before)
	today, err := p.give(recorded.Input)
	if err != nil {
		d.What = err.Error()
		return nil, d
	}
	today.Index = recorded.Index
	d.Today = today
	if d.What = compare(p.masking.Compared(recorded), p.masking.Compared(today)); d.What != "" {
		return today, d
	}
	return today, nil
}

// give gives the actor an input.
func (p *Playback) give(recorded record.Input) (*record.Step, error) {
	in, err := p.input(recorded)
	if err != nil {
		return nil, err
	}
	done, err := p.rerun.Step(in)
	if err != nil {
		return nil, err
	}
	return record.Encode(done, p.masking)
}

// Check compares the state with the hash that the recording has of it here, if it has one.
func (p *Playback) Check() (checked bool, err error) {
	for _, c := range p.Segment.Checks {
		if c.After != p.Segment.First+uint64(p.next) {
			continue
		}
		image, err := p.State()
		if err != nil {
			return true, err
		}
		hash, err := record.Hash(image)
		if err == nil && hash != c.Hash {
			err = fmt.Errorf("replay: %s: the state after step %d is not the recorded one, although every step was: "+
				"a cell is changed without Edit, or through a pointer that was kept", p.Segment.Ref, p.next-1)
		}
		return true, err
	}
	return false, nil
}

// input is a recorded input as the actor takes it.
func (p *Playback) input(in record.Input) (actors.Input, error) {
	if in.Tables != "" {
		e, err := p.editionOf(in.Tables)
		if err != nil {
			return actors.Input{}, err
		}
		p.edition = e
	}
	return actors.Input{Type: in.Type, At: in.At, Envelope: in.Envelope, Question: in.Question, Result: in.Result,
		Refusal: in.Refusal, Session: in.Session, Tables: p.edition, TooBig: in.TooBig}, nil
}

// firstEdition is what a step reads that read no tables when it was recorded: those of the first step that did, or
// those of today.
func (p *Playback) firstEdition() (*hotreload.Edition, error) {
	if known := p.Segment.Image.Edition; p.recording.Tables(known) != nil {
		return p.editionOf(known) // those that it rests on
	}
	for _, s := range p.Segment.Steps {
		if s.Input.Tables != "" {
			return p.editionOf(s.Input.Tables)
		}
	}
	return p.todays()
}

// todays are the tables as they are now.
func (p *Playback) todays() (*hotreload.Edition, error) {
	if p.today == nil {
		today, err := hotreload.Open(hotreload.Options{Tables: p.blueprint.Tables, Dir: p.blueprint.TableDir,
			Fallback: p.blueprint.TableFiles, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		p.today = today.Current()
	}
	return p.today, nil
}

func (p *Playback) editionOf(hash string) (*hotreload.Edition, error) {
	if e := p.editions[hash]; e != nil {
		return e, nil
	}
	files := p.recording.Tables(hash)
	if files == nil {
		return nil, fmt.Errorf("the tables %.12s that this step read are not in the recording", hash)
	}
	files, err := p.completed(files)
	if err != nil {
		return nil, err
	}
	e, err := hotreload.FromFiles(p.blueprint.Tables, files)
	if err != nil {
		return nil, fmt.Errorf("the recorded tables %.12s are none of today's: %w", hash, err)
	}
	p.editions[hash] = e
	return e, nil
}

// completed are recorded tables with those of today that the game did not have then.
func (p *Playback) completed(recorded map[string][]byte) (map[string][]byte, error) {
	files := maps.Clone(recorded)
	for _, t := range p.blueprint.Tables {
		if files[t.File()] != nil {
			continue
		}
		today, err := p.todays()
		if err != nil {
			return nil, err
		}
		files[t.File()] = today.Files()[t.File()]
	}
	return files, nil
}

// tablesOf are the files of an edition that a step read today.
func (p *Playback) tablesOf(hash string) map[string][]byte {
	if files := p.recording.Tables(hash); files != nil {
		return files
	}
	if p.edition != nil && p.edition.Hash() == hash {
		return p.edition.Files()
	}
	return nil
}

// At is the time of a step.
func (p *Playback) At(step int) time.Time { return time.Unix(0, p.Segment.Steps[step].Input.At).UTC() }
