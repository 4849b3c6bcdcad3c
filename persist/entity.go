package persist

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/fireflyrt/firefly/actors"
)

// What is pending costs besides its bytes, as BenchmarkMemory measures it: an entity with its part ”, its place at the
// writers and who waits for it, and each other part.
const (
	entityOverhead = 1800
	partOverhead   = 300
)

// An entity is what a keeper holds of one that is not clean: its parts that are not yet durable,
// the newest of each, and who waits. It is forgotten when nothing is left of that.
type entity struct {
	ref      actors.Ref
	parts    map[string]*Part // pending, by name; all under the same owner
	owner    Fence            // newest that a change came from, or that took it over
	bytes    int              // of the parts
	waiting  []waiter         // for changes to be durable, oldest first
	shown    uint64           // version at which a load was answered with what is pending; 0: none was
	under    map[string]*Part // of what is pending as it was shown: the parts that newer ones lie over
	isUnsure bool             // it may be in the store already
	refusals int              // how often in a row the store has refused what was shown
	parcel   *parcel
	loads    []*actors.Envelope // that wait for the store; not empty: it is being read
	since    int64              // Unix nanoseconds; see age.go
	handed   int64              // when the writers were last given what they have of it
	confirms int                // how often parts became durable, to know what a read has missed
}

func (e *entity) rows() int { return len(e.parts) }

// version is the one that is pending; 0: none is.
func (e *entity) version() uint64 {
	if whole := e.parts[""]; whole != nil {
		return whole.Version
	}
	return 0
}

// undoable reports whether whoever waits may be told that what is pending will not be written.
func (e *entity) undoable() bool {
	return e.urgent() && !e.isUnsure && e.version() > e.shown
}

// partsOf lists what a save writes.
func partsOf(m *save) []*Part {
	cells := m.Cells
	if isNull(cells) {
		cells = json.RawMessage("{}")
	}
	box := m.Box
	if isNull(box) {
		box = nil
	}
	parts := append(make([]*Part, 0, len(m.Parts)+1),
		&Part{Version: m.Version, Data: cells, Box: box, DueAt: m.DueAt})
	for name, data := range m.Parts {
		if isNull(data) {
			data = nil
		}
		parts = append(parts, &Part{Name: name, Version: m.Version, Data: data})
	}
	return parts
}

// held is what a pending part costs.
func (p *Part) held() int {
	if p.Name == "" {
		return p.bytes() + entityOverhead
	}
	return p.bytes() + partOverhead
}

func (p *Part) bytes() int { return len(p.Name) + len(p.Data) + len(p.Box) }

// save takes a change on: it is kept until the store has it, or the sender was told otherwise.
func (k *keeper) save(env *actors.Envelope, m *save) {
	k.archive.counters.saves.Add(1)
	role, known := k.archive.o.Kinds[m.Kind]
	e := k.entities[m.ref()]
	switch {
	case !known:
		k.refuse(env, actors.StoreRefused, "kind "+string(m.Kind)+" has no table")
		return
	case k.isStale(role, m.Fence), e != nil && m.Fence < e.owner.Epoch:
		k.archive.counters.fenced.Add(1)
		k.refuse(env, actors.ErrFenced, m.ref().String()+" has another owner")
		return
	case m.Term < k.term:
		k.archive.counters.late.Add(1)
		k.answer(env, &saved{Term: k.term})
		return
	case m.Commit && k.archive.health.down() && (e == nil || !e.isUnsure):
		k.refuse(env, actors.StoreUnavailable, k.archive.health.outage().Error())
		return
	}
	parts := partsOf(m)
	if rows, bytes := k.growth(e, parts); !m.Shown && (rows > 0 || bytes > 0) {
		if !k.archive.admit(rows, bytes) {
			k.refuse(env, actors.StoreBehind, "the store does not keep up")
			return
		}
		defer k.archive.release(rows, bytes)
	}
	e = k.entity(m.ref())
	if len(e.parts) > 0 && m.Fence > e.owner.Epoch { // claimed elsewhere, without what is pending
		k.withdraw(e)
		e = k.entity(m.ref())
	}
	e.owner = Fence{Epoch: m.Fence, Holder: m.Holder}
	if !k.wait(e, waiter{env, m.Fence, m.Version, m.Commit}) {
		k.refuse(env, actors.Overloaded, "too many saves of "+m.ref().String()+" wait")
		return
	}
	e.isUnsure = e.isUnsure || m.Again
	if m.Version > e.version() { // else it is the same again, or one that was overtaken
		k.merge(e, parts)
	}
	if m.Shown && m.Version == e.version() {
		k.show(e)
	}
	if k.hand(e) != parcelFree {
		k.archive.counters.coalesced.Add(1)
	}
}

