package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/record"
)

// A Debugger steps through a recording by commands, forwards and backwards, and shows what today's behaviours do.
type Debugger struct {
	play     *Playback
	segments []*record.Segment
	current  int
	out      io.Writer
	json     bool

	today *record.Step // what the newest step did; nil: none yet, or it could not be given
	diff  *Difference  // how that differs; nil: it does not
}

// NewDebugger begins with the first step of the first actor. With asJSON it answers each command with one JSON object.
func NewDebugger(b *node.Blueprint, r *record.Recording, out io.Writer, asJSON bool) (*Debugger, error) {
	d := &Debugger{play: NewPlayback(b, r), out: out, json: asJSON}
	for _, a := range r.Actors() {
		d.segments = append(d.segments, a.Segments...)
	}
	if len(d.segments) == 0 {
		return nil, errors.New("replay: there is no actor in the recording that can be played")
	}
	return d, d.begin(0)
}

func (d *Debugger) begin(i int) error {
	d.current, d.today, d.diff = i, nil, nil
	return d.play.Begin(d.segments[i])
}

// A verb is a command of the debugger.
type verb struct {
	name, arguments, text string
	run                   func(d *Debugger, args []string) error
}

// errUsage means that a command was not understood.
var errUsage = errors.New("replay: this is no command, or not what it takes; help lists them")

func verbs() []verb {
	return []verb{
		{"next", "[n]", "give the next input, or the next n", (*Debugger).stepOn},
		{"back", "[n]", "go back by one step, or by n", (*Debugger).back},
		{"jump", "n", "go to the moment before step n", (*Debugger).jump},
		{"run", "number N | time SECONDS | output TEXT | panic | difference | end",
			"step until a message of that number, a time since the first step, an output with that text, a panic, a " +
				"difference, or the end", (*Debugger).run},
		{"state", "[cell]", "the actor's state now", (*Debugger).state},
		{"diff", "", "what the newest step has changed, and how it differs from the recording", (*Debugger).changed},
		{"inputs", "[n]", "the inputs to come, ten or n of them", (*Debugger).inputs},
		{"actors", "", "who is in the recording", (*Debugger).actors},
		{"actor", "KIND/ID | n", "go to another actor's first step, or to a line of actors", (*Debugger).actor},
	}
}

// Do runs one command; an empty one is next. It returns io.EOF for quit.
func (d *Debugger) Do(command string) error {
	words := strings.Fields(command)
	if len(words) == 0 {
		words = []string{"next"}
	}
	switch words[0] {
	case "quit", "q", "exit":
		return io.EOF
	case "help", "?":
		return d.help()
	}
	for _, v := range verbs() {
		if strings.HasPrefix(v.name, words[0]) && (words[0] == v.name || v.name != "actors") {
			return v.run(d, words[1:])
		}
	}
	return errUsage
}

func (d *Debugger) help() error {
	for _, v := range verbs() {
		d.say(map[string]any{"command": v.name, "takes": v.arguments, "does": v.text}, "%-8s %-22s %s\n", v.name,
			v.arguments, v.text)
	}
	d.say(map[string]any{"command": "quit"}, "%-8s %-22s %s\n", "quit", "", "end; every command may be shortened")
	return nil
}

// say writes one answer, as JSON or as text.
func (d *Debugger) say(object any, format string, args ...any) {
	if !d.json {
		fmt.Fprintf(d.out, format, args...) //nolint:errcheck // whoever asked reads it, or not
		return
	}
	text, err := json.Marshal(object)
	if err != nil {
		text = []byte(`{"error":"cannot be written as JSON"}`)
	}
	fmt.Fprintf(d.out, "%s\n", text) //nolint:errcheck // likewise
}

// count reads an optional number.
func count(args []string, otherwise int) (int, error) {
	if len(args) == 0 {
		return otherwise, nil
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 0 || len(args) > 1 {
		return 0, errUsage
	}
	return n, nil
}

func (d *Debugger) step() { d.today, d.diff = d.play.Step() }

func (d *Debugger) stepOn(args []string) error {
	n, err := count(args, 1)
	for ; err == nil && n > 0 && !d.play.Done(); n-- {
		d.step()
		d.show()
	}
	if err == nil && n > 0 {
		d.say(map[string]any{"end": true}, "that was the last step\n")
	}
	return err
}

// show tells the newest step.
func (d *Debugger) show() {
	i := d.play.Next() - 1
	recorded := d.play.Segment.Steps[i]
	shown := shown{Actor: d.play.Segment.Ref.String(), Step: i, At: d.play.At(i).Format(time.RFC3339Nano),
		Input: d.play.Tell.input(recorded.Input)}
	if d.today != nil {
		for _, l := range d.play.Tell.outcome(d.today) {
			shown.Outcome = append(shown.Outcome, l.String())
		}
	}
	if d.diff != nil {
		shown.Difference = d.diff.What
	}
	d.say(shown, "%s", shown.text())
}

// shown is one step as the debugger shows it.
type shown struct {
	Actor      string   `json:"actor"`
	Step       int      `json:"step"`
	At         string   `json:"at"`
	Input      string   `json:"input"`
	Outcome    []string `json:"outcome"`
	Difference string   `json:"difference,omitempty"`
}

func (s shown) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%5d %s %s\n", s.Step, signIn, s.Input)
	for _, l := range s.Outcome {
		fmt.Fprintf(&b, "      %s\n", l)
	}
	if s.Difference != "" {
		fmt.Fprintf(&b, "      ** not as recorded: %s (diff shows it)\n", s.Difference)
	}
	return b.String()
}

