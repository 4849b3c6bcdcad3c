package gate_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/gate/client"
)

// This file is what happens to connections, whatever they carry.

func TestBothCodecsAreSpoken(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, h *house, at string) {
		for _, codec := range []wire.Codec{wire.JSON, wire.Proto} {
			c, err := client.Dial(t.Context(), at, client.Options{Catalogue: messages, Codec: codec, Way: trust()})
			if err != nil {
				t.Fatal(err)
			}
			h.cluster.deliver(actors.RuntimeMessage(door.Ref("1"), h.gate.Sessions(1)[0].Session,
				&actors.BindOrder{To: player.Ref("ann"), Login: true}))
			n, err := h.call(c, wrapperspb.String("grüße"))
			if got, ok := n.(*wrapperspb.Int64Value); !ok || got.Value != 7 {
				t.Errorf("in %s: %v, %v", codec, n, err)
			}
			e := h.cluster.take()
			if last := e[len(e)-1]; last.Codec != codec || last.Number != 115 && last.Number != 0 {
				t.Errorf("in %s the entity got %+v", codec, last)
			}
			c.Close()
			until(t, "the session's end", func() bool { return len(h.gate.Sessions(1)) == 0 })
		}
	})
}

// ends looks for the end of the one connection, and for its effect.
func (h *house) ends(why actors.Code) {
	h.t.Helper()
	until(h.t, "the connection to be gone", func() bool {
		return h.gate.Counters.Connections.Load() == 0
	})
	if n := h.gate.Counters.Closes(); n[why] != 1 || len(n) != 1 {
		h.t.Errorf("it ended for %v, want %s", n, why)
	}
}

func TestAClientThatHangsUpIsGone(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, h *house, at string) {
		c := h.login(at, "ann")
		c.Close()
		h.ends(gate.Disconnected)
	})
}

func TestAResetEndsItsOwnConnectionAtAnyPoint(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, h *house, at string) {
		fine := h.login(at, "fine")
		line, end := h.cable(at, 0, nil)
		for _, say := range []int{0, 1, 12, 25, 26} { // bytes of Hello
			p := h.pipe(end)
			h.write(p, helloFrame[:say])
			line.cut(0)
		}
		h.login(end, "ann")
		line.cut(0)
		until(t, "the connections to be gone", func() bool { return h.gate.Counters.Connections.Load() == 1 })
		if _, err := h.call(fine, &say{"still here"}); err != nil {
			t.Error(err)
		}
	})
}

// The client's machine has vanished: no byte comes any more, and no end.
func TestAHalfOpenConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	onAll(t, func(o *gate.Options) { o.Limits.Heartbeat, o.Limits.Dead = 300*time.Millisecond, time.Second },
		func(t *testing.T, h *house, at string) {
			line, end := h.cable(at, 0, nil)
			h.login(end, "ann")
			line.pulled.Store(true)
			h.ends(gate.Silent)
		})
}

// A client that says nothing at all, not even a handshake, has as long as for Hello.
func TestASilentConnectionIsClosed(t *testing.T) {
	t.Parallel()
	onAll(t, func(o *gate.Options) { o.Limits.Hello = 200 * time.Millisecond },
		func(t *testing.T, h *house, at string) {
			c, err := net.Dial("tcp", strings.SplitAfter(at, "//")[1])
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			h.within(c)
			readAll(t, c)
			h.ends("HELLO_TIMEOUT")
			if n := h.gate.Counters.Handshakes.Load(); n != 0 {
				t.Errorf("%d handshakes are still counted", n)
			}
		})
}

func TestAFrameAtTheBoundIsTakenAndOneOverItIsNot(t *testing.T) {
	t.Parallel()
	onAll(t, func(o *gate.Options) { o.Limits.FrameMax = 20_000 }, func(t *testing.T, h *house, at string) {
		c := h.login(at, "ann")
		text := strings.Repeat("x", 20_000-len(`{"text":""}`))
		if r, err := h.call(c, &say{text}); err != nil || r.(*said).Text != text {
			t.Errorf("at the bound: %v", err)
		}
		p := h.pipe(at)
		h.greet(p, "bob")
		h.write(p, wire.AppendFrame(nil, 0, 110, 2, []byte(`{"text":"`+text+`x"}`)))
		if got := lastWords(t, p); got.Number != wire.CloseBadFrame {
			t.Errorf("over it: %+v", got)
		}
	})
}

// A burst that is longer than the queue is for slow clients reaches one that reads.
func TestABurstForAClientThatReadsIsNotTakenForSlowness(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, h *house, at string) {
		c := h.login(at, "ann")
		ref := h.gate.Sessions(1)[0].Session
		const n = 1000 // 256 may wait for a full socket
		for i := range n {
			if !h.cluster.deliver(&actors.Envelope{Type: actors.Message, To: ref, Number: 201,
				Codec: wire.JSON, Body: fmt.Appendf(nil, `{"text":"%d"}`, i)}) {
				t.Fatalf("closed at push %d: %v", i, h.gate.Counters.Closes())
			}
		}
		for i := range n {
			select {
			case m := <-c.Pushes():
				if m == nil || m.(*said).Text != fmt.Sprint(i) {
					t.Fatalf("push %d is %v", i, m)
				}
			case <-time.After(patient):
				t.Fatalf("push %d did not come", i)
			}
		}
	})
}

func TestWhatATransportNeedsIsAskedForAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for want, s := range map[string]gate.Sockets{
		"there is no certificate": {Listeners: []gate.Listener{{Scheme: gate.TLS, Address: anyPort}}},
		"there are tcp":           {Listeners: []gate.Listener{{Scheme: "udp", Address: anyPort}}},
	} {
		if _, err := gate.Serve(h.gate, s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	got := h.server.Listeners()
	if len(got) != len(transports) || slices.ContainsFunc(got, func(l gate.Listener) bool {
		return h.server.Address(l.Scheme) != l.Address || l.String() != h.at(l.Scheme)
	}) || h.server.Address("udp") != "" {
		t.Errorf("it listens at %v", got)
	}
}
