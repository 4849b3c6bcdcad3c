package record_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/virtual"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/record"
)

type (
	earn  struct{ Gold int }
	spend struct{ Gold int }
	lend  struct{ Gold int }
	lent  struct{ Gold int }
	trip  struct{}
	tell  struct {
		PIN string `firefly:"sensitive"`
	}
)

var bankMessages = wire.Messages(wire.In[*earn](201), wire.In[*spend](202), wire.In[*lend](203), wire.Out[*lent](204),
	wire.In[*trip](205), wire.In[*tell](206))

type account struct {
	Gold int
	PIN  string `firefly:"sensitive"`
}

// customer is a behaviour with everything that a recording has to keep: cells, rows, commits, questions, luck, groups,
// timers, secrets, and a planted panic.
func customer(p *actors.Props) {
	purse := actors.State[account](p, "purse")
	book := actors.Rows[int, int](p, "book")
	hearers := actors.Audience(p)
	actors.Answer(p, func(ctx actors.Context, m *earn) (*lent, error) {
		purse.Edit().Gold += m.Gold
		book.Set(book.Len(), m.Gold+ctx.Rand().IntN(10))
		hearers.Send(ctx, &lent{purse.View().Gold})
		ctx.After(time.Second, &spend{1})
		return &lent{purse.View().Gold}, nil
	})
	actors.Handle(p, func(ctx actors.Context, m *spend) error {
		if purse.View().Gold < m.Gold {
			return actors.Code("POOR").Refuse("there is not enough")
		}
		purse.Edit().Gold -= m.Gold
		book.Delete(0)
		ctx.Commit()
		return nil
	})
	actors.Answer(p, func(ctx actors.Context, m *lend) (*lent, error) {
		return actors.Reply(ctx, actors.Ask[*lent](actors.KindName("bank").Ref("b"), m),
			func(_ actors.Context, back *lent, err error) (*lent, error) {
				if err == nil {
					purse.Edit().Gold += back.Gold
				}
				return back, err
			})
	})
	actors.Handle(p, func(_ actors.Context, m *tell) error {
		purse.Edit().PIN = m.PIN
		return nil
	})
	actors.Handle(p, func(actors.Context, *trip) error {
		purse.Edit().Gold = -1
		panic("tripped")
	})
}

var kinds = []actors.Kind{{Name: "customer", New: customer, IdleAfter: -1}}

// A town is a real System with a Recorder, in virtual time.
type town struct {
	*virtual.Time
	*record.Recorder
	sys *actors.System
	dir string
}

func (n *town) Route(e *actors.Envelope) {
	if e.To.Kind == "bank" { // the bank is elsewhere: it answers later
		n.AfterFunc(time.Millisecond, func() { n.sys.Deliver(e.Answer(204, wire.JSON, []byte(`{"Gold":5}`))) })
		return
	}
	n.sys.Deliver(e)
}
func (n *town) Tenure(string, int) (uint64, actors.Hold) { return 1, actors.Held }
func (n *town) Shards() int                              { return 1 }

func (n *town) Load(_ actors.Ref, _ actors.Tenure, done func(actors.Snapshot, error)) {
	n.AfterFunc(time.Millisecond, func() { done(actors.Snapshot{Version: 1}, nil) })
}

func (n *town) Number(actors.Tenure) (uint64, bool) { return 0, true }

func (n *town) Save(_ actors.Ref, _ actors.Tenure, _ actors.Change, done func(error)) {
	n.AfterFunc(time.Millisecond, func() { done(nil) })
}

func newTown(t testing.TB, flight int) *town {
	t.Helper()
	n := &town{Time: virtual.New(time.Unix(1000, 0), nil), dir: t.TempDir()}
	l := limits()
	l.Flight = flight
	quiet := slog.New(slog.DiscardHandler)
	n.Recorder = record.NewRecorder(record.Options{Dir: n.dir, App: "bank", Node: "game-1", Incarnation: 7,
		Catalogue: bankMessages, Key: key, Clock: n, Scheduler: n, Log: quiet, Limits: l})
	sys, err := actors.NewSystem(actors.Options{Node: "game-1", Incarnation: 7, Seed: 7, Kinds: kinds,
		Catalogue: bankMessages, Clock: n, Scheduler: n, Store: n, Log: quiet, Tap: n.Recorder})
	if err != nil {
		t.Fatal(err)
	}
	n.sys = sys
	sys.Start(n)
	sys.Attach(visit, func(*actors.Envelope) {})
	return n
}

func (n *town) send(msg any) {
	line := bankMessages.Of(msg)
	body, err := line.Encode(wire.JSON, msg)
	if err != nil {
		panic(err)
	}
	n.sys.Deliver(&actors.Envelope{Type: actors.Message, To: carl, From: visit, Session: visit, Number: line.Number,
		Codec: wire.JSON, Body: body, Request: 1})
}

var carl = actors.KindName("customer").Ref("carl")

