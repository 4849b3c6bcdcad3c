package record

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

const (
	dumpEvery = time.Minute // one file for each kind and number in so long
	dumpsMost = 50          // files of a node; the oldest are deleted
)

// A dump is what a flight recorder writes when a handler has panicked: the state now, and the steps that led to it.
type dump struct {
	segment *Segment
	steps   []*actors.Step
	before  int64 // time of the input before them
	stem    string
}

// dump writes the actor's newest steps, if a panic of this kind has not been written just now. Only the state is looked
// at in the actor's turn; the rest is done elsewhere. An error or a refusal is no panic: those are answered.
func (t *trace) dump(turn *actors.Turn, index uint64) {
	if t.r.flight.most == 0 {
		return
	}
	now := t.r.o.Clock.Now()
	steps, first, before := t.r.flight.since(t.ring)
	if len(steps) == 0 || !t.r.flight.allow(cause{t.ref.Kind, turn.Number}, now.UnixNano()) {
		t.r.counts.dumpsSkipped.Add(1)
		return
	}
	d, err := t.memories(steps, first, before)
	if err != nil {
		t.r.counts.dumpsSkipped.Add(1)
		t.r.o.Log.Error("panic cannot be recorded", "actor", t.ref.String(), "error", err)
		return
	}
	d.segment.Panics = []Panic{{Index: index, Number: turn.Number, Name: turn.Name, Text: turn.Text}}
	t.r.o.Scheduler.Offload(func() { t.r.writeDump(d) })
}

// memories are an actor's newest steps and its state after them, to be written elsewhere.
func (t *trace) memories(steps []*actors.Step, first uint64, before int64) (*dump, error) {
	image, err := t.image(t.r.masking.mask)
	if err != nil {
		return nil, err
	}
	s := t.segment(first)
	s.Image, s.At = image, steps[0].Input.At
	if blank, err := t.image(Blank); err == nil {
		blank.At = t.at
		if hash, err := Hash(blank); err == nil {
			s.Checks = []Check{{After: t.index, Hash: hash}}
		}
	}
	return &dump{segment: s, steps: steps, before: before, stem: panicStem(t.r.o.Node)}, nil
}

// errNothing means that a flight recorder has nothing of an actor.
var errNothing = errors.New("record: the flight recorder is off, or has nothing of this actor")

// Take writes what the flight recorder has of an actor to a file of its own and calls done, from any goroutine, with
// where. It is called in the actor's turn: System.Listen.
func (r *Recorder) Take(of actors.Trace, done func(path string, err error)) {
	t, ok := of.(*trace)
	if !ok {
		done("", errNothing)
		return
	}
	steps, first, before := r.flight.since(t.ring)
	if len(steps) == 0 {
		done("", errNothing)
		return
	}
	d, err := t.memories(steps, first, before)
	if err != nil {
		done("", err)
		return
	}
	d.stem = takenStem(r.o.Node)
	r.o.Scheduler.Offload(func() { done(r.dumpFile(d)) })
}

// writeDump writes the file and says where it is.
func (r *Recorder) writeDump(d *dump) {
	path, err := r.dumpFile(d)
	p := d.segment.Panics[0]
	if err != nil {
		r.counts.errors.Add(1)
		r.o.Log.Error("panic cannot be recorded", "actor", d.segment.Ref.String(), "number", p.Number, "error", err)
		return
	}
	r.counts.dumps.Add(1)
	r.o.Log.Error("panic recorded", "actor", d.segment.Ref.String(), "number", p.Number, "name", p.Name,
		"inputs", len(d.steps), "file", path)
}

// dumpFile writes dumps of one actor into one file.
func (r *Recorder) dumpFile(dumps ...*dump) (path string, err error) {
	defer recovered(&err)
	tables := map[string]map[string][]byte{}
	var segments []*Segment
	for _, d := range dumps {
		if err := r.develop(d, tables); err != nil {
			return "", err
		}
		segments = append(segments, d.segment)
	}
	d := dumps[0]
	text, err := New(r.header(), segments, tables).Append(nil)
	if err == nil {
		err = r.makeDir()
	}
	if err == nil {
		err = prune(r.o.Dir, d.stem, dumpsMost-1, r.o.Limits.TotalBytes/4-int64(len(text)))
	}
	if err != nil {
		return "", err
	}
	f, err := create(r.o.Dir, d.stem, "."+fileName(d.segment.Ref), r.o.Clock)
	if err != nil {
		return "", err
	}
	if _, err = f.Write(text); err != nil {
		f.Close() //nolint:errcheck // the first error is the one to tell
		return "", err
	}
	return filepath.Clean(f.Name()), f.Close()
}

// develop takes the state back to before the steps, and writes down what they changed and the tables that they read.
func (r *Recorder) develop(d *dump, tables map[string]map[string][]byte) error {
	s := d.segment
	patches, err := rewind(s.Image, d.steps, d.before, r.masking.mask)
	if err != nil {
		return err
	}
	for i, step := range d.steps {
		e := new(Step)
		r.masking.form(e, new(actors.Envelope), step)
		e.Index, e.Patch = s.First+uint64(i), patches[i]
		s.Steps = append(s.Steps, e)
		hold(tables, step.Input.Tables)
	}
	hold(tables, s.Image.Tables)
	return nil
}

// hold adds an edition of tables, if it is one, to those of a recording.
func hold(tables map[string]map[string][]byte, edition any) {
	if t, ok := edition.(Tables); ok && tables[t.Hash()] == nil {
		tables[t.Hash()] = t.Files()
	}
}

// fileName is a name that every file system takes, by which people know the actor.
func fileName(ref actors.Ref) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			return c
		}
		return '_'
	}, ref.String())
	return name[:min(len(name), 60)]
}
