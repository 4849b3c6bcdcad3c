package gate

import (
	"slices"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// A binding is an entity that the session's client plays, speaks to, or hears. Of each kind there
// is at most one that is not ears only: it gets the client's messages for that kind.
type binding struct {
	to     actors.Ref
	who    actors.Ref // as the entity was told
	ears   bool
	number uint64
}

// self is whom the session's messages come from.
func (s *Session) self() actors.Ref {
	if s.who.IsZero() {
		return s.ref
	}
	return s.who
}

// receiver is the actor that a client's message goes to: the one of its kind that the session is
// bound to, or any of the kind for what is served before login.
func (s *Session) receiver(t *wire.Type, kind actors.KindName) (actors.Ref, bool) {
	if t.Public || !s.who.IsZero() {
		for _, b := range s.bindings {
			if b.to.Kind == kind && !b.ears {
				return b.to, true
			}
		}
	}
	return actors.Ref{Kind: kind}, t.Public
}

// order obeys an actor.
func (s *Session) order(e *actors.Envelope) {
	msg, err := actors.ReadRuntimeMessage(e)
	if err != nil {
		s.gate.Counters.Forbidden.Add(1)
		s.gate.Log.Warn("unreadable order to a session", "session", s.ref.String(),
			"from", e.From.String(), "error", err)
		return
	}
	switch m := msg.(type) {
	case *actors.BindOrder:
		s.bind(m)
	case *actors.UnbindOrder:
		s.unbind(m.Kind)
	case *actors.KickOrder:
		s.gate.overtaken(m.Number)
		if m.Number == 0 || s.loses(e.From, m.Number) {
			s.kick(m)
		}
	case *actors.Doubt:
		s.restate(e.From)
	default:
		s.gate.Counters.Forbidden.Add(1)
	}
}

// restate says again whether the session is bound to an entity that may have missed it.
func (s *Session) restate(to actors.Ref) {
	for i := range s.bindings {
		if b := &s.bindings[i]; b.to == to {
			b.who = s.self()
			s.pass(actors.RuntimeMessage(s.ref, to, s.bound(*b)))
			return
		}
	}
	s.unbound(binding{to: to, who: s.self()}, "")
}

// bind makes the entity hear of the session, before any message of the client's reaches it.
func (s *Session) bind(o *actors.BindOrder) {
	g := s.gate
	if err := o.To.Check(); err != nil || o.Login && o.Ears {
		g.Counters.BindRefused.Add(1)
		g.Log.Warn("bind refused", "session", s.ref.String(), "to", o.To.String(), "error", err)
		return
	}
	if s.boundAs(o) {
		return
	}
	if len(s.bindings) >= g.Limits.Bindings && !s.replacing(o) {
		g.Counters.BindRefused.Add(1)
		g.Log.Warn("bind refused: too many", "session", s.ref.String(), "to", o.To.String())
		return
	}
	s.bindings = slices.DeleteFunc(s.bindings, func(b binding) bool {
		if b.to != o.To && replaces(o, b) {
			s.unbound(b, "")
		}
		return replaces(o, b)
	})
	var number uint64
	if o.Login && s.who != o.To {
		number = s.login(o.To)
	} else {
		number = g.nextBind(g.Clock.Now())
	}
	b := binding{to: o.To, who: s.self(), ears: o.Ears, number: number}
	s.bindings = append(s.bindings, b)
	s.pass(actors.RuntimeMessage(s.ref, b.to, s.bound(b)))
}

// login makes the session act as another entity: whom it is bound to already, meets it anew. It returns the number of
// the bind.
func (s *Session) login(as actors.Ref) uint64 {
	g := s.gate
	if !s.who.IsZero() {
		g.release(s.who, s)
	}
	s.who = as
	number, other := g.claim(as, s)
	if other != nil {
		s.then(rival{other, as, number}.yield)
	}
	for i := range s.bindings {
		b := &s.bindings[i]
		s.unbound(*b, "")
		b.who, b.number = as, g.nextBind(g.Clock.Now())
		s.pass(actors.RuntimeMessage(s.ref, b.to, s.bound(*b)))
	}
	return number
}

// loses reports whether the session is still logged in as an account by a bind of this number or an older one: it may
// have let go meanwhile, or come again, and an order to close it is about what it was.
func (s *Session) loses(account actors.Ref, number uint64) bool {
	return s.who == account && !slices.ContainsFunc(s.bindings, func(b binding) bool {
		return b.to == account && b.number > number
	})
}

// A rival is a session that a newer login at this gate has overtaken.
type rival struct {
	session *Session
	as      actors.Ref
	number  uint64 // of the newer bind
}

// yield closes the session, unless it has let go meanwhile.
func (r rival) yield() {
	s := r.session
	s.mu.Lock()
	defer s.leave()
	if s.loses(r.as, r.number) {
		s.end(wire.CloseTakenOver, "logged in elsewhere")
	}
}

// replaces reports whether a bind ends the binding b: the same entity's, or another's of the kind
// if neither is ears only.
func replaces(o *actors.BindOrder, b binding) bool {
	return b.to == o.To || b.to.Kind == o.To.Kind && !b.ears && !o.Ears
}

func (s *Session) replacing(o *actors.BindOrder) bool {
	return slices.ContainsFunc(s.bindings, func(b binding) bool { return replaces(o, b) })
}

// boundAs reports whether the session is bound to the entity as ordered, or closer.
func (s *Session) boundAs(o *actors.BindOrder) bool {
	return slices.ContainsFunc(s.bindings, func(b binding) bool {
		return b.to == o.To && (!b.ears || o.Ears) && (!o.Login || s.who == o.To)
	})
}

// unbind lets go of all entities of a kind; letting go of whom it is logged in as logs it out, so it lets go of all.
func (s *Session) unbind(kind actors.KindName) {
	out := s.who.Kind == kind
	s.bindings = slices.DeleteFunc(s.bindings, func(b binding) bool {
		if out || b.to.Kind == kind {
			s.unbound(b, "")
		}
		return out || b.to.Kind == kind
	})
	if out {
		s.gate.release(s.who, s)
		s.who = actors.Ref{}
	}
}

// kick closes the session as an actor wants it: a code that is a close number's name closes with
// that number, a game's code stands in the text.
func (s *Session) kick(o *actors.KickOrder) {
	for _, n := range wire.CloseNumbers() {
		if o.Code == codeOf(n) {
			s.end(n, o.Text)
			return
		}
	}
	text := string(o.Code)
	if o.Text != "" {
		text += ": " + o.Text
	}
	s.end(wire.CloseKicked, text)
}

func (s *Session) bound(b binding) *actors.Bound {
	return &actors.Bound{Session: s.ref, Who: b.who, Ears: b.ears, Number: b.number, Away: s.absence != nil}
}

// presence tells those whom the client plays or speaks to, and who listen, that it is away or back.
func (s *Session) presence(event any) {
	for _, b := range s.bindings {
		if !b.ears && (s.gate.Listens == nil || s.gate.Listens(b.to.Kind)) {
			s.pass(actors.RuntimeMessage(s.ref, b.to, event))
		}
	}
}

func (s *Session) unbound(b binding, code actors.Code) {
	s.pass(actors.RuntimeMessage(s.ref, b.to,
		&actors.Unbound{Session: s.ref, Who: b.who, Code: code}))
}

// announce says Bound again, under the old numbers, and before all that waits for the entity here; then it calls done.
func (s *Session) announce(covers func(actors.Ref) bool, done func()) {
	s.mu.Lock()
	defer s.leave()
	s.then(done)
	for i := range s.bindings {
		if b := &s.bindings[i]; covers(b.to) {
			b.who = s.self()
			s.todo.route = append(s.todo.route, actors.Announce(b.to, s.bound(*b)))
		}
	}
}
