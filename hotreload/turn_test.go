package hotreload

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

type look struct{}

type looked struct{ Before, After, Listed int32 }

const shop actors.KindName = "shop"

// node is the least of a node: everything lives here, and runs at once or in a goroutine.
type node struct{ sys *actors.System }

func (n *node) Route(e *actors.Envelope)                 { n.sys.Deliver(e) }
func (n *node) Tenure(string, int) (uint64, actors.Hold) { return 1, actors.Held }
func (n *node) Shards() int                              { return 4 }
func (n *node) Now() time.Time                           { return time.Unix(1e9, 0) }
func (n *node) Run(f func())                             { go f() }
func (n *node) Offload(f func())                         { go f() }

func (n *node) AfterFunc(time.Duration, func()) (stop func() bool) {
	return func() bool { return true }
}

// A handler reads, the tables are swapped under it, and it reads again: the same. The next turn
// reads what is new.
func TestATurnSeesOneEditionFromItsStartToItsEnd(t *testing.T) {
	p, d := prices(), newDir(t, map[string]string{"prices.csv": lampFor3})
	s := d.open(p)
	swap := func() {
		d.write("prices.csv", "item,gold\nlamp,4\nmoon,9\n")
		if err := s.Reload(); err != nil {
			t.Error(err)
		}
	}
	behave := func(props *actors.Props) {
		actors.Answer(props, func(ctx actors.Context, _ *look) (*looked, error) {
			before, _ := p.Get(ctx, "lamp")
			swap()
			after, _ := p.Get(ctx, "lamp")
			sum := int32(0)
			for _, row := range p.All(ctx) {
				sum += row.Gold
			}
			return &looked{before.Gold, after.Gold, sum}, nil
		})
	}
	ask := start(t, s, behave)
	if got, want := ask(), (looked{3, 3, 3}); got != want {
		t.Errorf("the turn under which tables changed saw %+v, want %+v", got, want)
	}
	if got, want := ask(), (looked{4, 4, 13}); got != want {
		t.Errorf("the next turn saw %+v, want %+v", got, want)
	}
}

// start runs one shop on the tables and returns how to ask it.
func start(t *testing.T, s *Set, behave func(*actors.Props)) (ask func() looked) {
	n := new(node)
	messages := wire.Messages(wire.Internal[*look](100), wire.Internal[*looked](101))
	sys, err := actors.NewSystem(actors.Options{Node: "game-1", Incarnation: 1, Seed: 1,
		Kinds: []actors.Kind{{Name: shop, New: behave, Workers: 1}}, Catalogue: messages,
		Clock: n, Scheduler: n, Log: s.log, Tables: func() any { return s.Current() }})
	if err != nil {
		t.Fatal(err)
	}
	n.sys = sys
	sys.Start(n)
	t.Cleanup(func() { _ = sys.Stop(context.Background()) })
	return func() looked {
		answers := make(chan *actors.Envelope, 1)
		question := &actors.Envelope{Type: actors.Message, To: shop.Ref(""), Number: 100,
			Codec: wire.JSON, Body: []byte("{}")}
		sys.Request(question, time.Second, func(e *actors.Envelope) { answers <- e })
		select {
		case e := <-answers:
			got, err := messages.ByNumber(101).Decode(e.Codec, e.Body)
			if err != nil || e.Type != actors.Answered {
				t.Fatalf("%v %s", err, slices.Clone(e.Body))
			}
			return *got.(*looked)
		case <-time.After(5 * time.Second):
			t.Fatal("the shop did not answer")
			return looked{}
		}
	}
}
