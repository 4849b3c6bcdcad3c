package client_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate/client"
)

// A host is a gate that keeps one session, whatever becomes of its connections, as the protocol has
// it. An ask is answered by a told of the same number, if it wants an answer, and pushed the count
// of asks so far.
type host struct {
	t *testing.T
	net.Listener
	serving sync.WaitGroup

	mu       sync.Mutex
	conn     net.Conn // that is the session's now
	hellos   []wire.Hello
	sessions int
	received uint64
	heard    []int    // what was asked in this session
	sent     [][]byte // counted frames that are not acknowledged
	first    uint64   // how many counted frames came before those
	pings    int
	gone     string           // why the next session cannot be resumed
	silent   bool             // nothing is acknowledged
	mood     func(n int) bool // false: connection n is hung up on before Welcome
}

func newHost(t *testing.T) *host {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, Listener: l, mood: func(int) bool { return true }}
	h.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.serving.Go(func() { h.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		h.cut()
		h.serving.Wait()
	})
	return h
}

func (h *host) address() string { return "tcp://" + h.Addr().String() }

// cut ends the connection as a dead network does.
func (h *host) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn != nil {
		h.conn.Close()
	}
}

// says writes one of the runtime's own frames.
func (h *host) says(number, seq uint32, body any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.write(h.conn, 0, number, seq, body)
}

func (h *host) write(c net.Conn, flags wire.Flags, number, seq uint32, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		h.t.Error(err)
	}
	c.Write(wire.AppendFrame(nil, flags, number, seq, b)) //nolint:errcheck // it may have been cut
}

func (h *host) serve(c net.Conn) {
	defer c.Close()
	f, body, err := frameFrom(c)
	if err != nil {
		return // cut in Hello
	}
	var hello wire.Hello
	if err := json.Unmarshal(body, &hello); err != nil || f.Number != wire.NumberHello {
		h.t.Errorf("a connection began with %+v %s", f, body)
	}
	if !h.welcome(c, hello) {
		return
	}
	for {
		f, body, err := frameFrom(c)
		if err != nil || !h.take(c, f, body) {
			return
		}
	}
}

// welcome makes a connection the session's, and ends the one before it.
func (h *host) welcome(c net.Conn, hello wire.Hello) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hellos = append(h.hellos, hello)
	n := len(h.hellos)
	if !h.mood(n) {
		return false
	}
	if h.conn != nil {
		h.conn.Close()
	}
	h.conn = c
	w := wire.Welcome{Session: fmt.Sprint("s", h.sessions), Token: fmt.Sprint("t", n), Codec: "json"}
	if r := hello.Resume; r != nil && h.gone == "" && r.Session == w.Session {
		w.Resumed, w.Received = true, h.received
		h.acknowledged(r.Received)
		h.write(c, 0, wire.NumberWelcome, 1, w)
		for _, f := range h.sent {
			c.Write(f) //nolint:errcheck // it may have been cut
		}
		return true
	}
	h.sessions++
	w.Session, w.Reason = fmt.Sprint("s", h.sessions), h.gone
	h.gone, h.received, h.heard, h.sent, h.first = "", 0, nil, nil, 0
	h.write(c, 0, wire.NumberWelcome, 1, w)
	return true
}

func (h *host) acknowledged(n uint64) {
	if n < h.first || n > h.first+uint64(len(h.sent)) {
		h.t.Errorf("the client has %d frames, of %d to %d", n, h.first, h.first+uint64(len(h.sent)))
		return
	}
	h.sent, h.first = h.sent[n-h.first:], n
}

func (h *host) take(c net.Conn, f wire.Header, body []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn != c {
		return false // what it says is not heard any more
	}
	switch f.Number {
	case wire.NumberPing, wire.NumberPong:
		var m wire.Ping
		if err := json.Unmarshal(body, &m); err != nil {
			h.t.Error(err)
		}
		h.acknowledged(m.Received)
		if f.Number == wire.NumberPing {
			h.pings++
		}
		if f.Number == wire.NumberPing && !h.silent {
			h.write(c, 0, wire.NumberPong, f.Seq, wire.Pong{Received: h.received})
		}
	case 101:
		h.received++ // and it is never answered
	case 100:
		var m ask
		if err := json.Unmarshal(body, &m); err != nil {
			h.t.Error(err)
		}
		h.received++
		h.heard = append(h.heard, m.N)
		if f.Seq != 0 {
			h.send(c, f.Seq, m.N)
		}
		h.send(c, 0, len(h.heard))
	case wire.NumberClose:
		return false
	}
	return true
}

// send sends a counted frame, and asks after many.
func (h *host) send(c net.Conn, seq uint32, n int) {
	frame := wire.AppendFrame(nil, 0, 200, seq, fmt.Appendf(nil, `{"N":%d}`, n))
	h.sent = append(h.sent, frame)
	c.Write(frame) //nolint:errcheck // it may have been cut
	if len(h.sent)%64 == 0 && !h.silent {
		h.write(c, 0, wire.NumberPing, 0, wire.Ping{Received: h.received})
	}
}

// asked checks that all asks from 1 to n have come once and in order.
func (h *host) asked(n int) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	want := make([]int, n)
	for i := range want {
		want[i] = i + 1
	}
	if !slices.Equal(h.heard, want) {
		h.t.Errorf("the gate heard %v, not 1 to %d", h.heard, n)
	}
}

func frameFrom(c net.Conn) (wire.Header, []byte, error) {
	head := make([]byte, wire.HeaderSize)
	if _, err := io.ReadFull(c, head); err != nil {
		return wire.Header{}, nil, err
	}
	f, err := wire.ParseHeader(head, wire.MaxBody)
	if err != nil {
		return f, nil, err
	}
	body := make([]byte, f.Length)
	_, err = io.ReadFull(c, body)
	return f, body, err
}

// A listener notes what a client tells.
type listener struct {
	mu      sync.Mutex
	pushed  []int
	changes []client.Change
}

// options are a client's that a listener hears, and that never waits if it can help it.
func (l *listener) options(p client.Policy) client.Options {
	return client.Options{Catalogue: messages, Policy: p, Luck: func() float64 { return 0 },
		Push: func(msg any) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.pushed = append(l.pushed, msg.(*told).N)
		},
		Changed: func(c client.Change) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.changes = append(l.changes, c)
		}}
}

// states are those that it was told of, each failed attempt too.
func (l *listener) states() (all []client.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.changes {
		all = append(all, c.State)
	}
	return all
}

// counts checks that all pushes from 1 to n have come once and in order.
func (l *listener) counts(t *testing.T, n int) {
	t.Helper()
	until(t, fmt.Sprintf("%d pushes", n), func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.pushed) >= n })
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, is := range l.pushed {
		if is != i+1 || i >= n {
			t.Fatalf("push %d of %d is %d", i+1, n, is)
		}
	}
}

// dial connects a client that is closed at the end.
func dial(t *testing.T, address string, o client.Options) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
