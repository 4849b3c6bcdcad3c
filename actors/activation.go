package actors

import (
	"maps"
	"time"
)

// This file is an entity's life on this node: how it comes up, what a new instance hears first, and how it ends.

func (n *entity) construct() *Props {
	p := &Props{kind: n.kind, entity: n}
	n.kind.New(p)
	if len(p.handlers) != n.kind.table.handlers || len(p.cells)+len(p.groups) != len(n.kind.table.cells) {
		panic("actors: the constructor of " + string(n.kind.Name) + " declares other things than it did at start")
	}
	if n.kind.stored() {
		p.box = newBox(n)
		p.kept = p.box
		p.cells = append(p.cells, p.box)
	} else if n.kind.table.retries {
		p.kept = newBox(n)
		p.cells = append(p.cells, p.kept)
	}
	return p
}

// start loads the cells; the user lane is closed until they are there.
func (n *entity) start() {
	n.rehold()
	if n.props != nil {
		n.whenHeld(n.arrive)
		return
	}
	n.props = n.construct()
	n.whenHeld(n.load)
}

// load brings a cold instance up.
func (n *entity) load() {
	if !n.kind.stored() {
		n.begin()
		return
	}
	n.sys.o.Store.Load(n.ref, n.tenure, func(s Snapshot, err error) {
		n.post(func() { n.whenHeld(func() { n.loaded(s, err) }) })
	})
}

func (n *entity) loaded(s Snapshot, err error) {
	if err == nil {
		err = n.fill(s)
	}
	if err == nil {
		n.begin()
		return
	}
	n.sys.o.Log.Warn("entity not loaded", "actor", n.ref.String(), "error", err)
	r, ok := refusalOf(err)
	if !ok {
		r = &Refusal{Code: Internal, Text: err.Error()}
	}
	n.end(r)
}

// begin begins the life of an entity that comes up cold.
func (n *entity) begin() {
	n.cold = true
	n.look() // it has been idle for no time yet, though it has handled nothing
	n.open()
}

// open gives the instance its first events and opens the user lane.
func (n *entity) open() {
	n.active, n.fresh = true, true
	if n.sys.o.Tap != nil {
		n.trace = n.sys.o.Tap.Opened(n)
	}
	if !n.rests() {
		n.greet()
	}
	if !n.ended {
		n.armIdle()
		n.rehold()
		if n.props.box != nil {
			n.props.box.arm()
		}
	}
}

// greet gives a new instance its first events, before any message: Loaded; Started, if it comes up cold; Bound for each
// session. If one of the first two fails, a later instance hears them anew.
func (n *entity) greet() { n.input(&Input{Type: InputGreet}, n.greeting) }

func (n *entity) greeting() {
	if !n.event(&Loaded{}) {
		return
	}
	n.fresh, n.woken = false, n.tables
	if n.cold {
		if !n.event(&Started{}) {
			return
		}
		n.cold = false
	}
	var known []any
	for _, session := range sortedSet(maps.Keys(n.bound)) {
		known = append(known, &reminded{n.bound[session], n.props})
	}
	n.box.putBack(known...)
}

// A reminded is a Bound that an instance missed because an earlier one had it.
type reminded struct {
	bound *Bound
	to    *Props
}

// receive handles one item of the user lane.
func (n *entity) receive(item any) {
	if n.look(); n.fresh && !n.rests() {
		n.box.putBack(item)
		n.greet()
		return
	}
	n.served = true
	switch m := item.(type) {
	case *Envelope:
		n.input(&Input{Type: InputMessage, Envelope: m}, func() { n.message(m) })
	case *timer:
		n.fire(m)
	case *Unbound:
		n.input(&Input{Type: InputUnbound, Session: m.Session}, func() { n.unbind(m) })
	case *reminded:
		if b := m.bound; m.to == n.props && n.bound[b.Session] == b {
			n.input(&Input{Type: InputReminded, Session: b.Session}, func() { n.tell(b.Session, b.Who, b) })
		}
	}
}

// leave passivates the entity: its last event, then a flush, then the end. Open questions and commits come first.
func (n *entity) leave() {
	switch {
	case n.leaving:
		return
	case !n.active:
		n.end(&Refusal{Code: Unavailable, Text: n.ref.String() + " is stopping"})
		return
	case n.committing != nil || len(n.asked) > 0 && n.isPatient():
		n.isToLeave = true
		n.sys.o.Clock.AfterFunc(holdPoll, func() { n.post(n.leave) })
		return
	}
	n.input(&Input{Type: InputStop}, n.stop)
}

