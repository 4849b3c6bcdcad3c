package cluster

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

func TestABatchSurvivesItsHeader(t *testing.T) {
	h := batch{from: 1, to: 1 << 63, stream: 3, seq: 4, ackStream: 5, ack: 6, gap: true, name: "game-1"}
	b := append(h.appendHead(nil), "envelopes"...)
	h.envelopes = []byte("envelopes")
	got, err := readBatch(b)
	if err != nil || !reflect.DeepEqual(got, h) {
		t.Fatalf("read %+v, %v", got, err)
	}
	stamp(b, 7, 8, 9)
	if got, _ = readBatch(b); got.seq != 7 || got.ackStream != 8 || got.ack != 9 || got.name != "game-1" {
		t.Errorf("after the stamp it reads %+v", got)
	}
}

func FuzzBadBatchesAreErrorsAndNothingElse(f *testing.F) {
	h := batch{from: 1, to: 2, stream: 3, seq: 4, name: "game-1"}
	f.Add(oneWay("ann", 1).Append(h.appendHead(nil)))
	f.Add([]byte{batchVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readBatch(b)
		if err != nil {
			return
		}
		for rest := h.envelopes; len(rest) > 0; {
			_, next, err := actors.ReadEnvelope(rest)
			if err != nil {
				return
			}
			if len(next) >= len(rest) {
				t.Fatal("an envelope of no length")
			}
			rest = next
		}
	})
}

func TestTheSendingHalfKeepsWhatIsNotAcknowledged(t *testing.T) {
	now := time.Unix(100, 0)
	o := outbound{limit: 1 << 20, head: batch{name: "a"}}
	for i := range 5 {
		o.append(oneWay("ann", i))
		o.seal(0, 0, now)
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

func TestQuestionsAreForgottenWhenAnsweredOrTooOld(t *testing.T) {
	now := time.Unix(100, 0)
	var q questions
	from := actors.KindName("player").Ref("bob")
	ask := func(n uint64, within time.Duration) *actors.Envelope {
		e := &actors.Envelope{Type: actors.Message, From: from, Request: n, Body: []byte("x"),
			Deadline: now.Add(within).UnixNano()}
		q.add(e, now)
		return e
	}
	ask(1, time.Second)
	two := ask(2, time.Minute)
	ask(3, time.Minute)
	q.expire(now.Add(2 * time.Second))
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
	b := e.Append(h.appendHead(nil))
	got, err := readBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	back, _, err := actors.ReadEnvelope(got.envelopes)
	if err != nil || &back.Body[0] != &b[len(b)-1000] {
		t.Errorf("the body was copied (%v)", err)
	}
}
