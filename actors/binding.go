package actors

// This file is how an entity keeps who is bound to it.

// order handles one of the runtime's own messages.
func (n *entity) order(e *Envelope) {
	msg, err := ReadRuntimeMessage(e)
	if err != nil {
		n.sys.unhandled(e)
		return
	}
	switch m := msg.(type) {
	case *Bound:
		n.bind(m)
	case *Unbound:
		n.unbind(m)
	case *Gone:
		n.prune(m.Sessions)
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
			n.sys.Route(RuntimeMessage(n.ref, loser.Session,
				&KickOrder{Code: TakenOver, Text: n.ref.String() + " logged in elsewhere"}))
		}
	}
	n.bound[m.Session] = m
	n.bindingTurn(m.Session, m.Who, m, func() {
		if n.props.audience != nil {
			n.props.audience.Add(m.Session)
		}
	})
}

func (n *entity) unbind(m *Unbound) {
	if n.bound[m.Session] == nil {
		return
	}
	delete(n.bound, m.Session)
	n.bindingTurn(m.Session, m.Who, m, func() {
		for _, g := range n.props.groups {
			g.Remove(m.Session)
		}
	})
	n.armIdle()
}

// bindingTurn changes the runtime's groups in a turn that always stands, and then tells the listeners in one of theirs.
func (n *entity) bindingTurn(session, who Ref, event any, change func()) {
	t := n.newTurn(0, "binding")
	n.run(t, func() (any, error) { change(); return done, nil })
	t = n.newTurn(0, "binding")
	t.session, t.from = session, who
	n.run(t, func() (any, error) {
		t.Emit(event)
		return done, t.failed
	})
}

// prune takes ended sessions out of every group.
func (n *entity) prune(sessions []Ref) {
	t := n.newTurn(0, "prune")
	n.run(t, func() (any, error) {
		for _, g := range n.props.groups {
			for _, s := range sessions {
				g.Remove(s)
			}
		}
		return done, nil
	})
	for _, s := range sessions {
		if b := n.bound[s]; b != nil {
			n.unbind(&Unbound{Session: s, Who: b.Who, Code: Unavailable})
		}
	}
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
