package gate_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// This file is all that strangers do to a gate: each rogue one thing, over a socket of its own.

// A rogue is a client that does harm. What it does returns when it has done it, or when the gate has
// closed the connection; the gate must see to the end by itself, unless the rogue hangs up.
type rogue struct {
	name string
	over gate.Scheme
	does func(c net.Conn)
	ends string // how the gate counts its end: the code of a close, or "malformed" or "unsecured" for a handshake
}

var (
	aLogin = wire.AppendFrame(nil, 0, 101, 1, []byte(`{"name":"rogue"}`))
	aPing  = wire.AppendFrame(nil, 0, wire.NumberPing, 0, []byte(`{}`))
)

func aSay(seq uint32, text string) []byte {
	return wire.AppendFrame(nil, 0, 110, seq, []byte(`{"text":"`+text+`"}`))
}

// masked is a WebSocket frame as a client must send it.
func masked(op ws.OpCode, fin bool, payload []byte) []byte {
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, fin, bytes.Clone(payload)), [4]byte{1, 2, 3, 4}))
}

// says is a rogue that sends these bytes and waits for what comes.
func says(all ...[]byte) func(net.Conn) {
	return func(c net.Conn) { c.Write(bytes.Join(all, nil)) }
}

// drips is one that sends its first bytes at once and the others one by one, as slowly as it can.
func drips(first []byte, rest []byte) func(net.Conn) {
	return func(c net.Conn) {
		c.Write(first)
		for i := range rest {
			if _, err := c.Write(rest[i : i+1]); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// floods is one that sends until it is closed.
func floods(first []byte, next func(i int) []byte) func(net.Conn) {
	return func(c net.Conn) {
		go io.Copy(io.Discard, c)
		c.Write(first)
		for i := 0; ; i++ {
			if _, err := c.Write(next(i)); err != nil {
				return
			}
		}
	}
}

// after is a rogue that behaves until it is logged in.
func after(does func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		c.Write(append(bytes.Clone(helloFrame), aLogin...))
		var head [wire.HeaderSize]byte
		for range 2 {
			if _, err := io.ReadFull(c, head[:]); err != nil {
				return
			}
			h, err := wire.ParseHeader(head[:], wire.MaxBody)
			if err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, c, int64(h.Length)); err != nil {
				return
			}
		}
		does(c)
	}
}

// upgraded is one that behaves until its WebSocket is open.
func upgraded(does func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		c.Write([]byte(upgrade + "\r\n"))
		var answer []byte
		for b := make([]byte, 1); !bytes.HasSuffix(answer, []byte("\r\n\r\n")); answer = append(answer, b...) {
			if _, err := c.Read(b); err != nil {
				return
			}
		}
		does(c)
	}
}

// secured is one that behaves until TLS is there.
func secured(does func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		_ = c.(*net.TCPConn).SetReadBuffer(4096)
		s := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		if s.Handshake() == nil {
			does(s)
		}
	}
}

// greeting is how a client begins TLS.
func greeting() []byte {
	here, there := net.Pipe()
	defer there.Close()
	go func() {
		defer here.Close()
		_ = tls.Client(here, &tls.Config{InsecureSkipVerify: true}).Handshake()
	}()
	b := make([]byte, 4096)
	n, err := there.Read(b)
	if err != nil {
		panic(err)
	}
	return b[:n]
}

func again(b []byte) func(int) []byte { return func(int) []byte { return b } }

