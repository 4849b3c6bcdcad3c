package persist_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// A hooked database lets a test stand between a writer and it, from any goroutine.
type hooked struct {
	persist.Database
	write func(b persist.Batch, next func() ([]persist.Outcome, error)) ([]persist.Outcome, error)
}

func (d *hooked) Write(ctx context.Context, b persist.Batch) ([]persist.Outcome, error) {
	return d.write(b, func() ([]persist.Outcome, error) { return d.Database.Write(ctx, b) })
}

// A keeper hears late that a change was written. Meanwhile another keeper had the shard for a moment, the entity has
// another owner, was loaded, and written again: what is cached must not become old.
func TestALateVerdictDoesNotMakeTheCacheOld(t *testing.T) {
	t.Parallel()
	db := &hooked{Database: persist.NewMemory()}
	held, let := make(chan bool), make(chan bool)
	first := true
	db.write = func(b persist.Batch, next func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
		if first {
			first = false
			o, err := next()
			close(held)
			<-let
			return o, err
		}
		return next()
	}
	w := newTown(t, db)
	n := w.alone(persist.Limits{})
	var ids []string
	for i := 0; len(ids) < 2; i++ {
		if id := fmt.Sprint("id", i); hero.Ref(id).Shard(townShards) == 1 {
			ids = append(ids, id)
		}
	}
	ann, bob := ids[0], ids[1]
	load := func(id string, epoch uint64) actors.Snapshot {
		type got struct {
			actors.Snapshot
			error
		}
		done := make(chan got, 1)
		n.client.Load(hero.Ref(id), actors.Tenure{Role: "game", Shard: 1, Epoch: epoch},
			func(s actors.Snapshot, err error) { done <- got{s, err} })
		g := <-done
		return g.Snapshot
	}
	save := func(id string, epoch, fence, version uint64, cells string) chan error {
		done := make(chan error, 1)
		n.client.Save(hero.Ref(id), actors.Tenure{Role: "game", Shard: 1, Epoch: epoch},
			actors.Change{Version: version, Fence: fence, Cells: []byte(cells), Commit: true},
			func(err error) { done <- err })
		return done
	}
	fence := load(ann, 1).Fence
	save(ann, 1, fence, 1, `{"v":1}`)
	<-held // ann@1 is durable, and the keeper does not know
	ctx := context.Background()
	other, err := db.Raise(ctx, []persist.Claim{{Role: persist.KeeperRole, Shard: 1, Holder: 99}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = db.Raise(ctx, []persist.Claim{{Role: "game", Shard: 1, Holder: 98,
		Keeper: persist.Fence{Epoch: other[0], Holder: 99}}}); err != nil {
		t.Fatal(err)
	}
	<-save(bob, 1, fence, 1, `{}`) // by which the keeper learns that it is overtaken
	var s actors.Snapshot
	until(t, "the next owner's load", func() bool {
		s = load(ann, 2)
		return s.Version == 1
	})
	if err := <-save(ann, 2, s.Fence, 2, `{"v":2}`); err != nil {
		t.Fatal(err)
	}
	written := n.archive.Report().Written
	close(let)
	until(t, "the late verdict", func() bool { return n.archive.Report().Written > written })
	if s = load(ann, 2); !strings.Contains(string(s.Cells), `"v":2`) {
		t.Errorf("loaded %s@%d after {\"v\":2} was answered", s.Cells, s.Version)
	}
}

// A batch is halved because the store refuses one of it. What the first half has made durable is told at once, not
// when the second half has an outcome, which may take as long as lock waits take (5 s, five times).
func TestWhatIsDurableIsToldAtOnce(t *testing.T) {
	t.Parallel()
	db := &hooked{Database: persist.NewMemory()}
	held, let := make(chan bool), make(chan bool)
	var statements atomic.Int32
	db.write = func(b persist.Batch, next func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
		if len(b.Changes) == 2 {
			return nil, fmt.Errorf("one of them: %w", persist.ErrRejected)
		}
		if statements.Add(1) == 2 {
			close(held)
			<-let
		}
		return next()
	}
	w := newTown(t, db)
	n := w.alone(persist.Limits{})
	ids := []string{}
	for i := 0; len(ids) < 2; i++ { // two of one shard
		id := fmt.Sprint("id", i)
		if hero.Ref(id).Shard(townShards) == 1 {
			ids = append(ids, id)
		}
	}
	tenure := actors.Tenure{Role: "game", Shard: 1, Epoch: 1}
	var fence uint64
	done := make(chan error, 4)
	n.client.Load(hero.Ref(ids[0]), tenure, func(s actors.Snapshot, err error) { fence = s.Fence; done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 2)
	for _, id := range ids {
		n.client.Save(hero.Ref(id), tenure, actors.Change{Version: 1, Fence: fence, Cells: []byte("{}")},
			func(err error) { told <- fmt.Sprint(id, " ", err) })
	}
	<-held
	select {
	case <-told:
	case <-time.After(time.Minute):
		t.Error("the first half has been durable for a minute, and nobody was told")
	}
	close(let)
}
