package cluster

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// retired drains a node, and has it leave when that is done.
func (w *voyage) retired(h *crew) {
	h.leaves = true
	began := w.time.Now()
	h.n.Drain(drainWithin, func(err error) {
		if took := w.time.Now().Sub(began); w.seed%4 == 0 && took >= forgetAfter {
			w.t.Errorf("%s: %s was drained only after %v, though nobody fell silent", w, h.name, took)
		}
		if err != nil && !h.dead {
			w.t.Errorf("%s: %s could not be drained: %v", w, h.name, err)
		}
		h.n.Leave(func(err error) {
			if err != nil && !h.dead {
				w.t.Errorf("%s: %s could not leave: %v", w, h.name, err)
			}
			h.dead = true
			h.n.Close()
		})
	})
}

// drainWithin is more than any drain of a simulation takes.
const drainWithin = 20 * time.Second

// starved keeps a node from everything for a while: its lease ends, and it falls silent.
func (w *voyage) starved(h *crew, d time.Duration) {
	w.rough, h.starved = true, true
	w.away(h, d)
	mine := h.n.self.Link
	for _, to := range []bool{true, false} {
		shut := func() {
			for address := range w.nodes {
				w.cut[[2]string{mine, address}], w.cut[[2]string{address, mine}] = to, to
			}
		}
		if to {
			shut()
		} else {
			w.at(d, shut)
		}
	}
}

// forgotten looks that nobody keeps anything of what was moved, or of what came for others.
func (w *voyage) forgotten() {
	for _, h := range w.crews {
		if h.dead {
			continue
		}
		if rest := h.n.tenancy.unforgotten(); rest != nil {
			w.t.Errorf("%s: at %s %v", w, h.name, rest)
		}
		if rest := h.n.picture.Load().unsettled(); rest != nil {
			w.t.Errorf("%s: at %s %v", w, h.name, rest)
		}
	}
}

func TestWhoeverComesAndGoesAllTenuresAreForgotten(t *testing.T) {
	t.Parallel()
	voyages(t, 40, func(w *voyage) {
		w.delay, w.lag = 4*time.Millisecond, time.Duration(1+w.luck.IntN(300))*time.Millisecond
		w.lost, w.doubled, w.hasty, w.unknown, w.stubborn = 10, 5, 5, 30, 50
		gates := []*crew{w.join("gate-1", "gate"), w.join("gate-2", "gate")}
		games := []*crew{w.join("game-1", "game"), w.join("game-2", "game")}
		w.time.Advance(time.Second)
		for _, h := range slices.Concat(gates, games) {
			w.load(h, 40, 5*time.Second)
		}
		for _, name := range []string{"game-3", "game-4"} { // copies are added, and taken away again
			w.at(w.upTo(time.Second), func() {
				h := w.join(name, "game")
				w.load(h, 10, time.Second)
				w.at(w.upTo(2*time.Second), func() { w.retired(h) })
			})
		}
		w.at(w.upTo(3*time.Second), func() { w.join("gate-3", "gate") })
		w.at(w.upTo(3*time.Second), func() { w.retired(gates[1]) })
		switch w.seed % 4 {
		case 1:
			whom := slices.Concat(gates[:1], games)[w.luck.IntN(3)]
			w.at(w.upTo(2*time.Second), func() { w.starved(whom, 7*time.Second) })
		case 2:
			w.at(w.upTo(2*time.Second), func() { w.kill(games[1]) })
		case 3:
			w.rough = true // who comes and goes meanwhile is never seen there, and leaves unheard
			w.at(w.upTo(2*time.Second), func() { w.away(games[w.luck.IntN(2)], 3*time.Second) })
		}
		w.time.Advance(10 * time.Second)
		w.calm = true
		w.time.Advance(20 * time.Second)
		w.complete()
		w.forgotten()
	}, 981)
}

// pair is a gate, and two game nodes whose shards move only when a test says so.
func pair(t *testing.T) (w *voyage, gate, a, b *crew) {
	w = newVoyage(t, 1)
	w.registry.coordinator = 999 // nobody: the test decides
	gate, a, b = w.join("gate-1", "gate"), w.join("game-1", "game"), w.join("game-2", "game")
	w.settleIn(a, b)
	t.Cleanup(func() {
		for _, h := range w.crews {
			h.n.Close()
		}
		w.time.Close()
	})
	return w, gate, a, b
}

// of is a player of a shard.
func (w *voyage) of(shard int) string {
	for _, id := range w.players {
		if actors.KindName("player").Ref(id).Shard(w.shards) == shard {
			return id
		}
	}
	w.t.Fatalf("nobody lives in shard %d", shard)
	return ""
}

