package gate_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// A browser is a WebSocket client that can do everything wrong.
type browser struct {
	h *house
	c net.Conn
	r *bufio.Reader
}

func (h *house) browser(at string) *browser {
	h.t.Helper()
	c := h.raw(at)
	return &browser{h, c, bufio.NewReader(c)}
}

const upgrade = "GET / HTTP/1.1\r\nHost: play.example:9401\r\nUpgrade: websocket\r\n" +
	"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func (b *browser) write(p []byte) {
	b.h.t.Helper()
	if _, err := b.c.Write(p); err != nil {
		b.h.t.Fatal(err)
	}
}

// ask sends a handshake and returns the answer's status.
func (b *browser) ask(header string) int {
	b.h.t.Helper()
	b.write([]byte(header))
	r, err := http.ReadResponse(b.r, nil)
	if err != nil {
		b.h.t.Fatal(err)
	}
	if r.StatusCode != http.StatusSwitchingProtocols {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			b.h.t.Error(err)
		}
	}
	return r.StatusCode
}

// frame sends one WebSocket frame with a mask.
func (b *browser) frame(op ws.OpCode, fin bool, payload []byte) {
	b.h.t.Helper()
	f := ws.MaskFrameWith(ws.NewFrame(op, fin, payload), [4]byte{1, 2, 3, 4})
	raw, err := ws.CompileFrame(f)
	if err != nil {
		b.h.t.Fatal(err)
	}
	b.write(raw)
}

// read reads the next WebSocket frame.
func (b *browser) read() (ws.OpCode, []byte) {
	b.h.t.Helper()
	h, err := ws.ReadHeader(b.r)
	if err != nil {
		b.h.t.Fatal(err)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(b.r, payload); err != nil {
		b.h.t.Fatal(err)
	}
	if h.Masked || h.Rsv != 0 || !h.Fin {
		b.h.t.Errorf("the gate sent the header %+v", h)
	}
	return h.OpCode, payload
}

// in is a browser whose handshake is done.
func (h *house) in(at string) *browser {
	h.t.Helper()
	b := h.browser(at)
	if status := b.ask(upgrade + "\r\n"); status != http.StatusSwitchingProtocols {
		h.t.Fatalf("the handshake was answered %d", status)
	}
	return b
}

var helloFrame = wire.AppendFrame(nil, 0, wire.NumberHello, 1, []byte(`{"version":2}`))

// welcomed reads Welcome.
func (b *browser) welcomed() {
	b.h.t.Helper()
	op, payload := b.read()
	if h, err := wire.ParseHeader(payload, 1<<16); op != ws.OpBinary || err != nil ||
		h.Number != wire.NumberWelcome {
		b.h.t.Fatalf("not welcomed, but %d %q %v", op, payload, err)
	}
}

// closed reads the Close frame and the WebSocket's own, to the connection's end.
func (b *browser) closed(want wire.CloseNumber, status ws.StatusCode, why string) {
	b.h.t.Helper()
	op, payload := b.read()
	if op != ws.OpBinary || !strings.Contains(string(payload), want.String()) ||
		!strings.Contains(string(payload), why) {
		b.h.t.Errorf("the reason is %d %q, want %s and %q", op, payload, want, why)
	}
	op, payload = b.read()
	code, reason := ws.ParseCloseFrameData(payload)
	if op != ws.OpClose || code != status || reason != want.String() {
		b.h.t.Errorf("the WebSocket was closed with %d %d %q, want %d", op, code, reason, status)
	}
	if _, err := b.r.ReadByte(); err != io.EOF {
		b.h.t.Errorf("something follows: %v", err)
	}
}

func TestAHandshakeIsHeldToItsForm(t *testing.T) {
	t.Parallel()
	onWebSockets(t, nil, func(t *testing.T, h *house, at string) {
		for name, c := range map[string]struct {
			header string
			want   int
		}{
			"as a browser": {upgrade + "\r\n", 101},
			"with a query": {strings.Replace(upgrade, "GET /", "GET /?v=1", 1) + "\r\n", 101},
			"another path": {strings.Replace(upgrade, "GET /", "GET /admin", 1) + "\r\n",
				404},
			"a POST":                 {strings.Replace(upgrade, "GET", "POST", 1) + "\r\n", 405},
			"no upgrade":             {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
			"an old version":         {strings.Replace(upgrade, ": 13", ": 8", 1) + "\r\n", 426},
			"no HTTP at all":         {"hello\r\n\r\n", 400},
			"a header without end":   {upgrade + "X: " + strings.Repeat("x", 9000), 431},
			"our own host's page":    {upgrade + "Origin: http://play.example:9480\r\n\r\n", 101},
			"a page of this machine": {upgrade + "Origin: http://localhost:3000\r\n\r\n", 101},
			"a page at ::1":          {upgrade + "Origin: http://[::1]:3000\r\n\r\n", 101},
			"a listed page":          {upgrade + "Origin: https://friend.example\r\n\r\n", 101},
			"a strange page":         {upgrade + "Origin: https://evil.example\r\n\r\n", 403},
			"a page that hides":      {upgrade + "Origin: null\r\n\r\n", 403},
			"a look-alike": {upgrade + "Origin: https://play.example.evil.example\r\n\r\n",
				403},
		} {
			b := h.browser(at)
			if got := b.ask(c.header); got != c.want {
				t.Errorf("%s: answered %d, want %d", name, got, c.want)
			}
			if c.want != 101 {
				if _, err := b.r.ReadByte(); err != io.EOF {
					t.Errorf("%s: the connection was not closed: %v", name, err)
				}
			}
			b.c.Close()
		}
		if n := h.gate.Counters.Malformed.Load(); n != 9 {
			t.Errorf("%d failed handshakes were counted, want 9", n)
		}
	})
}

func TestAHandshakeMayComeInPieces(t *testing.T) {
	t.Parallel()
	onWebSockets(t, nil, func(t *testing.T, h *house, at string) {
		b := h.browser(at)
		for _, c := range []byte(upgrade) {
			b.write([]byte{c})
		}
		// the end of the handshake, Hello and a ping in one write
		frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame(helloFrame)))
		ping := ws.MustCompileFrame(ws.MaskFrame(ws.NewPingFrame([]byte("p"))))
		if status := b.ask("\r\n" + string(frame) + string(ping)); status != 101 {
			t.Fatalf("answered %d", status)
		}
		if op, payload := b.read(); op != ws.OpPong || string(payload) != "p" {
			t.Errorf("the ping was answered %d %q", op, payload)
		}
		b.welcomed()
	})
}

