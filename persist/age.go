package persist

import (
	"cmp"
	"slices"
)

// An age is since when an entity has had something pending.
type age struct {
	entity *entity
	since  int64 // Unix nanoseconds
}

// aged notes that what is pending of the entity has been so since then.
func (k *keeper) aged(e *entity, since int64) {
	e.since = since
	at, _ := slices.BinarySearchFunc(k.ages, since, func(a age, since int64) int {
		return cmp.Compare(a.since, since)
	})
	k.ages = slices.Insert(k.ages, at, age{e, since})
	if len(k.ages) > 2*k.pending+spareAges { // behind one that the store refuses they would gather for ever
		k.ages = slices.DeleteFunc(k.ages, func(a age) bool { return !a.holds() })
	}
	k.oldest()
}

// spareAges is how many ages may be kept that do not hold any more, beside one for each entity.
const spareAges = 64

func (a age) holds() bool { return len(a.entity.parts) > 0 && a.entity.since == a.since }

// oldest finds the age of the oldest pending change. The ages are sorted, so it is
// the first that still holds.
func (k *keeper) oldest() {
	n := 0
	for n < len(k.ages) && !k.ages[n].holds() {
		n++
	}
	clear(k.ages[:n])
	k.ages = k.ages[n:]
	if len(k.ages) == 0 {
		k.oldestAt.Store(0)
		return
	}
	k.oldestAt.Store(k.ages[0].since)
}
