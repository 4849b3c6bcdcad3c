package actors

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A threaded runs a System on goroutines and real time, as production does.
type threaded struct {
	*System
	mu    sync.Mutex
	kept  map[Ref]Snapshot
	stale atomic.Int64
}

func (r *threaded) Route(e *Envelope)                               { r.Deliver(e) }
func (r *threaded) Tenure(string, int) (uint64, Hold)               { return 1, Held }
func (r *threaded) Shards() int                                     { return 16 }
func (r *threaded) Now() time.Time                                  { return time.Now() }
func (r *threaded) Run(f func())                                    { go f() }
func (r *threaded) Offload(f func())                                { go f() }
func (r *threaded) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

func (r *threaded) Load(ref Ref, _ Tenure, done func(Snapshot, error)) {
	go func() {
		r.mu.Lock()
		s := r.kept[ref]
		r.mu.Unlock()
		done(s, nil)
	}()
}

func (r *threaded) Number(Tenure) (uint64, bool) { return 0, true }

func (r *threaded) Save(ref Ref, _ Tenure, c Change, done func(error)) {
	go func() {
		r.mu.Lock()
		if c.Version <= r.kept[ref].Version {
			r.stale.Add(1)
		}
		r.kept[ref] = Snapshot{Version: c.Version, Cells: c.Cells}
		r.mu.Unlock()
		done(nil)
	}()
}

func TestNothingIsLostBetweenThreadsAndPassivations(t *testing.T) {
	t.Parallel()
	const senders, each, entities = 8, 500, 20
	const kind KindName = "counter"
	r := &threaded{kept: map[Ref]Snapshot{}}
	sys, err := NewSystem(Options{Node: "n", Catalogue: testMessages, Clock: r, Scheduler: r, Store: r,
		Log: slog.New(slog.DiscardHandler), Limits: Limits{FlushEvery: 10 * time.Millisecond},
		Kinds: []Kind{{Name: kind, IdleAfter: 2 * time.Millisecond, New: func(p *Props) {
			n := State[int](p, "n")
			Answer(p, func(ctx Context, m *buy) (*bought, error) {
				*n.Edit()++
				if m.Price%3 == 0 {
					ctx.Commit()
				}
				return &bought{n.View()}, nil
			})
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	r.System = sys
	sys.Start(r)
	var answered atomic.Int64
	var all sync.WaitGroup
	for s := range senders {
		client := SessionRef("n", wire.JSON, 1, uint64(s))
		room := make(chan struct{}, 16)
		sys.Attach(client, func(e *Envelope) {
			if e.Type == Answered {
				answered.Add(1)
			}
			<-room
			all.Done()
		})
		all.Add(each)
		go func() {
			breath := time.NewTicker(3 * time.Millisecond)
			defer breath.Stop()
			for i := range each {
				room <- struct{}{}
				sys.Deliver(&Envelope{Type: Message, To: kind.Ref(fmt.Sprint(i % entities)),
					Session: client, From: client, Number: 200, Codec: wire.JSON,
					Body: fmt.Appendf(nil, `{"Price":%d}`, i), Request: uint64(i + 1)})
				if i%50 == 0 {
					<-breath.C // entities fall idle, so that some are passivated under load
				}
			}
		}()
	}
	finished := make(chan struct{})
	go func() { all.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(2 * time.Minute):
		t.Fatalf("%d of %d answers after two minutes", answered.Load(), senders*each)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := sys.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for ref, s := range r.kept {
		var n int
		if _, err := fmt.Sscanf(string(s.Cells), `{"n":{"v":1,"d":%d}}`, &n); err != nil {
			t.Fatalf("%v: %s", ref, s.Cells)
		}
		sum += n
	}
	if answered.Load() != senders*each || sum != senders*each || r.stale.Load() != 0 {
		t.Errorf("%d answers, %d kept of %d; %d versions went back", answered.Load(), sum, senders*each, r.stale.Load())
	}
}
