package actors

import (
	"time"
)

// This file is how a node gives everything up that lives by shards, and goes on: the cluster forgot it.

// retirePoll is how often Retire looks whether the actors have ended.
const retirePoll = 5 * time.Millisecond

// What has been retired.
const (
	retiredEntities = 1 + iota
	retiredResidents
)

// Retire ends the entities that live by shards, or, with residents, the runtime's own actors that do. What they changed
// is written first, and they handle nothing more, not even Stopped. None comes up until Resume. done is called once,
// when all have ended or within is over: what is left then is counted, and Resume ends it.
func (s *System) Retire(residents bool, within time.Duration, done func(left int)) {
	s.mu.Lock()
	s.retired = retiredEntities
	if residents {
		s.retired = retiredResidents
	}
	s.mu.Unlock()
	for _, p := range s.sharded(residents) {
		p.post(p.retire)
	}
	s.awaitRetired(residents, s.o.Clock.Now().Add(within), done)
}

func (s *System) awaitRetired(residents bool, until time.Time, done func(left int)) {
	left := len(s.sharded(residents))
	if left == 0 || !s.o.Clock.Now().Before(until) {
		done(left)
		return
	}
	s.o.Clock.AfterFunc(retirePoll, func() { s.awaitRetired(residents, until, done) })
}

// Resume lets actors come up again, in a cluster that knows nothing of those before: whatever is left of them is no
// owner's any more, and epochs begin anew.
func (s *System) Resume() {
	s.cluster.Add(1)
	for i := range s.stripes {
		st := &s.stripes[i]
		st.mu.Lock()
		clear(st.farewells)
		st.mu.Unlock()
	}
	for _, residents := range []bool{false, true} {
		for _, p := range s.sharded(residents) {
			p.post(func() {
				if p.hold() == Lost {
					p.fenced("the cluster has forgotten it")
				}
			})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired = 0
}

// sharded lists the actors that live by shards, in canonical order.
func (s *System) sharded(residents bool) []*process {
	var all []*process
	for _, p := range s.living(residents) {
		if p.kind.placement.How == OnePerID {
			all = append(all, p)
		}
	}
	return all
}

// retire ends the actor as soon as what it changed is written.
func (p *process) retire() {
	if n, ok := p.body.(*entity); ok {
		n.retire()
		return
	}
	p.body.leave()
}

// retire ends the entity without its last event: its node may not act any more.
func (n *entity) retire() {
	switch {
	case n.leaving || n.ended:
		return
	case !n.active:
		n.end(&Refusal{Code: Unavailable, Text: n.ref.String() + " is not owned here any more"})
		return
	case n.committing != nil:
		n.sys.o.Clock.AfterFunc(holdPoll, func() { n.post(n.retire) })
		return
	}
	n.dropQuestions(&Refusal{Code: Restarted, Text: n.ref.String() + " is not owned here any more"})
	n.leaving = true
	n.rehold()
	n.stopTimers()
	n.depart()
}