// to goes to the moment before a step, quietly.
func (d *Debugger) to(step int) error {
	if step < d.play.Next() {
		if err := d.play.Rewind(); err != nil {
			return err
		}
		d.today, d.diff = nil, nil
	}
	for d.play.Next() < step && !d.play.Done() {
		d.step()
	}
	return nil
}

func (d *Debugger) back(args []string) error {
	n, err := count(args, 1)
	if err != nil {
		return err
	}
	return d.jump([]string{strconv.Itoa(max(0, d.play.Next()-n))})
}

func (d *Debugger) jump(args []string) error {
	n, err := count(args, -1)
	if err != nil || n < 0 {
		return errUsage
	}
	if err := d.to(n); err != nil {
		return err
	}
	d.say(map[string]any{"next": d.play.Next()}, "before step %d of %d\n", d.play.Next(), len(d.play.Segment.Steps))
	return nil
}

// run steps until something is so.
func (d *Debugger) run(args []string) error {
	until, err := d.until(args)
	if err != nil {
		return err
	}
	for !d.play.Done() {
		d.step()
		if until(d.play.Segment.Steps[d.play.Next()-1]) {
			d.show()
			return nil
		}
	}
	d.say(map[string]any{"end": true}, "the end, after step %d\n", d.play.Next()-1)
	return nil
}

// until is what run waits for.
func (d *Debugger) until(args []string) (func(*record.Step) bool, error) {
	what := strings.Join(args, " ")
	argument := strings.TrimSpace(strings.TrimPrefix(what, strings.SplitN(what+" ", " ", 2)[0]))
	switch {
	case what == "panic":
		return func(*record.Step) bool { return d.today != nil && brokenTurn(d.today) != nil }, nil
	case what == "difference":
		return func(*record.Step) bool { return d.diff != nil }, nil
	case what == "end":
		return func(*record.Step) bool { return false }, nil
	case strings.HasPrefix(what, "number "):
		number, err := strconv.ParseUint(argument, 10, 32)
		if err != nil {
			return nil, errUsage
		}
		return func(s *record.Step) bool {
			return s.Input.Envelope != nil && s.Input.Envelope.Number == uint32(number)
		}, nil
	case strings.HasPrefix(what, "time "):
		after, err := strconv.ParseFloat(argument, 64)
		if err != nil {
			return nil, errUsage
		}
		end := d.play.Segment.Steps[0].Input.At + int64(after*float64(time.Second))
		return func(s *record.Step) bool { return s.Input.At >= end }, nil
	case strings.HasPrefix(what, "output ") && argument != "":
		return func(*record.Step) bool {
			return d.today != nil && slices.ContainsFunc(d.play.Tell.outcome(d.today), func(l line) bool {
				return l.sign == signOut && strings.Contains(l.text, argument)
			})
		}, nil
	}
	return nil, errUsage
}

func (d *Debugger) state(args []string) error {
	image, err := d.play.State()
	if err != nil {
		return err
	}
	var lines []string
	for _, l := range d.play.Tell.changes(image.State) {
		if len(args) == 0 || strings.HasPrefix(l, args[0]+" ") || strings.HasPrefix(l, args[0]+"/") {
			lines = append(lines, l)
		}
	}
	d.say(map[string]any{"state": lines}, "%s", indented(lines))
	return nil
}

func indented(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "      %s\n", l)
	}
	return b.String()
}

// changed compares the state before and after the newest step.
func (d *Debugger) changed([]string) error {
	at := d.play.Next()
	if at == 0 {
		return errors.New("replay: no step has been given yet")
	}
	after, err := d.play.State()
	if err != nil {
		return err
	}
	if err := d.to(at - 1); err != nil {
		return err
	}
	before, err := d.play.State()
	if err != nil {
		return err
	}
	if err := d.to(at); err != nil {
		return err
	}
	lines := stateDiff(before.State, after.State)
	object := map[string]any{"changed": lines}
	text := indented(lines)
	if d.diff != nil {
		object["difference"] = d.diff.String()
		text += d.diff.String()
	}
	d.say(object, "%s", text)
	return nil
}

func (d *Debugger) inputs(args []string) error {
	n, err := count(args, 10)
	for i := d.play.Next(); err == nil && i < min(d.play.Next()+n, len(d.play.Segment.Steps)); i++ {
		text := d.play.Tell.input(d.play.Segment.Steps[i].Input)
		d.say(map[string]any{"step": i, "input": text}, "%5d %s %s\n", i, signIn, text)
	}
	return err
}

func (d *Debugger) actors([]string) error {
	for i, s := range d.segments {
		at := time.Unix(0, s.At).UTC().Format(time.RFC3339)
		what := fmt.Sprintf("%d steps on %s, from %s", len(s.Steps), s.Node, at)
		if s.Gap != nil {
			what += "; then some are missing: " + s.Gap.Why
		}
		d.say(map[string]any{"line": i, "actor": s.Ref.String(), "steps": len(s.Steps), "what": what,
			"current": i == d.current}, "%5d %s: %s\n", i, s.Ref, what)
	}
	return nil
}

func (d *Debugger) actor(args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		ref, err := actors.ParseRef(args[0])
		if err != nil {
			return err
		}
		n = slices.IndexFunc(d.segments, func(s *record.Segment) bool { return s.Ref == ref })
	}
	if n < 0 || n >= len(d.segments) {
		return fmt.Errorf("replay: %s is not in the recording; actors lists who is", args[0])
	}
	if err := d.begin(n); err != nil {
		return err
	}
	return d.jump([]string{"0"})
}

// Outcomes writes what today's behaviours do in every step, a JSON object each: what `replay --against` compares.
func (d *Debugger) Outcomes() error {
	d.json = true
	for i := range d.segments {
		if err := d.begin(i); err != nil {
			return err
		}
		for !d.play.Done() {
			d.step()
			d.show()
		}
	}
	return nil
}
