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
	k.oldest()
}

// oldest finds the age of the oldest pending change. The ages are sorted, so it is
// the first that still holds.
func (k *keeper) oldest() {
	n := 0
	for n < len(k.ages) && (len(k.ages[n].entity.parts) == 0 ||
		k.ages[n].entity.since != k.ages[n].since) {
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
