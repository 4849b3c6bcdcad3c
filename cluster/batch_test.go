package cluster

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

func TestABatchSurvivesItsHeader(t *testing.T) {
	h := batch{from: 1, to: 1 << 63, stream: 3, seq: 4, ackStream: 5, ack: 6, settled: 7, gap: true, ask: true,
		name: "game-1"}
	b := append(h.appendHead(nil), "items"...)
	h.items = []byte("items")
	got, err := readBatch(b)
	if err != nil || !reflect.DeepEqual(got, h) {
		t.Fatalf("read %+v, %v", got, err)
	}
	stamp(b, 7, position{8, 9, 10})
	got, _ = readBatch(b)
	if got.seq != 7 || got.ackStream != 8 || got.ack != 9 || got.settled != 10 || got.name != "game-1" {
		t.Errorf("after the stamp it reads %+v", got)
	}
}

func FuzzBadBatchesAreErrorsAndNothingElse(f *testing.F) {
	h := batch{from: 1, to: 2, stream: 3, seq: 4, name: "game-1"}
	for _, i := range someItems() {
		f.Add(i.append(h.appendHead(nil)))
	}
	f.Add([]byte{batchVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readBatch(b)
		if err != nil {
			return
		}
		for rest := h.items; len(rest) > 0; {
			i, next, err := readItem(rest)
			if err != nil {
				return
			}
			if len(next) >= len(rest) {
				t.Fatal("an item of no length")
			}
			if again, _, err := readItem(i.append(nil)); err != nil || !reflect.DeepEqual(i, again) {
				t.Fatalf("%+v became %+v (%v)", i, again, err)
			}
			rest = next
		}
	})
}

// someItems are one of each tag.
func someItems() []item {
	of := actors.Tenure{Role: "game", Shard: 3, Epoch: 7}
	way := passage{of: of, intent: 12, attempt: 2}
	return []item{{tag: tagEnvelope, e: oneWay("ann", 1)}, {tag: tagPassed, number: 300, e: oneWay("ann", 2)},
		{tag: tagDone, number: 300}, {tag: tagLeft},
		{tag: tagMarker, marker: &marker{to: of, next: 9, member: 1 << 63}},
		{tag: tagPassedEnd, marker: &marker{to: of, next: 8, member: 5}},
		{tag: tagBelated, marker: &marker{to: of, next: 8, member: 6}},
		{tag: tagChunk, chunk: &chunk{passage: way, total: 9, offset: 4, bytes: []byte("state")}},
		{tag: tagVerdict, verdict: &verdict{passage: way, refusal: "no"}}}
}

func TestEveryItemSurvivesTheLink(t *testing.T) {
	var b []byte
	for _, i := range someItems() {
		b = i.append(b)
	}
	for n, want := range someItems() {
		got, rest, err := readItem(b)
		if err != nil || got.tag != want.tag || !reflect.DeepEqual(got.marker, want.marker) ||
			!reflect.DeepEqual(got.chunk, want.chunk) || !reflect.DeepEqual(got.verdict, want.verdict) ||
			(got.e == nil) != (want.e == nil) || got.number != want.number {
			t.Fatalf("item %d became %+v (%v)", n, got, err)
		}
		for cut := range len(b) - len(rest) {
			if _, _, err := readItem(b[:cut]); err == nil {
				t.Fatalf("item %d was read from its first %d bytes", n, cut)
			}
		}
		b = rest
	}
	if _, _, err := readItem([]byte{77}); err == nil {
		t.Error("an unknown tag was read")
	}
}

func TestABatchIsSettledWhenAllThatWasKeptOfItIs(t *testing.T) {
	var in inbound
	pings := 0
	in.book.news = func() { pings++ }
	in.admit(&batch{stream: 1, seq: 1})
	if at := in.position(); at.arrived != 1 || at.settled != 0 {
		t.Fatalf("while it is delivered it stands at %+v", at)
	}
	one := origin{book: &in.book, seq: 1}
	a, b := one.keep(), one.keep()
	in.delivered.Store(1)
	in.admit(&batch{stream: 1, seq: 2})
	two := origin{book: &in.book, seq: 2}
	c := two.keep()
	in.delivered.Store(2)
	c.settle()
	a.settle()
	if at := in.position(); at.arrived != 2 || at.settled != 0 || pings != 0 {
		t.Fatalf("with one of the first kept it stands at %+v", at)
	}
	b.settle()
	if at := in.position(); at.settled != 2 || pings != 1 {
		t.Fatalf("it stands at %+v after %d pings", at, pings)
	}
	var own ledger
	x, y := own.keep(), own.keep()
	y.settle()
	if own.settled(own.newest()) != 0 {
		t.Error("the second settles the first")
	}
	if x.settle(); own.settled(own.newest()) != 2 {
		t.Error("both are settled, but not by the ledger")
	}
}

