package persist_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/persist/mariadbtest"
)

// A stamp is what each change says of itself: the owner's number, and how manyth it is of that owner's entity.
type stamp struct{ Fence, Version uint64 }

func (s stamp) compare(other stamp) int {
	return cmp.Or(cmp.Compare(s.Fence, other.Fence), cmp.Compare(s.Version, other.Version))
}

// A sighting is what an owner found when it loaded an entity: from then on no owner before it may write.
type sighting struct {
	fence uint64
	found stamp
}

// A chronicle is what the owners of one entity were told, in whatever order.
type chronicle struct {
	mu        sync.Mutex
	durable   []stamp
	unsure    map[stamp]bool // told that nobody knows
	forbidden map[stamp]bool // told not to be written
	sightings []sighting
	written   []stamp // what the store was seen to hold, as it was seen by its own connection
}

func (c *chronicle) note(s stamp, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.durable = append(c.durable, s)
	case errors.Is(err, actors.ErrUnknown):
		c.unsure[s] = true
	case !errors.Is(err, actors.ErrFenced) || !c.unsure[s]: // else: stop, whatever became of it
		c.forbidden[s] = true
	}
}

// A watcher is a Database that is slow now and then, as a frozen node is: between deciding to write and writing. It
// looks at what each statement has left in the store.
type watcher struct {
	persist.Database
	seen func(id string, s stamp)
}

func (w *watcher) Write(ctx context.Context, b persist.Batch) ([]persist.Outcome, error) {
	if rand.IntN(8) == 0 {
		time.Sleep(time.Duration(rand.IntN(15)) * time.Millisecond) // a slow store
	}
	outcomes, err := w.Database.Write(ctx, b)
	for i, o := range outcomes {
		if o == persist.Written {
			w.seen(b.Changes[i].ID, stampOf(b.Changes[i].Parts[0].Data))
		}
	}
	return outcomes, err
}

func stampOf(cells []byte) (s stamp) {
	if len(cells) > 0 {
		if err := json.Unmarshal(cells, &s); err != nil {
			panic(fmt.Sprintf("cells %q: %v", cells, err))
		}
	}
	return s
}

// A strife is shards that change hands, owners and keepers both, while those who had them go on.
type strife struct {
	*town
	games, keepers []*node
	chronicles     sync.Map // by id
	late           sync.WaitGroup
}

func (s *strife) chronicle(id string) *chronicle {
	c, _ := s.chronicles.LoadOrStore(id, &chronicle{unsure: make(map[stamp]bool),
		forbidden: make(map[stamp]bool)})
	return c.(*chronicle)
}

// takeovers is how many there are on a database; FIREFLY_TAKEOVERS says otherwise.
func takeovers(most int) int {
	if n, err := strconv.Atoi(os.Getenv("FIREFLY_TAKEOVERS")); err == nil {
		return n
	}
	return most
}

func TestAThousandTakeoversLeaveNothingStale(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		db, err := persist.OpenSQLite(filepath.Join(t.TempDir(), "firefly.db"))
		if err != nil {
			t.Fatal(err)
		}
		takeOver(t, db, takeovers(100))
	})
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		// What outlives a power cut is not the question here, so that the server need not wait for the disk.
		db, err := persist.OpenMySQL(mariadbtest.Start(t, "--innodb-flush-log-at-trx-commit=0").DSN())
		if err != nil {
			t.Fatal(err)
		}
		takeOver(t, db, takeovers(200))
	})
}

func takeOver(t *testing.T, db persist.Database, times int) {
	s := &strife{town: newTown(t, db)}
	seen := func(id string, at stamp) {
		c := s.chronicle(id)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.written = append(c.written, at)
	}
	for i := range 2 {
		w := &watcher{Database: db, seen: seen}
		s.keepers = append(s.keepers, s.node(fmt.Sprint("keeper-", i), keepA+uint64(i), w, persist.Limits{}))
	}
	for i := range 3 {
		s.games = append(s.games, s.node(fmt.Sprint("game-", i), gameB+uint64(i), nil, persist.Limits{}))
	}
	var all sync.WaitGroup
	for shard := range townShards {
		all.Go(func() { s.shard(shard, times/townShards) })
	}
	all.Wait()
	s.late.Wait()
	s.judge(db, times)
}