// resets breaks the connection off so that the other side gets an error, not an end.
func resets(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// rogues are all there are.
func rogues() []rogue {
	longHello := wire.AppendFrame(nil, 0, wire.NumberHello, 1,
		[]byte(`{"version":2,"client":"`+strings.Repeat("x", 4000)+`"}`))
	wsHello := masked(ws.OpBinary, true, helloFrame)
	return []rogue{
		{"says nothing", gate.TCP, says(), "HELLO_TIMEOUT"},
		{"says Hello a byte at a time", gate.TCP, drips(nil, longHello), "HELLO_TIMEOUT"},
		{"announces a body of 16 MiB", gate.TCP, says([]byte{0, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 1}), "BAD_FRAME"},
		{"sets bits that must be 0", gate.TCP, says([]byte{0x82}, helloFrame[1:]), "BAD_FRAME"},
		{"speaks HTTP to TCP", gate.TCP, says([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), "BAD_FRAME"},
		{"does not say Hello first", gate.TCP, says(aSay(1, "hi")), "BAD_FRAME"},
		{"says Hello twice", gate.TCP, says(helloFrame, helloFrame), "BAD_FRAME"},
		{"says Hello in no JSON", gate.TCP, says(wire.AppendFrame(nil, 0, wire.NumberHello, 1, []byte("{{{"))),
			"BAD_FRAME"},
		{"replays a seq", gate.TCP, after(says(aSay(1, "a"), aSay(1, "b"), aSay(1, "c"))), "BAD_FRAME"},
		{"sends seqs in another order", gate.TCP,
			after(says(aSay(9, "a"), aSay(8, "b"), aSay(7, "c"), aSay(6, "d"))), "BAD_FRAME"},
		{"replays all that it said", gate.TCP, after(says(helloFrame, aLogin)), "BAD_FRAME"},
		{"floods with messages", gate.TCP,
			after(floods(nil, func(i int) []byte { return aSay(uint32(i+2), "x") })), "RATE_LIMITED"},
		{"floods with pings", gate.TCP, floods(helloFrame, again(aPing)), "RATE_LIMITED"},
		{"never reads", gate.TCP, after(func(c net.Conn) {
			_ = c.(*net.TCPConn).SetReadBuffer(4096)
			for i := range 118 { // within its rate
				c.Write(aSay(uint32(i+2), strings.Repeat("x", 60_000)))
			}
		}), "SLOW_CLIENT"},
		{"sends half a frame and no more", gate.TCP, after(says(aSay(2, "half")[:20])), "SILENT"},
		{"sends a frame a byte at a time", gate.TCP,
			after(drips(nil, aSay(2, strings.Repeat("x", 4000)))), "SILENT"},
		{"closes its half at once", gate.TCP, func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }, "DISCONNECTED"},
		{"closes its half after the login", gate.TCP,
			after(func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }), "DISCONNECTED"},
		{"resets the connection", gate.TCP, after(resets), "DISCONNECTED"},

		{"sends a handshake a byte at a time", gate.WS, drips([]byte(upgrade), []byte("X: "+strings.Repeat("x", 2000))),
			"HELLO_TIMEOUT"},
		{"opens a WebSocket and says nothing", gate.WS, upgraded(says()), "HELLO_TIMEOUT"},
		{"sends a header without end", gate.WS, says([]byte(upgrade + "X: " + strings.Repeat("x", 9000))), "malformed"},
		{"sends ten thousand headers", gate.WS, says([]byte(upgrade), bytes.Repeat([]byte("A: b\r\n"), 10_000)),
			"malformed"},
		{"comes from a page elsewhere", gate.WS, says([]byte(upgrade + "Origin: https://evil.example\r\n\r\n")),
			"malformed"},
		{"speaks no HTTP", gate.WS, says([]byte("\x16\x03\x01\x02\x00\x01\r\n\r\n")), "malformed"},
		{"masks nothing", gate.WS, upgraded(says(ws.MustCompileFrame(ws.NewBinaryFrame(helloFrame)))), "BAD_FRAME"},
		{"sends text", gate.WS, upgraded(says(masked(ws.OpText, true, helloFrame))), "BAD_FRAME"},
		{"uses a reserved opcode", gate.WS, upgraded(says(masked(5, true, nil))), "BAD_FRAME"},
		{"announces 2^63 bytes", gate.WS, upgraded(says([]byte{130, 255, 128, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})),
			"BAD_FRAME"},
		{"sends fragments without end", gate.WS, upgraded(says(masked(ws.OpBinary, false, make([]byte, 60_000)),
			masked(ws.OpContinuation, false, make([]byte, 60_000)))), "BAD_FRAME"},
		{"sends empty fragments without end", gate.WS, upgraded(floods(append(bytes.Clone(wsHello),
			masked(ws.OpBinary, false, nil)...), again(masked(ws.OpContinuation, false, nil)))), "RATE_LIMITED"},
		{"floods with WebSocket pings", gate.WS,
			upgraded(floods(wsHello, again(masked(ws.OpPing, true, []byte("p"))))), "RATE_LIMITED"},
		{"resets a WebSocket", gate.WS, upgraded(resets), "DISCONNECTED"},

		{"begins no TLS", gate.TLS, says(), "HELLO_TIMEOUT"},
		{"speaks no TLS", gate.TLS, says(helloFrame), "unsecured"},
		{"begins TLS and stops", gate.TLS, says(greeting()[:100]), "HELLO_TIMEOUT"},
		{"begins TLS a byte at a time", gate.TLS, drips(nil, greeting()), "HELLO_TIMEOUT"},
		{"announces more TLS than there may be", gate.TLS, says([]byte{22, 3, 1, 255, 255}, make([]byte, 1000)),
			"unsecured"},
		{"opens TLS and says nothing", gate.TLS, secured(says()), "HELLO_TIMEOUT"},
		{"breaks TLS off without a word", gate.TLS, secured(func(c net.Conn) { resets(c.(*tls.Conn).NetConn()) }),
			"DISCONNECTED"},
		{"sends a damaged record", gate.TLS, secured(after(func(c net.Conn) {
			c.(*tls.Conn).NetConn().Write([]byte{23, 3, 3, 0, 32, 31: 1, 36: 1})
		})), "DISCONNECTED"},
		{"floods in TLS", gate.TLS, secured(floods(helloFrame, again(aPing))), "RATE_LIMITED"},
		{"never reads TLS", gate.TLS, secured(after(func(c net.Conn) {
			for i := range 118 { // within its rate
				c.Write(aSay(uint32(i+2), strings.Repeat("x", 60_000)))
			}
		})), "SLOW_CLIENT"},
	}
}

// dialFrom connects from an address of this machine: 127.0.0.0/8 is all of it.
func dialFrom(source, to string) (net.Conn, error) {
	d := net.Dialer{Timeout: patient, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	c, err := d.Dial("tcp", to)
	if err != nil {
		return nil, fmt.Errorf("connecting from %s: %w", source, err)
	}
	return c, c.SetDeadline(time.Now().Add(patient))
}
