package gate_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// The client never reads. It costs a bounded amount of memory, itself, and nobody else. No other test runs beside this
// one: they have one heap.
func TestAClientThatDoesNotReadCostsOnlyItself(t *testing.T) {
	inTurn(t, func(t *testing.T, h *house, at string) {
		stuck := h.pipe(at)
		socket := stuck.Conn()
		if secured, ok := socket.(*tls.Conn); ok {
			socket = secured.NetConn()
		}
		if tcp, ok := socket.(*net.TCPConn); ok {
			if err := tcp.SetReadBuffer(4096); err != nil {
				t.Fatal(err)
			}
		}
		h.greet(stuck, "stuck")
		ref := h.gate.Sessions(1)[0].Session
		fine := h.login(at, "fine")
		before := heap()
		body := bytes.Repeat([]byte("x"), 16<<10)
		sent := 0
		for ; sent < 1<<26 && h.cluster.deliver(&actors.Envelope{Type: actors.Message, To: ref,
			Number: 201, Codec: wire.JSON, Body: body}); sent += len(body) {
			// give the loop time: only what the socket does not take may close the client
			for range 20 {
				if s := h.gate.Sessions(5); len(s) < 2 || s[0].Waiting == 0 {
					break
				}
				time.Sleep(100 * time.Microsecond)
			}
			if sent%(1<<20) == 0 {
				r, err := h.call(fine, &say{"me too"})
				if err != nil || r.(*said).Text != "me too" {
					t.Fatalf("another client: %v, %v", r, err)
				}
			}
		}
		if sent >= 1<<26 {
			t.Fatal("64 MiB went to a client that reads nothing")
		}
		if grown := heap() - before; grown > 8<<20 {
			t.Errorf("the heap grew by %d KiB", grown>>10)
		}
		if n := h.gate.Counters.Closes()["SLOW_CLIENT"]; n != 1 {
			t.Errorf("%d clients were closed as slow", n)
		}
		until(t, "the slow client's socket to be given up", func() bool {
			return h.gate.Counters.Connections.Load() == 1
		})
		if r, err := h.call(fine, &say{"still"}); err != nil || r.(*said).Text != "still" {
			t.Errorf("another client: %v, %v", r, err)
		}
	})
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A client that reads late gets everything, in order: the gate looks again at sockets that were
// full.
func TestAClientThatReadsLateMissesNothing(t *testing.T) {
	t.Parallel()
	onAll(t, func(o *gate.Options) { o.Limits.QueueFrames, o.Limits.QueueBytes = 10_000, 64<<20 },
		func(t *testing.T, h *house, at string) {
			p := h.pipe(at)
			h.greet(p, "late")
			ref := h.gate.Sessions(1)[0].Session
			const n = 600
			pad := make([]byte, 16<<10) // 9 MiB in all: more than sockets hold
			for i := range n {
				body := binary.BigEndian.AppendUint32(pad, uint32(i))
				h.cluster.deliver(&actors.Envelope{Type: actors.Message, To: ref, Number: 201,
					Codec: wire.JSON, Body: body})
			}
			until(t, "the socket to be full", func() bool {
				return h.gate.Sessions(1)[0].Waiting > 0
			})
			for i := range n {
				f, body, err := p.Read()
				for ; err == nil && f.Number == wire.NumberPing; f, body, err = p.Read() {
					h.write(p, wire.AppendFrame(nil, 0, wire.NumberPong, 0, fmt.Appendf(nil, `{"received":%d}`, i+1)))
				}
				if err != nil || int(binary.BigEndian.Uint32(body[16<<10:])) != i {
					t.Fatalf("frame %d: %d bytes, %v", i, len(body), err)
				}
			}
		})
}