// entity finds what is held of an entity, or begins to hold it.
func (k *keeper) entity(ref actors.Ref) *entity {
	e := k.entities[ref]
	if e != nil {
		return e
	}
	e = &entity{ref: ref, parts: make(map[string]*Part)}
	e.parcel = &parcel{kind: ref.Kind, role: k.archive.o.Kinds[ref.Kind], keeper: k, entity: e}
	k.entities[ref] = e
	return e
}

// growth is by how much merging the parts would let grow what is pending.
func (k *keeper) growth(e *entity, parts []*Part) (rows, bytes int) {
	for _, p := range parts {
		rows, bytes = rows+1, bytes+p.held()
		if e == nil {
			continue
		}
		if old, ok := e.parts[p.Name]; ok && old.Version > e.shown {
			rows, bytes = rows-1, bytes-old.held()
		}
	}
	return rows, bytes
}

func (k *keeper) merge(e *entity, parts []*Part) {
	wasClean := len(e.parts) == 0
	for _, p := range parts {
		old, ok := e.parts[p.Name]
		switch {
		case ok && p.Version < old.Version:
			continue
		case ok && old.Version <= e.shown:
			if e.under == nil {
				e.under = make(map[string]*Part)
			}
			e.under[p.Name] = old
			k.count(e, 1, p.held())
		case ok:
			k.count(e, 0, p.held()-old.held())
		default:
			k.count(e, 1, p.held())
		}
		e.parts[p.Name] = p
	}
	if wasClean {
		k.pending++
		k.aged(e, k.archive.o.Clock.Now().UnixNano())
	}
}

// count adds to what is pending.
func (k *keeper) count(e *entity, rows, bytes int) {
	e.bytes += bytes
	k.held.rows.Add(int64(rows))
	k.held.bytes.Add(int64(bytes))
	k.archive.counters.rows.Add(int64(rows))
	k.archive.counters.bytes.Add(int64(bytes))
}

