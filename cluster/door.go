package cluster

import "sync/atomic"

// A door is how envelopes come to the actors of a shard on this node without any lock. While it is open, envelopes of
// the shard's present tenure go straight to its actors, and the door counts who is on the way; once it is closed and
// the last of them is through, nothing reaches the actors but what the tenure lets through. The zero door is closed.
type door struct {
	state atomic.Int64 // 2 for each who is inside, 1 while it is open
	then  atomic.Pointer[func()]
}

// enter lets an envelope in; leave must follow. It reports false if the door is closed.
func (d *door) enter() bool {
	if d.state.Add(2)&1 == 1 {
		return true
	}
	d.leave()
	return false
}

// leave says that an envelope has been delivered.
func (d *door) leave() {
	if d.state.Add(-2) == 0 {
		if then := d.then.Swap(nil); then != nil {
			(*then)()
		}
	}
}

// open lets envelopes in.
func (d *door) open() { d.state.Or(1) }

// isOpen reports whether envelopes are let in.
func (d *door) isOpen() bool { return d.state.Load()&1 == 1 }

// shut lets nobody in any more.
func (d *door) shut() { d.state.And(^int64(1)) }

// empty calls then once when nobody is inside a door that is shut: at once, or from the last who leaves.
func (d *door) empty(then func()) {
	d.then.Store(&then)
	if d.state.Load()&^1 == 0 {
		if then := d.then.Swap(nil); then != nil {
			(*then)()
		}
	}
}
