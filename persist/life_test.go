package persist_test

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"pgregory.net/rapid"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

// A life is one entity in a World of moods, and beside it what its node knows of it: the state that is durable, and the
// one that may be.
type life struct {
	*world
	t     *rapid.T
	g     *game
	nodes uint64
	epoch uint64

	state   stage  // as the entity has it
	durable stage  // newest that was answered to be durable
	version uint64 // newest that was sent
	sent    *sent  // under way
	zombies []*sent
	foreign bool // the state came from pending changes of an owner that is gone: they are with the keeper alone
	count   int
}

// A stage is an entity at a version.
type stage struct {
	version uint64
	n       int
	parts   map[string]int
}

func (s stage) String() string {
	var text strings.Builder
	if s.version == 0 {
		return "@0"
	}
	fmt.Fprintf(&text, `{"n":%d}@%d`, s.n, s.version)
	for _, name := range []string{"bag/1", "bag/2", "bag/3"} {
		if v, ok := s.parts[name]; ok {
			fmt.Fprintf(&text, " %s=%d", name, v)
		}
	}
	return text.String()
}

// A sent is a save whose outcome is not known yet.
type sent struct {
	g      *game
	to     stage
	commit bool
	pair   string
	result *result
}

func TestARowsLifeIsAsItsModelSays(t *testing.T) {
	t.Parallel()
	var worlds []weak.Pointer[world]
	rapid.Check(t, func(r *rapid.T) {
		l := &life{world: worldFor(t, r, persist.NewMemory(), persist.Limits{CacheBytes: 700, PendingRows: 8}), t: r}
		worlds = append(worlds, weak.Make(l.world))
		l.takeOver()
		r.Repeat(map[string]func(*rapid.T){
			"":               func(*rapid.T) { l.listen() },
			"save":           func(*rapid.T) { l.save(false) },
			"commit":         func(*rapid.T) { l.save(true) },
			"load":           func(*rapid.T) { l.load() },
			"owner changes":  func(*rapid.T) { l.takeOver() },
			"keeper changes": func(*rapid.T) { l.keeperChanges() },
			"others":         func(*rapid.T) { l.others() },
			"time passes": func(r *rapid.T) {
				l.advance(time.Duration(rapid.IntRange(1, 3000).Draw(r, "ms")) * time.Millisecond)
			},
			"store is down":   func(*rapid.T) { l.moods.beforeAny = func() error { return persist.ErrDown } },
			"store is up":     func(*rapid.T) { l.moods.beforeAny = nil },
			"answer is lost":  func(*rapid.T) { l.next(persist.ErrUnclear, true) },
			"request is lost": func(*rapid.T) { l.next(persist.ErrUnclear, false) },
			"store refuses":   func(*rapid.T) { l.next(persist.ErrRejected, false) },
			"others win":      func(*rapid.T) { l.next(persist.ErrContended, false) },
		})
		l.end()
	})
	for i, w := range worlds { // thousands of lives would fill the memory
		for end := time.Now().Add(time.Minute); w.Value() != nil; runtime.GC() {
			if time.Now().After(end) {
				t.Fatalf("life %d of %d is over, and a minute later its world is still there", i, len(worlds))
			}
		}
	}
}

// next has the store do something with the next statement that writes this entity.
func (l *life) next(fault error, applied bool) {
	l.moods.write = func(b persist.Batch, write func() ([]persist.Outcome, error)) ([]persist.Outcome, error) {
		if b.Changes[0].ID != "ann" {
			return write()
		}
		l.moods.write = nil
		if applied {
			_, _ = write()
		}
		return nil, fmt.Errorf("moody: %w", fault)
	}
}

// save changes the entity and sends that, if nothing is under way.
func (l *life) save(commit bool) {
	if l.sent != nil || l.g == nil {
		return
	}
	l.version++
	l.count++
	to := stage{l.version, l.count, maps.Clone(l.state.parts)}
	name := fmt.Sprintf("bag/%d", rapid.IntRange(1, 3).Draw(l.t, "part"))
	pair := name + "="
	if delete(to.parts, name); rapid.Bool().Draw(l.t, "delete") {
		l.sent = &sent{l.g, to, commit, pair, nil}
	} else {
		to.parts[name] = l.count
		l.sent = &sent{l.g, to, commit, fmt.Sprint(pair, l.count), nil}
	}
	l.sent.send()
}

func (s *sent) send() {
	s.result = s.g.save("ann", s.to.version, s.commit, fmt.Sprintf(`{"n":%d}`, s.to.n), s.pair)
	s.g.w.settle()
}