func TestAMessageMayComeInFragmentsWithPingsBetween(t *testing.T) {
	t.Parallel()
	onWebSockets(t, nil, func(t *testing.T, h *house, at string) {
		b := h.in(at)
		b.frame(ws.OpBinary, false, helloFrame[:3])
		b.frame(ws.OpPing, true, []byte("are you there"))
		b.frame(ws.OpContinuation, false, helloFrame[3:9])
		b.frame(ws.OpContinuation, false, nil)
		b.frame(ws.OpContinuation, true, helloFrame[9:])
		if op, payload := b.read(); op != ws.OpPong || string(payload) != "are you there" {
			t.Errorf("the ping was answered %d %q", op, payload)
		}
		b.welcomed()
		b.frame(ws.OpClose, true, ws.NewCloseFrameBody(ws.StatusNormalClosure, "bye"))
		op, payload := b.read()
		code, _ := ws.ParseCloseFrameData(payload)
		if op != ws.OpClose || code != ws.StatusNormalClosure {
			t.Errorf("the close was answered %d %q", op, payload)
		}
		if _, err := b.r.ReadByte(); err != io.EOF {
			t.Errorf("something follows: %v", err)
		}
	})
}

func TestAWebSocketThatBreaksTheRulesIsClosedWithAReason(t *testing.T) {
	t.Parallel()
	onWebSockets(t, func(o *gate.Options) { o.Limits.FrameMax = 1000 }, func(t *testing.T, h *house, at string) {
		raw := func(f ws.Frame) func(*browser) {
			return func(b *browser) {
				p, err := ws.CompileFrame(f)
				if err != nil {
					b.h.t.Fatal(err)
				}
				b.write(p)
			}
		}
		masked := func(f ws.Frame) func(*browser) { return raw(ws.MaskFrame(f)) }
		for name, c := range map[string]struct {
			does func(*browser)
			why  string
		}{
			"no mask":           {raw(ws.NewBinaryFrame(helloFrame)), "must be masked"},
			"a text message":    {masked(ws.NewTextFrame([]byte("hi"))), "text message"},
			"a reserved opcode": {masked(ws.NewFrame(5, true, nil)), "reserved"},
			"a reserved bit": {masked(ws.Frame{Header: ws.Header{Fin: true, Rsv: 4, OpCode: 2}}),
				"rsv"},
			"a long ping":       {masked(ws.NewPingFrame(make([]byte, 126))), "control frame"},
			"a ping in pieces":  {masked(ws.NewFrame(ws.OpPing, false, nil)), "control frame"},
			"an end of nothing": {masked(ws.NewFrame(ws.OpContinuation, true, nil)), "continuation"},
			"too long a message": {masked(ws.NewBinaryFrame(make([]byte, 1013))),
				"more than 1012 bytes"},
			"a length of 2^62": {func(b *browser) {
				b.write([]byte{130, 255, 64, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})
			}, "more than 1012 bytes"},
			"a length of 2^63": {func(b *browser) {
				b.write([]byte{130, 255, 128, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})
			}, "most significant bit"},
			"fragments without end": {func(b *browser) {
				b.frame(ws.OpBinary, false, make([]byte, 500))
				b.frame(ws.OpContinuation, false, make([]byte, 500))
				b.frame(ws.OpContinuation, false, make([]byte, 13))
			}, "more than 1012 bytes"},
			"a message in a message": {func(b *browser) {
				b.frame(ws.OpBinary, false, helloFrame[:3])
				b.frame(ws.OpBinary, true, helloFrame[3:])
			}, "continuation"},
			"two frames in a message": {masked(ws.NewBinaryFrame(append(helloFrame, helloFrame...))),
				"more than one frame"},
		} {
			b := h.in(at)
			c.does(b)
			t.Log(name)
			b.closed(wire.CloseBadFrame, 3001, c.why)
		}
	})
}

