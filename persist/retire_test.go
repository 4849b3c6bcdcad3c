package persist

import (
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/virtual"
)

type aRunner struct{ actors.Runner }

func (aRunner) Tenure() actors.Tenure { return actors.Tenure{Role: KeeperRole, Shard: 1, Epoch: 1} }
func (aRunner) Post(f func())         { f() }
func (aRunner) Send(*actors.Envelope) {}

// A stopping keeper hears in one turn that it has lost the shard, by its first change, and that another is written (it
// was before, its answer was lost). It has ended then, and its share is taken out of the count; the second verdict of
// the same turn must not take it out once more.
func TestNothingIsCountedTwiceAfterTheEnd(t *testing.T) {
	t.Parallel()
	clock := virtual.New(time.Unix(1000, 0), nil)
	a, err := NewArchive(Options{Database: NewMemory(), Incarnation: 7, Clock: clock, Scheduler: clock,
		Kinds: map[actors.KindName]string{"hero": "game"}, Limits: Limits{CacheBytes: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	k := newKeeper(a, aRunner{})
	k.fence = Fence{3, 7}
	for _, id := range []string{"ann", "bob"} {
		k.save(&actors.Envelope{}, &save{Kind: "hero", ID: id, Fence: 1, Holder: 9, Version: 1})
	}
	taken := a.writers.take()
	k.stopped = func() {}
	tell([]verdict{{taken[0], KeeperFenced, nil}, {taken[1], Written, nil}})
	if r := a.Report(); r.Rows != 0 || r.Bytes != 0 {
		t.Errorf("%d rows, %d bytes are pending at the end", r.Rows, r.Bytes)
	}
}
