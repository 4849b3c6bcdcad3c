package persist

import (
	"slices"

	"github.com/fireflyrt/firefly/actors"
)

// maxWaiters bounds how many saves of one entity wait; its node sends one at a time, and sends it
// again when it hears nothing.
const maxWaiters = 64

// bodyKept is up to how many bytes a request's body is not worth a copy of its header.
const bodyKept = 512

// A waiter is a save that has not been answered.
type waiter struct {
	envelope *actors.Envelope
	fence    uint64
	version  uint64
	commit   bool
}

// urgent reports whether somebody waits in a commit.
func (e *entity) urgent() bool {
	return slices.ContainsFunc(e.waiting, func(w waiter) bool { return w.commit })
}

// wait remembers who waits; those whose deadline has passed wait no more. It reports whether there
// was room.
func (k *keeper) wait(e *entity, w waiter) bool {
	now := k.archive.o.Clock.Now().UnixNano()
	e.waiting = slices.DeleteFunc(e.waiting, func(w waiter) bool {
		return w.envelope.Deadline != 0 && w.envelope.Deadline < now
	})
	if w.envelope.Request != 0 && len(e.waiting) < maxWaiters {
		if len(w.envelope.Body) > bodyKept { // what it asked for is pending, and need not be there twice
			header := *w.envelope
			header.Body = nil
			w.envelope = &header
		}
		e.waiting = append(e.waiting, w)
		return true
	}
	return w.envelope.Request == 0
}

// answerUpTo tells those whose change is durable.
func (k *keeper) answerUpTo(e *entity, fence, version uint64) {
	e.waiting = slices.DeleteFunc(e.waiting, func(w waiter) bool {
		if newer(w.fence, w.version, fence, version) {
			return false
		}
		k.answer(w.envelope, nil)
		return true
	})
}

// leaveOpen tells those who wait in a commit that nobody knows yet what became of it, and why.
func (k *keeper) leaveOpen(e *entity, text string) {
	e.waiting = slices.DeleteFunc(e.waiting, func(w waiter) bool {
		if w.commit {
			k.refuse(w.envelope, actors.Unavailable, text)
		}
		return w.commit
	})
}
