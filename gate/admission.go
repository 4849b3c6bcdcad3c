package gate

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// An admission decides, before a byte is read, whether a connection may stay. It bounds what one
// address may have open and may open in a second, and what there is in all.
type admission struct {
	limits   *Limits
	counters *Counters
	trusted  []netip.Prefix // exempt from the bounds per address; loopback always is

	mu        sync.Mutex
	open      int
	addresses map[netip.Addr]*visitor
}

// A visitor is an address and what it has taken.
type visitor struct {
	open  int
	fresh bucket
}

// sweepAt is how many addresses are remembered before those with nothing open are forgotten.
const sweepAt = 4096

func newAdmission(l *Limits, c *Counters, trusted []netip.Prefix) *admission {
	return &admission{limits: l, counters: c, trusted: trusted,
		addresses: map[netip.Addr]*visitor{}}
}

// admit takes a connection of this address in, or counts it as shut out. Each that is taken in
// must be released once.
func (a *admission) admit(from netip.Addr, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.limits
	if a.open >= l.Connections || a.counters.Handshakes.Load() >= int64(l.Handshakes) ||
		!a.exempt(from) && !a.within(from, now) {
		a.counters.Shut.Add(1)
		return false
	}
	a.open++
	return true
}

func (a *admission) within(from netip.Addr, now time.Time) bool {
	v := a.addresses[from]
	if v == nil {
		a.sweep(now)
		v = new(visitor)
		a.addresses[from] = v
	}
	if v.open >= a.limits.AddressOpen {
		return false
	}
	if _, ok := v.fresh.take(now, float64(a.limits.AddressNew), a.limits.AddressNew); !ok {
		return false
	}
	v.open++
	return true
}

// sweep forgets addresses with nothing open whose bucket is full again.
func (a *admission) sweep(now time.Time) {
	if len(a.addresses) < sweepAt {
		return
	}
	for from, v := range a.addresses {
		if v.open == 0 && now.Sub(v.fresh.filled) >= time.Second {
			delete(a.addresses, from)
		}
	}
}

// release gives back what admit took.
func (a *admission) release(from netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open--
	if v := a.addresses[from]; v != nil && !a.exempt(from) {
		v.open--
	}
}

func (a *admission) exempt(from netip.Addr) bool {
	return from.IsLoopback() || slices.ContainsFunc(a.trusted, func(p netip.Prefix) bool {
		return p.Contains(from)
	})
}
