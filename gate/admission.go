package gate

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// An admission decides, before a byte is read, whether a connection may stay. It bounds what one
// address may have open, may open in a second, and may do wrong in a minute, and what there is in
// all.
type admission struct {
	limits   *Limits
	counters *Counters
	log      *slog.Logger
	trusted  []netip.Prefix // exempt from the bounds per address; loopback always is
	strict   []netip.Prefix // exempt from nothing, whatever else they are

	mu        sync.Mutex
	open      int
	addresses map[netip.Addr]*visitor
	sweepAt   int // so many addresses, and those that need not be remembered are forgotten
}

// A visitor is an address, what it has taken, and how it stands.
type visitor struct {
	open  int
	fresh bucket
	standing
}

// sweepFirst is how many addresses are remembered before any is forgotten, perConnection how many
// for each connection that there may be.
const (
	sweepFirst    = 4096
	perConnection = 4
)

func newAdmission(g *Gate, trusted, strict []netip.Prefix) *admission {
	return &admission{limits: &g.Limits, counters: &g.Counters, log: g.Log, trusted: trusted, strict: strict,
		addresses: map[netip.Addr]*visitor{}, sweepAt: sweepFirst}
}

// admit takes a connection of this address in, or counts it as shut out. Each that is taken in
// must be released once.
func (a *admission) admit(from netip.Addr, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if over := a.over(from, now); over != nil {
		over.Add(1)
		a.counters.Shut.Add(1)
		return false
	}
	a.open++
	return true
}

// over returns the counter of the bound that a connection is over, or nil; then the address has
// paid for it.
func (a *admission) over(from netip.Addr, now time.Time) *atomic.Uint64 {
	l, c := a.limits, a.counters
	switch {
	case a.open >= l.Connections:
		return &c.ShutConnections
	case c.Handshakes.Load() >= int64(l.Handshakes):
		return &c.ShutHandshakes
	case a.exempt(from):
		return nil
	}
	v := a.visitor(from, now)
	if v.banned(now) {
		return &c.ShutBanned
	}
	if v.open >= l.AddressOpen {
		return &c.ShutOpen
	}
	if _, ok := v.fresh.take(now, float64(l.AddressNew), l.AddressNew); !ok {
		return &c.ShutNew
	}
	v.open++
	return nil
}

// release gives back what admit took, and remembers how the connection behaved.
func (a *admission) release(from netip.Addr, c conduct, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open--
	if a.exempt(from) {
		return
	}
	v := a.visitor(from, now)
	v.open--
	if v.note(c, now, a.limits) {
		a.counters.Bans.Add(1)
		a.log.Warn("an address is shut out for a while: too many of its connections came to nothing",
			"address", home(from).String(), "for", v.length.String())
	}
}

// visitor finds an address, or takes it into the table.
func (a *admission) visitor(from netip.Addr, now time.Time) *visitor {
	from = home(from)
	v := a.addresses[from]
	if v == nil {
		if len(a.addresses) >= a.sweepAt {
			a.sweep(now)
		}
		v = new(visitor)
		a.addresses[from] = v
		a.counters.Addresses.Store(int64(len(a.addresses)))
	}
	return v
}

// sweep forgets addresses of which nothing is to be remembered. If that is too few, those go that
// have nothing open, whatever they did: who has so many addresses does not need one of them again.
func (a *admission) sweep(now time.Time) {
	for from, v := range a.addresses {
		if v.open == 0 && v.fresh.unused(now) >= time.Second && v.blank(now, a.limits) {
			delete(a.addresses, from)
		}
	}
	most := max(perConnection*a.limits.Connections, sweepFirst)
	if len(a.addresses) >= most {
		for from, v := range a.addresses {
			if v.open == 0 {
				delete(a.addresses, from)
			}
			if len(a.addresses) <= most/2 {
				break
			}
		}
	}
	a.sweepAt = min(max(2*len(a.addresses), sweepFirst), most)
}

// home is the address that bounds are for: an IPv6 host has a whole /64 to choose from.
func home(from netip.Addr) netip.Addr {
	if from.Is4() {
		return from
	}
	network, err := from.Prefix(64)
	if err != nil {
		return from
	}
	return network.Addr()
}

func (a *admission) exempt(from netip.Addr) bool {
	in := func(p netip.Prefix) bool { return p.Contains(from) }
	return !slices.ContainsFunc(a.strict, in) && (from.IsLoopback() || slices.ContainsFunc(a.trusted, in))
}
