package gate_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// A cable lies between clients and a gate, and does to their bytes what cables do. TLS and WebSocket
// go through it as they are.
type cable struct {
	t      *testing.T
	to     string // host:port of the gate
	step   int    // so many bytes at once towards the gate; 0: as they come
	before []byte // what the gate gets before the client's first byte, as a proxy would send it
	socket net.Listener
	pulled atomic.Bool // bytes vanish

	mu    sync.Mutex
	ends  []*net.TCPConn
	lines sync.WaitGroup
}

// cable lays one to an address of the gate, and returns that of its own end.
func (h *house) cable(at string, step int, before []byte) (c *cable, end string) {
	h.t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		h.t.Fatal(err)
	}
	l, err := net.Listen("tcp", anyPort)
	if err != nil {
		h.t.Fatal(err)
	}
	c = &cable{t: h.t, to: u.Host, step: step, before: before, socket: l}
	c.lines.Go(c.serve)
	h.t.Cleanup(func() {
		l.Close()
		c.cut(-1)
		c.lines.Wait()
	})
	return c, u.Scheme + "://" + l.Addr().String()
}

func (c *cable) serve() {
	for {
		near, err := c.socket.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", c.to)
		if err != nil {
			near.Close()
			continue
		}
		client, gate := near.(*net.TCPConn), far.(*net.TCPConn)
		c.mu.Lock()
		c.ends = append(c.ends, client, gate)
		c.mu.Unlock()
		c.lines.Go(func() { c.there(client, gate) })
		c.lines.Go(func() { c.carry(gate, client, 0) })
	}
}

// there carries a client's bytes to the gate.
func (c *cable) there(client, gate *net.TCPConn) {
	if c.write(gate, c.before, c.step) {
		c.carry(client, gate, c.step)
	}
}

// carry carries bytes one way, and their end.
func (c *cable) carry(from, to *net.TCPConn, step int) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if !c.pulled.Load() && !c.write(to, b[:n], step) {
			return
		}
		switch {
		case err == io.EOF:
			_ = to.CloseWrite() // the other half may go on
			return
		case err != nil:
			to.Close()
			return
		}
	}
}

func (c *cable) write(to *net.TCPConn, b []byte, step int) bool {
	for len(b) > 0 {
		n := len(b)
		if step > 0 {
			n = min(n, step)
		}
		if _, err := to.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}

// cut ends what lies through the cable; with linger 0 by a reset, as a crash does.
func (c *cable) cut(linger int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range c.ends {
		_ = end.SetLinger(linger)
		end.Close()
	}
	c.ends = nil
}
