package persist_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/persist"
)

// A party is everything as in production: a persist node on a database, and actors that ask for rows.

type party struct {
	t       testing.TB
	archive *persist.Archive
	sys     *actors.System
}

const asker actors.KindName = "asker"

// A wish is what an asker is told to do. It stays within its process.
type wish struct {
	Number int64 `json:"number"`
}

type granted struct{}

// wishes are what askers were told to do, by number.
var wishes sync.Map

func newParty(t *testing.T, db persist.Database, l persist.Limits) *party {
	t.Helper()
	return partyOf(t, db, keepA, l)
}

func partyOf(t *testing.T, db persist.Database, incarnation uint64, l persist.Limits) *party {
	t.Helper()
	f := &floor{slots: make(chan struct{}, 8)}
	tables := map[string]*persist.Mapping{"thing": mappingOf(t, things), "task": mappingOf(t, tasks)}
	archive, err := persist.NewArchive(persist.Options{Database: db, Incarnation: incarnation, Clock: f,
		Tables: tables, Scheduler: f, Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	p := &party{t: t, archive: archive}
	catalogue := wire.Join(persist.Messages, wire.Messages(wire.Internal[*wish](101), wire.Internal[*granted](102)))
	p.sys, err = actors.NewSystem(actors.Options{Node: "n", Incarnation: incarnation, Clock: f, Scheduler: f,
		Catalogue: catalogue, Kinds: []actors.Kind{archive.Kind(), {Name: asker, New: func(q *actors.Props) {
			actors.Answer(q, func(ctx actors.Context, m *wish) (*granted, error) {
				ask, _ := wishes.LoadAndDelete(m.Number)
				return ask.(func(actors.Context) (*granted, error))(ctx)
			})
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	p.sys.Start(direct{p.sys})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := errors.Join(p.sys.Stop(ctx), archive.Close()); err != nil {
			t.Error(err)
		}
		f.running.Wait()
	})
	return p
}

// An answer is what came of a question.
type answer[R any] struct {
	result R
	err    error
}

var serials atomic.Int64

// ask lets an actor ask, and waits for what it is told.
func ask[R any](p *party, q actors.Pending[R]) answer[R] { return <-begin(p, q) }

func begin[R any](p *party, q actors.Pending[R]) <-chan answer[R] {
	done := make(chan answer[R], 1)
	n := serials.Add(1)
	wishes.Store(n, func(ctx actors.Context) (*granted, error) {
		return actors.Reply(ctx, q, func(_ actors.Context, r R, err error) (*granted, error) {
			done <- answer[R]{r, err}
			return &granted{}, nil
		})
	})
	body, err := wire.Messages(wire.Internal[*wish](101)).ByNumber(101).Encode(wire.JSON, &wish{n})
	if err != nil {
		p.t.Fatal(err)
	}
	e := &actors.Envelope{Type: actors.Message, To: asker.Ref(time.Duration(n).String()), Number: 101, Codec: wire.JSON, Body: body}
	p.sys.Request(e, 30*time.Second, func(*actors.Envelope) {})
	return done
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
