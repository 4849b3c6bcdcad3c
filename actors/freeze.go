package actors

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// This file brings the actors of a shard to rest, so that they can go on elsewhere: a planned move. What they are then
// is written by moved.go, and made again by arrival.go.

// freezePatience is how much longer than a question a commit is waited for, or a Receiver that writes.
const freezePatience = time.Second

var errFrozenTwice = errors.New("actors: freeze: the shard is being frozen already")

// A Frozen is the actors of one tenure at rest at a message boundary. Nothing of them runs and nothing of them leaves,
// neither turns nor timers nor flushes; what the store answers meanwhile waits. Exactly one of Thaw and Discard ends
// it. Its methods may be called from any goroutine, one at a time.
type Frozen struct {
	sys    *System
	tenure Tenure
	done   func(*Frozen, error)

	mu     sync.Mutex // guards what follows
	phase  freezePhase
	actors map[*process]unrest
	open   int // of the actors, those that are not at rest
	stop   func() bool
}

type freezePhase uint8

const (
	freezing freezePhase = iota // not all are at rest
	frozen
	thawed // or discarded, or given up
)

// An unrest is why an actor is not at rest.
type unrest uint8

const (
	atRest    unrest = iota
	inTurn           // it has not heard yet that it is to rest
	loading          // its cells are on their way
	leaving          // it passivates
	asking           // a question has no answer
	inCommit         // a commit has no answer
	finishing        // a Receiver has something under way
)

func (u unrest) String() string {
	return [...]string{"is at rest", "handles a message", "loads", "passivates", "waits for an answer",
		"waits for a commit", "finishes what is under way"}[u]
}

// isPatient: what ends by itself soon is waited for beyond the bound of questions.
func (u unrest) isPatient() bool { return u == inCommit || u == finishing }

// Freeze brings all actors of a tenure to rest at a message boundary: an open question, a load and a passivation are
// waited for up to within, a commit and a Receiver for a second more, a plain flush not at all. From the call on
// nothing may be delivered for the shard. done is called once, later, from any goroutine; with an error nothing has
// changed and the actors go on.
func (s *System) Freeze(t Tenure, within time.Duration, done func(*Frozen, error)) {
	f := &Frozen{sys: s, tenure: t, done: done, actors: map[*process]unrest{}}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop = s.o.Clock.AfterFunc(within, f.hurry)
	f.gather()
}

// gather tells the actors of the tenure to come to rest. When all that it knows are, it looks again: an actor that has
// ended may have a successor. The caller has the lock.
func (f *Frozen) gather() {
	for _, p := range f.sys.actorsOf(f.tenure) {
		if _, known := f.actors[p]; known {
			continue
		}
		if !p.freezing.CompareAndSwap(nil, f) {
			f.end(errFrozenTwice)
			return
		}
		if p.box.post(laneControl, func() { p.body.freeze() }) { // else it has ended
			f.actors[p] = inTurn
			f.open++
		}
	}
	if f.open > 0 {
		return
	}
	f.phase = frozen
	f.stop()
	f.sys.o.Scheduler.Run(func() { f.done(f, nil) })
}

// heard is told by an actor how it is. One that is at rest does nothing from here on.
func (f *Frozen) heard(p *process, u unrest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.actors[p]; !known || f.phase != freezing {
		return
	}
	if f.actors[p] = u; u != atRest {
		return
	}
	p.box.freeze(true)
	f.settle()
}

// gone is told that an actor has ended.
func (f *Frozen) gone(p *process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.actors[p]; known && f.phase == freezing {
		delete(f.actors, p)
		f.settle()
	}
}

// settle counts one less that is not at rest. The caller has the lock.
func (f *Frozen) settle() {
	if f.open--; f.open == 0 {
		f.gather()
	}
}

// hurry gives up, unless all that is waited for ends soon.
func (f *Frozen) hurry() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase != freezing {
		return
	}
	for _, p := range f.sorted() {
		if u := f.actors[p]; u != atRest && !u.isPatient() {
			f.end(fmt.Errorf("actors: freeze: %s %s", p.ref, u))
			return
		}
	}
	f.stop = f.sys.o.Clock.AfterFunc(freezePatience, f.giveUp)
}

func (f *Frozen) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase != freezing {
		return
	}
	for _, p := range f.sorted() {
		if u := f.actors[p]; u != atRest {
			f.end(fmt.Errorf("actors: freeze: %s %s", p.ref, u))
			return
		}
	}
}

