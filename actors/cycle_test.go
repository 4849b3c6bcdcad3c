package actors

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/virtual"
	"github.com/fireflyrt/firefly/actors/wire"
)

// An errand is what an actor is asked to do: to send others on errands, all at once or one after the other, and to come
// back when all are done.
type errand struct {
	Asks      []*errand
	To        string // who is sent on it
	InTurn    bool   // one after the other
	Meanwhile bool   // whoever sends on it goes on meanwhile
	Bears     bool   // it is done though the first of its own errands was not
	Commits   bool
}

const knot KindName = "knot"

var errandMessages = wire.Join(testMessages, wire.Messages(wire.In[*errand](220)))

// to is an errand that sends others on errands.
func to(who string, asks ...*errand) *errand { return &errand{To: who, Asks: asks} }

func newKnot(p *Props) {
	done := State[int](p, "done")
	Answer(p, func(ctx Context, m *errand) (*bought, error) {
		if *done.Edit()++; m.Commits {
			ctx.Commit()
		}
		return errands(ctx, m, m.Asks)
	})
	Answer(p, func(Context, *look) (*bought, error) { return &bought{done.View()}, nil })
}

func errands(ctx Context, m *errand, left []*errand) (*bought, error) {
	if len(left) == 0 {
		return &bought{}, nil
	}
	rest := left[1:]
	if !m.InTurn {
		for _, a := range rest {
			Then(ctx, a.asked(), func(Context, *bought, error) error { return nil })
		}
		rest = nil
	}
	return Reply(ctx, left[0].asked(), func(ctx Context, _ *bought, err error) (*bought, error) {
		if err != nil && !m.Bears {
			return nil, err
		}
		return errands(ctx, m, rest)
	})
}

func (m *errand) asked() Pending[*bought] {
	q := Ask[*bought](knot.Ref(m.To), m)
	if m.Meanwhile {
		q = q.Meanwhile()
	}
	return q
}

func knots(t *testing.T) *world { return newWorld(t, errandMessages, Kind{Name: knot, New: newKnot}) }

// meet lets clients send actors on errands at one moment, and returns the answers' errors. No time passes.
func (w *world) meet(all ...*errand) (errs []error) {
	w.t.Helper()
	var ids []uint64
	for _, m := range all {
		ids = append(ids, w.send(knot.Ref(m.To), m, true))
	}
	w.settle()
	for i, id := range ids {
		answer, err := w.answer(id)
		if answer == nil && err == nil {
			w.t.Errorf("errand %d has no answer", i)
		}
		errs = append(errs, err)
	}
	return errs
}

// cycles are the paths of errors that are CYCLE, in order.
func cycles(errs []error) (paths []string) {
	for _, err := range errs {
		if errors.Is(err, Cycle) {
			paths = append(paths, strings.TrimPrefix(err.Error(), "CYCLE: "))
		}
	}
	return paths
}

