package persist

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/fireflyrt/firefly/actors"
)

// A pool runs each piece of work on a goroutine of its own.
type pool struct{ sync.WaitGroup }

func (p *pool) Run(f func())     { p.Go(f) }
func (p *pool) Offload(f func()) { p.Go(f) }

// TestWhatTheCacheCountsAddsUp: each copy that it was given is there, or was counted on its way out.
func TestWhatTheCacheCountsAddsUp(t *testing.T) {
	t.Parallel()
	for _, room := range []int64{1, 300, 5_000, 100_000, 1 << 30} {
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			t.Parallel()
			const copies, writers = 20_000, 4
			var counted counters
			p := new(pool)
			work := &backlog{scheduler: p}
			c, err := newCache(room, work, &counted)
			if err != nil {
				t.Fatal(err)
			}
			key := func(i int) string { return cacheKey(actors.KindName("hero").Ref(fmt.Sprint(i)), 1) }
			var all sync.WaitGroup
			for w := range writers {
				all.Go(func() {
					luck := rand.New(rand.NewPCG(uint64(room), uint64(w)))
					for i := w; i < copies; i += writers {
						c.put(key(i), newImage([]Part{{Data: make([]byte, luck.IntN(400))}}))
						if m, ok := c.get(key(luck.IntN(copies))); ok && m == nil {
							t.Error("a copy that is none")
						}
					}
				})
			}
			all.Wait()
			p.Wait() // until ristretto has come to all of them
			there := 0
			for i := range copies {
				if _, ok := c.get(key(i)); ok {
					there++
				}
			}
			r := counted.report()
			if r.Kept+r.Dropped != copies || r.Kept != r.Rejected+r.Evicted+uint64(there) {
				t.Errorf("%d copies: %d kept and %d dropped; of those kept %d were rejected, %d evicted, %d are there",
					copies, r.Kept, r.Dropped, r.Rejected, r.Evicted, there)
			}
			if room == 1 && there > 0 || room == 1<<30 && there != int(r.Kept) || room == 5_000 && r.Evicted == 0 {
				t.Errorf("room %d: %d are there; %+v", room, there, r)
			}
			c.close()
		})
	}
}
