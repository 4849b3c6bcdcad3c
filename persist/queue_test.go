package persist

import (
	"fmt"
	"testing"

	"github.com/fireflyrt/firefly/actors"
)

func someWriters() *writers {
	return &writers{limits: Limits{}.orDefault(), urgent: newQueue(), later: newQueue()}
}

func someParcel(shard, rows int, id string) (*parcel, Change) {
	return &parcel{kind: "hero", role: "game"}, Change{ID: id, Shard: shard, Parts: make([]Part, rows)}
}

// A commit of 250 rows in shard 0, and in each batch's time one commit of 20 rows in each of the shards 1 and 2: of
// 256 rows that a batch may hold, 40 are asked for.
func TestABigCommitIsNotOvertakenForEver(t *testing.T) {
	t.Parallel()
	w := someWriters()
	small := func(shard int) {
		p, c := someParcel(shard, 20, "small")
		w.enter(p, c, 100, true)
	}
	small(1)
	big, c := someParcel(0, 250, "big")
	w.enter(big, c, 100, true)
	small(2)
	for batch := range 10_000 {
		for _, p := range w.take() {
			if p == big {
				if batch > 2 {
					t.Errorf("it was taken by batch %d", batch)
				}
				return
			}
			small(p.Shard) // it commits again
		}
	}
	t.Error("a commit of 250 rows was passed over 10,000 times")
}

// Four shards have more commits than there is room for: all should have their turn.
func TestAllShardsHaveTheirTurn(t *testing.T) {
	t.Parallel()
	for _, urgent := range []bool{true, false} {
		t.Run(fmt.Sprint("urgent=", urgent), func(t *testing.T) {
			t.Parallel()
			w := someWriters()
			enter := func(shard int, urgent bool) {
				p, c := someParcel(shard, 16, fmt.Sprint(shard))
				w.enter(p, c, 100, urgent)
			}
			for shard := range 4 {
				for range 32 {
					enter(shard, urgent)
					enter(100, !urgent) // and the other queue has enough to do as well
				}
			}
			served := map[int]int{}
			for range 1000 {
				for _, p := range w.take() {
					if p.Shard < 100 {
						served[p.Shard]++
					}
					enter(p.Shard, p.isUrgent)
				}
			}
			for shard := range 4 {
				if served[shard] == 0 {
					t.Errorf("shard %d was never served: %v", shard, served)
				}
			}
		})
	}
}

// A commit goes before what nobody waits for, in the same batch too: each kind is a statement, one after the other.
func TestACommitsStatementIsTheFirstOfItsBatch(t *testing.T) {
	t.Parallel()
	w := someWriters()
	for i := range 20 {
		p, c := someParcel(1, 5, "later")
		c.Shard = i
		p.kind += actors.KindName("_" + string(rune('a'+i)))
		w.enter(p, c, 100, false)
	}
	p, c := someParcel(1, 1, "commit")
	p.kind = "wallet"
	w.enter(p, c, 100, true)
	if taken := w.take(); taken[0] != p {
		t.Errorf("the commit's statement comes after %d others", len(taken)-1)
	}
}
