package gate_test

import (
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

func TestAtTheQueuesBoundLossyFramesGiveWayBeforeTheClientDoes(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.QueueFrames = 4 })
	g := d.plays("ann")
	push := func(number uint32, body string) {
		g.visit.Session().Deliver(&actors.Envelope{Type: actors.Message, Number: number, Codec: wire.JSON,
			Body: []byte(body)})
	}
	for range 10 { // while the socket keeps up, frames may wait for its next turn
		push(201, "{}")
	}
	if n := len(g.frames()); n != 10 {
		t.Fatalf("%d of 10 reached a client that reads", n)
	}
	g.visit.Full()
	push(202, "1")
	push(201, "2")
	push(202, "3")
	push(201, "4")
	push(202, "dropped: it is new and Lossy")
	push(201, "5") // the oldest Lossy gives way
	push(201, "6") // and the next
	if n := d.gate.Counters.Dropped.Load(); n != 3 {
		t.Errorf("%d were dropped, want 3", n)
	}
	if g.wakes == 0 || g.last != nil {
		t.Error("woken or closed wrongly")
	}
	got := ""
	for _, f := range g.frames() {
		got += string(f.body)
	}
	if got != "2456" {
		t.Errorf("the client got %s", got)
	}
	g.visit.Full()
	for range 5 {
		push(201, "{}")
	}
	if all := g.frames(); len(all) != 1 {
		t.Errorf("a slow client's queue is given up for the Close: %d frames", len(all))
	}
	if g.last == nil || g.last.Number != wire.CloseSlowClient {
		t.Errorf("closed with %v", g.last)
	}
}

func TestBytesThatWaitAreBoundedEvenForAClientThatReads(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.QueueBytes, o.Limits.ReplyMax = 1000, 500 })
	g := d.plays("ann")
	for range 3 {
		g.visit.Session().Deliver(&actors.Envelope{Type: actors.Message, Number: 201, Codec: wire.JSON,
			Body: make([]byte, 400)})
	}
	g.closedWith(wire.CloseSlowClient)
}

func TestTakeGivesWhatFitsAndAtLeastOneFrame(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	for range 5 {
		g.visit.Session().Deliver(&actors.Envelope{Type: actors.Message, Number: 201, Codec: wire.JSON,
			Body: make([]byte, 88)}) // 100 with its header
	}
	wakes := g.wakes
	for _, c := range []struct{ room, want int }{{1, 1}, {250, 2}, {1000, 2}, {1000, 0}} {
		if got, last := g.visit.Take(nil, c.room); len(got) != c.want || last != nil {
			t.Errorf("room for %d bytes gave %d frames, want %d", c.room, len(got), c.want)
		}
	}
	g.visit.Session().Deliver(&actors.Envelope{Type: actors.Message, Number: 201, Codec: wire.JSON})
	if g.wakes != wakes+1 {
		t.Error("a connection that has taken all must be woken for what comes")
	}
}

func TestAtTheQueuesBoundOnlyTheNewestOfEachKeyIsKept(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.QueueFrames = 4 })
	g := d.plays("ann")
	push := func(key, body string) {
		g.visit.Session().Deliver(&actors.Envelope{Type: actors.Message, Number: 201, Codec: wire.JSON,
			Body: []byte(body), Key: key})
	}
	g.visit.Full()
	push("bob", "1")
	push("cid", "2")
	push("bob", "3")
	push("", "4")
	push("bob", "5") // 1 and 3 are overtaken
	push("cid", "6") // there is room: 2 stays
	push("cid", "7") // 2 and 6 are overtaken
	got := ""
	for _, f := range g.frames() {
		got += string(f.body)
	}
	if got != "457" || d.gate.Counters.Dropped.Load() != 4 || g.last != nil {
		t.Errorf("the client got %s, %d dropped", got, d.gate.Counters.Dropped.Load())
	}
}
