package persist

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// Limits bounds what a persist node holds. Zero fields take the defaults of DefaultLimits; a cache
// is left out with a negative CacheBytes.
type Limits struct {
	Writers      int           // statements under way at once
	BatchRows    int           // rows of one statement; an entity is never split
	BatchBytes   int           // bytes of one statement, likewise
	Gather       time.Duration // how long changes that nobody waits for may gather
	PendingRows  int           // not yet durable; beyond, requests are told STORE_BEHIND
	PendingBytes int           // likewise
	Waiting      int           // requests that wait at one keeper; beyond, they are told OVERLOADED
	CacheBytes   int64         // of clean images and rows
	AnswerRows   int           // rows of a Table that one answer holds; beyond, ROW_TOO_MANY
	AnswerBytes  int           // bytes of them, likewise
}

// DefaultLimits are the limits of a node whose configuration says nothing.
func DefaultLimits() Limits {
	return Limits{Writers: 2, BatchRows: 256, BatchBytes: 1 << 20, Gather: 50 * time.Millisecond,
		PendingRows: 200_000, PendingBytes: 256 << 20, Waiting: 10_000, CacheBytes: 64 << 20,
		AnswerRows: 1000, AnswerBytes: 4 << 20}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	l.Writers = cmp.Or(l.Writers, d.Writers)
	l.BatchRows = cmp.Or(l.BatchRows, d.BatchRows)
	l.BatchBytes = cmp.Or(l.BatchBytes, d.BatchBytes)
	l.Gather = cmp.Or(l.Gather, d.Gather)
	l.PendingRows = cmp.Or(l.PendingRows, d.PendingRows)
	l.PendingBytes = cmp.Or(l.PendingBytes, d.PendingBytes)
	l.Waiting = cmp.Or(l.Waiting, d.Waiting)
	l.AnswerRows = cmp.Or(l.AnswerRows, d.AnswerRows)
	l.AnswerBytes = cmp.Or(l.AnswerBytes, d.AnswerBytes)
	l.CacheBytes = max(cmp.Or(l.CacheBytes, d.CacheBytes), 0)
	return l
}

// Options is what an Archive is made of.
type Options struct {
	Database    Database // migrated for all Kinds
	Level       string   // what Database.Level said when it was opened
	Incarnation uint64
	Kinds       map[actors.KindName]string // what is kept, and the role where it lives
	// Newest says which tenure of a shard is the newest that this node has heard of, by its epoch; nil: it hears of
	// none but by claims. Whoever claims by an older one is not heard.
	Newest    func(role string, shard int) (epoch uint64)
	Clock     actors.Clock
	Scheduler actors.Scheduler
	Tables    map[string]*Mapping // that rows are kept of, by name
	Log       *slog.Logger
	Limits    Limits
}

// An Archive is the persistence of one persist node: its keepers and what they share.
type Archive struct {
	o        Options
	holder   atomic.Uint64 // the incarnation that fences are raised for
	counters counters
	work     *backlog
	health   *health
	writers  *writers
	raiser   *raiser
	cache    *cache
	patrol   *patrol // nil before Start

	rowWriters *rowWriters
	ids        *ids

	mu      sync.Mutex
	keepers map[int]*keeper // the newest of each shard
}

// NewArchive makes the archive; keepers come up as requests reach them.
func NewArchive(o Options) (*Archive, error) {
	if o.Incarnation == 0 {
		return nil, errors.New("persist: an archive needs its process's incarnation")
	}
	for k := range o.Kinds {
		if _, err := tableName(k); err != nil {
			return nil, err
		}
	}
	o.Limits = o.Limits.orDefault()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Newest == nil {
		o.Newest = func(string, int) uint64 { return 0 }
	}
	a := &Archive{o: o, work: &backlog{scheduler: o.Scheduler}, keepers: make(map[int]*keeper)}
	a.holder.Store(o.Incarnation)
	var err error
	if a.cache, err = newCache(o.Limits.CacheBytes, a.work, &a.counters); err != nil {
		return nil, err
	}
	a.health = &health{db: o.Database, clock: o.Clock, work: a.work, log: o.Log}
	a.health.level.Store(&o.Level)
	sends := sender{health: a.health, counters: &a.counters}
	a.writers = &writers{sender: sends, db: o.Database, clock: o.Clock, work: a.work, limits: o.Limits,
		urgent: newQueue(), later: newQueue()}
	a.raiser = &raiser{db: o.Database, work: a.work, health: a.health, counters: &a.counters}
	a.rowWriters = &rowWriters{sender: sends, db: o.Database, work: a.work, limits: o.Limits}
	a.ids = &ids{db: o.Database, work: a.work, health: a.health, counters: &a.counters,
		blocks: make(map[string]*block)}
	a.health.up, a.health.fell = a.writers.wake, a.writers.recall
	return a, nil
}