func TestWhoWasNotWaitedForIsNotHeldBackForEver(t *testing.T) {
	t.Parallel()
	w, gate, a, b := pair(t)
	at := 2 // which is game-1's
	w.ask(gate, w.of(at))
	w.time.Advance(time.Second)
	w.rough = true
	w.away(gate, 12*time.Second)
	cut := func(is bool) {
		w.cut[[2]string{gate.n.self.Link, a.n.self.Link}] = is
		w.cut[[2]string{a.n.self.Link, gate.n.self.Link}] = is
	}
	cut(true)
	w.at(12*time.Second, func() { cut(false) })
	w.time.Advance(9 * time.Second) // its record is gone, and game-1 does not hear it, though game-2 does
	w.intend(at, b.n.self)
	w.time.Advance(2 * time.Second)
	if rest := a.n.tenancy.unforgotten(); rest != nil || w.owner(at).Name != "game-2" {
		t.Fatalf("the shard is %s's, and %v", w.owner(at).Name, rest)
	}
	w.time.Advance(5 * time.Second)
	w.ask(gate, w.of(at)) // by the new picture, after a marker to a tenure that nobody has any more
	w.time.Advance(5 * time.Second)
	w.complete()
	w.forgotten()
}

func TestWhoJoinedAfterATenuresEndIsNotWaitedForThoughTheShardHasMovedOn(t *testing.T) {
	t.Parallel()
	w, gate, a, b := pair(t)
	c := w.join("game-3", "game")
	w.registry.Blind(gate.n.self.Incarnation, true) // its marker is missing
	w.intend(0, b.n.self)
	w.time.Advance(time.Second)
	w.join("gate-2", "gate")
	w.intend(0, c.n.self)
	w.time.Advance(time.Second)
	if o := w.owner(0); o.Epoch != 3 || a.n.tenancy.unforgotten() == nil {
		t.Fatalf("the shard ended with %+v, and nobody waits", o)
	}
	rest := a.n.tenancy.unforgotten().Error()
	for _, says := range []string{"game/0, epoch 1, over for ", "waits for gate-1"} {
		if !strings.Contains(rest, says) {
			t.Errorf("game-1 says %q, and not %q", rest, says)
		}
	}
	w.registry.Blind(gate.n.self.Incarnation, false)
	w.time.Advance(time.Second)
	w.forgotten()
}

func TestWhoLeavesInOrderIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	w, gate, a, b := pair(t)
	w.registry.Blind(gate.n.self.Incarnation, true)
	w.intend(0, b.n.self)
	w.time.Advance(time.Second)
	if a.n.tenancy.unforgotten() == nil {
		t.Fatal("nobody waits for the gate")
	}
	gate.n.Leave(func(error) { gate.dead = true; gate.n.Close() })
	w.time.Advance(time.Second + pingEvery) // it lingers, since it does not see that it is no member; less than silence
	w.forgotten()
}

func TestABelatedMarkerGoesToAllAndNoFurther(t *testing.T) {
	t.Parallel()
	w, gate, a, b := pair(t)
	w.intend(0, b.n.self)
	w.time.Advance(3 * time.Second)
	w.forgotten()
	m := &marker{to: actors.Tenure{Role: "game", Shard: 0, Epoch: 1}, next: 2, member: gate.n.self.Incarnation}
	from := &origin{member: m.member, book: &a.n.tenancy.own}
	queued := func() (bytes int) {
		for _, p := range a.n.picture.Load().known {
			bytes += p.out.bytes
		}
		return bytes
	}
	before := queued()
	if a.n.tenancy.marked(m, from, tagMarker); queued() == before {
		t.Error("it was sent on to nobody")
	}
	before = queued()
	if a.n.tenancy.marked(m, from, tagBelated); queued() != before {
		t.Error("it was sent on by who had it from who had forgotten")
	}
}

func TestAnItemOfAShardThatThereIsNotIsCountedAndNothingElse(t *testing.T) {
	t.Parallel()
	w, gate, a, _ := pair(t)
	from := &origin{member: gate.n.self.Incarnation, book: &a.n.tenancy.own}
	for _, epoch := range []uint64{0, 1} {
		of := actors.Tenure{Role: "game", Shard: w.shards, Epoch: epoch}
		before := a.n.Report().Malformed
		a.n.arrive(&item{tag: tagMarker, marker: &marker{to: of, next: 2, member: from.member}}, from)
		a.n.arrive(&item{tag: tagChunk, chunk: &chunk{passage: passage{of: of}, total: 1, bytes: []byte("s")}}, from)
		a.n.arrive(&item{tag: tagVerdict, verdict: &verdict{passage: passage{of: of}}}, from)
		if now := a.n.Report().Malformed; now != before+3 || len(a.n.tenancy.stages) > 0 {
			t.Errorf("of epoch %d %d were counted, and %d states are kept", epoch, now-before, len(a.n.tenancy.stages))
		}
	}
}
