package gate_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// sent tells what was routed as number:seq/attempt.
func (d *desk) sent() (all []string) {
	for _, e := range d.cluster.take() {
		if e.Number < 100 {
			all = append(all, map[uint32]string{actors.NumberBound: "bound",
				actors.NumberUnbound: "unbound"}[e.Number])
			continue
		}
		all = append(all, fmt.Sprintf("%d:%d/%d", e.Number, e.Request, e.Attempt))
	}
	return all
}

func (d *desk) sends(want ...string) {
	d.t.Helper()
	if got := d.sent(); !slices.Equal(got, want) {
		d.t.Fatalf("routed %q, want %q", got, want)
	}
}

// answers are what the client has been told, as seq:code, without a code of a reply.
func (g *guest) answers(want ...string) {
	g.d.t.Helper()
	var got []string
	for _, f := range g.frames() {
		got = append(got, fmt.Sprintf("%d:%s", f.Seq, f.code()))
	}
	if !slices.Equal(got, want) {
		g.d.t.Fatalf("answered %q, want %q", got, want)
	}
}

func gone(e *actors.Envelope) *actors.Envelope {
	return e.Refuse(&actors.Refusal{Code: actors.Unavailable, Text: "the node is gone"})
}

func reply(e *actors.Envelope) *actors.Envelope { return e.Answer(201, wire.JSON, []byte(`{}`)) }

func TestARequestIsSentAgainBeforeTheSessionsLaterOnesToThatEntity(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	g.order(&actors.BindOrder{To: room.Ref("1"), Ears: true})
	d.cluster.take()
	g.send(114, 1, pay{})
	g.send(110, 2, say{})
	asked := d.cluster.take()
	g.visit.Session().Deliver(gone(asked[0]))
	g.visit.Session().Deliver(gone(asked[1]))
	d.sends("114:1/1")
	g.answers("2:UNAVAILABLE") // is not a Retry number
	g.send(110, 3, say{})
	g.send(110, 0, say{})
	g.send(114, 4, pay{})
	g.order(&actors.UnbindOrder{Kind: room}) // is for another entity
	g.order(&actors.UnbindOrder{Kind: player})
	d.sends("unbound")
	again := *asked[0]
	again.Attempt = 1
	g.visit.Session().Deliver(reply(&again))
	d.sends("110:3/0", "110:0/0", "114:4/0", "unbound")
	g.answers("1:")
	if n := d.gate.Counters.Retried.Load(); n != 1 {
		t.Errorf("%d were counted", n)
	}
}

func TestRequestsAreSentAgainInTheirOrderHoweverTheyComeBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	for seq := range uint32(3) {
		g.send(114, seq+1, pay{})
	}
	asked := d.cluster.take()
	g.visit.Session().Deliver(gone(asked[2]))
	d.sends() // the others may have to be sent again
	g.visit.Session().Deliver(gone(asked[0]))
	d.sends("114:1/1")
	g.visit.Session().Deliver(gone(asked[1]))
	for i, e := range asked {
		again := *e
		again.Attempt = 1
		g.visit.Session().Deliver(reply(&again))
		if next := d.sent(); i < 2 && !slices.Equal(next, []string{fmt.Sprintf("114:%d/1", i+2)}) {
			t.Errorf("after %d came %q", i+1, next)
		}
	}
	g.answers("1:", "2:", "3:")
}

func TestOnlyTheAnswerOfTheNewestAttemptCountsAndOnlyOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	g.send(114, 1, pay{})
	e := d.cluster.take()[0]
	g.visit.Session().Deliver(gone(e))
	again := d.cluster.take()[0]
	g.visit.Session().Deliver(reply(e))
	g.answers()
	g.visit.Session().Deliver(reply(again))
	g.visit.Session().Deliver(reply(again))
	g.answers("1:")
	if c := &d.gate.Counters; c.Overtaken.Load() != 1 || c.Late.Load() != 1 {
		t.Errorf("%d overtaken, %d late", c.Overtaken.Load(), c.Late.Load())
	}
}

func TestARequestIsSentAgainWithLongerPausesUntilItsDeadline(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	d.cluster.then = func(e *actors.Envelope) {
		if e.Number == 114 {
			d.cluster.deliver(gone(e))
		}
	}
	g.send(114, 1, pay{})
	g.send(110, 2, say{})
	d.sends("114:1/0", "114:1/1") // and no third one at once
	d.clock.advance(100 * time.Millisecond)
	d.sends("114:1/2")
	d.clock.advance(200 * time.Millisecond)
	d.sends("114:1/3")
	d.clock.advance(4600 * time.Millisecond)
	d.sends("114:1/4", "114:1/5", "114:1/6", "114:1/7", "114:1/8")
	d.clock.advance(100 * time.Millisecond)
	g.answers("1:DEADLINE", "2:DEADLINE")
	d.sends("110:2/0") // whoever gets it sees that it is too late
}