// end lets all go on as if nothing had been, and says why. The caller has the lock.
func (f *Frozen) end(why error) {
	f.release()
	f.sys.o.Scheduler.Run(func() { f.done(nil, why) })
}

// release lets all go on. The caller has the lock.
func (f *Frozen) release() {
	f.phase = thawed
	f.stop()
	for _, p := range f.sorted() {
		p.freezing.Store(nil)
		p.box.post(laneControl, func() { p.body.thaw() })
		p.box.freeze(false)
	}
}

// Thaw lets the actors go on here: the move is off. What has come for them meanwhile is handled now: timers that are
// due, and what the store has answered.
func (f *Frozen) Thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase == frozen {
		f.release()
	}
}

// Asked is the requests that wait in the mailboxes, in the order of their actors. They are read only, and those of the
// State: what had begun has come to its end.
func (f *Frozen) Asked() []*Envelope {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*Envelope
	for _, p := range f.sorted() {
		for _, item := range p.box.waiting() {
			if e, ok := item.(*Envelope); ok && e.Type == Message && e.Request != 0 {
				all = append(all, e)
			}
		}
	}
	return all
}

// Discard ends the actors here, because they live elsewhere now: they are not told, write nothing, and answer nobody.
func (f *Frozen) Discard() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase != frozen {
		return
	}
	f.phase = thawed
	for _, p := range f.sorted() {
		p.discard()
	}
	for i := range f.sys.stripes {
		f.sys.stripes[i].forget(f.tenure.Role, []int{f.tenure.Shard})
	}
}

// sorted lists the actors in canonical order. The caller has the lock.
func (f *Frozen) sorted() []*process {
	all := make([]*process, 0, len(f.actors))
	for p := range f.actors {
		all = append(all, p)
	}
	return sortedProcesses(all)
}

func sortedProcesses(all []*process) []*process {
	slices.SortFunc(all, func(a, b *process) int {
		return cmp.Or(compareRefs(a.ref, b.ref), cmp.Compare(a.tenure.Epoch, b.tenure.Epoch))
	})
	return all
}

// actorsOf lists those of a tenure in canonical order.
func (s *System) actorsOf(t Tenure) []*process {
	var all []*process
	for i := range s.stripes {
		st := &s.stripes[i]
		st.mu.Lock()
		for _, p := range st.processes {
			if p.kind.placement.How == OnePerID && p.tenure == t {
				all = append(all, p)
			}
		}
		st.mu.Unlock()
	}
	return sortedProcesses(all)
}

// rest tells whoever freezes the actor how it is, after everything that it has done.
func (p *process) rest() {
	if f := p.freezing.Load(); f != nil && !p.ended {
		f.heard(p, p.body.unrest())
	}
}

// discard ends an actor that is frozen.
func (p *process) discard() {
	p.body.discard()
	p.ended = true
	st := p.sys.stripe(p.ref)
	st.mu.Lock()
	if st.processes[p.ref] == p {
		delete(st.processes, p.ref)
	}
	p.box.close()
	st.mu.Unlock()
	p.sys.ground.proto.Root.Stop(p.cell.pid)
}

// How an entity rests: messages wait until it has.

func (n *entity) freeze() { n.rehold() }
func (n *entity) thaw()   { n.rehold() }

func (n *entity) unrest() unrest {
	switch {
	case !n.active:
		return loading
	case n.leaving:
		return leaving
	case n.committing != nil:
		return inCommit
	case len(n.asked) > 0:
		return asking
	}
	return atRest
}

func (n *entity) discard() { n.quit() }

// How a Receiver rests: it says when.

func (r *resident) freeze() {
	r.rehold()
	f := r.freezing.Load()
	if r.leaving || f == nil {
		return
	}
	r.receiver.Freeze(func(left ...*Envelope) {
		r.post(func() {
			if r.calm = r.freezing.Load() == f; !r.calm {
				return
			}
			items := make([]any, len(left))
			for i, e := range left {
				items[i] = e
			}
			r.box.putBack(items...)
		})
	})
}

func (r *resident) thaw() {
	r.calm = false
	if !r.leaving {
		r.receiver.Thaw()
	}
	r.rehold()
}

func (r *resident) unrest() unrest {
	switch {
	case r.leaving:
		return leaving
	case !r.calm:
		return finishing
	}
	return atRest
}

func (r *resident) discard() { r.lost() }