// hand hands what is pending of an entity to the writers, and returns what they had of it before:
// a queued change it replaces, one under way it has to wait for.
func (k *keeper) hand(e *entity) (before parcelState) {
	if len(e.parts) == 0 || k.fence.Epoch == 0 {
		return parcelFree
	}
	c := Change{ID: e.ref.ID, Shard: k.shard, Owner: e.owner, Keeper: k.fence,
		Parts: make([]Part, 0, len(e.parts))}
	bytes := 0
	for _, p := range e.parts {
		c.Parts, bytes = append(c.Parts, *p), bytes+p.bytes()
	}
	slices.SortFunc(c.Parts, func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
	urgent := e.urgent()
	before = k.archive.writers.put(e.parcel, c, bytes, k.isHurried() || urgent, e.undoable())
	if before != parcelTaken {
		e.handed = k.archive.o.Clock.Now().UnixNano()
	}
	return before
}

// told takes notice of what became of a change that was handed to the writers.
func (k *keeper) told(e *entity, c Change, o Outcome, err error) {
	if !errors.Is(err, ErrRejected) {
		k.archive.writers.free(e.parcel)
	}
	switch {
	case err == nil && o == Written:
		k.confirm(e, c.Owner.Epoch, c.Version(), c.Parts)
	case err == nil && o == OwnerFenced && e.owner == c.Owner && k.isBeingRaised(e):
		k.settle(e) // it is handed again when the number is known
		return
	case err == nil && o == OwnerFenced && e.owner == c.Owner:
		k.overtaken(e)
	case err == nil && o == KeeperFenced && k.fence == c.Keeper:
		k.lost()
	case errors.Is(err, ErrUnclear):
		e.isUnsure = true
		if k.fence == c.Keeper {
			k.raise() // then nothing sent before can still be written, and this is sent again
		}
	case errors.Is(err, ErrRejected):
		k.verify(e, err)
		return
	case err != nil:
		k.postpone(e, err)
	}
	if !errors.Is(err, ErrContended) {
		k.hand(e)
	}
	k.settle(e)
}

// confirm: the entity is durable as of a version, and so are these parts of it.
func (k *keeper) confirm(e *entity, epoch, version uint64, parts []Part) {
	wasClean := e.rows() == 0
	for _, p := range parts {
		now := e.parts[p.Name]
		if now != nil && !newer(e.owner.Epoch, now.Version, epoch, p.Version) {
			k.count(e, -1, -now.held())
			delete(e.parts, p.Name)
		}
	}
	for name, p := range e.under {
		if !newer(e.owner.Epoch, p.Version, epoch, version) {
			k.count(e, -1, -p.held())
			delete(e.under, name)
		}
	}
	if !newer(e.owner.Epoch, e.shown, epoch, version) {
		e.shown = 0
	}
	e.confirms++
	e.isUnsure, e.refusals = false, 0
	key := cacheKey(e.ref, k.fence.Epoch)
	if m, ok := k.archive.cache.get(key); ok && m.version <= version { // else it was loaded, and written again, since
		m.apply(parts)
		k.archive.cache.put(key, m)
	}
	k.answerUpTo(e, epoch, version)
	switch {
	case wasClean: // it was dropped while the statement was under way
	case len(e.parts) == 0:
		k.pending--
	default:
		k.aged(e, e.handed) // what is left came after that
	}
}

// overtaken: the store knows a newer owner, so what came from this one is not to be written.
func (k *keeper) overtaken(e *entity) {
	if o := k.owners[k.archive.o.Kinds[e.ref.Kind]]; o != nil && o.fence == e.owner {
		o.fence, o.told = Fence{}, 0 // whoever claims the shard next gets a number of its own
	}
	k.drop(e, actors.ErrFenced, e.ref.String()+" has another owner")
}

// lost: the store knows a newer keeper. If this node is it nevertheless, the next request proves
// it and raises the fence again; what is pending is written then. Senders are told that nobody
// knows, and send again to whoever the keeper is.
func (k *keeper) lost() {
	k.fence = Fence{}
	for _, e := range k.sorted() {
		k.archive.writers.withdraw(e.parcel)
		for _, w := range e.waiting {
			k.refuse(w.envelope, actors.Unavailable, "another keeper has the shard")
		}
		e.waiting = nil
	}
	k.rows.lost()
}

// verify reads what the store has of an entity whose change it refuses: that change may have been
// sent before, and its answer lost, here or at another keeper. The number under which it was sent
// then has been raised since, so what is read does not change any more. Meanwhile the writers get
// nothing of the entity.
func (k *keeper) verify(e *entity, refused error) {
	k.archive.work.offload(func() {
		parts, err := k.archive.o.Database.Load(context.Background(), e.ref)
		k.runner.Post(func() { k.verified(e, refused, parts, err) })
	})
}

func (k *keeper) verified(e *entity, refused error, stored []Part, err error) {
	k.archive.writers.free(e.parcel)
	if err != nil {
		k.archive.health.told(err)
		if errors.Is(err, ErrRejected) && !e.isUnsure { // and it was sent only now
			k.setAside(e, refused)
			k.settle(e)
			return
		}
		e.isUnsure = true
		k.after(verifyAfter, func() { k.hand(e) })
		return
	}
	var at Part
	for _, p := range stored {
		if p.Name == "" {
			at = p
		}
	}
	if at.Epoch > e.owner.Epoch {
		k.overtaken(e)
		k.settle(e)
		return
	}
	var durable []Part
	for _, p := range e.parts {
		if p.Version <= at.Version {
			durable = append(durable, *p)
		}
	}
	if len(durable) > 0 {
		k.confirm(e, e.owner.Epoch, at.Version, durable)
	}
	if e.rows() > 0 {
		k.setAside(e, refused)
	}
	k.settle(e)
}

// settle forgets an entity of which nothing is left to hold.
func (k *keeper) settle(e *entity) {
	if len(e.parts) == 0 && len(e.loads) == 0 {
		delete(k.entities, e.ref)
	}
	k.oldest()
	k.mayStop()
}