// shard has one shard change hands again and again. Every third time its keeper changes too, and the one before is not
// told; every fifth time only its keeper does.
func (s *strife) shard(shard, times int) {
	luck := rand.New(rand.NewPCG(uint64(shard), 7))
	keeper, game := 0, 0
	s.keepers[0].keep(shard, 1)
	for n := range times {
		epoch := uint64(n + 1)
		if n%3 == 2 {
			keeper = 1 - keeper
			s.keepers[keeper].keep(shard, epoch+1) // another tenure than any it had
		}
		if n%5 != 4 {
			game = (game + 1 + luck.IntN(2)) % len(s.games)
		}
		s.games[game].asks(shard, s.keepers[keeper])
		o := &owner{strife: s, node: s.games[game],
			tenure: actors.Tenure{Role: "game", Shard: shard, Epoch: epoch}}
		if !o.begin(s.ids(shard)) {
			return
		}
		late := luck.IntN(3) == 0
		s.late.Go(func() { o.goOn(late) })
	}
}

// ids are two entities of a shard.
func (s *strife) ids(shard int) (ids []string) {
	for i := 0; len(ids) < 2; i++ {
		if id := fmt.Sprint("e", i); hero.Ref(id).Shard(townShards) == shard {
			ids = append(ids, id)
		}
	}
	return ids
}

// An owner is one tenure of one shard by one node.
type owner struct {
	*strife
	*node
	tenure actors.Tenure
	had    []held
}

// begin loads the entities and commits to each of them.
func (o *owner) begin(ids []string) bool {
	for _, id := range ids {
		var got actors.Snapshot
		var err error
		for deadline := time.Now().Add(time.Minute); ; {
			done := make(chan struct{})
			o.client.Load(hero.Ref(id), o.tenure, func(snapshot actors.Snapshot, e error) {
				got, err = snapshot, e
				close(done)
			})
			<-done
			if err == nil || time.Now().After(deadline) {
				break
			}
		}
		if err != nil {
			o.strife.Errorf("%v cannot load %s: %v", o.tenure, id, err)
			return false
		}
		c := o.chronicle(id)
		c.mu.Lock()
		c.sightings = append(c.sightings, sighting{got.Fence, stampOf(got.Cells)})
		c.mu.Unlock()
		o.had = append(o.had, held{id, got.Fence, got.Version})
		o.commit(&o.had[len(o.had)-1])
	}
	return true
}

// commit writes the next version, again while nobody knows.
func (o *owner) commit(h *held) error {
	h.version++
	at := stamp{h.fence, h.version}
	cells, _ := json.Marshal(at)
	var err error
	for range 5 {
		done := make(chan struct{})
		o.client.Save(hero.Ref(h.id), o.tenure, actors.Change{Version: h.version, Fence: h.fence, Commit: true,
			Cells: cells, Parts: map[string]jsonText{"bag/1": cells}}, func(e error) {
			err = e
			close(done)
		})
		<-done
		if o.chronicle(h.id).note(at, err); !errors.Is(err, actors.ErrUnknown) {
			break
		}
	}
	return err
}

// goOn is what an owner does that has not noticed, or does not want to know, that it is none any more: it commits until
// it is fenced, and then a few more, at once or much later.
func (o *owner) goOn(late bool) {
	for round := range 4 {
		for i := range o.had {
			if err := o.commit(&o.had[i]); errors.Is(err, actors.ErrFenced) && late {
				time.Sleep(time.Duration(round) * 20 * time.Millisecond)
			}
		}
	}
}

// judge compares what everybody was told with what the store was seen to hold, and holds.
func (s *strife) judge(db persist.Database, times int) {
	durable, stale, sightings := 0, 0, 0
	s.chronicles.Range(func(id, value any) bool {
		c := value.(*chronicle)
		parts, err := db.Load(context.Background(), hero.Ref(id.(string)))
		if err != nil || len(parts) != 2 || string(parts[0].Data) != string(parts[1].Data) {
			s.Errorf("%s: %d rows, %v: not a whole entity", id, len(parts), err)
			return true
		}
		last := stampOf(parts[0].Data)
		for _, at := range append(c.written, c.durable...) {
			for _, sight := range c.sightings {
				if at.Fence < sight.fence && at.compare(sight.found) > 0 {
					stale++
					s.Errorf("%s: %+v was written, but its next owner %d had found %+v", id, at, sight.fence,
						sight.found)
				}
			}
			if at.compare(last) > 0 {
				s.Errorf("%s: %+v was written, but in the end there is %+v", id, at, last)
			}
		}
		for _, at := range append(c.written, last) {
			if c.forbidden[at] {
				s.Errorf("%s: %+v was told not to be written, but is", id, at)
			}
		}
		durable, sightings = durable+len(c.durable), sightings+len(c.sightings)
		return true
	})
	fenced := uint64(0)
	for _, k := range s.keepers {
		fenced += k.archive.Report().Fenced
	}
	if most := 2 * times; sightings < most*9/10 || durable < most || fenced < uint64(most)/4 {
		s.Errorf("too little happened: %d loads, %d commits, %d fenced", sightings, durable, fenced)
	}
	s.Logf("%d loads by new owners, %d commits, %d fenced in the keepers, %d stale", sightings, durable, fenced, stale)
}
