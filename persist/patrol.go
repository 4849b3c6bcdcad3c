package persist

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// patrolEvery is how often a node looks for what is due.
const patrolEvery = time.Second

// A patrol wakes entities whose time has come and buries tombstones that are old, in the shards
// that this node keeps. It asks the store and no keeper: after everything was down, none is up.
//
// An entity that runs, and whose newest state is not stored yet, may be woken for a time that it
// has dealt with: that is one message too many, and it knows.
type patrol struct {
	archive *Archive
	router  actors.Router
	served  func(role string, shard int) bool
	wakes   []*sweep // by kind
	tombs   []*sweep // likewise
	busy    atomic.Bool

	mu     sync.Mutex
	stop   func() bool // of the next round's timer
	closed bool
}

func newPatrol(a *Archive, r actors.Router, served func(string, int) bool) *patrol {
	p := &patrol{archive: a, router: r, served: served}
	for _, kind := range slices.Sorted(maps.Keys(a.o.Kinds)) {
		role := a.o.Kinds[kind]
		p.wakes = append(p.wakes, &sweep{search: Search{Kind: kind}, role: role})
		p.tombs = append(p.tombs, &sweep{search: Search{Kind: kind, Tombs: true}, role: role})
	}
	return p
}

// start begins the rounds; there are none where nothing is kept.
func (p *patrol) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.wakes) > 0 && !p.closed {
		p.stop = p.archive.o.Clock.AfterFunc(patrolEvery, p.round)
	}
}

func (p *patrol) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.stop != nil {
		p.stop()
	}
}

// round goes round once, unless the store is down or the round before is still under way.
func (p *patrol) round() {
	kept := p.kept()
	if len(kept) > 0 && !p.archive.health.down() && !p.busy.Swap(true) {
		p.archive.work.offload(func() {
			p.wake(kept)
			p.bury(kept)
			p.busy.Store(false)
		})
	}
	p.start()
}

// kept lists the shards that this node keeps.
func (p *patrol) kept() []int {
	var kept []int
	for shard := range p.router.Shards() {
		if _, hold := p.router.Tenure(KeeperRole, shard); hold == actors.Held {
			kept = append(kept, shard)
		}
	}
	return kept
}

// wake wakes the entities that are due. Those that nobody could run at present are left alone: as
// soon as somebody can, their sweep begins anew.
func (p *patrol) wake(kept []int) {
	for _, s := range p.wakes {
		served := slices.DeleteFunc(slices.Clone(kept), func(n int) bool { return !p.served(s.role, n) })
		for _, d := range p.find(s, served) {
			keeper := KeeperKind.Ref(strconv.Itoa(d.Shard))
			e := actors.RuntimeMessage(keeper, s.search.Kind.Ref(d.ID), &actors.Wake{})
			e.At = p.archive.o.Clock.Now().UnixNano()
			p.archive.counters.wakes.Add(1)
			p.router.Route(e)
		}
	}
}

// bury hands tombstones that are old to their keepers. Where no keeper is up, nothing was deleted
// since this node has the shard, and what was before can wait.
func (p *patrol) bury(kept []int) {
	up := p.archive.up(kept)
	for _, s := range p.tombs {
		if s.atEnd && p.archive.o.Clock.Now().Sub(s.began) < sweepAgain {
			continue // they are in no hurry
		}
		found := p.find(s, slices.DeleteFunc(slices.Clone(kept), func(n int) bool { return up[n] == nil }))
		slices.SortStableFunc(found, func(a, b Due) int { return a.Shard - b.Shard })
		for len(found) > 0 {
			n := 1
			for n < len(found) && found[n].Shard == found[0].Shard {
				n++
			}
			k, mine := up[found[0].Shard], found[:n:n]
			k.runner.Post(func() { k.bury(s.search.Kind, mine) })
			found = found[n:]
		}
	}
}

// find finds what is due next.
func (p *patrol) find(s *sweep, shards []int) []Due {
	known := s.failed
	found, err := s.next(context.Background(), p.archive.o.Database, shards, p.archive.o.Clock.Now())
	if err != nil {
		p.archive.health.told(err)
		if !known && !errors.Is(err, ErrDown) {
			p.archive.o.Log.Error("what is due cannot be found", "kind", string(s.search.Kind), "error", err)
		}
		return nil
	}
	if len(found) == sweepRows {
		p.archive.counters.crowded.Add(1)
	}
	return found
}