func TestActorsThatWaitForEachOtherAreToldSoAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		errands []*errand
		want    string
	}{
		"itself":    {[]*errand{to("a", to("a"))}, "[knot/a -> knot/a]"},
		"two":       {[]*errand{to("a", to("b", to("a")))}, "[knot/b -> knot/a -> knot/b]"},
		"three":     {[]*errand{to("a", to("b", to("c", to("a"))))}, "[knot/c -> knot/a -> knot/b -> knot/c]"},
		"at a time": {[]*errand{to("a", to("b")), to("b", to("a"))}, "[knot/b -> knot/a -> knot/b]"},
		"three at a time": {[]*errand{to("a", to("b")), to("b", to("c")), to("c", to("a"))},
			"[knot/c -> knot/a -> knot/b -> knot/c]"},
		"behind one that waits": {[]*errand{to("a", to("b")), to("b", to("c")), to("c", to("b"))},
			"[knot/c -> knot/b -> knot/c]"},
		"one of several": {[]*errand{to("a", to("x"), to("b"), to("y")), to("b", to("a"))},
			"[knot/b -> knot/a -> knot/b]"},
		"its handler goes on meanwhile": {[]*errand{to("a", to("b", &errand{To: "a", Meanwhile: true}))},
			"[knot/b -> knot/a -> knot/b]"},
	} {
		t.Run(name, func(t *testing.T) {
			w := knots(t)
			if got := fmt.Sprint(cycles(w.meet(c.errands...))); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			for i := range c.errands {
				if _, err := w.call(knot.Ref(c.errands[i].To), &look{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestWhoeverDoesNotWaitIsInNoCycle(t *testing.T) {
	aside := func(who string) *errand { return &errand{To: who, Meanwhile: true} }
	for name, all := range map[string][]*errand{
		"meanwhile itself":    {to("a", aside("a"))},
		"meanwhile both":      {to("a", aside("b")), to("b", aside("a"))},
		"meanwhile one":       {to("a", aside("b")), to("b", to("a"))},
		"one direction":       {to("a", to("b", to("c"))), to("a", to("c")), to("b", to("c"))},
		"the same twice":      {to("a", to("b"), to("b")), to("a", to("b"))},
		"through one another": {to("a", to("b", to("d")), to("c", to("d")))},
	} {
		t.Run(name, func(t *testing.T) {
			if err := errors.Join(knots(t).meet(all...)...); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACommitThatTakesLongIsNoCycle(t *testing.T) {
	w := knots(t)
	w.store.silent = true
	first := w.send(knot.Ref("a"), &errand{Commits: true, Asks: []*errand{to("b")}}, true)
	second := w.send(knot.Ref("b"), &errand{Asks: []*errand{to("a")}}, true)
	w.advance(time.Second)
	if w.sys.Report().Cycles != 0 {
		t.Error("who waits for the store waits for nobody")
	}
	w.store.silent = false
	for _, answer := range w.store.waiting {
		w.Run(answer)
	}
	w.settle() // now that it asks, it is in one
	if answer, err := w.answer(first); answer == nil {
		t.Errorf("a came back with %v", err)
	}
	if _, err := w.answer(second); !errors.Is(err, Cycle) {
		t.Errorf("b came back with %v", err)
	}
}

func TestTheNewestQuestionOfACycleIsAnswered(t *testing.T) {
	w := knots(t)
	var slow *Envelope
	w.routed = func(e *Envelope) bool {
		if e.Number == 220 && e.From == knot.Ref("b") && slow == nil {
			slow = e
			return true
		}
		return false
	}
	older := w.send(knot.Ref("b"), &errand{Asks: []*errand{to("a")}}, true)
	w.advance(time.Second)
	newer := w.send(knot.Ref("a"), &errand{Asks: []*errand{to("b")}}, true)
	w.settle()
	w.sys.Deliver(slow) // what closes the circle is not the newest
	w.settle()
	if _, err := w.answer(newer); !errors.Is(err, Cycle) {
		t.Errorf("the newer question: %v", err)
	}
	if answer, err := w.answer(older); answer == nil {
		t.Errorf("the older question: %v", err)
	}
}

func TestAQuestionThatWasAnsweredCycleIsHandledAllTheSame(t *testing.T) {
	w := knots(t)
	w.meet(to("a", to("b")), to("b", to("a")))
	if late := w.sys.Report().Late; late != 1 {
		t.Errorf("%d answers were late, want that of the question that was given up", late)
	}
	if a, b := w.gold(knot.Ref("a")), w.gold(knot.Ref("b")); a != 2 || b != 2 {
		t.Errorf("a was on %d errands, and b on %d", a, b)
	}
	if w.sys.Report().Cycles != 1 {
		t.Errorf("%d questions were answered CYCLE", w.sys.Report().Cycles)
	}
}

func TestTwoCyclesOfOneChainAreBothFound(t *testing.T) {
	// a waits for b ... h; d is asked again by f, and b by h
	w := knots(t)
	chain := to("a", to("b", to("c", to("d", to("e", &errand{To: "f", Bears: true, InTurn: true, Asks: []*errand{
		to("d"), to("g", to("h", to("b")))}})))))
	w.meet(chain)
	if n := w.sys.Report().Cycles; n != 2 {
		t.Errorf("%d cycles were found", n)
	}
	w = knots(t) // at once: b asks a and c, which both ask b
	w.meet(to("b", to("a"), to("c")), to("a", to("b")), to("c", to("b")))
	if n := w.sys.Report().Cycles; n != 2 {
		t.Errorf("%d cycles were found at once", n)
	}
}

func TestAWaysThatPartAndMeetAgainIsGoneBothTimes(t *testing.T) {
	// z is asked by y, and asks w and x at once: both ask y
	w := knots(t)
	m := to("y", &errand{To: "z", Bears: true, Asks: []*errand{to("w", to("y")), to("x", to("y"))}})
	w.meet(m)
	w.advance(2 * searchEvery)
	if left := w.circles(); len(left) > 0 {
		t.Errorf("%v still wait", left)
	}
}

// merry is n actors of which each asks the next, at one moment.
func merry(n int) (all []*errand) {
	for i := range n {
		all = append(all, to(fmt.Sprintf("%02d", i), to(fmt.Sprintf("%02d", (i+1)%n))))
	}
	return all
}

func TestACycleOfMoreThanMaxHopsIsLeftToDeadlines(t *testing.T) {
	if got := cycles(knots(t).meet(merry(MaxHops)...)); len(got) != 1 {
		t.Errorf("a circle of %d: %v", MaxHops, got)
	}
	w := knots(t)
	var ids []uint64
	for _, m := range merry(MaxHops + 1) {
		ids = append(ids, w.send(knot.Ref(m.To), m, true))
	}
	w.advance(defaultAsk)
	late := 0
	for _, id := range ids {
		if _, err := w.answer(id); errors.Is(err, DeadlinePassed) {
			late++
		}
	}
	if late == 0 || w.sys.Report().Cycles != 0 {
		t.Errorf("%d of %d met their deadline, and %d cycles were found", late, len(ids), w.sys.Report().Cycles)
	}
}

// loop lets actors wait for each other, and keeps the nth of their probes back; those after it are lost.
func loop(t *testing.T, n int, all ...*errand) (w *world, kept func()) {
	w = knots(t)
	var e *Envelope
	w.routed = func(sent *Envelope) bool {
		if sent.Number != NumberProbe {
			return false
		}
		if n--; n == 0 {
			e = sent
		}
		return n <= 0 // and none after it leaves
	}
	for _, m := range all {
		w.send(knot.Ref(m.To), m, true)
	}
	w.settle()
	if e == nil {
		t.Fatal("no such probe")
	}
	return w, func() {
		w.routed = nil
		w.sys.Deliver(e)
		w.settle()
	}
}

func TestAProbeThatIsLateInventsNoCycle(t *testing.T) {
	for probes := 1; probes <= 4; probes++ { // two seek, and two confirm
		for name, breaks := range map[string]func(*world){
			"a deadline":      func(w *world) { w.advance(defaultAsk) },
			"a crash":         func(w *world) { w.sys.Crash(knot.Ref("a")); w.settle() },
			"the other crash": func(w *world) { w.sys.Crash(knot.Ref("b")); w.settle() },
			"both":            func(w *world) { w.sys.Crash(knot.Ref("a")); w.sys.Crash(knot.Ref("b")); w.settle() },
			"a next try":      func(w *world) { w.advance(defaultAsk); w.store.silent = true; w.meetLater("a", "b") },
			"a move": func(w *world) {
				w.epoch++
				w.sys.Release("game", []int{knot.Ref("a").Shard(16), knot.Ref("b").Shard(16)})
				w.settle()
			},
		} {
			w, deliver := loop(t, probes, to("a", to("b")), to("b", to("a")))
			breaks(w)
			if deliver(); w.sys.Report().Cycles != 0 {
				t.Errorf("probe %d came after %s, and a cycle was found", probes, name)
			}
		}
	}
}

// meetLater lets actors ask each other again, in turns that are not durable yet.
func (w *world) meetLater(a, b string) {
	w.send(knot.Ref(a), &errand{Commits: true, Asks: []*errand{to(b)}}, true)
	w.send(knot.Ref(b), &errand{Commits: true, Asks: []*errand{to(a)}}, true)
	w.settle()
}

func TestAProbeOfNonsenseDoesNothing(t *testing.T) {
	w, _ := loop(t, 1, to("a", to("b")), to("b", to("a")))
	w.routed = nil
	a, b := wait{Who: knot.Ref("a"), Question: 1}, wait{Who: knot.Ref("b"), Question: 2}
	for _, m := range []*cycleProbe{{}, {Sure: 1}, {Path: []wait{a}, Sure: -1}, {Path: []wait{a, b}, Sure: 3},
		{Path: []wait{a, b}, Sure: 2}, {Path: []wait{a, b}, Sure: 1}, {Path: []wait{b, a}}} {
		w.sys.Deliver(RuntimeMessage(b.Who, a.Who, m))
		w.sys.Deliver(RuntimeMessage(b.Who, knot.Ref("nobody"), m))
		w.sys.Deliver(RuntimeMessage(b.Who, KindName("nothing").Ref("x"), m))
	}
	w.sys.Deliver(&Envelope{Type: Message, To: a.Who, From: b.Who, Number: NumberProbe, Body: []byte("{")})
	if w.settle(); w.sys.Report().Cycles != 0 || w.sys.Report().Actors[knot] != 2 {
		t.Errorf("%+v", w.sys.Report())
	}
}

func TestManyWhoWaitForOneCostFewProbes(t *testing.T) {
	t.Parallel()
	w := knots(t)
	mute := KindName("mute")
	w.routed = func(e *Envelope) bool { return e.To == knot.Ref(string(mute)) && e.Number != NumberProbe }
	w.send(knot.Ref("hub"), to("hub", to("mute")), true) // it waits for its deadline
	for i := range 300 {
		who := fmt.Sprint(i)
		w.send(knot.Ref(who), to(who, to("hub")), true)
	}
	w.settle()
	if n := w.sys.Report().Probes; n != 1 {
		t.Errorf("%d probes for 300 questions that came at once", n)
	}
	w.advance(defaultAsk)
	if n := w.sys.Report().Probes; n > 2 {
		t.Errorf("%d probes for 300 questions that came to one", n)
	}
}

func TestProbesOfManyGoAlongOneQuestionUpToABound(t *testing.T) {
	t.Parallel()
	w := knots(t)
	w.routed = func(e *Envelope) bool { return e.To.ID == "mute" }
	w.send(knot.Ref("hub"), to("hub", to("mute")), true)
	for i := range maxSearchers + 10 {
		who := fmt.Sprint(i)
		w.send(knot.Ref(who), to(who, to("hub")), true)
		w.send(knot.Ref("x"+who), to("x"+who, to(who)), true)
	}
	w.settle()
	var hub *entity
	for _, p := range w.sys.all() {
		if p.ref.ID == "hub" {
			hub = p.body.(*entity)
		}
	}
	for _, q := range hub.asked {
		if n := len(q.search.passed); n != maxSearchers {
			t.Errorf("it remembers %d, the bound is %d", n, maxSearchers)
		}
	}
	if w.advance(defaultAsk); len(hub.asked) != 0 {
		t.Error("its question is open for ever")
	}
}

// circles are the open questions from which waiting leads back to them, as nobody but a test can see: the whole node at
// one moment. Of each circle there are those that only lead back through questions that are not newer.
func (w *world) circles() (newest map[wait]bool) {
	open, edges := map[wait]Ref{}, map[wait][]wait{}
	entities := map[Ref]*entity{}
	for _, p := range w.sys.all() {
		n := p.body.(*entity)
		entities[n.ref] = n
		for _, q := range n.asked {
			if q.envelope != nil {
				open[wait{n.ref, q.id, q.envelope.At}] = q.to
			}
		}
	}
	for a, to := range open {
		for b := range open {
			if n := entities[to]; b.Who == to && n.detains(a, n.asked[b.Question]) {
				edges[a] = append(edges[a], b)
			}
		}
	}
	newest = map[wait]bool{}
	for a := range open {
		if a.leadsTo(a, a, edges, map[wait]bool{}) {
			newest[a] = true
		}
	}
	return newest
}

// detains reports whether a question to n has to wait until n has the answer to its own question q.
func (n *entity) detains(a wait, q *question) bool {
	for _, item := range n.box.lane[laneUser].rest() {
		if e, ok := item.(*Envelope); ok && e.From == a.Who && e.Request == a.Question {
			return !q.meanwhile
		}
	}
	r := q.request
	return r != nil && !r.settled && r.envelope.From == a.Who && r.envelope.Request == a.Question
}

func (a wait) leadsTo(b, newest wait, edges map[wait][]wait, seen map[wait]bool) bool {
	for _, next := range edges[a] {
		if next == b {
			return true
		}
		if !next.isNewer(newest) && !seen[next] {
			seen[next] = true
			if next.leadsTo(b, newest, edges, seen) {
				return true
			}
		}
	}
	return false
}

// tangle is a random errand.
func tangle(r *rand.Rand, who string, depth int) *errand {
	m := &errand{To: who, InTurn: r.IntN(3) == 0, Bears: r.IntN(2) == 0, Commits: r.IntN(6) == 0,
		Meanwhile: r.IntN(6) == 0}
	if depth > 0 {
		for range r.IntN(3) {
			m.Asks = append(m.Asks, tangle(r, string('a'+rune(r.IntN(6))), depth-1))
		}
	}
	return m
}

func TestEveryRandomTangleIsUndoneWithoutADeadlineAndNoCycleIsInvented(t *testing.T) {
	t.Parallel()
	found := 0
	for seed := range seeds(80) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { found += untangle(t, seed) })
	}
	if found < int(seeds(80)) {
		t.Errorf("only %d cycles in all tangles", found)
	}
}

// untangle lets a random tangle run, and looks at the whole node whenever a probe leaves. It returns how many
// questions were answered CYCLE.
func untangle(t *testing.T, seed uint64) (found int) {
	r := rand.New(rand.NewPCG(seed, 2))
	w := newWorld(t, errandMessages, Kind{Name: knot, New: newKnot})
	w.Time = virtual.New(w.Now(), r)
	w.sys.o.Clock, w.sys.o.Scheduler = w.Time, w.Time
	doomed := map[wait]bool{}
	w.routed = func(e *Envelope) bool {
		if e.Number == NumberProbe {
			maps.Copy(doomed, w.circles())
		}
		return false
	}
	var ids []uint64
	for range 2 + r.IntN(6) {
		m := tangle(r, string('a'+rune(r.IntN(6))), 3)
		ids = append(ids, w.send(knot.Ref(m.To), m, true))
		for range r.IntN(10) {
			w.Step()
		}
		if r.IntN(2) == 0 {
			w.advance(time.Millisecond)
		}
	}
	for range 10 {
		w.advance(searchEvery)
	}
	if left := w.circles(); len(left) > 0 {
		t.Errorf("%v still wait", left)
	}
	for _, id := range ids {
		if answer, err := w.answer(id); answer == nil && err == nil || errors.Is(err, DeadlinePassed) {
			t.Errorf("errand %d: %v, %v", id, answer, err)
		}
	}
	for _, l := range w.witness.lives {
		for _, s := range l.steps {
			in := s.Input
			if in.Type != InputAnswer || in.Refusal == nil || in.Refusal.Code != Cycle {
				continue
			}
			found++
			if !isDoomed(doomed, l.image.Ref, in.Question) {
				t.Errorf("%s was told %v, which never was so", l.image.Ref, in.Refusal)
			}
		}
	}
	return found
}

func isDoomed(doomed map[wait]bool, who Ref, question uint64) bool {
	for q := range doomed {
		if q.Who == who && q.Question == question {
			return true
		}
	}
	return false
}

func TestActorsThatAskEachOtherInParallelNeedNoDeadline(t *testing.T) {
	t.Parallel()
	const pairs = 3000
	r := &threaded{kept: map[Ref]Snapshot{}}
	sys, err := NewSystem(Options{Node: "n", Catalogue: errandMessages, Clock: r, Scheduler: r, Store: r,
		Log: slog.New(slog.DiscardHandler), Kinds: []Kind{{Name: knot, New: func(p *Props) {
			Answer(p, func(ctx Context, m *errand) (*bought, error) { return errands(ctx, m, m.Asks) })
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	r.System = sys
	sys.Start(r)
	answers := make(chan *Envelope, 2)
	client := SessionRef("n", wire.JSON, 1, 1)
	sys.Attach(client, func(e *Envelope) { answers <- e })
	told, begin := 0, time.Now()
	for i := 0; i < pairs || told == 0 && time.Since(begin) < time.Minute; i++ { // they seldom meet on busy cores
		for j, m := range []*errand{to("a", to("b")), to("b", to("a"))} {
			body, err := errandMessages.Of(m).Encode(wire.JSON, m)
			if err != nil {
				t.Fatal(err)
			}
			go sys.Deliver(&Envelope{Type: Message, To: knot.Ref(m.To), Session: client, From: client, Number: 220,
				Codec: wire.JSON, Body: body, Request: uint64(2*i + j + 1)})
		}
		before := told
		for range 2 {
			if e := <-answers; e.Type == Refused && e.Refusal().Code == Cycle {
				told++
			} else if e.Type == Refused {
				t.Fatalf("after %d pairs: %v", i, e.Refusal())
			}
		}
		if told > before+1 {
			t.Fatalf("after %d pairs both were told", i)
		}
	}
	if t.Logf("%d of %d pairs waited for each other", told, pairs); told == 0 {
		t.Error("no pair has met; the test tests nothing")
	}
	if err := sys.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAQuestionThatComesWhileTheOtherLeavesIsNoticed(t *testing.T) {
	w := knots(t)
	first := true
	w.routed = func(e *Envelope) bool {
		if e.From != knot.Ref("a") || e.Number != 220 || !first {
			return false
		}
		first = false
		w.sys.Deliver(e)
		w.settle() // b asks a, whose turn is not over
		return true
	}
	if got := w.meet(to("a", to("b")), to("b", to("a"))); len(cycles(got)) != 1 {
		t.Errorf("got %v", got)
	}
}
