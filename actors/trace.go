package actors

import (
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"
)

// tracing is the part of an entity that lets a Trace hear what it does. Where nobody listens it costs a comparison.
type tracing struct {
	trace  Trace // nil: nobody listens
	heard  *Step // the input under way, when somebody does
	inside bool  // an input is under way
	rerun  bool  // its inputs are those of a recording
	deaf   bool  // the activation is over, and the input under way is the last to be heard
}

// input runs what an input makes the entity do: all of it happens at one time, with one edition of the tables. An input
// within another is part of that one.
func (n *entity) input(in *Input, act func()) {
	if n.inside {
		act()
		return
	}
	n.look()
	n.tables = nil
	s := (*Step)(nil)
	if n.trace != nil {
		s = &Step{Input: *in, Before: n.turns, Quiet: n.isQuiet(in), Asked: n.posed, Cold: n.cold}
		s.Input.At = n.last.UnixNano()
	}
	n.heard, n.inside = s, true
	act()
	n.heard, n.inside = nil, false
	if s != nil {
		s.Input.Tables = n.tables
		n.trace.Heard(s)
	}
	if n.deaf {
		n.hush()
	}
}

// broke ends an input under way that has panicked outside of every handler.
func (n *entity) broke(reason any) {
	s := n.heard
	n.heard, n.inside = nil, false
	if s == nil || n.trace == nil {
		return
	}
	s.Turns = append(s.Turns, Turn{Name: "outside of handlers", Verdict: Broken, Text: fmt.Sprint("panic: ", reason),
		Stack: string(debug.Stack())})
	s.Input.Tables = n.tables
	n.trace.Heard(s)
}

// look reads the clock; an entity's time never runs backwards. It has what a recording holds of it and no more: neither
// the machine's zone, nor a monotonic part.
func (n *entity) look() {
	if now := time.Unix(0, n.sys.o.Clock.Now().UnixNano()).UTC(); now.After(n.last) {
		n.last = now
	}
}

// isQuiet reports whether the state alone, without what is under way, decides what becomes of an input.
func (n *entity) isQuiet(in *Input) bool {
	isTold := n.props.box == nil || len(n.props.box.news) == 0
	return isTold && len(n.asked) == 0 && n.committing == nil && (in.Type == InputGreet || !n.fresh && !n.cold)
}

// hush ends the Trace, after the input under way.
func (n *entity) hush() {
	if n.deaf = n.inside; n.trace != nil && !n.deaf {
		n.trace.Closed()
		n.trace = nil
	}
}

// route sends an envelope of the entity's own.
func (n *entity) route(e *Envelope) {
	if n.heard != nil {
		out := *e
		out.Epoch = 0 // the router's business, and written by it
		n.heard.Out = append(n.heard.Out, out)
	}
	n.sys.Route(e)
}

// report tells what became of a turn.
func (n *entity) report(t *turn, err error) {
	if n.heard == nil {
		return
	}
	r := Turn{Number: t.number, Name: t.name, Verdict: verdictOf(err), Commit: t.commit}
	if err != nil {
		r.Text = err.Error()
	}
	if p := (*errPanic)(nil); errors.As(err, &p) {
		r.Stack = string(p.stack)
	}
	if r.Verdict == Stood || r.Verdict == Kept {
		for _, e := range t.effects {
			if e.timer != nil {
				r.Timers = append(r.Timers, *e.timer)
			}
		}
		r.Edits = append(t.edits, edits(t.touched, false)...)
	}
	n.heard.Turns = append(n.heard.Turns, r)
}

func edits(touched []undoable, undoing bool) []Edit {
	var all []Edit
	for _, u := range touched {
		all = append(all, u.edit(undoing))
	}
	return all
}

// note adds a change of the runtime's own state to the newest turn.
func (n *entity) note(e Edit) {
	if n.heard != nil && len(n.heard.Turns) > 0 {
		last := &n.heard.Turns[len(n.heard.Turns)-1]
		last.Edits = append(last.Edits, e)
	}
}

// verdictOf says how a turn ended that ended with err.
func verdictOf(err error) Verdict {
	_, refused := refusalOf(err)
	switch {
	case err == nil:
		return Stood
	case errors.As(err, new(kept)):
		return Kept
	case refused:
		return Declined
	case errors.As(err, new(*errPanic)):
		return Broken
	}
	return Failed
}

func (v Verdict) isFault() bool { return v == Failed || v == Broken }

// Self, Clients and Image make an entity a View.
func (n *entity) Self() Ref      { return n.ref }
func (n *entity) Clients() []Ref { return n.clients() }

