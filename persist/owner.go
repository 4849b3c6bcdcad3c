package persist

import (
	"errors"
	"fmt"

	"github.com/fireflyrt/firefly/actors"
)

// An owner is the game node that a role's entities of this shard belong to, as far as this keeper
// was asked to raise its number.
type owner struct {
	fence   Fence  // zero: not raised by this keeper
	least   uint64 // the newest number that was seen; whoever comes with a lower one has been overtaken
	tenure  uint64
	raising bool
	told    uint64             // the newest number that was told; 0 if another keeper can have raised it since
	waiting []*actors.Envelope // claims
}

// claim raises the number of a role's owner. From here on the number before it is refused from
// memory; what was accepted under it is written under the new one. What was accepted under another
// is not: between the two somebody else has owned the entity, and may have written it.
//
// No tenure gets a number after a later one has: nobody who is no owner any more fences the one who is. Those that have
// claimed here the keeper remembers; of those that claimed from keepers before it its node has heard, because it became
// the keeper's owner after they did. So any number that a tenure gets is as good for entities that were carried along
// to it: it says that nobody has owned them since but those who handed them on.
func (k *keeper) claim(e *actors.Envelope, m *claim) {
	o := k.owners[m.Role]
	if o == nil {
		o = new(owner)
		k.owners[m.Role] = o
	}
	switch {
	case m.Tenure < max(o.tenure, k.archive.o.Newest(m.Role, k.shard)):
		k.refuse(e, actors.ErrFenced, "a later owner has claimed the shard")
	case o.raising && len(o.waiting) >= k.archive.o.Limits.Waiting:
		k.refuse(e, actors.Overloaded, "too many claims wait for the store")
	case o.raising && !k.archive.health.down():
		o.waiting = append(o.waiting, e)
	case o.fence.Epoch != 0 && o.tenure == m.Tenure && o.fence.Holder == m.Holder:
		k.answer(e, &claimed{Fence: o.fence.Epoch, Term: k.term})
	case k.archive.health.down():
		k.refuse(e, actors.StoreUnavailable, k.archive.health.outage().Error())
	default:
		o.raising, o.tenure, o.waiting = true, m.Tenure, append(o.waiting, e)
		k.askFor(m)
	}
}

// askFor asks for the number of a role's owner, when it has one of its own.
func (k *keeper) askFor(m *claim) {
	if k.fence.Epoch == 0 {
		k.claimed(m, 0, errNotHeld)
		return
	}
	c := Claim{Role: m.Role, Shard: k.shard, Holder: m.Holder, Keeper: k.fence}
	k.archive.raiser.ask(c, func(number uint64, err error) {
		k.runner.Post(func() { k.claimed(m, number, err) })
	})
}

// isBeingRaised reports whether the number that an entity's changes came under is being overtaken by a claim of this
// keeper's, or may have been: then they will be written under the next.
func (k *keeper) isBeingRaised(e *entity) bool {
	o := k.owners[k.archive.o.Kinds[e.ref.Kind]]
	return o != nil && o.raising && e.owner.Epoch != 0 && o.told == e.owner.Epoch
}

// isStale reports whether a number of a role's owner has been overtaken, and remembers it.
func (k *keeper) isStale(role string, number uint64) bool {
	o := k.owners[role]
	if o == nil {
		o = new(owner)
		k.owners[role] = o
	}
	o.least = max(o.least, number, o.fence.Epoch)
	return o.raising || number < o.least
}

func (k *keeper) claimed(m *claim, number uint64, err error) {
	defer k.mayRest()
	o := k.owners[m.Role]
	waiting := o.waiting
	o.raising, o.waiting, o.fence = false, nil, Fence{}
	if err != nil || number == 0 {
		if err == nil {
			k.lost() // or another claimed it at the same time; either way mine is to be proved
		}
		for _, e := range waiting {
			k.refuse(e, actors.StoreUnavailable, fmt.Sprintf("the owner's fence: %v", err))
		}
		if o.raising = errors.Is(err, ErrUnclear); o.raising { // it may be: then nothing before it can be written
			k.archive.health.await(func() { k.runner.Post(func() { k.askFor(m) }) })
			return
		}
		k.handAll()
		return
	}
	o.fence = Fence{Epoch: number, Holder: m.Holder}
	before := o.told // between the two only claims can be that nobody got an answer to
	o.told = number
	for _, e := range k.sorted() {
		if k.archive.o.Kinds[e.ref.Kind] != m.Role || e.rows() == 0 {
			continue
		}
		if e.owner.Epoch+1 != number && e.owner.Epoch != before { // from an owner that had been overtaken before
			k.withdraw(e)
			continue
		}
		e.owner = o.fence
		k.hand(e)
	}
	for _, e := range waiting {
		k.Receive(e) // those of the same tenure are answered, others raise again
	}
}
