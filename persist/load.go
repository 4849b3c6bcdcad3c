package persist

import (
	"context"
	"encoding/json"
	"errors"
	"maps"

	"github.com/fireflyrt/firefly/actors"
)

// load answers with an entity as it is: what is pending, over what is cached, over what is stored.
func (k *keeper) load(env *actors.Envelope, m *load) {
	ref := m.Kind.Ref(m.ID)
	role, known := k.archive.o.Kinds[m.Kind]
	e := k.entities[ref]
	if known && !k.isStale(role, m.Fence) && e != nil && e.rows() > 0 && m.Fence > e.owner.Epoch {
		k.withdraw(e)
		e = k.entities[ref]
	}
	isPending := e != nil && e.rows() > 0
	switch {
	case !known:
		k.refuse(env, actors.StoreRefused, "kind "+string(m.Kind)+" has no table")
		return
	case k.isStale(role, m.Fence):
		k.refuse(env, actors.ErrFenced, ref.String()+" has another owner")
		return
	case !isPending && !k.archive.admit(1, 1): // nobody is let in whose first change would find no room
		k.refuse(env, actors.StoreBehind, "the store does not keep up")
		return
	case !isPending:
		k.archive.release(1, 1)
	}
	if m.Anew {
		if k.nextTerm(); k.raising {
			k.refuse(env, actors.StoreUnavailable, "the shard's fence is being raised")
			return
		}
	}
	if m, ok := k.archive.cache.get(cacheKey(ref, k.fence.Epoch)); ok {
		k.archive.counters.hits.Add(1)
		k.answerLoad(env, e, m)
		return
	}
	k.archive.counters.misses.Add(1)
	switch {
	case k.archive.health.down():
		k.refuse(env, actors.StoreUnavailable, k.archive.health.outage().Error())
	case k.reading >= k.archive.o.Limits.Waiting:
		k.refuse(env, actors.Overloaded, "too many requests wait for the store")
	default:
		e = k.entity(ref)
		e.loads = append(e.loads, env)
		k.reading++
		if len(e.loads) == 1 {
			k.read(e)
		}
	}
}

// read reads the entity from the store.
func (k *keeper) read(e *entity) {
	confirms, fence := e.confirms, k.fence
	k.archive.counters.loads.Add(1)
	k.archive.work.offload(func() {
		parts, err := k.archive.o.Database.Load(context.Background(), e.ref)
		k.runner.Post(func() {
			if err == nil && (confirms != e.confirms || fence != k.fence) {
				k.read(e) // it may have read what was there before a write that is confirmed by now
				return
			}
			k.loaded(e, parts, err)
		})
	})
}

func (k *keeper) loaded(e *entity, parts []Part, err error) {
	loads := e.loads
	e.loads = nil
	k.reading -= len(loads)
	defer k.settle(e)
	if err != nil {
		k.archive.health.told(err)
		code := actors.StoreUnavailable
		if errors.Is(err, ErrRejected) {
			code = actors.StoreRefused
		}
		for _, env := range loads {
			k.refuse(env, code, err.Error())
		}
		return
	}
	m := newImage(parts)
	for _, env := range loads {
		k.answerLoad(env, e, m)
	}
	if k.fence.Epoch != 0 {
		k.archive.cache.put(cacheKey(e.ref, k.fence.Epoch), m)
	}
}

// answerLoad answers with an image and what is pending over it; e may be nil.
func (k *keeper) answerLoad(env *actors.Envelope, e *entity, m *image) {
	asked := new(load)
	if err := asked.decode(env.Body); err != nil { // it was read before
		k.refuse(env, actors.BadBody, err.Error())
		return
	}
	if e != nil && e.rows() > 0 {
		k.show(e)
		m = &image{version: m.version, cells: m.cells, box: m.box, parts: maps.Clone(m.parts), bytes: m.bytes}
		if m.parts == nil {
			m.parts = make(map[string]json.RawMessage)
		}
		for _, p := range e.parts {
			m.apply([]Part{*p})
		}
	}
	all := &loaded{Version: m.version, Cells: m.cells, Parts: m.parts, Box: m.box, Term: k.term}
	if m.bytes > MaxChange {
		all = all.page(asked.Page)
	}
	k.answer(env, all)
}
