package gate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/gate/client"
)

func TestAClientIsWelcomedLogsInAndIsAnswered(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, h *house, at string) {
		c := h.login(at, "ann")
		if w := c.Welcome(); w.Session == "" || w.Codec != "json" || w.FrameMax != 65536 {
			t.Errorf("%+v", w)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patient)
		defer cancel()
		r, err := client.Call[*said](ctx, c, &say{"hello"})
		if err != nil || r.Text != "hello" {
			t.Errorf("%+v, %v", r, err)
		}
		if got := h.gate.Sessions(5); len(got) != 1 || got[0].Client != "test/1" ||
			!strings.HasPrefix(got[0].Remote, "127.0.0.1:") {
			t.Errorf("%+v", got)
		}
		if n := c.Counts(); n.Crossed != 0 || n.Replies != 2 {
			t.Errorf("%+v", n)
		}
	})
}

func TestEachErrorCodeReachesTheClientAndTheConnectionSurvives(t *testing.T) {
	t.Parallel()
	onAll(t, func(o *gate.Options) { o.Limits.Within = time.Second },
		func(t *testing.T, h *house, at string) {
			c := h.dial(at)
			refused := func(msg any, want actors.Code) {
				t.Helper()
				if _, err := h.call(c, msg); !errors.Is(err, want) {
					t.Errorf("%T was answered %v, want %s", msg, err, want)
				}
			}
			refused(&say{"hi"}, actors.NotBound)
			if _, err := h.call(c, &enter{"ann"}); err != nil {
				t.Fatal(err)
			}
			refused(&said{"not mine to say"}, actors.UnknownNumber)
			refused(&secret{}, actors.UnknownNumber)
			refused(&orphan{}, actors.UnknownNumber)
			refused(&hurry{}, actors.DeadlinePassed)
			refused(&say{"silence"}, actors.DeadlinePassed)
			refused(&say{string(actors.Internal)}, actors.Internal)
			refused(&say{string(actors.Panicked)}, actors.Panicked)
			refused(&say{string(actors.NoReply)}, actors.NoReply)
			for range 2 {
				h.cluster.take() // keep the note short
				if _, err := h.call(c, &knock{}); !errors.Is(err, actors.DeadlinePassed) {
					t.Error(err)
				}
			}
			refused(&knock{}, actors.RateLimited)
			r, err := h.call(c, &say{"still here"})
			if err != nil || r.(*said).Text != "still here" {
				t.Errorf("after all that: %v, %v", r, err)
			}
			if n := c.Counts(); n.Crossed != 0 || c.Open() != 0 {
				t.Errorf("%+v, %d open", n, c.Open())
			}
		})
}

func TestABodyThatCannotBeReadIsTheActorsToRefuse(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, h *house, at string) {
		p := h.pipe(at)
		h.greet(p, "ann")
		h.write(p, wire.AppendFrame(nil, 0, 110, 2, []byte("{{{")))
		f, body, err := p.Read()
		if err != nil || f.Number != 110 || f.Seq != 2 ||
			!bytes.Contains(body, []byte("BAD_BODY")) {
			t.Errorf("%+v %s %v", f, body, err)
		}
	})
}

func TestASeqThatDoesNotRiseIsToldThroughTheSocket(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, h *house, at string) {
		p := h.pipe(at)
		h.greet(p, "ann")
		h.write(p, wire.AppendFrame(nil, 0, 110, 1, []byte(`{}`)))
		f, body, err := p.Read()
		if err != nil || f.Number != wire.NumberError || f.Seq != 0 ||
			!bytes.Contains(body, []byte(`"BAD_SEQ","text":"seq 1 `)) {
			t.Errorf("%+v %s %v", f, body, err)
		}
		for range 2 {
			h.write(p, wire.AppendFrame(nil, 0, 110, 1, []byte(`{}`)))
		}
		if c := lastWords(t, p); c.Number != wire.CloseBadFrame {
			t.Errorf("closed with %+v", c)
		}
	})
}

func TestAFloodIsAnsweredRateLimitedAndThenClosed(t *testing.T) {
	t.Parallel()
	onAll(t, func(o *gate.Options) {
		o.Limits.Rate, o.Limits.Burst, o.Limits.RateGrace = 60, 120, 200*time.Millisecond
	}, func(t *testing.T, h *house, at string) {
		p := h.pipe(at)
		h.greet(p, "ann")
		done := make(chan wire.Close)
		go func() { done <- lastWords(t, p) }()
		for seq := uint32(2); ; seq++ {
			select {
			case c := <-done:
				if c.Number != wire.CloseRateLimited {
					t.Errorf("closed with %+v", c)
				}
				if h.gate.Counters.Errors()[actors.RateLimited] == 0 {
					t.Error("it was never told")
				}
				return
			case <-time.After(time.Millisecond):
				_ = p.Write(wire.AppendFrame(nil, 0, 110, seq, []byte(`{}`)))
			}
		}
	})
}

