package gate_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/gate/client"
)

// This file is gates behind a proxy: on the loopback, where their tests are.

func behind(s *gate.Sockets) { s.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// introduction is the PROXY header of a connection from this IPv4 address.
func introduction(from string) []byte {
	at := netip.MustParseAddrPort(from)
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), at.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(append(b, 127, 0, 0, 1), at.Port())
	return append(b, 0, 0)
}

// onAllBehind is onAll with a proxy before the gate.
func onAllBehind(t *testing.T, change func(*gate.Options), test func(t *testing.T, h *house, at string)) {
	t.Helper()
	for _, scheme := range transports {
		t.Run(string(scheme), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, change, behind)
			test(t, h, h.at(scheme))
		})
	}
}

func TestAClientBehindAProxyIsKnownByItsOwnAddress(t *testing.T) {
	t.Parallel()
	onAllBehind(t, nil, func(t *testing.T, h *house, at string) {
		for _, step := range []int{0, 1, 7} {
			_, end := h.cable(at, step, introduction("203.0.113.7:4711"))
			c := h.login(end, "ann")
			if got := h.gate.Sessions(1); len(got) != 1 || got[0].Remote != "203.0.113.7:4711" {
				t.Errorf("with %d bytes at once: %+v", step, got)
			}
			c.Close()
			until(t, "the session's end", func() bool { return len(h.gate.Sessions(1)) == 0 })
		}
	})
}

// What a proxy asks for itself, such as whether the gate is well, is under its own address.
func TestAProxysOwnConnectionKeepsItsAddress(t *testing.T) {
	t.Parallel()
	onAllBehind(t, nil, func(t *testing.T, h *house, at string) {
		_, end := h.cable(at, 0, []byte(gate.ProxyLocal))
		h.login(end, "ann")
		if got := h.gate.Sessions(1)[0].Remote; !strings.HasPrefix(got, "127.0.0.1:") {
			t.Errorf("it is known as %s", got)
		}
	})
}

func TestBoundsPerAddressAreThoseOfTheClientBehindTheProxy(t *testing.T) {
	t.Parallel()
	onAllBehind(t, func(o *gate.Options) { o.Limits.AddressOpen = 1 }, func(t *testing.T, h *house, at string) {
		_, ann := h.cable(at, 0, introduction("203.0.113.7:4711"))
		_, bob := h.cable(at, 0, introduction("203.0.113.8:4711"))
		first := h.login(ann, "ann")
		h.login(bob, "bob")
		if c, err := client.Dial(t.Context(), ann, client.Options{Catalogue: messages, Way: trust()}); err == nil {
			c.Close()
			t.Error("a second one of the same address was let in")
		}
		if n := h.gate.Counters.Shut.Load(); n != 1 {
			t.Errorf("%d were shut out", n)
		}
		first.Close()
		until(t, "the first to be gone", func() bool { return h.gate.Counters.Connections.Load() == 1 })
		h.login(ann, "ann")
	})
}

// A proxy that forgets its header would give all clients its own address, and strangers who reach
// the gate past it any address they like.
func TestAConnectionOfAProxyWithoutAHeaderIsClosedAndCounted(t *testing.T) {
	t.Parallel()
	onAllBehind(t, func(o *gate.Options) { o.Limits.Hello = time.Second },
		func(t *testing.T, h *house, at string) {
			for i, says := range []string{
				"GET / HTTP/1.1\r\n\r\n",         // garbage
				"\r\n\r\n\x00\r\nQUIT\n\x21\x11", // slow
				"",                               // silent
			} {
				c, err := net.Dial("tcp", at[strings.Index(at, "//")+2:])
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				h.within(c)
				if _, err := c.Write([]byte(says)); err != nil {
					t.Fatal(err)
				}
				if n, err := c.Read(make([]byte, 1)); n > 0 || timedOut(err) {
					t.Errorf("%q was answered", says)
				}
				until(t, "its count", func() bool { return h.gate.Counters.Unproxied.Load() == uint64(i)+1 })
			}
			look, err := net.Dial("tcp", at[strings.Index(at, "//")+2:]) // no mistake: it looks who listens
			if err != nil {
				t.Fatal(err)
			}
			look.Close()
			_, end := h.cable(at, 0, []byte(gate.ProxyLocal))
			h.login(end, "ann")
			if n := h.gate.Counters.Unproxied.Load(); n != 3 {
				t.Errorf("%d were counted", n)
			}
			if n := h.gate.Counters.Handshakes.Load(); n != 0 {
				t.Errorf("%d handshakes are still counted", n)
			}
			if n := h.log.count("a proxy's connection was closed"); n != 1 {
				t.Errorf("it was logged %d times; once a minute is enough", n)
			}
		})
}

func TestAHeaderOfSomebodyWhoIsNoProxyIsABadFrame(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, h *house, at string) {
		_, end := h.cable(at, 0, introduction("203.0.113.7:4711"))
		c, err := client.Dial(t.Context(), end, client.Options{Catalogue: messages, Way: trust()})
		if err == nil {
			c.Close()
			t.Fatal("a stranger says who he is")
		}
		n := &h.gate.Counters
		until(t, "its count", func() bool {
			return n.Closes()["BAD_FRAME"]+n.Malformed.Load()+n.Unsecured.Load() == 1
		})
	})
}

func TestConnectionsThatWaitForTheirHeaderAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *gate.Options) { o.Limits.Handshakes = 2 }, behind)
	var all []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", h.server.Address(gate.TCP))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		h.within(c)
		all = append(all, c)
	}
	until(t, "one to be shut out", func() bool { return h.gate.Counters.Shut.Load() == 1 })
	if n := h.gate.Counters.Handshakes.Load(); n != 2 {
		t.Errorf("%d wait", n)
	}
	h.stop() // and does not wait for the other two
	for _, c := range all {
		if _, err := c.Read(make([]byte, 1)); timedOut(err) {
			t.Error("a connection is still open")
		}
	}
}

func timedOut(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// The last words reach the client through a proxy, too.
func TestAStopIsToldThroughAProxy(t *testing.T) {
	t.Parallel()
	onAllBehind(t, nil, func(t *testing.T, h *house, at string) {
		_, end := h.cable(at, 0, introduction("203.0.113.7:4711"))
		p := h.pipe(end)
		h.greet(p, "ann")
		h.stop()
		if got := lastWords(t, p); got.Number != wire.CloseRestarting {
			t.Errorf("it heard %+v", got)
		}
	})
}