func TestTheSendingHalfKeepsWhatIsNotAcknowledged(t *testing.T) {
	now := time.Unix(100, 0)
	o := outbound{limit: 1 << 20, head: batch{name: "a"}}
	for i := range 5 {
		o.append(&item{tag: tagEnvelope, e: oneWay("ann", i)})
		o.seal(position{}, now)
	}
	if due := o.take(); len(due) != 5 || due[4].seq != 5 || len(o.take()) != 0 {
		t.Fatalf("due were %d", len(due))
	}
	o.acknowledge(3, now)
	o.acknowledge(99, now) // never sent
	if len(o.queue) != 2 || o.oneWay != 2 {
		t.Fatalf("after ack 3 there are %d batches, %d envelopes", len(o.queue), o.oneWay)
	}
	if o.overdue(now.Add(resendFirst - 1)) {
		t.Error("overdue too early")
	}
	if !o.overdue(now.Add(resendFirst)) {
		t.Error("not overdue after a second without progress")
	}
	o.rewind(now.Add(resendFirst))
	if due := o.take(); len(due) != 2 || due[0].seq != 4 || o.resent != 2 {
		t.Fatalf("sent again: %+v", due)
	}
	if o.overdue(now.Add(resendFirst + resendFirst)) {
		t.Error("the second pause is no longer than the first")
	}
	o.acknowledge(5, now)
	if o.bytes != 0 || o.overdue(now.Add(time.Hour)) {
		t.Errorf("all is acknowledged, but %d bytes are counted", o.bytes)
	}
}

func TestTheReceivingHalfLetsEachThroughOnceInOrder(t *testing.T) {
	var i inbound
	steps := []struct {
		stream, seq uint64
		admitted    bool
	}{
		{7, 0, false}, {7, 2, false}, {7, 1, true}, {7, 1, false}, {7, 2, true}, {7, 4, false}, {7, 3, true},
		{7, 4, true}, {6, 5, false}, {8, 2, false}, {8, 1, true}, {7, 5, false},
	}
	for n, s := range steps {
		if got := i.admit(&batch{stream: s.stream, seq: s.seq}); got != s.admitted {
			t.Fatalf("step %d: %d.%d admitted: %v", n, s.stream, s.seq, got)
		}
	}
	if i.gap.Load() || i.doubled.Load() != 3 || i.early.Load() != 3 {
		t.Errorf("gap %v, doubled %d, early %d", i.gap.Load(), i.doubled.Load(), i.early.Load())
	}
}

func TestWhatWaitsOfAnEarlierStreamKeepsTheNextFromBeingSettled(t *testing.T) {
	t.Parallel()
	var i inbound
	take := func(stream, seq uint64) *receipt {
		if !i.admit(&batch{stream: stream, seq: seq}) {
			t.Fatalf("%d.%d was not admitted", stream, seq)
		}
		from := origin{book: &i.book, seq: seq}
		r := from.keep()
		i.delivered.Store(seq)
		return r
	}
	take(7, 1).settle()
	early := take(7, 2)
	late := take(8, 1)
	if at := i.position(); at.settled != 0 {
		t.Errorf("nothing of stream 8 is settled, but up to %d", at.settled)
	}
	early.settle()
	late.settle()
	if at := i.position(); at.settled != 1 {
		t.Errorf("all is settled, but only up to %d", at.settled)
	}
}

func TestQuestionsAreForgottenWhenAnsweredOrTooOld(t *testing.T) {
	now := time.Unix(100, 0)
	var q questions
	from := actors.KindName("player").Ref("bob")
	ask := func(n uint64, within time.Duration) *actors.Envelope {
		e := &actors.Envelope{Type: actors.Message, From: from, Request: n, Body: []byte("x"),
			Deadline: now.Add(within).UnixNano()}
		q.add(e, 1, now)
		return e
	}
	ask(1, time.Second)
	two := ask(2, time.Minute)
	ask(3, time.Minute)
	q.expire(now.Add(2*time.Second), 100)
	q.close(two.Answer(0, 0, nil))
	all := q.takeAll()
	if len(all) != 1 || all[0].Request != 3 || all[0].Body != nil {
		t.Fatalf("open were %+v", all)
	}
	for n := range uint64(10_000) {
		q.close(ask(n+1, time.Minute).Answer(0, 0, nil))
	}
	if len(q.open) != 0 || len(q.order) > 200 {
		t.Errorf("%d open, %d in order", len(q.open), len(q.order))
	}
}

func TestABatchIsReadWithoutCopyingItsBodies(t *testing.T) {
	e := &actors.Envelope{Type: actors.Message, To: actors.NodeKind.Ref("a"), Body: bytes.Repeat([]byte("x"), 1000)}
	h := batch{name: "a", seq: 1}
	b := (&item{tag: tagEnvelope, e: e}).append(h.appendHead(nil))
	got, err := readBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	back, _, err := readItem(got.items)
	if err != nil || &back.e.Body[0] != &b[len(b)-1000] {
		t.Errorf("the body was copied (%v)", err)
	}
}
