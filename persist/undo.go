package persist

import (
	"errors"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// How often the store is asked again for what it refuses and what somebody has loaded.
const (
	refusedAfter = time.Second // doubles
	refusedMost  = 30 * time.Second
)

// show takes notice that what is pending is in the answer to a load: somebody rests on it, so it is
// not given up any more, whatever comes on top of it.
func (k *keeper) show(e *entity) {
	for name, p := range e.under {
		k.count(e, -1, -p.held())
		delete(e.under, name)
	}
	e.shown = e.version()
}

// withdraw gives up what came from an owner that is none any more.
func (k *keeper) withdraw(e *entity) {
	k.archive.writers.withdraw(e.parcel)
	k.archive.counters.fenced.Add(1)
	k.drop(e, actors.ErrFenced, e.ref.String()+" has another owner")
	k.settle(e)
}

// setAside: the store will never take this change, and has not. What was loaded before it is tried
// without it; if the store refuses that too, it is kept nevertheless, and tried again from time to
// time, until an operator has seen to it or the keeper stops.
func (k *keeper) setAside(e *entity, err error) {
	isNews := e.version() > e.shown
	if isNews || e.refusals == 0 {
		k.archive.counters.aside.Add(1)
		k.archive.o.Log.Error("the store refuses a change; it stays with its entity",
			"actor", e.ref.String(), "rows", e.rows(), "bytes", e.bytes, "error", err)
	}
	if e.shown == 0 || k.stopped != nil {
		k.drop(e, actors.StoreRefused, err.Error())
		return
	}
	e.isUnsure = false
	if isNews {
		k.undo(e, actors.StoreRefused, err.Error())
		k.hand(e)
		return
	}
	wait := min(refusedAfter<<min(e.refusals, 10), refusedMost)
	e.refusals++
	k.after(wait, func() { k.hand(e) })
}

// postpone: the change was not written, for reasons that pass. A commit is undone by its sender
// when it is told so, so it must not be written later; all else stays.
func (k *keeper) postpone(e *entity, err error) {
	if e.undoable() {
		k.undo(e, actors.StoreUnavailable, err.Error())
	}
	if errors.Is(err, ErrContended) {
		k.after(retryAfter, func() { k.hand(e) })
	}
}

// undo forgets what is pending of an entity but what somebody has loaded, and tells everybody who
// waits for it.
func (k *keeper) undo(e *entity, c actors.Code, text string) {
	if e.shown == 0 {
		k.drop(e, c, text)
		return
	}
	waiting := e.waiting
	e.waiting = nil
	for _, w := range waiting {
		if w.version <= e.shown {
			e.waiting = append(e.waiting, w)
			continue
		}
		k.refuse(w.envelope, c, text)
	}
	for name, p := range e.parts {
		if p.Version <= e.shown {
			continue
		}
		k.count(e, -1, -p.held())
		delete(e.parts, name)
		if old, ok := e.under[name]; ok {
			e.parts[name] = old
			delete(e.under, name)
		}
	}
}

// drop forgets what is pending of an entity, and tells everybody who waits for it.
func (k *keeper) drop(e *entity, c actors.Code, text string) {
	for _, w := range e.waiting {
		k.refuse(w.envelope, c, text)
	}
	e.waiting, e.shown, e.isUnsure, e.refusals = nil, 0, false, 0
	if len(e.parts) > 0 {
		k.count(e, -len(e.parts)-len(e.under), -e.bytes)
		clear(e.parts)
		clear(e.under)
		k.pending--
	}
}