func TestWhatIsNoFrameIsClosedWithAReason(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bytes []byte
		want  wire.CloseNumber
	}{
		"first frame not Hello": {wire.AppendFrame(nil, 0, 110, 1, nil), wire.CloseBadFrame},
		"another version": {wire.AppendFrame(nil, 0, 1, 1, []byte(`{"version":1}`)),
			wire.CloseVersion},
		"reserved bits": {[]byte{8, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}, wire.CloseBadFrame},
		"a length of 16 MiB": {[]byte{0, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 1},
			wire.CloseBadFrame},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onAll(t, nil, func(t *testing.T, h *house, at string) {
				p := h.pipe(at)
				h.write(p, c.bytes)
				if got := lastWords(t, p); got.Number != c.want {
					t.Errorf("closed with %+v, want %s", got, c.want)
				}
				until(t, "the connection to be gone", func() bool {
					return h.gate.Counters.Connections.Load() == 0
				})
			})
		})
	}
}

// A kernel that closes with bytes unread resets the connection, and what was just written to it
// is lost; so the gate closes its half first and lets the client finish.
func TestTheReasonArrivesAlsoWhileTheClientGoesOnSending(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, h *house, at string) {
		for range 20 {
			p := h.pipe(at)
			h.write(p, wire.AppendFrame(nil, 0, 110, 1, nil))
			var sending sync.WaitGroup
			sending.Go(func() {
				for range 50 {
					if p.Write(make([]byte, 4096)) != nil {
						return
					}
				}
			})
			if got := lastWords(t, p); got.Number != wire.CloseBadFrame {
				t.Errorf("closed with %+v", got)
			}
			sending.Wait()
			p.Close()
		}
	})
}

func TestASlowHelloIsClosed(t *testing.T) {
	t.Parallel()
	onAll(t, func(o *gate.Options) { o.Limits.Hello = 500 * time.Millisecond },
		func(t *testing.T, h *house, at string) {
			p := h.pipe(at)
			h.write(p, wire.AppendFrame(nil, 0, 1, 1, nil)[:4])
			if streams(at) { // one byte at a time, for ever
				go func() {
					for p.Write([]byte{0}) == nil {
						time.Sleep(100 * time.Millisecond)
					}
				}()
			}
			got := lastWords(t, p)
			if got.Number != wire.CloseHelloTimeout && streams(at) {
				t.Errorf("closed with %+v", got)
			}
		})
}

// Also handshakes of TLS and WebSocket come one byte at a time.
func TestFramesArriveWholeHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, h *house, at string) {
		_, end := h.cable(at, 1, nil)
		p := h.pipe(end)
		h.greet(p, "ann")
		h.write(p, wire.AppendFrame(nil, 0, 110, 2, []byte(`{"text":"slowly"}`)))
		two := wire.AppendFrame(nil, 0, 110, 3, []byte(`{"text":"two"}`))
		two = wire.AppendFrame(two, 0, 110, 4, []byte(`{"text":"at once"}`))
		if streams(at) {
			h.write(p, two)
		} else { // one message each; the cable parts them anyhow
			h.write(p, two[:26])
			h.write(p, two[26:])
		}
		for _, want := range []string{`{"text":"slowly"}`, `{"text":"two"}`, `{"text":"at once"}`} {
			if _, body, err := p.Read(); err != nil || string(body) != want {
				t.Fatalf("got %s, %v; want %s", body, err, want)
			}
		}
	})
}

func TestMessagesOfASessionKeepTheirOrder(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, h *house, at string) {
		const n = 1000 // what a client keeps
		c := h.login(at, "ann")
		h.cluster.take()
		for i := range n {
			if err := c.Send(&say{fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			select {
			case m := <-c.Pushes():
				if m.(*said).Text != fmt.Sprint(i) {
					t.Fatalf("push %d says %v", i, m)
				}
			case <-time.After(patient):
				t.Fatalf("push %d did not come: %+v", i, c.Counts())
			}
		}
		for i, e := range h.cluster.take() {
			if want := fmt.Sprintf(`{"text":"%d"}`, i); string(e.Body) != want {
				t.Fatalf("envelope %d is %s", i, e.Body)
			}
		}
	})
}

func TestManyClientsAtOnceGetEachTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, h *house, at string) {
		var all sync.WaitGroup
		for i := range 20 {
			c := h.login(at, fmt.Sprint("p", i))
			for j := range 4 { // several goroutines share a session
				all.Go(func() {
					for k := range 50 {
						text := fmt.Sprint(i, " ", j, " ", k)
						if r, err := h.call(c, &say{text}); err != nil || r.(*said).Text != text {
							t.Errorf("%q was answered %v, %v", text, r, err)
							return
						}
					}
					if n := c.Counts(); n.Crossed != 0 {
						t.Errorf("crossed: %+v", n)
					}
				})
			}
		}
		all.Wait()
	})
}

func TestATakenPortIsAnErrorThatNamesTheAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	at := h.server.Address(gate.TCP)
	for _, l := range [][]gate.Listener{{{gate.TCP, at, nil}}, {{gate.WS, at, nil}},
		{{gate.TCP, anyPort, nil}, {gate.WS, h.server.Address(gate.WS), nil}}} {
		v, err := gate.Serve(h.gate, gate.Sockets{Listeners: l})
		if err == nil {
			t.Fatalf("%v was served twice: %v", l, v)
		}
		if !strings.Contains(err.Error(), "127.0.0.1:") ||
			!strings.Contains(err.Error(), "in use") {
			t.Errorf("the error says only: %v", err)
		}
	}
}

func TestStoppingTellsClientsAndLeavesThePortFree(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	var all []*client.Client
	var silent []*client.Pipe // never even said Hello
	for _, scheme := range transports {
		all = append(all, h.login(h.at(scheme), string(scheme)))
		silent = append(silent, h.pipe(h.at(scheme)))
	}
	at := h.server.Listeners()
	h.stop()
	for _, c := range all {
		<-c.Done()
		var closed *client.Closed
		if !errors.As(c.Err(), &closed) || closed.Number != wire.CloseRestarting {
			t.Errorf("the client heard: %v", c.Err())
		}
	}
	for _, p := range silent {
		if got := lastWords(t, p); got.Number != wire.CloseRestarting {
			t.Errorf("the connection without a session heard %+v", got)
		}
	}
	for _, l := range at {
		again, err := net.Listen("tcp", l.Address)
		if err != nil {
			t.Fatalf("the port is not free: %v", err)
		}
		again.Close()
	}
	if n := h.gate.Counters.Connections.Load(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// A client that ignores the Close does not hold the gate up for longer than Linger.
func TestStoppingDoesNotWaitForADeafClient(t *testing.T) {
	t.Parallel()
	onAll(t, func(o *gate.Options) { o.Limits.Linger = 100 * time.Millisecond },
		func(t *testing.T, h *house, at string) {
			h.pipe(at)
			until(t, "the connection", func() bool { return h.gate.Counters.Connections.Load() == 1 })
			began := time.Now()
			h.stop()
			if took := time.Since(began); took > patient/2 {
				t.Errorf("it took %v", took)
			}
		})
}

func TestASecondLoginThroughAnotherSocketTakesOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	c := h.login(h.at(gate.TCP), "ann")
	for _, scheme := range []gate.Scheme{gate.WS, gate.TLS, gate.WSS, gate.TCP} {
		next := h.login(h.at(scheme), "ann")
		<-c.Done()
		var closed *client.Closed
		if !errors.As(c.Err(), &closed) || closed.Number != wire.CloseTakenOver {
			t.Errorf("before %s came the client heard: %v", scheme, c.Err())
		}
		if _, err := h.call(next, &say{"mine"}); err != nil {
			t.Error(err)
		}
		c = next
	}
}

func TestConnectionsBeyondTheBoundAreShutBeforeTheyAreRead(t *testing.T) {
	t.Parallel()
	onAll(t, func(o *gate.Options) { o.Limits.Connections = 2 },
		func(t *testing.T, h *house, at string) {
			h.login(at, "a")
			h.login(at, "b")
			ctx, cancel := context.WithTimeout(t.Context(), patient)
			defer cancel()
			if c, err := client.Dial(ctx, at, client.Options{Catalogue: messages, Way: trust()}); err == nil {
				c.Close()
				t.Error("a third was let in")
			}
			if n := h.gate.Counters.Shut.Load(); n != 1 {
				t.Errorf("%d were counted", n)
			}
		})
}
