package actors

import (
	"time"
)

// holdPoll is how often an actor whose node's lease may be over looks whether it is not.
const holdPoll = 50 * time.Millisecond

// A process is any actor of this node: a name, a mailbox, and a body that is an entity or a Receiver.
type process struct {
	sys    *System
	ref    Ref
	kind   *kind
	tenure Tenure
	box    *mailbox
	cell   cellProcess // protoactor's own part; see system.go
	body   body
	busy   busy // what it does now
	paused bool // the lease may be over
	ended  bool
}

// A body is what differs between entities and Receivers. Its methods run in the process, one at a time.
type body interface {
	start()
	receive(item any)
	leave() // finish what is under way, then end
	lost()  // another node owns it: give up what is under way
}

// post runs f as part of the actor, before waiting messages.
func (p *process) post(f func()) { p.box.post(laneControl, f) }

// handle is called by protoactor with one item of the mailbox.
func (p *process) handle(item any) {
	if f, ok := item.(func()); ok {
		if !p.ended {
			f()
		}
		return
	}
	if p.ended {
		p.sys.bounce(item)
		return
	}
	switch hold := p.hold(); hold {
	case Held:
		p.body.receive(item)
	case Paused:
		p.pause(item)
	default:
		p.fenced("the shard has another owner")
		p.sys.bounce(item)
	}
}

// hold is how this node stands to the actor's tenure.
func (p *process) hold() Hold {
	if p.kind.placement.How != OnePerID {
		return Held
	}
	epoch, hold := p.sys.router.Tenure(p.tenure.Role, p.tenure.Shard)
	if epoch != p.tenure.Epoch {
		return Lost
	}
	return hold
}

// pause keeps the user lane closed until the node may act again, and then goes on with item.
func (p *process) pause(item any) {
	p.paused = true
	p.box.hold(true)
	p.sys.o.Clock.AfterFunc(holdPoll, func() {
		p.post(func() {
			p.paused = false
			p.box.hold(false)
			p.handle(item)
			if n, ok := p.body.(*entity); ok && !p.paused {
				n.rehold()
			}
		})
	})
}

// fenced ends the actor at once: another owner runs it, and nothing of it may be written or sent.
func (p *process) fenced(why string) {
	if p.ended {
		return
	}
	p.sys.fencedCount.Add(1)
	p.sys.o.Log.Warn("actor ended: not ours any more", "actor", p.ref.String(), "why", why)
	p.body.lost()
	p.finish()
}

// finish takes the process out of the system; what still waits in its mailbox goes to its successor, in order.
func (p *process) finish() {
	if p.ended {
		return
	}
	p.ended = true
	p.sys.remove(p)
}

// lost answers whoever waits; nothing of the entity may be written any more.
func (n *entity) lost() { n.dropWaiting(&Refusal{Code: Unavailable, Text: n.ref.String() + " moved"}) }

// leave passivates the entity: its last event, then a flush, then the end.
func (n *entity) leave() {
	if n.stopping {
		return
	}
	n.stopping = true
	if !n.active {
		n.end(&Refusal{Code: Unavailable, Text: n.ref.String() + " is stopping"})
		return
	}
	if n.waiting > 0 || n.committing != nil {
		n.stopping = false
		n.sys.o.Clock.AfterFunc(holdPoll, func() { n.post(n.leave) })
		return
	}
	n.event(&Stopped{})
	n.leaving = true
	n.rehold()
	n.stopTimers()
	n.depart()
}

// depart ends the entity as soon as all it changed is durable.
func (n *entity) depart() {
	if n.underway != nil || n.ended {
		return
	}
	if n.dirty() {
		n.save(false)
		return
	}
	n.end(&Refusal{Code: Restarted, Text: n.ref.String() + " was passivated"})
}

// end finishes the entity; whoever still waits for an answer is told r.
func (n *entity) end(r *Refusal) {
	n.dropWaiting(r)
	if !n.active { // it never came up: those who wait for it are told why
		for _, item := range n.box.drain() {
			if e, ok := item.(*Envelope); ok && e.Request != 0 {
				n.sys.Route(e.Refuse(r))
			} else if ok {
				n.sys.lost.Add(1)
			}
		}
	}
	n.finish()
}

// dropWaiting forgets timers and open questions, and answers whoever waits.
func (n *entity) dropWaiting(r *Refusal) {
	n.stopTimers()
	for _, id := range sortedKeys(n.asked) {
		q := n.asked[id]
		q.stop()
		delete(n.asked, id)
		n.refuse(q.request, r)
	}
	if c := n.committing; c != nil {
		n.refuse(c.turn.request, &Refusal{Code: CommitUnknown, Text: r.Text})
	}
	for _, stop := range []func() bool{n.flushing, n.stopIdle} {
		if stop != nil {
			stop()
		}
	}
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
			idle := !n.sys.o.Clock.Now().Before(n.last.Add(n.kind.IdleAfter))
			if idle && len(n.bound) == 0 && n.waiting == 0 && n.committing == nil {
				n.leave()
			} else if len(n.bound) == 0 { // else unbind arms it again
				n.armIdle()
			}
		})
	})
}
