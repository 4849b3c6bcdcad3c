package persist_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// A clerk commits to one entity, again and again, as an entity's node does: what nobody knows the outcome of is sent
// again under the same version, what is known not to be written is undone, and its version never used again. It keeps a
// book of what it was told.
type clerk struct {
	client *persist.Client
	ref    actors.Ref
	tenure actors.Tenure
	fill   string // what each row is stuffed with
	flush  bool   // it does not commit, but waits for the write-behind

	version, fence  uint64
	durable, failed atomic.Int64
	last            uint64 // newest version that was answered to be durable

	mu        sync.Mutex
	forbidden map[uint64]bool // versions that were answered not to be written
	told      []error         // each kind of refusal once; see tell
	seen      map[string]bool
}

func newClerk(c *persist.Client, id string) *clerk {
	ref := hero.Ref(id)
	return &clerk{client: c, ref: ref, tenure: actors.Tenure{Role: "game", Shard: ref.Shard(townShards), Epoch: 1},
		forbidden: make(map[uint64]bool), seen: make(map[string]bool)}
}

// work commits until ctx ends and the last outcome is known.
func (c *clerk) work(ctx context.Context) {
	for ctx.Err() == nil {
		c.once()
	}
}

// once loads if need be, and commits one version. It reports whether that is durable.
func (c *clerk) once() bool {
	if c.fence == 0 && !c.load() {
		return false
	}
	c.version++
	err := c.save(c.version)
	for errors.Is(err, actors.ErrUnknown) {
		c.tell(err)
		err = c.save(c.version)
	}
	if err == nil {
		c.last = c.version
		c.durable.Add(1)
		return true
	}
	c.mu.Lock()
	c.forbidden[c.version] = true
	c.mu.Unlock()
	if errors.Is(err, actors.ErrFenced) {
		c.fence = 0
	}
	c.tell(err)
	return false
}

func (c *clerk) load() bool {
	var s actors.Snapshot
	var err error
	done := make(chan struct{})
	c.client.Load(c.ref, c.tenure, func(got actors.Snapshot, e error) {
		s, err = got, e
		close(done)
	})
	<-done
	if err != nil {
		c.tell(err)
		return false
	}
	c.fence, c.version = s.Fence, max(c.version, s.Version)
	return true
}

func (c *clerk) save(version uint64) (err error) {
	done := make(chan struct{})
	c.client.Save(c.ref, c.tenure, c.change(version), func(e error) {
		err = e
		close(done)
	})
	<-done
	return err
}

func (c *clerk) change(version uint64) actors.Change {
	return actors.Change{Version: version, Fence: c.fence, Commit: !c.flush,
		Cells: fmt.Appendf(nil, `{"v":%d,"fill":"%s"}`, version, c.fill),
		Parts: map[string]jsonText{"bag/1": fmt.Appendf(nil, "%d", version)}}
}

// tell notes a refusal, and lets a moment pass, as whoever tries again does.
func (c *clerk) tell(err error) {
	c.failed.Add(1)
	c.mu.Lock()
	if r := (*actors.Refusal)(nil); errors.As(err, &r) && !c.seen[string(r.Code)+r.Text] && len(c.seen) < 100 {
		c.seen[string(r.Code)+r.Text] = true
		c.told = append(c.told, err)
	}
	c.mu.Unlock()
	time.Sleep(backOff)
}

// was reports whether the clerk was told something that contains all of some texts.
func (c *clerk) was(texts ...string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, err := range c.told {
		found := true
		for _, text := range texts {
			found = found && strings.Contains(err.Error(), text)
		}
		if found {
			return true
		}
	}
	return false
}

// check compares the book with the store: what was durable is there, what was told not to be written is not, and the
// entity is whole.
func (c *clerk) check(t testing.TB, db persist.Database) {
	t.Helper()
	parts, err := db.Load(context.Background(), c.ref)
	if err != nil {
		t.Errorf("%s: %v", c.ref, err)
		return
	}
	version := uint64(0)
	for _, p := range parts {
		if p.Name == "" {
			version = p.Version
			if !strings.HasPrefix(string(p.Data), fmt.Sprintf(`{"v":%d,`, version)) {
				t.Errorf("%s: version %d holds %.40s", c.ref, version, p.Data)
			}
		}
	}
	for _, p := range parts {
		if p.Name != "" && (p.Version != version || string(p.Data) != fmt.Sprint(version)) {
			t.Errorf("%s is at version %d, but its row %s is %s@%d: half an entity", c.ref, version, p.Name,
				p.Data, p.Version)
		}
	}
	if version < c.last || c.forbidden[version] {
		t.Errorf("%s: the store has version %d; durable was %d, told not to be written: %v", c.ref, version,
			c.last, c.forbidden[version])
	}
}

// A held is an entity as its owner has it.
type held struct {
	id             string
	fence, version uint64
}

// A crowd is clerks at work.
type crowd struct {
	t      testing.TB
	clerks []*clerk
	stop   func()
}

// crowd sets clerks to work.
func (n *node) crowd(size int, each func(int, *clerk)) *crowd {
	ctx, cancel := context.WithCancel(context.Background())
	c := &crowd{t: n.town.TB}
	var all sync.WaitGroup
	for i := range size {
		k := newClerk(n.client, fmt.Sprintf("clerk-%d", i))
		if each != nil {
			each(i, k)
		}
		c.clerks = append(c.clerks, k)
		all.Go(func() { k.work(ctx) })
	}
	c.stop = func() {
		cancel()
		all.Wait()
	}
	n.town.Cleanup(c.stop)
	return c
}

func (c *crowd) durable() (n int64) {
	for _, k := range c.clerks {
		n += k.durable.Load()
	}
	return n
}

// commits waits until n more are durable.
func (c *crowd) commits(n int64) {
	c.t.Helper()
	goal := c.durable() + n
	until(c.t, "commits", func() bool { return c.durable() >= goal })
}

// heard reports whether a clerk was told a code, and why.
func (c *crowd) heard(code actors.Code, texts ...string) bool {
	return slices.ContainsFunc(c.clerks, func(k *clerk) bool { return k.was(append(texts, string(code))...) })
}

// hears waits until a clerk was told a code, and why.
func (c *crowd) hears(code actors.Code, texts ...string) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); !c.heard(code, texts...); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Errorf("nobody was told %s with %q, but:\n%s", code, texts, c.told())
			return
		}
	}
}

func (c *crowd) told() string {
	var all []string
	for _, k := range c.clerks {
		k.mu.Lock()
		for _, err := range k.told {
			all = append(all, err.Error())
		}
		k.mu.Unlock()
	}
	return strings.Join(all, "\n")
}
