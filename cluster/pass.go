package cluster

import (
	"maps"
	"slices"
	"time"
)

// retryPass is how soon it is tried again to pass on what a full link did not take.
const retryPass = 5 * time.Millisecond

// do delivers what is queued at a tenure, or passes it on to the next one, and returns what could not go yet. One at a
// time does it for a tenure.
func (n *tenancy) do(t *tenure, all []kept, passes bool, next Owner) (left []kept) {
	for i, k := range all {
		switch {
		case !passes && k.e != nil:
			n.c.local.Deliver(k.e)
			k.receipt.settle()
		case !passes:
			n.mu.Lock()
			t.aside = append(t.aside, k)
			n.mu.Unlock()
		case !n.onward(t, next, k):
			return all[i:]
		}
	}
	return nil
}

// onward passes something on to the next tenure, and to no later one: only so it stays in order.
func (n *tenancy) onward(t *tenure, next Owner, k kept) bool {
	seen := n.c.picture.Load()
	p := seen.known[next.Incarnation]
	if p == nil || next.isCut(seen.view.Owner(t.Role, t.Shard)) {
		n.astray(t, next, k)
		return true
	}
	if k.marker != nil {
		m := *k.marker
		m.to.Epoch = t.Epoch + 1
		p.add(&item{tag: tagPassedEnd, marker: &m})
		n.mu.Lock()
		t.done[m.member] = true
		n.mu.Unlock()
		return true
	}
	k.e.Epoch = t.Epoch + 1
	return p.pass(k)
}

// isCut reports whether an owner's tenure has ended without being handed over, as is shows.
func (o Owner) isCut(is Owner) bool {
	return is.Root > o.Epoch || is.Epoch == o.Epoch && is.Incarnation != o.Incarnation
}

// astray refuses what was to go to a next owner that is gone: it is lost with it, as what went there a moment before,
// for its senders may have sent more to whoever came after that one. What nobody took over is routed anew.
func (n *tenancy) astray(t *tenure, next Owner, k kept) {
	if k.marker != nil {
		n.mu.Lock()
		t.done[k.marker.member] = true
		n.mu.Unlock()
		return
	}
	k.receipt.settle()
	if next.Incarnation != 0 && isOrdered(k.e) {
		n.refuse(k.e)
		return
	}
	n.strays.Add(1)
	n.c.reroute(k.e)
}

// pass adds an envelope to the stream that waits here for somebody else. It reports false if there is no room.
func (p *peer) pass(k kept) bool {
	p.out.mu.Lock()
	if p.out.full() {
		p.sealOpen()
	}
	if !p.out.append(&item{tag: tagPassed, e: k.e, number: p.out.passes + 1}) {
		p.out.mu.Unlock()
		return false
	}
	p.out.passes++
	if k.receipt != nil {
		on := passed{receipt: k.receipt}
		if isRequest(k.e) || isNews(k.e) {
			on.stub = stubOf(k.e)
		}
		if p.out.passed == nil {
			p.out.passed = map[uint64]passed{}
		}
		p.out.passed[p.out.passes] = on
	}
	p.wake(p.gather)
	return true
}

// confirmed settles what was passed on under a number.
func (p *peer) confirmed(number uint64) {
	p.out.mu.Lock()
	on := p.out.passed[number]
	delete(p.out.passed, number)
	p.out.mu.Unlock()
	on.receipt.settle()
}

// add adds an item that is no envelope to the stream, whatever room there is: there are few, and they are small.
func (p *peer) add(i *item) {
	p.out.mu.Lock()
	if p.out.full() {
		p.sealOpen()
	}
	p.out.add(i)
	p.wake(p.flush)
}

// abandon answers the requests that were passed on to a peer that is gone, and has news said again: nobody knows
// whether they were handled.
func (p *peer) abandon() {
	p.out.mu.Lock()
	all := p.out.passed
	p.out.passed = nil
	p.out.mu.Unlock()
	for _, number := range slices.Sorted(maps.Keys(all)) {
		on := all[number]
		switch {
		case on.stub == nil:
		case isRequest(on.stub):
			p.c.unknown(on.stub, p.member.Name)
		default:
			p.c.doubt([]news{{session: on.stub.From, entity: on.stub.To}})
		}
		on.receipt.settle()
	}
}