// Renew makes the archive one of another incarnation. Its keepers must have ended.
func (a *Archive) Renew(incarnation uint64) { a.holder.Store(incarnation) }

// Start gives the archive the cluster, before anything reaches its keepers, and lets it look for
// what is due from now on. served says whether a shard of a role has somebody who runs its actors.
// An archive that was not started takes every shard of its keepers for its own, and wakes nobody.
func (a *Archive) Start(r actors.Router, served func(role string, shard int) bool) {
	a.patrol = newPatrol(a, r, served)
	a.patrol.start()
}

// holds says how this node stands to a tenure of a keeper.
func (a *Archive) holds(t actors.Tenure) actors.Hold {
	if a.patrol == nil {
		return actors.Held
	}
	epoch, hold := a.patrol.router.Tenure(t.Role, t.Shard)
	if epoch != t.Epoch {
		return actors.Lost
	}
	return hold
}

// up finds the keepers of some shards, as far as there are any.
func (a *Archive) up(shards []int) map[int]*keeper {
	a.mu.Lock()
	defer a.mu.Unlock()
	up := make(map[int]*keeper, len(shards))
	for _, n := range shards {
		if k := a.keepers[n]; k != nil && !k.retired.Load() {
			up[n] = k
		}
	}
	return up
}

// Kind is the kind of the keepers: one actor per shard, on the nodes of KeeperRole.
func (a *Archive) Kind() actors.Kind {
	return actors.Kind{Name: KeeperKind, Role: KeeperRole, ByShard: true,
		Receiver: func(r actors.Runner) actors.Receiver { return a.keeper(r) }}
}

// keeper makes the keeper of a shard. One that this node had before has lost the shard meanwhile:
// what it still held is its senders' to send again.
func (a *Archive) keeper(r actors.Runner) *keeper {
	k := newKeeper(a, r)
	a.mu.Lock()
	defer a.mu.Unlock()
	if before := a.keepers[k.shard]; before != nil {
		before.retire()
	}
	a.keepers[k.shard] = k
	return k
}

// Report counts.
func (a *Archive) Report() Report {
	r := a.counters.report()
	r.Down, r.Level = a.health.is() != well, *a.health.level.Load()
	now := a.o.Clock.Now().UnixNano()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range a.keepers {
		for _, at := range [...]int64{k.oldestAt.Load(), k.rows.oldestAt.Load()} {
			if at != 0 {
				r.Oldest = max(r.Oldest, time.Duration(now-at))
			}
		}
	}
	return r
}

// admit holds room for what is about to be pending, unless so much is pending already that no more is taken on. The
// caller releases it when it has counted what it took on: keepers ask at the same time, and all of them together stay
// within the bound.
func (a *Archive) admit(rows, bytes int) bool {
	c := &a.counters // what was admitted is read first: it becomes pending, and must be in one of both
	r, b := c.admittedRows.Add(int64(rows)), c.admittedBytes.Add(int64(bytes))
	if r+c.rows.Load() <= int64(a.o.Limits.PendingRows) && b+c.bytes.Load() <= int64(a.o.Limits.PendingBytes) {
		return true
	}
	a.release(rows, bytes)
	c.behind.Add(1)
	return false
}

func (a *Archive) release(rows, bytes int) {
	a.counters.admittedRows.Add(-int64(rows))
	a.counters.admittedBytes.Add(-int64(bytes))
}

// Close ends what the keepers share, after they were stopped, and then the database. What is still
// pending is given up, and the error says how much.
func (a *Archive) Close() error {
	if a.patrol != nil {
		a.patrol.close()
	}
	a.health.close()
	a.writers.close()
	a.work.close()
	a.cache.close()
	var left error
	if n := a.counters.rows.Load(); n > 0 {
		left = fmt.Errorf("persist: closed with %d rows unwritten", n)
	}
	return errors.Join(left, a.o.Database.Close())
}

// A backlog is the work that an archive has offloaded, so that it can be waited for.
type backlog struct {
	scheduler actors.Scheduler
	mu        sync.Mutex
	closed    bool
	underway  sync.WaitGroup
}

// offload runs f where it may block; nothing once the archive is closed.
func (b *backlog) offload(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.underway.Add(1)
	b.scheduler.Offload(func() {
		defer b.underway.Done()
		f()
	})
}

// close takes nothing more on and waits for what is under way.
func (b *backlog) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.underway.Wait()
}
