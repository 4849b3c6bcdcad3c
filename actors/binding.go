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
	case *Away:
		n.presence(m.Session, true, m)
	case *Back:
		n.presence(m.Session, false, m)
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

// A Claim is the newest login as an entity, present or not.
type Claim struct {
	Number  uint64 `json:"number"`
	Session Ref    `json:"session"`
}

// isNewer reports whether of two sessions this one stays. The number says it, and the name if they began at once.
func (c Claim) isNewer(other Claim) bool {
	return c.Number > other.Number || c.Number == other.Number && c.Session.ID > other.Session.ID
}

// bind takes a session in. Of the sessions that log in as this entity the newest stays; that one is remembered in the
// entity's row, so that an older one which is announced after a death is known to be older though its rival has left.
func (n *entity) bind(m *Bound) {
	if n.sys.o.Ended(m.Session) { // or this node has not heard of its gate yet: that shows
		n.sys.o.Clock.AfterFunc(expelAfter, func() { n.post(n.expel) })
	}
	claim := Claim{m.Number, m.Session}
	if m.Who == n.ref && !m.Ears {
		n.contend(claim)
	}
	if n.knows(m) {
		return
	}
	n.regroup("bind", func() {
		if b := n.props.box; b != nil && m.Who == n.ref && !m.Ears && claim.isNewer(b.now.Claim) {
			b.change().Claim = claim
		}
		n.turn.edits = append(n.turn.edits, boundEdit{m.Session, n.bound[m.Session], m})
		n.bound[m.Session] = m
		if n.props.audience != nil {
			n.props.audience.Add(m.Session)
		}
	})
	n.tell(m.Session, m.Who, m)
}

// knows reports whether a Bound says nothing new, or only whether the client is there. It does so when it is said
// again: its gate could not know whether the session was forgotten, and tells only those of absence who listen.
func (n *entity) knows(m *Bound) bool {
	before := n.bound[m.Session]
	if before == nil {
		return false
	}
	there := *before
	there.Away = m.Away
	switch {
	case there != *m:
		return false
	case m.Away:
		n.presence(m.Session, true, &Away{Session: m.Session})
	default:
		n.presence(m.Session, false, &Back{Session: m.Session})
	}
	return true
}

// contend closes the sessions that lose against a login, or the one that logs in, if it does.
func (n *entity) contend(claim Claim) {
	newest := claim
	for _, other := range n.clients() {
		rival := Claim{n.bound[other].Number, other}
		switch {
		case other == claim.Session:
		case claim.isNewer(rival):
			n.takeOver(other, claim)
		case rival.isNewer(newest):
			newest = rival
		}
	}
	if b := n.props.box; b != nil && b.now.Claim.isNewer(newest) {
		newest = b.now.Claim
	}
	if newest.Session != claim.Session {
		n.takeOver(claim.Session, newest)
	}
}

func (n *entity) takeOver(loser Ref, winner Claim) {
	n.route(RuntimeMessage(n.ref, loser, &KickOrder{Code: TakenOver, Text: n.ref.String() + " logged in elsewhere",
		Number: winner.Number}))
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

// presence notes whether the client of a session is there, and tells the listeners if that is new.
func (n *entity) presence(session Ref, away bool, event any) {
	before := n.bound[session]
	if before == nil || before.Away == away {
		return
	}
	now := *before
	now.Away = away
	n.regroup("presence", func() {
		n.turn.edits = append(n.turn.edits, boundEdit{session, before, &now})
		n.bound[session] = &now
	})
	n.tell(session, now.Who, event)
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
	return ok && e.Binds()
}

// A farewell is who was bound to an entity when it ended here: the node keeps it for the next activation of the tenure.
type farewell struct {
	tenure Tenure
	items  []any // envelopes that say who is bound, in their order
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
