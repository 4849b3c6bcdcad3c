package replay

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/record"
)

// A witness hears everything that the actors of a World do. From it come the transcript, and, when the test ends, the
// proof that every actor does the same again.
type witness struct {
	blueprint *node.Blueprint
	masking   *record.Masking // masks nothing
	born      time.Time
	heard     []moment
	segments  []*record.Segment
	tables    map[string]map[string][]byte
	failed    error // the first step that could not be written down
}

// A moment is one step of one actor, or a note about the World.
type moment struct {
	at   time.Time
	ref  actors.Ref
	step *record.Step
	note string
}

func newWitness(b *node.Blueprint, born time.Time) *witness {
	return &witness{blueprint: b, masking: record.NewMasking(wire.Catalogue{}, nil), born: born,
		tables: map[string]map[string][]byte{}}
}

// note puts something that happened to the World itself into the transcript.
func (n *witness) note(at time.Time, format string, args ...any) {
	n.heard = append(n.heard, moment{at: at, note: fmt.Sprintf(format, args...)})
}

// Opened makes the witness a Tap.
func (n *witness) Opened(v actors.View) actors.Trace {
	image, err := v.Image(nil)
	if err != nil {
		n.fail(err)
		return nil
	}
	n.keep(image.Tables)
	s := &record.Segment{Ref: v.Self(), Node: "world", At: image.At, Image: image}
	n.segments = append(n.segments, s)
	return &testimony{witness: n, segment: s}
}

// keep keeps the files of tables that were read.
func (n *witness) keep(tables any) {
	if e, ok := tables.(record.Tables); ok && n.tables[e.Hash()] == nil {
		n.tables[e.Hash()] = e.Files()
	}
}

func (n *witness) fail(err error) {
	if n.failed == nil {
		n.failed = err
	}
}

// A testimony is what the witness hears of one activation.
type testimony struct {
	*witness
	segment *record.Segment
}

func (y *testimony) Heard(s *actors.Step) {
	step, err := record.Encode(s, y.masking)
	if err != nil {
		y.fail(err)
		return
	}
	y.keep(s.Input.Tables)
	step.Index = uint64(len(y.segment.Steps))
	y.segment.Steps = append(y.segment.Steps, step)
	y.heard = append(y.heard, moment{at: time.Unix(0, step.Input.At), ref: y.segment.Ref, step: step})
}

func (y *testimony) Closed() { y.segment.Closed = true }

// recording is all that was heard, as if it had been recorded.
func (n *witness) recording() *record.Recording {
	return record.New(record.Header{App: n.blueprint.Name, Node: "world", At: n.born.UnixNano()}, n.segments, n.tables)
}

// proves does everything again, actor by actor, and returns the first difference: a behaviour whose outcome hangs on
// more than its inputs.
func (n *witness) proves() error {
	if n.failed != nil {
		return n.failed
	}
	p := NewPlayback(n.blueprint, n.recording())
	for _, s := range n.segments {
		if err := p.Begin(s); err != nil {
			return err
		}
		for !p.Done() {
			if _, d := p.Step(); d != nil {
				return fmt.Errorf("%s is no function of its inputs: given number %d again, it does other things; "+
					"does it use time, luck, a map's order or a variable that is not its own?\n%s",
					s.Ref.Kind, d.number(), d)
			}
		}
	}
	return nil
}

// transcript is what was heard of some kinds of actors, or of all, a line an event.
func (n *witness) transcript(names map[actors.Ref]string, kinds []actors.KindName) string {
	tell := NewTelling(n.blueprint.Catalogue)
	tell.sessions = names
	blank := n.blanked()
	width := 0
	skips := func(of actors.Ref) bool { return len(kinds) > 0 && !slices.Contains(kinds, of.Kind) }
	for _, s := range n.segments {
		if !skips(s.Ref) {
			width = max(width, len(s.Ref.String()))
		}
	}
	var b strings.Builder
	idle := map[actors.Ref]int{}
	for _, m := range n.heard {
		at := seconds(n.born, m.at)
		if m.step == nil {
			fmt.Fprintf(&b, "%s ---- %s\n", at, m.note)
			continue
		}
		if skips(m.ref) {
			continue
		}
		if isIdle(m.step) {
			idle[m.ref]++
			continue
		}
		if times := idle[m.ref]; times > 0 {
			fmt.Fprintf(&b, "%s %-*s .. %d timers without effect\n", at, width, m.ref, times)
			delete(idle, m.ref)
		}
		for _, l := range tell.step(blank[m.step]) {
			fmt.Fprintf(&b, "%s %-*s %s\n", at, width, m.ref, l)
		}
	}
	return b.String()
}

// blanked are the steps with what is sensitive in them blank: everything done once more, and told by a teller who
// knows.
func (n *witness) blanked() map[*record.Step]*record.Step {
	all := map[*record.Step]*record.Step{}
	p := NewPlayback(n.blueprint, n.recording())
	p.masking = record.NewMasking(n.blueprint.Catalogue, record.Blank)
	for _, s := range n.segments {
		if p.Begin(s) != nil {
			continue // proves says why
		}
		for _, step := range s.Steps {
			if all[step], _ = p.Step(); all[step] == nil {
				all[step] = &record.Step{Input: record.Input{Type: step.Input.Type, Envelope: new(actors.Envelope)}}
			}
		}
	}
	return all
}

// isIdle reports whether a step is a tick that changed and sent nothing.
func isIdle(s *record.Step) bool {
	return s.Input.Type == actors.InputTimer && len(s.Out) == 0 && s.Patch == nil && len(s.Turns) == 1 &&
		s.Turns[0].Verdict == actors.Stood && len(s.Turns[0].Timers) == 0
}

// golden compares a transcript with a file, or with -update writes the file.
func golden(path, got string) error {
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("replay: there is no transcript to compare with; run the test with -update once, and read "+
			"what it wrote: %w", err)
	}
	if string(text) == got {
		return nil
	}
	return fmt.Errorf("the transcript is not that of %s; if it should be so from now on, run the test with -update\n%s",
		path, firstDifference(strings.Split(string(text), "\n"), strings.Split(got, "\n")))
}

// around is how many equal lines a difference is shown with.
const around = 4

// firstDifference shows where two texts part: some lines before it, and some of both after it.
func firstDifference(want, got []string) string {
	at := 0
	for at < min(len(want), len(got)) && want[at] == got[at] {
		at++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "they part in line %d:\n", at+1)
	for _, l := range want[max(0, at-around):at] {
		fmt.Fprintf(&b, "    %s\n", l)
	}
	for _, l := range want[at:min(len(want), at+around)] {
		fmt.Fprintf(&b, "  - %s\n", l)
	}
	for _, l := range got[at:min(len(got), at+around)] {
		fmt.Fprintf(&b, "  + %s\n", l)
	}
	return b.String()
}

// Recording is all that the World's actors have done so far, as a recorder would have kept it but that nothing in it is
// masked.
func (w *World) Recording() *record.Recording { return w.witness.recording() }

// Transcript is all that the World's actors have done so far, a line an event, with what is sensitive blank.
func (w *World) Transcript() string { return w.witness.transcript(w.names, nil) }