func TestABrowserIsToldWhetherToComeBack(t *testing.T) {
	t.Parallel()
	for n, status := range map[wire.CloseNumber]ws.StatusCode{
		wire.CloseRestarting: 1001, wire.CloseSlowClient: 1013, wire.CloseTakenOver: 3005} {
		onWebSockets(t, nil, func(t *testing.T, h *house, at string) {
			b := h.in(at)
			b.frame(ws.OpBinary, true, helloFrame)
			b.welcomed()
			h.gate.Close(n, "why not")
			b.closed(n, status, "why not")
		})
	}
}

func TestAWebSocketThatNeverFinishesItsHandshakeIsClosed(t *testing.T) {
	t.Parallel()
	onWebSockets(t, func(o *gate.Options) { o.Limits.Hello = 500e6 }, func(t *testing.T, h *house, at string) {
		b := h.browser(at)
		b.write([]byte(upgrade))
		if got := readAll(t, b.c); !strings.HasPrefix(got, "HTTP/1.1 408 ") {
			t.Errorf("it was told %q", got)
		}
	})
}

// A flood of pings that nobody reads the answers to must not fill memory; it costs tokens.
func TestAFloodOfPingsIsClosed(t *testing.T) {
	t.Parallel()
	onWebSockets(t, func(o *gate.Options) {
		o.Limits.Rate, o.Limits.Burst, o.Limits.RateGrace = 60, 120, 50e6
	}, func(t *testing.T, h *house, at string) {
		b := h.in(at)
		b.frame(ws.OpBinary, true, helloFrame)
		b.welcomed()
		ping := ws.MustCompileFrame(ws.MaskFrame(ws.NewPingFrame(bytes.Repeat([]byte("p"), 125))))
		many := bytes.Repeat(ping, 100)
		for {
			if _, err := b.c.Write(many); err != nil {
				break
			}
		}
		if n := h.gate.Counters.Closes()["RATE_LIMITED"]; n != 1 {
			t.Errorf("closed: %v", h.gate.Counters.Closes())
		}
	})
}

func ExampleSockets() {
	s := gate.Sockets{Origins: []string{"play.example"}, Listeners: []gate.Listener{
		{Scheme: gate.TCP, Address: "127.0.0.1:9400"}, {Scheme: gate.WS, Address: "127.0.0.1:9401"}}}
	fmt.Println(s.Listeners)
	// Output: [tcp://127.0.0.1:9400 ws://127.0.0.1:9401]
}
