package actors

import (
	"fmt"
	"maps"
)

// This file is how an entity keeps who is bound to it.

// order handles one of the runtime's own messages.
func (n *entity) order(e *Envelope) {
	msg, err := ReadRuntimeMessage(e)
	if err != nil {
		n.sys.unhandled(e)
		n.sys.refuseTo(e, &Refusal{Code: UnknownNumber, Text: err.Error()})
		return
	}
	switch m := msg.(type) {
	case *Bound:
		n.bind(m)
	case *Unbound:
		n.unbind(m)
	case *Gone:
		n.prune(m.Sessions)
	case *Wake:
		n.wake()
	case *Delivered:
		n.confirmed(e.From, m)
	case *Inspect:
		n.inspect(e, m)
	case *Forget:
		n.forget(e.From, m)
	default:
		n.sys.unhandled(e)
	}
}

// bind takes a session in. Of two sessions logged in as this entity, the one with the higher number stays.
func (n *entity) bind(m *Bound) {
	if m.Who == n.ref && !m.Ears {
		for _, other := range n.clients() {
			b := n.bound[other]
			if other == m.Session {
				continue
			}
			loser := b
			if m.Number < b.Number || m.Number == b.Number && m.Session.ID < other.ID {
				loser = m
			}
			n.route(RuntimeMessage(n.ref, loser.Session,
				&KickOrder{Code: TakenOver, Text: n.ref.String() + " logged in elsewhere"}))
		}
	}
	n.regroup("bind", func() {
		n.turn.edits = append(n.turn.edits, boundEdit{m.Session, n.bound[m.Session], m})
		n.bound[m.Session] = m
		if n.props.audience != nil {
			n.props.audience.Add(m.Session)
		}
	})
	n.tell(m.Session, m.Who, m)
}

func (n *entity) unbind(m *Unbound) {
	before := n.bound[m.Session]
	if before == nil {
		return
	}
	delete(n.bound, m.Session)
	n.dismiss([]Ref{m.Session}, boundEdit{m.Session, before, nil})
	n.tell(m.Session, m.Who, m)
	if !n.ended {
		n.armIdle()
	}
}

// regroup changes the runtime's groups in a turn that always stands.
func (n *entity) regroup(name string, change func()) {
	t := n.newTurn(0, name)
	t.own = true
	n.run(t, func() (any, error) { change(); return done, nil })
}

// dismiss takes sessions out of every group.
func (n *entity) dismiss(sessions []Ref, edits ...Edit) {
	n.regroup("unbind", func() {
		n.turn.edits = edits
		for _, g := range n.props.groups {
			for _, s := range sessions {
				g.Remove(s)
			}
		}
	})
}

// tell tells the listeners, in a turn of theirs, of a session that came or went. An instance that has not been greeted
// hears of all that are there when it is.
func (n *entity) tell(session, who Ref, event any) {
	if n.fresh {
		return
	}
	t := n.newTurn(0, fmt.Sprintf("%T", event))
	t.session, t.from = session, who
	n.run(t, func() (any, error) {
		t.Emit(event)
		return done, nil
	})
}

// prune takes ended sessions out of every group. Each that was bound is unbound in its turn: a listener may commit.
func (n *entity) prune(sessions []Ref) {
	n.dismiss(sessions)
	var ended []any
	for _, s := range sessions {
		if b := n.bound[s]; b != nil {
			ended = append(ended, &Unbound{Session: s, Who: b.Who, Code: Unavailable})
		}
	}
	n.box.putBack(ended...)
}

// isBinding reports whether an item of a mailbox says who is bound: it is never refused, so that gates and entities
// agree.
func isBinding(item any) bool {
	e, ok := item.(*Envelope)
	return ok && (e.Number == NumberBound || e.Number == NumberUnbound)
}

// A farewell is who was bound to an entity when it ended here: the node keeps it for the next activation of the tenure.
type farewell struct {
	tenure Tenure
	items  []any // envelopes of Bound and Unbound, in their order
}

// bindings says Bound again for each session, to the next activation.
func (n *entity) bindings() (again []any) {
	for _, session := range sortedSet(maps.Keys(n.bound)) {
		again = append(again, RuntimeMessage(session, n.ref, n.bound[session]))
	}
	return again
}

// clients are the sessions logged in as this entity, in canonical order.
func (n *entity) clients() []Ref {
	return sortedSet(func(yield func(Ref) bool) {
		for s, b := range n.bound {
			if b.Who == n.ref && !b.Ears && !yield(s) {
				return
			}
		}
	})
}
