package persist_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/virtual"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/persist"
)

// A party is a persist node on a database, and actors of several processes that ask it for rows.
type party struct {
	t       testing.TB
	archive *persist.Archive
	time    *virtual.Time // nil: as in production
	on      ground
	systems map[string]*actors.System // by node; the persist node is n
}

// A ground is what time and work are in a test.
type ground interface {
	actors.Clock
	actors.Scheduler
}

const asker actors.KindName = "asker"

// A wish is what an asker is told to do. It stays within its process.
type wish struct {
	Number int64 `json:"number"`
}

type granted struct{}

var partyMessages = wire.Join(persist.Messages,
	wire.Messages(wire.Internal[*wish](101), wire.Internal[*granted](102)))

// wishes are what askers were told to do, by number.
var wishes sync.Map

// newParty runs as in production: goroutines and wall time.
func newParty(t *testing.T, db persist.Database, l persist.Limits, others ...string) *party {
	t.Helper()
	f := &floor{slots: make(chan struct{}, 8)}
	p := partyOn(t, db, f, keepA, l, others...)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for _, name := range append(others, "n") {
			if err := p.systems[name].Stop(ctx); err != nil {
				t.Error(err)
			}
		}
		if err := p.archive.Close(); err != nil {
			t.Error(err)
		}
		f.running.Wait()
	})
	return p
}

// newQuietParty runs in one goroutine and in virtual time; the database's end is the test's.
func newQuietParty(t *testing.T, db persist.Database, l persist.Limits) *party {
	t.Helper()
	if l.CacheBytes == 0 {
		l.CacheBytes = -1
	}
	now := virtual.New(time.Unix(1_000_000, 0), nil)
	p := partyOn(t, unclosed{db}, quiet{now}, keepA, l)
	p.time = now
	t.Cleanup(func() {
		now.Settle()
		_ = p.archive.Close() // what is pending is the test's business
	})
	return p
}

type quiet struct{ *virtual.Time }

func partyOn(t *testing.T, db persist.Database, on ground, incarnation uint64, l persist.Limits,
	others ...string) *party {
	t.Helper()
	archive, err := persist.NewArchive(persist.Options{Database: db, Incarnation: incarnation, Clock: on,
		Tables:    map[string]*persist.Mapping{"thing": mappingOf(t, things), "task": mappingOf(t, tasks)},
		Scheduler: on, Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	p := &party{t: t, archive: archive, on: on, systems: make(map[string]*actors.System)}
	p.add("n", incarnation, archive.Kind())
	for i, name := range others {
		p.add(name, incarnation+uint64(i)+1, actors.Kind{Name: persist.KeeperKind, Role: persist.KeeperRole,
			ByShard: true, Receiver: func(actors.Runner) actors.Receiver { panic("no keeper lives here") }})
	}
	return p
}

// add adds a process.
func (p *party) add(name string, incarnation uint64, keepers actors.Kind) {
	p.t.Helper()
	sys, err := actors.NewSystem(actors.Options{Node: name, Incarnation: incarnation, Clock: p.on, Scheduler: p.on,
		Catalogue: partyMessages, Kinds: []actors.Kind{keepers, {Name: asker, New: func(q *actors.Props) {
			actors.Answer(q, func(ctx actors.Context, m *wish) (*granted, error) {
				ask, _ := wishes.LoadAndDelete(m.Number)
				return ask.(func(actors.Context) (*granted, error))(ctx)
			})
		}}}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.systems[name] = sys
	sys.Start(streets{p, sys})
}

// streets lead from each process of a party to all others.
type streets struct {
	p   *party
	sys *actors.System
}

func (s streets) Route(e *actors.Envelope) {
	node, _, _ := strings.Cut(e.To.ID, ".")
	switch sys := s.p.systems[node]; {
	case e.To.Kind == persist.KeeperKind:
		s.p.systems["n"].Deliver(e)
	case sys != nil:
		sys.Deliver(e)
	default:
		s.sys.Deliver(e)
	}
}
func (s streets) Tenure(string, int) (uint64, actors.Hold) { return 1, actors.Held }
func (s streets) Shards() int                              { return 8 }

// An answer is what came of a question.
type answer[R any] struct {
	result R
	err    error
}

var serials atomic.Int64

// ask lets an actor ask, and waits for what it is told.
func ask[R any](p *party, q actors.Pending[R]) answer[R] { return begin(p, "n", q).now() }

// An asked is a question that is under way.
type asked[R any] struct {
	p    *party
	done chan answer[R]
}

// begin lets an actor of a process ask.
func begin[R any](p *party, node string, q actors.Pending[R]) asked[R] {
	a, n := asked[R]{p, make(chan answer[R], 1)}, serials.Add(1)
	wishes.Store(n, func(ctx actors.Context) (*granted, error) {
		return actors.Reply(ctx, q, func(_ actors.Context, r R, err error) (*granted, error) {
			a.done <- answer[R]{r, err}
			return &granted{}, nil
		})
	})
	body, err := partyMessages.ByNumber(101).Encode(wire.JSON, &wish{n})
	if err != nil {
		p.t.Fatal(err)
	}
	p.systems[node].Request(&actors.Envelope{Type: actors.Message, To: asker.Ref(fmt.Sprintf("%s.%d", node, n)),
		Number: 101, Codec: wire.JSON, Body: body}, 30*time.Second, func(*actors.Envelope) {})
	return a
}

var errWaits = errors.New("no answer yet")

// now is the answer: in production when it comes, in virtual time that of this moment.
func (a asked[R]) now() answer[R] {
	if a.p.time == nil {
		return <-a.done
	}
	a.p.time.Settle()
	select {
	case got := <-a.done:
		return got
	default:
		return answer[R]{err: errWaits}
	}
}

func (a answer[R]) ok(t testing.TB) R {
	t.Helper()
	if a.err != nil {
		t.Fatalf("refused: %v", a.err)
	}
	return a.result
}

func (a answer[R]) refused(t testing.TB, code actors.Code, text string) {
	t.Helper()
	if !errors.Is(a.err, code) || !strings.Contains(a.err.Error(), text) {
		t.Errorf("the answer is %v, %v; want %s with %q in it", a.result, a.err, code, text)
	}
}

func (a answer[R]) waits(t testing.TB) {
	t.Helper()
	if a.err != errWaits {
		t.Errorf("there is an answer: %v, %v", a.result, a.err)
	}
}