func (n *entity) Image(mask Mask) (*Image, error) {
	p := NewPatch(mask)
	var errs []error
	for _, c := range n.props.cells {
		errs = append(errs, c.image(p))
	}
	for _, g := range n.props.groups {
		for member := range g.members {
			p.join(g.name, member, true)
		}
	}
	maps.Copy(p.Bound, n.bound)
	p.Rest = n.resting()
	i := &Image{Ref: n.ref, Seed: n.seed, Turns: n.turns, Asked: n.posed, At: n.last.UnixNano(), Cold: n.cold,
		Tables: n.woken, State: p}
	if named, ok := n.woken.(interface{ Hash() string }); ok {
		i.Edition = named.Hash()
	}
	if n.trace == nil && n.props.box != nil { // later its inputs tell of what leaves
		i.News = slices.Clone(n.props.box.news)
	}
	return i, errors.Join(errs...)
}

// become brings an entity that has just been made into the state that the image shows. What the present constructor
// does not know of it is an error that names the cell.
func (n *entity) become(i *Image) error {
	n.seed, n.turns, n.posed, n.last = i.Seed, i.Turns, i.Asked, time.Unix(0, i.At).UTC()
	n.cold = i.Cold
	known := map[string]bool{}
	var errs []error
	for _, c := range n.props.cells {
		known[c.cellName()] = true
		errs = append(errs, c.load(i.State.Cells, i.State.Rows))
	}
	for _, g := range n.props.groups {
		known["group "+g.name] = true
		for member, is := range i.State.Groups[g.name] {
			if is {
				g.set(member, true)
			}
		}
	}
	for session, b := range i.State.Bound {
		if b != nil {
			n.bound[session] = b
		}
	}
	if i.State.Rest != nil {
		n.restAs(i.State.Rest)
	}
	if n.props.box != nil {
		n.props.box.news = slices.Clone(i.News)
	}
	for _, name := range i.State.names() {
		if !known[name] {
			errs = append(errs, fmt.Errorf("actors: %s has no cell %s any more", n.ref.Kind, name))
		}
	}
	return errors.Join(errs...)
}

func (n *entity) resting() *Rest {
	r := &Rest{For: n.rest}
	for _, at := range n.failures {
		r.Failures = append(r.Failures, at.UnixNano())
	}
	if !n.restUntil.IsZero() {
		r.Until = n.restUntil.UnixNano()
	}
	return r
}

func (n *entity) restAs(r *Rest) {
	n.rest, n.failures, n.restUntil = r.For, nil, time.Time{}
	for _, at := range r.Failures {
		n.failures = append(n.failures, time.Unix(0, at).UTC())
	}
	if r.Until != 0 {
		n.restUntil = time.Unix(0, r.Until).UTC()
	}
}

func (p *Patch) join(group string, member Ref, is bool) {
	if p.Groups[group] == nil {
		p.Groups[group] = map[Ref]bool{}
	}
	p.Groups[group][member] = is
}

// editWeight is what an edit weighs beside the contents that it keeps, in bytes, and memberWeight what a member does.
const (
	editWeight   = 64
	memberWeight = 96
)

// A restEdit is a failure, and what the entity remembered before it.
type restEdit struct{ before, after *Rest }

func (e restEdit) Before(p *Patch) error { p.Rest = e.before; return nil }
func (e restEdit) After(p *Patch) error  { p.Rest = e.after; return nil }

// A boundEdit is a session that came or went.
type boundEdit struct {
	session       Ref
	before, after *Bound // nil: not bound
}

func (e boundEdit) Before(p *Patch) error { p.Bound[e.session] = e.before; return nil }
func (e boundEdit) After(p *Patch) error  { p.Bound[e.session] = e.after; return nil }

// A groupEdit is who came and went in a group, as it was before.
type groupEdit struct {
	g      *Group
	before map[Ref]bool
}

func (g *Group) edit(undoing bool) Edit {
	e := groupEdit{g, map[Ref]bool{}}
	for _, m := range slices.Backward(g.log) {
		if _, is := g.members[m.ref]; undoing {
			e.before[m.ref] = is
		} else {
			e.before[m.ref] = !m.came
		}
	}
	return e
}

func (e groupEdit) Before(p *Patch) error {
	for member, is := range e.before {
		p.join(e.g.name, member, is)
	}
	return nil
}

func (e groupEdit) After(p *Patch) error {
	for member := range e.before {
		_, is := e.g.members[member]
		p.join(e.g.name, member, is)
	}
	return nil
}

// Weight is what it keeps in memory, in bytes.
func (e groupEdit) Weight() int { return editWeight + len(e.before)*memberWeight }
