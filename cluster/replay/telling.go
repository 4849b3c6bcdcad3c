package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/record"
)

// A Telling says in words what actors do: one line an event. Transcripts, differences and the terminal share it, so
// that whoever has read one can read all.
type Telling struct {
	messages wire.Catalogue
	sessions map[actors.Ref]string // short names
}

// NewTelling knows the messages of a catalogue.
func NewTelling(c wire.Catalogue) *Telling {
	return &Telling{messages: c, sessions: map[actors.Ref]string{}}
}

// The signs of a line: what came, what left, what changed, what went wrong.
const (
	signIn    = "<-"
	signOut   = "->"
	signState = "=="
	signWrong = "!!"
)

// A line is one event of one actor.
type line struct{ sign, text string }

func (l line) String() string { return l.sign + " " + l.text }

// step tells a step: its input, then what came of it.
func (l *Telling) step(s *record.Step) []line {
	return append([]line{{signIn, l.input(s.Input)}}, l.outcome(s)...)
}

// outcome tells what came of an input: verdicts, what changed, what left.
func (l *Telling) outcome(s *record.Step) []line {
	var all []line
	for _, t := range s.Turns {
		all = append(all, l.turn(t)...)
	}
	for _, change := range l.changes(s.Patch) {
		all = append(all, line{signState, change})
	}
	for _, e := range s.Out {
		all = append(all, line{signOut, l.out(e)})
	}
	return all
}

func (l *Telling) turn(t record.Turn) []line {
	var all []line
	switch t.Verdict {
	case actors.Declined:
		all = append(all, line{signWrong, t.Name + " refused: " + t.Text})
	case actors.Kept:
		all = append(all, line{signWrong, t.Name + " refused, its edits kept: " + t.Text})
	case actors.Failed:
		all = append(all, line{signWrong, t.Name + " failed: " + t.Text})
	case actors.Broken:
		all = append(all, line{signWrong, t.Name + " panicked: " + strings.TrimPrefix(t.Text, "panic: ")})
	}
	if t.Commit {
		all = append(all, line{signState, "waits until this is durable"})
	}
	for _, o := range t.Timers {
		all = append(all, line{signState, l.timer(o)})
	}
	return all
}

func (l *Telling) timer(o actors.TimerOrder) string {
	what := "timer " + l.message(o.Number, wire.JSON, o.Body)
	switch {
	case o.Cancel:
		return what + " cancelled"
	case o.Every:
		return fmt.Sprintf("%s every %v", what, o.Wait)
	}
	return fmt.Sprintf("%s in %v", what, o.Wait)
}

// input tells what happened to the actor.
func (l *Telling) input(in record.Input) string {
	switch in.Type {
	case actors.InputGreet:
		return "begins"
	case actors.InputTimer:
		return "timer " + l.body(in.Envelope)
	case actors.InputAnswer:
		return l.answer(in)
	case actors.InputStored:
		if in.Refusal != nil {
			return "the store: not written, " + in.Refusal.Error()
		}
		return "the store: durable"
	case actors.InputWritten:
		return "the store: what waited in the box is durable"
	case actors.InputUnknown:
		return "the store: nobody knows, " + in.Refusal.Error()
	case actors.InputUnbound:
		return l.name(in.Session) + " has ended"
	case actors.InputReminded:
		return l.name(in.Session) + " is bound, as it was"
	case actors.InputStop:
		return "stops"
	}
	e := in.Envelope
	what := l.body(e)
	if e.Request != 0 {
		what += " ?"
	}
	from := l.name(e.From)
	if !e.Session.IsZero() && e.Session != e.From {
		from += " (" + l.name(e.Session) + ")"
	}
	return from + " " + what
}

func (l *Telling) answer(in record.Input) string {
	switch {
	case in.Refusal != nil:
		return "answer: " + in.Refusal.Error()
	case in.Envelope == nil:
		return "work done: " + string(in.Result)
	case in.Envelope.Type == actors.Refused:
		return l.name(in.Envelope.From) + " refused: " + in.Envelope.Refusal().Error()
	}
	return l.name(in.Envelope.From) + " answers " + l.body(in.Envelope)
}

// out tells what left the actor.
func (l *Telling) out(e actors.Envelope) string {
	var to []string
	for _, r := range e.Fan {
		to = append(to, l.name(r))
	}
	if len(to) == 0 {
		to = append(to, l.name(e.To))
	}
	where := strings.Join(to, ", ")
	switch {
	case e.Type == actors.Refused:
		return where + " refused: " + e.Refusal().Error()
	case e.Type == actors.Answered:
		return where + " answer " + l.body(&e)
	case e.Request != 0:
		return where + " asked " + l.body(&e)
	}
	return where + " " + l.body(&e)
}