// live does something by chance, many times.
func (n *town) live(luck *rand.Rand, times int) {
	n.sys.Deliver(actors.RuntimeMessage(visit, carl, &actors.Bound{Session: visit, Who: carl, Number: 1}))
	for i := range times {
		switch gold := luck.IntN(20); luck.IntN(6) {
		case 0, 1:
			n.send(&earn{gold})
		case 2:
			n.send(&spend{gold})
		case 3:
			n.send(&lend{gold})
		case 4:
			n.send(&tell{fmt.Sprint("pin ", i)})
		default:
			n.Advance(time.Duration(luck.IntN(2000)) * time.Millisecond)
		}
		if luck.IntN(3) > 0 {
			n.Settle()
		}
	}
	n.Advance(time.Minute)
	n.sys.Deliver(actors.RuntimeMessage(visit, carl, &actors.Unbound{Session: visit, Who: carl}))
	n.Settle()
}

// again does a segment again and compares all of it.
func again(t *testing.T, s *record.Segment, customer func(*actors.Props)) {
	t.Helper()
	m := record.NewMasking(bankMessages, record.Blank)
	kinds := []actors.Kind{{Name: "customer", New: customer, IdleAfter: -1}}
	r, err := actors.NewRerun(actors.RerunOptions{Kinds: kinds, Catalogue: bankMessages}, s.Image)
	if err != nil {
		t.Fatal(err)
	}
	checks := s.Checks
	for _, want := range s.Steps {
		in := want.Input
		done, err := r.Step(actors.Input{Type: in.Type, At: in.At, Envelope: in.Envelope, Question: in.Question,
			Result: in.Result, Refusal: in.Refusal, Session: in.Session})
		if err != nil {
			t.Fatalf("step %d: %v", want.Index, err)
		}
		got, err := record.Encode(done, m)
		if err != nil {
			t.Fatal(err)
		}
		w, g := m.Compared(want), m.Compared(got)
		for _, turns := range [][]record.Turn{w.Turns, g.Turns} {
			for i := range turns {
				turns[i].Stack = ""
			}
		}
		if !reflect.DeepEqual(w.Turns, g.Turns) || !reflect.DeepEqual(w.Out, g.Out) ||
			!reflect.DeepEqual(w.Patch, g.Patch) {
			t.Fatalf("step %d: recorded\n%+v %+v\nand now\n%+v %+v", want.Index, w, w.Patch, g, g.Patch)
		}
		if len(checks) > 0 && checks[0].After == want.Index+1 {
			image, err := r.Image(record.Blank)
			if err != nil {
				t.Fatal(err)
			}
			if hash, err := record.Hash(image); err != nil || hash != checks[0].Hash {
				t.Fatalf("the state after step %d has another hash (%v)", want.Index, err)
			}
			checks = checks[1:]
		}
	}
	if len(checks) > 0 {
		t.Errorf("%d checks were not reached", len(checks))
	}
}

func TestAFlightRecordOfARealActorReplaysExactly(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		n := newTown(t, 40)
		n.live(rand.New(rand.NewPCG(seed, 1)), 150)
		n.send(&trip{})
		n.Advance(time.Minute)
		files, err := filepath.Glob(filepath.Join(n.dir, "panic.*customer_carl.rec"))
		if err != nil || len(files) != 1 {
			t.Fatalf("seed %d: files %v, %v", seed, files, n.Report())
		}
		r, err := record.Read(files[0])
		if err != nil {
			t.Fatal(err)
		}
		s := r.Actor(carl).Segments[0]
		if len(s.Steps) < 10 || len(s.Steps) > 40 || s.First == 0 || len(s.Checks) != 1 || len(s.Panics) != 1 {
			t.Fatalf("seed %d: %d steps from %d", seed, len(s.Steps), s.First)
		}
		text, err := r.Append(nil)
		if err != nil || strings.Contains(string(text), "pin ") {
			t.Fatalf("seed %d: the file tells a secret (%v)", seed, err)
		}
		again(t, s, customer)
	}
}

func TestARecordingOfARealActorReplaysExactlyWhereverItBegins(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		n := newTown(t, 10)
		luck := rand.New(rand.NewPCG(seed, 2))
		n.live(luck, 50)
		n.send(&lend{5})
		n.Settle()
		n.Follow(everybody) // a question is under way: its answer is not the beginning
		n.Advance(time.Second)
		n.live(luck, 50)
		n.send(&trip{})
		n.live(luck, 20)
		n.Follow(nil)
		n.live(luck, 10)
		n.Follow(everybody)
		n.live(luck, 50)
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(n.dir, "live.*"))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		r, err := record.Read(files[0])
		if err != nil {
			t.Fatal(err)
		}
		a := r.Actor(carl)
		if len(a.Segments) != 2 || a.Segments[0].First == 0 || a.Segments[0].Gap == nil {
			t.Fatalf("seed %d: segments %+v", seed, a.Segments)
		}
		for _, s := range a.Segments {
			if len(s.Image.State.Bound) != 0 || len(s.Image.State.Groups) != 0 || !s.Steps[0].Quiet {
				t.Errorf("seed %d: began with %+v, before whoever came in the first step", seed, s.Image.State)
			}
			again(t, s, customer)
		}
	}
}