// stop gives the entity its last event, and lets it end when all it changed is durable.
func (n *entity) stop() {
	n.dropQuestions(&Refusal{Code: Restarted, Text: n.ref.String() + " is stopping"})
	n.leaving = true
	if !n.fresh {
		n.event(&Stopped{})
	}
	n.rehold()
	n.stopTimers()
	n.depart()
}

// isPatient reports whether an entity that is to end waits for answers. When its node stops, it does so for as long as
// a question takes by default: what it has not written yet must not be lost over one that takes longer.
func (n *entity) isPatient() bool {
	now := n.sys.o.Clock.Now()
	if n.patience.IsZero() && n.sys.isStopping() {
		n.patience = now.Add(defaultAsk)
	}
	return n.patience.IsZero() || now.Before(n.patience)
}

// depart ends the entity as soon as all it changed is durable.
func (n *entity) depart() {
	if n.underway != nil || n.committing != nil || n.ended {
		return
	}
	if n.dirty() {
		n.save(false)
		return
	}
	n.end(&Refusal{Code: Restarted, Text: n.ref.String() + " was passivated"})
}

// end finishes the entity; whoever still waits for an answer is told r. If it served nobody, those who wait for it are
// told why, and bindings stay for the next activation: otherwise it would come up for them and end, again and again.
func (n *entity) end(r *Refusal) {
	n.dropWaiting(r)
	if !n.served {
		var stay []any
		for _, item := range n.box.drain() {
			if isBinding(item) {
				stay = append(stay, item)
			} else if e, ok := item.(*Envelope); ok {
				n.sys.refuseTo(e, r)
			}
		}
		n.box.putBack(stay...)
	}
	n.finish()
}

// lost answers whoever waits; nothing of the entity may be written any more.
func (n *entity) lost() { n.dropWaiting(&Refusal{Code: Unavailable, Text: n.ref.String() + " moved"}) }

// dropWaiting forgets timers and open questions, and answers whoever waits.
func (n *entity) dropWaiting(r *Refusal) {
	n.dropQuestions(r)
	if c := n.committing; c != nil && c.sent {
		n.refuse(c.turn.request, &Refusal{Code: CommitUnknown, Text: r.Text})
	} else if c != nil {
		n.refuse(c.turn.request, r)
	}
	n.quit()
}

// quit lets go of all that would have the entity do something later, and of who listens to it.
func (n *entity) quit() {
	n.stopTimers()
	for _, stop := range []func() bool{n.flushing, n.stopIdle} {
		if stop != nil {
			stop()
		}
	}
	if n.props.box != nil {
		n.props.box.disarm()
		n.sys.stuck.Add(-int64(n.props.box.stuck))
		n.props.box.stuck = 0
	}
	n.hush()
}

// armIdle looks after IdleAfter whether the entity has had nothing to do, and passivates it then. An entity with
// sessions bound to it stays.
func (n *entity) armIdle() {
	if how := n.kind.placement.How; n.kind.IdleAfter < 0 || how == Workers || how == PerNode {
		return
	}
	if n.stopIdle != nil {
		n.stopIdle()
	}
	wait := n.last.Add(n.kind.IdleAfter).Sub(n.sys.o.Clock.Now())
	n.stopIdle = n.sys.o.Clock.AfterFunc(max(wait, time.Millisecond), func() {
		n.post(func() {
			idle := !n.sys.o.Clock.Now().Before(n.last.Add(n.kind.IdleAfter)) && n.box.UserMessageCount() == 0
			if idle && len(n.bound) == 0 && len(n.asked) == 0 && n.committing == nil {
				n.served = true // whoever comes from now on is for the next activation, and not refused
				n.leave()
			} else if len(n.bound) == 0 { // else unbind arms it again
				n.armIdle()
			}
		})
	})
}

// rehold closes the user lane while something must come first, and opens it after.
func (n *entity) rehold() {
	n.box.hold(!n.active || n.leaving || n.waiting > 0 || n.committing != nil || n.paused || n.freezing.Load() != nil)
}
