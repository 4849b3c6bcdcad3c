package actors

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// This file is what becomes of an entity whose turn failed.

// Failures of one entity within failureWindow before it rests, and for how long, doubling each time.
const (
	maxFailures   = 5
	failureWindow = time.Minute
	firstRest     = time.Second
	longestRest   = 30 * time.Second
)

// fail ends a turn that went wrong by our fault: the caller is told an incident that the log explains, and the instance
// is built anew from the cells as they were before the turn; if that happens often, after a rest.
func (n *entity) fail(t *turn, err error) {
	incident := fmt.Sprintf("%x-%x", n.seed>>40, n.turns)
	r := &Refusal{Code: Internal, Text: "the handler failed", Incident: incident}
	attributes := []any{"actor", n.ref.String(), "number", t.number, "name", t.name, "incident", incident,
		"error", err.Error()}
	if p := (*errPanic)(nil); errors.As(err, &p) {
		r.Code, r.Text = Panicked, "the handler panicked"
		attributes = append(attributes, "stack", string(p.stack))
	}
	n.sys.o.Log.Error("handler failed", attributes...)
	n.decline(t.request, r)
	n.rebuild()
	n.restIfOften(t.now)
	if !n.rests() {
		n.greet()
	}
}

// rebuild makes a fresh instance that keeps cells and groups. Continuations of the old one are dropped.
func (n *entity) rebuild() {
	n.dropQuestions(&Refusal{Code: Restarted, Text: n.ref.String() + " was rebuilt after a failure"})
	old := n.props
	n.props = n.construct()
	for i, c := range n.props.cells {
		c.adopt(old.cells[i])
	}
	for i, g := range n.props.groups {
		g.members = old.groups[i].members
	}
	n.fresh = true
}

func (n *entity) restIfOften(now time.Time) {
	before := n.resting()
	defer func() { n.note(restEdit{before, n.resting()}) }()
	n.failures = slices.DeleteFunc(n.failures, func(at time.Time) bool { return now.Sub(at) > failureWindow })
	n.failures = append(n.failures, now)
	if len(n.failures) <= maxFailures {
		n.rest = 0
		return
	}
	n.rest = min(max(n.rest*2, firstRest), longestRest)
	n.restUntil = now.Add(n.rest)
	n.sys.o.Log.Error("entity rests after failures", "actor", n.ref.String(), "for", n.rest)
}

func (n *entity) rests() bool { return n.last.Before(n.restUntil) }
