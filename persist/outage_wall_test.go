package persist_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// outage is for how long the store is away; FIREFLY_OUTAGE says otherwise.
func outage() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("FIREFLY_OUTAGE")); err == nil {
		return d
	}
	return 2 * time.Second
}

// TestTheGameGoesOnWhileTheStoreIsAway kills the server under load: what does not commit is taken on until the bound,
// what is cached is answered, memory stands still, and all of it is in the store soon after its return.
func TestTheGameGoesOnWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	const entities, bound = 2000, 3000 // each entity has two rows
	server := mariadbtest.Start(t)
	db, err := persist.OpenMySQL(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	n := newTown(t, db).alone(persist.Limits{PendingRows: bound, Waiting: 10 * entities})
	players := make([]*player, entities)
	for i := range players {
		c := newClerk(n.client, fmt.Sprint("player-", i))
		c.flush, c.fill = true, strings.Repeat("x", 200)
		if !c.load() {
			t.Fatal(c.told)
		}
		players[i] = &player{clerk: c, answers: make(chan verdict, 1)}
	}
	server.Kill()
	var heaps []int64
	var rows, bytes int64
	codes := make(map[actors.Code]int)
	full := func() bool { return rows >= bound*9/10 && n.archive.Report().Behind > 0 }
	begin := time.Now()
	for time.Since(begin) < outage() || !full() && time.Since(begin) < time.Minute {
		for _, p := range players {
			p.save(codes)
		}
		r := n.archive.Report()
		rows, bytes = max(rows, r.Rows), max(bytes, r.Bytes)
		if s, err := loadNow(n.client, players[0].ref); err != nil && !errors.Is(err, actors.StoreBehind) {
			t.Errorf("what is cached or pending is not answered: %v, %v", s, err)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heaps = append(heaps, int64(m.HeapAlloc))
		time.Sleep(50 * time.Millisecond)
	}
	if r := n.archive.Report(); rows > bound || rows < bound*9/10 || r.Behind == 0 || !r.Down {
		t.Errorf("at most %d rows were pending, the bound is %d; %+v", rows, bound, r)
	}
	if half, last := heaps[len(heaps)/2], heaps[len(heaps)-1]; last > half+half/4+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes", half, last)
	}
	begin = time.Now()
	server.Restart()
	until(t, "all to be durable", func() bool {
		left := 0
		for _, p := range players {
			if !p.save(codes) {
				left++
			}
		}
		return left == 0 && n.archive.Report().Rows == 0
	})
	took := time.Since(begin)
	for _, p := range players {
		p.check(t, db)
	}
	t.Logf("%v away: at most %d rows, %d bytes pending, %v refusals; drained in %v; %+v", outage(), rows, bytes, codes,
		took, n.archive.Report())
}

// A player changes while the store is away, and saves as its node does: one change under way at a time, again what was
// not written.
type player struct {
	*clerk
	answers  chan verdict
	underway uint64
}

type verdict struct {
	version uint64
	err     error
}

// save sends the newest version, unless one is under way. It reports whether a version is durable since the last call.
func (p *player) save(codes map[actors.Code]int) (durable bool) {
	if p.underway != 0 {
		select {
		case a := <-p.answers:
			p.underway = 0
			r := (*actors.Refusal)(nil)
			switch {
			case a.err == nil:
				p.last, durable = a.version, true
			case errors.As(a.err, &r):
				codes[r.Code]++
				if r.Code != actors.ErrUnknown {
					p.forbidden[a.version] = true
				}
			}
		default:
			return p.last > 0
		}
	}
	if durable {
		return true
	}
	if p.last > 0 && p.version == p.last {
		return true
	}
	p.version++
	version := p.version
	p.underway = version
	p.client.Save(p.ref, p.tenure, p.change(version), func(err error) { p.answers <- verdict{version, err} })
	return false
}