// name is the actor's own; that of a session is a short one, given in the order in which they are first told of.
func (l *Telling) name(r actors.Ref) string {
	switch {
	case r.IsEveryone():
		return "everyone"
	case r.Kind != actors.SessionKind:
		return r.String()
	}
	if l.sessions[r] == "" {
		l.sessions[r] = fmt.Sprintf("client-%d", len(l.sessions)+1)
	}
	return l.sessions[r]
}

func (l *Telling) body(e *actors.Envelope) string { return l.message(e.Number, e.Codec, e.Body) }

// message is a message's name and contents.
func (l *Telling) message(number uint32, codec wire.Codec, body []byte) string {
	if number == 0 {
		return "(empty)"
	}
	if number < wire.FirstGameNumber && l.messages.ByNumber(number) == nil {
		msg, err := actors.ReadRuntimeMessage(&actors.Envelope{Number: number, Codec: codec, Body: body})
		if err != nil {
			return fmt.Sprintf("%d %s", number, body)
		}
		return l.brief(strings.TrimPrefix(fmt.Sprintf("%T", msg), "*actors."), msg)
	}
	t := l.messages.ByNumber(number)
	if t == nil {
		return fmt.Sprintf("%d (not in the catalogue) %q", number, body)
	}
	if codec == wire.JSON && json.Valid(body) {
		return t.Name + " " + string(body)
	}
	msg, err := t.Decode(codec, body)
	if err == nil {
		if text, err := t.Encode(wire.JSON, msg); err == nil {
			return t.Name + " " + string(text)
		}
	}
	return fmt.Sprintf("%s %q", t.Name, body)
}

// brief is one of the runtime's own messages, with sessions by their short names.
func (l *Telling) brief(name string, msg any) string {
	switch m := msg.(type) {
	case *actors.Bound:
		ears := ""
		if m.Ears {
			ears = ", listening"
		}
		if m.Away {
			ears += ", away"
		}
		return fmt.Sprintf("%s %s as %s%s", name, l.name(m.Session), l.name(m.Who), ears)
	case *actors.Unbound:
		return strings.TrimSpace(fmt.Sprintf("%s %s %s", name, l.name(m.Session), m.Code))
	case *actors.Away:
		return name + " " + l.name(m.Session)
	case *actors.Back:
		return name + " " + l.name(m.Session)
	case *actors.Gone:
		var who []string
		for _, s := range m.Sessions {
			who = append(who, l.name(s))
		}
		return name + " " + strings.Join(who, ", ")
	}
	text, err := json.Marshal(msg)
	if err != nil {
		return name
	}
	return name + " " + string(text)
}

// changes tells a patch, a line each, in order of their names.
func (l *Telling) changes(p *actors.Patch) []string {
	if p == nil {
		return nil
	}
	var all []string
	for _, texts := range []map[string]json.RawMessage{p.Cells, p.Rows} {
		for _, name := range slices.Sorted(maps.Keys(texts)) {
			if text := contents(texts[name]); text != "" { // the box is the runtime's own
				all = append(all, name+" "+text)
			}
		}
	}
	for _, group := range slices.Sorted(maps.Keys(p.Groups)) {
		members := p.Groups[group]
		for _, r := range slices.SortedFunc(maps.Keys(members), byName) {
			sign := "-"
			if members[r] {
				sign = "+"
			}
			all = append(all, fmt.Sprintf("group %s %s%s", group, sign, l.name(r)))
		}
	}
	for _, r := range slices.SortedFunc(maps.Keys(p.Bound), byName) {
		if p.Bound[r] == nil {
			all = append(all, "no longer bound: "+l.name(r))
		} else {
			all = append(all, "bound: "+l.name(r))
		}
	}
	if r := p.Rest; r != nil && len(r.Failures) > 0 {
		all = append(all, fmt.Sprintf("%d failures of late", len(r.Failures)))
	}
	return all
}

func byName(a, b actors.Ref) int { return strings.Compare(a.String(), b.String()) }

// contents is what stands in a cell or a row, without its version.
func contents(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return "(gone)"
	}
	var cell struct {
		Plain json.RawMessage `json:"d"`
	}
	if err := json.Unmarshal(raw, &cell); err != nil {
		return string(raw)
	}
	return string(cell.Plain)
}

// seconds is a time as lines begin with it.
func seconds(since, at time.Time) string { return fmt.Sprintf("%9.3f", at.Sub(since).Seconds()) }
