package actors

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

// holdPoll is how often an actor whose node's lease may be over looks whether it is not.
const holdPoll = 50 * time.Millisecond

// A process is any actor of this node: a name, a mailbox, and a body that is an entity or a Receiver.
type process struct {
	sys     *System
	ref     Ref
	kind    *kind
	tenure  Tenure
	cluster uint64 // in which of its node's clusters it came up
	box     *mailbox
	cell    cellProcess // protoactor's own part; see system.go
	body    body
	busy    busy // what it does now
	paused  bool // the lease may be over
	ended   bool

	freezing atomic.Pointer[Frozen] // it is to come to rest, or is at rest; nil: neither
}

// A body is what differs between entities and Receivers. Its methods run in the process, one at a time.
type body interface {
	start()
	receive(item any)
	rehold()        // closes or opens the user lane
	leave()         // finish what is under way, then end
	end(r *Refusal) // give up what is under way, and tell whoever waits r
	lost()          // another node owns it: give up what is under way

	freeze()        // come to rest, and do nothing new
	unrest() unrest // how far that is
	thaw()          // go on
	discard()       // it is frozen, and lives elsewhere now: let go of everything
}

// post runs f as part of the actor, before waiting messages.
func (p *process) post(f func()) { p.box.post(laneControl, f) }

// handle is called by protoactor with one item of the mailbox.
func (p *process) handle(item any) {
	if p.ended {
		return
	}
	p.act(item)
	p.rest()
}

func (p *process) act(item any) {
	if f, ok := item.(func()); ok {
		f()
		return
	}
	switch p.hold() {
	case Held:
		p.body.receive(item)
	case Paused:
		p.pause(item)
	default:
		p.box.putBack(item)
		p.fenced("the shard has another owner")
	}
}

// crashed ends the actor after a panic outside of any handler, the runtime's own fault or that of a migration or of a
// constructor: whoever waits is told, and the next message brings a fresh one up.
func (p *process) crashed(reason, item any) {
	p.sys.o.Log.Error("actor ended by a panic outside of its handlers", "actor", p.ref.String(), "error", reason,
		"stack", string(debug.Stack()))
	r := &Refusal{Code: Panicked, Text: p.ref.String() + " panicked outside of its handlers"}
	if e, ok := item.(*Envelope); ok {
		p.sys.refuseTo(e, r)
	}
	if n, ok := p.body.(*entity); ok {
		n.broke(reason)
	}
	p.body.end(r)
}

// hold is how this node stands to the actor's tenure.
func (p *process) hold() Hold {
	if p.kind.placement.How != OnePerID {
		return Held
	}
	epoch, hold := p.sys.router.Tenure(p.tenure.Role, p.tenure.Shard)
	if epoch != p.tenure.Epoch || p.cluster != p.sys.cluster.Load() {
		return Lost
	}
	return hold
}

// whenHeld runs f as soon as this node may act for the actor; never, if another node owns it.
func (p *process) whenHeld(f func()) {
	switch p.hold() {
	case Held:
		f()
	case Paused:
		p.sys.o.Clock.AfterFunc(holdPoll, func() { p.post(func() { p.whenHeld(f) }) })
	default:
		p.fenced("the shard has another owner")
	}
}

// pause puts item back and keeps the user lane closed for a while: the node may not act now.
func (p *process) pause(item any) {
	p.box.putBack(item)
	p.paused = true
	p.body.rehold()
	p.sys.o.Clock.AfterFunc(holdPoll, func() {
		p.post(func() {
			p.paused = false
			p.body.rehold()
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

// left closes the mailbox and says what its successor must be handed, and whether that must come up for it: not for
// bindings alone, if this one served nobody.
func (p *process) left() (left []any, wakes bool) {
	n, isEntity := p.body.(*entity)
	if isEntity {
		left = n.bindings()
	}
	for _, item := range p.box.close() {
		if _, ok := item.(*Envelope); ok {
			left = append(left, item)
			wakes = wakes || !isEntity || n.served || !isBinding(item)
		}
	}
	return left, wakes
}

// finish takes the process out of the system; what still waits in its mailbox goes to its successor, in order.
func (p *process) finish() {
	if p.ended {
		return
	}
	p.ended = true
	p.sys.remove(p)
	if f := p.freezing.Load(); f != nil {
		f.gone(p)
	}
}