func TestOnceARequestWasSentAgainOnlyTheEntitysOwnWordEndsIt(t *testing.T) {
	t.Parallel()
	refused := func(e *actors.Envelope, code actors.Code) *actors.Envelope {
		return e.Refuse(&actors.Refusal{Code: code})
	}
	for _, code := range []actors.Code{actors.MailboxFull, actors.Overloaded, actors.StoreUnavailable} {
		d := newDesk(t, nil)
		g := d.plays("ann")
		g.send(114, 1, pay{})
		g.visit.Session().Deliver(refused(d.cluster.take()[0], code))
		g.answers("1:" + string(code)) // it was not handled, and is not
		g.send(114, 2, pay{})
		g.visit.Session().Deliver(refused(d.cluster.take()[0], actors.CommitUnknown))
		g.visit.Session().Deliver(refused(d.cluster.take()[0], code))
		g.answers() // nobody knows what the first attempt has done
		d.clock.advance(100 * time.Millisecond)
		own := refused(d.cluster.take()[0], actors.StoreUnavailable)
		own.Key = "settled"
		g.visit.Session().Deliver(own)
		g.answers("2:STORE_UNAVAILABLE")
	}
	d := newDesk(t, nil)
	g := d.plays("ann")
	g.send(114, 1, pay{})
	rests := d.cluster.take()[0].Refuse(&actors.Refusal{Code: actors.Unavailable, RetryAfter: 1000})
	g.visit.Session().Deliver(rests)
	g.answers("1:UNAVAILABLE")
}

func TestWhatWaitsBehindARepeatIsBounded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *gate.Options) { o.Limits.Behind, o.Limits.RepeatBytes = 3, 1000 })
	g := d.plays("ann")
	g.send(114, 1, pay{})
	g.visit.Session().Deliver(gone(d.cluster.take()[0]))
	d.sends("114:1/1")
	for seq := range uint32(3) {
		g.send(110, seq+2, say{})
	}
	g.answers()
	g.send(110, 5, say{})
	g.send(110, 0, say{})
	g.answers("5:OVERLOADED", "0:OVERLOADED")
	d.sends()
	long := strings.Repeat("x", 600)
	g = d.plays("bob")
	g.send(114, 1, pay{long})
	g.send(114, 2, pay{long})
	g.send(110, 3, say{long}) // nothing is kept of it
	g.answers("2:OVERLOADED")
	g.visit.Session().Deliver(gone(d.cluster.take()[0]))
	d.sends("114:1/1")
	g.send(110, 4, say{long})
	g.send(110, 5, say{})
	g.answers("4:OVERLOADED")
	d.clock.advance(5 * time.Second)
	d.cluster.take()
	g.frames()
	g.send(114, 6, pay{strings.Repeat("x", 2000)}) // one may be longer than the bound
	d.sends("114:6/0")
}

func TestWhoLeavesLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	g.send(114, 1, pay{})
	g.visit.Session().Deliver(gone(d.cluster.take()[0]))
	again := d.cluster.take()[0]
	g.visit.Session().Deliver(gone(again)) // waits for its pause
	g.send(110, 0, say{})
	d.sends()
	g.visit.Leave()
	d.sends("114:1/2", "110:0/0", "unbound")
}

func TestSessionsAreAnnouncedBeforeWhatWaits(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	g := d.plays("ann")
	g.send(114, 1, pay{})
	g.visit.Session().Deliver(gone(d.cluster.take()[0]))
	again := d.cluster.take()[0]
	g.visit.Session().Deliver(gone(again))
	g.send(110, 0, say{})
	d.gate.Announce(func(actors.Ref) bool { return true }, func() {})
	d.clock.advance(100 * time.Millisecond)
	d.sends("bound", "114:1/2")
}

// A cluster that forgets, delays and refuses at random: each request is answered once, in time, and
// an entity that handles each once, as it comes, sees them in order.
func TestWhateverComesBackEachRequestIsAnsweredOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := newDesk(t, nil)
		g := d.plays("ann")
		var flying []*actors.Envelope
		answered, highest := map[uint32]int{}, uint64(0)
		last := uint32(0)
		step := func(chaos bool) {
			flying = append(flying, d.cluster.take()...)
			if len(flying) > 0 {
				e := flying[0]
				flying = flying[1:]
				switch {
				case chaos && r.IntN(3) == 0:
					flying = append(flying, d.cluster.take()...)
					for _, lost := range append([]*actors.Envelope{e}, flying...) { // the node dies
						if lost.Request != 0 {
							g.visit.Session().Deliver(gone(lost))
						}
					}
					flying = nil
				case chaos && r.IntN(8) == 0: // handled, and the answer is lost
					highest = max(highest, e.Request)
					g.visit.Session().Deliver(gone(e))
				default:
					if e.Attempt == 0 && e.Request != 0 {
						if e.Request < highest {
							t.Fatalf("seed %d: %d came after %d", seed, e.Request, highest)
						}
						highest = e.Request
					}
					g.visit.Session().Deliver(reply(e))
				}
			}
			for _, f := range g.frames() {
				if answered[f.Seq]++; answered[f.Seq] > 1 {
					t.Fatalf("seed %d: %d was answered twice", seed, f.Seq)
				}
			}
		}
		for range 60 {
			if r.IntN(2) == 0 {
				last++
				g.send([]uint32{110, 114}[r.IntN(2)], last, say{})
			}
			step(true)
			d.clock.advance(time.Duration(r.IntN(200)) * time.Millisecond)
		}
		for range 200 {
			step(false)
			d.clock.advance(100 * time.Millisecond)
		}
		for seq := uint32(1); seq <= last; seq++ {
			if answered[seq] != 1 {
				t.Fatalf("seed %d: %d was answered %d times", seed, seq, answered[seq])
			}
		}
	}
}