// listen takes note of what was answered, as an entity's node does.
func (l *life) listen() {
	for _, z := range l.zombies {
		if z.result.answers > 0 && z.result.err == nil && z.to.version > l.durable.version && z.g != l.g {
			l.t.Fatalf("%v of an owner that is gone was called durable; the one now began with %v", z.to, l.durable)
		}
	}
	s := l.sent
	if s == nil || s.result.answers == 0 {
		return
	}
	switch err := s.result.err; {
	case err == nil:
		l.state, l.durable, l.foreign, l.sent = s.to, s.to, false, nil
	case errors.Is(err, actors.ErrUnknown):
		s.send() // the same version
	case errors.Is(err, actors.ErrFenced):
		l.t.Fatalf("the only owner was fenced: %v", err)
	default:
		l.sent = nil // undone: the state is what it was
	}
}

// load activates the entity anew at the same owner: it is what it was, wherever that lies.
func (l *life) load() {
	if l.sent != nil || l.g == nil {
		return
	}
	r := l.g.begin("ann")
	l.settle()
	l.advance(6 * time.Second)
	if r.err == nil && r.text() != l.state.String() {
		l.t.Fatalf("loaded %s, but it is %v", r.text(), l.state)
	}
	l.loadable(r)
}

// loadable checks why a load failed, if it did.
func (l *life) loadable(r *result) {
	if r.err != nil && !errors.Is(r.err, actors.StoreUnavailable) && !errors.Is(r.err, actors.StoreBehind) {
		l.t.Fatalf("a load failed: %v", r.err)
	}
}

// takeOver gives the entity to another owner. It finds what was durable, or what was under way.
func (l *life) takeOver() {
	if l.moods.beforeAny != nil {
		return
	}
	if l.sent != nil {
		l.zombies = append(l.zombies, l.sent)
	}
	l.epoch++
	l.g = l.gameAt(l.sys, gameB+l.epoch, l.epoch)
	r := l.g.begin("ann")
	l.settle()
	for tries := 0; r.answers == 0 || r.err != nil; tries++ {
		l.advance(time.Second)
		if l.loadable(r); r.err != nil {
			r = l.g.begin("ann")
		}
		if tries > 30 {
			l.t.Fatalf("no new owner can load: %v", r.err)
		}
	}
	found := stage{version: 0}
	switch text := r.text(); {
	case text == l.state.String():
		found = l.state
	case l.sent != nil && text == l.sent.to.String():
		found, l.foreign = l.sent.to, true
	default:
		l.t.Fatalf("a new owner found %s, but it was %v, and %+v was under way", text, l.state, l.sent)
	}
	if found.parts == nil {
		found.parts = make(map[string]int)
	}
	l.state, l.durable, l.sent = found, found, nil
	l.version = max(l.version, found.version)
}

// keeperChanges gives the shard to another persist node. The one before goes on, and is not told. What came from an
// owner that is gone and is not durable would be lost with it: that are two deaths at once, and no promise.
func (l *life) keeperChanges() {
	if l.foreign {
		return
	}
	l.nodes++
	archive, router := l.boot(unclosed{l.moods}, keepB+l.nodes, persist.Limits{CacheBytes: 700, PendingRows: 8})
	l.t.Cleanup(func() { _ = archive.Close() })
	l.sys = router.sys
	if l.g != nil {
		l.g.Start(l.sys)
	}
}

// others save, so that what is cached must go.
func (l *life) others() {
	l.count++
	l.g.save(fmt.Sprint("bob-", l.count%5), uint64(l.count), false, fmt.Sprintf(`{"n":%d}`, l.count))
	l.settle()
}

// end brings everything up and lets it come to rest: then the store has what the entity is.
func (l *life) end() {
	l.moods.beforeAny, l.moods.write = nil, nil
	for tries := 0; l.sent != nil || tries < 3; tries++ {
		l.advance(3 * time.Second)
		if l.listen(); tries > 30 {
			l.t.Fatalf("%v is under way for ever: %v", l.sent.to, l.sent.result.err)
		}
	}
	l.takeOver()
	l.count++
	l.save(true)
	l.advance(10 * time.Second)
	l.listen()
	if l.sent != nil || l.archive.Report().Down {
		l.t.Fatalf("a last commit is not durable: %v", l.sent.result.err)
	}
	b := &bench{T: l.T, db: l.moods.Database}
	want := strings.Replace(l.state.String(), "{", "={", 1)
	var got []string
	for _, part := range strings.Split(b.raw("ann"), " ") {
		if name, value, _ := strings.Cut(part, "="); !strings.HasPrefix(value, "@") && name != "" {
			part, _, _ = strings.Cut(part, "@") // a row keeps the version of its own change
			got = append(got, part)
		} else if name == "" {
			got = append(got, part)
		}
	}
	if strings.Join(got, " ") != want {
		l.t.Fatalf("the store has %s, but it is %s", strings.Join(got, " "), want)
	}
}
