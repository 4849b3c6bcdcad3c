package persist

import (
	"context"

	"github.com/fireflyrt/firefly/actors"
)

// bury purges tombstones of entities that have nothing pending.
//
// What a tombstone keeps away is an older write of its part, so none may be left that could still
// come. One under another owner's or keeper's number is refused by the fences. One under this
// keeper's number was sent by this keeper and answered: it sends nothing of an entity while a
// statement of it is under way, and after a lost answer it takes a new number first. And a keeper
// that is overtaken takes a number again only as long as the shard is its own, during which nobody
// else could write what would make its pending parts old; see raise. An older change that is sent
// to it again is one that was never confirmed, but the change that deleted the part was, and an
// entity has one change under way. So the hour is for people who look into the tables, and for
// what nobody has thought of.
func (k *keeper) bury(kind actors.KindName, found []Due) {
	if k.fence.Epoch == 0 || k.stopped != nil || k.retired.Load() {
		return
	}
	var tombs []Tomb
	for _, d := range found {
		if e := k.entities[kind.Ref(d.ID)]; e == nil || e.rows() == 0 {
			tombs = append(tombs, Tomb{Due: d, Keeper: k.fence})
		}
	}
	if len(tombs) == 0 {
		return
	}
	a := k.archive
	a.work.offload(func() {
		n, err := a.o.Database.Purge(context.Background(), kind, tombs)
		a.health.told(err)
		a.counters.purged.Add(uint64(n))
		if err != nil {
			a.o.Log.Warn("tombstones not purged; they are found again", "shard", k.shard, "error", err)
		}
	})
}
