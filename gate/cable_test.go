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
	fate   func(n int) fate

	mu      sync.Mutex
	cores   []*core // by the order of connections
	removed bool
	lines   sync.WaitGroup
}

// A death is how a connection through a cable ends before its ends want it.
type death uint8

const (
	hungUp  death = iota // both ends read what has arrived, and then an end
	reset                // what is on its way may be lost too
	unheard              // the client's end hangs up, and the gate hears of nothing
)

// A fate is where a connection dies: after so many bytes towards the gate, or from it; less than 0 is
// never.
type fate struct {
	up, down int
	how      death
}

// spared is the fate of most.
func spared(int) fate { return fate{up: -1, down: -1} }

// A core is what one connection lies through.
type core struct {
	*cable
	fate
	client, gate *net.TCPConn
	above, below atomic.Int64 // bytes that were carried up and down
	dead         atomic.Bool
}

// cable lays one to an address of the gate, and returns that of its own end.
func (h *house) cable(at string, step int, before []byte) (c *cable, end string) {
	h.t.Helper()
	return h.lay(&cable{step: step, before: before, fate: spared}, at)
}

func (h *house) lay(c *cable, at string) (_ *cable, end string) {
	h.t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		h.t.Fatal(err)
	}
	l, err := net.Listen("tcp", anyPort)
	if err != nil {
		h.t.Fatal(err)
	}
	c.t, c.to, c.socket = h.t, u.Host, l
	c.lines.Go(c.serve)
	h.t.Cleanup(c.remove)
	return c, u.Scheme + "://" + l.Addr().String()
}

// remove ends all that lies through the cable.
func (c *cable) remove() {
	c.end()
	c.cut(-1)
	c.lines.Wait()
}

// dry waits until all that lies through the cable has ended by itself, or died.
func (c *cable) dry() {
	c.end()
	c.mu.Lock()
	for _, o := range c.cores {
		if o.dead.Load() {
			o.close(-1)
		}
	}
	c.mu.Unlock()
	c.lines.Wait()
	c.cut(-1)
}

func (c *cable) end() {
	c.socket.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removed = true
}

func (c *cable) serve() {
	for n := 0; ; n++ {
		near, err := c.socket.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", c.to)
		if err != nil {
			near.Close()
			continue
		}
		o := &core{cable: c, fate: c.fate(n), client: near.(*net.TCPConn), gate: far.(*net.TCPConn)}
		c.mu.Lock()
		if c.cores = append(c.cores, o); c.removed {
			o.close(-1)
		}
		c.mu.Unlock()
		c.lines.Go(func() { o.there(o.up) })
		c.lines.Go(func() { o.carry(o.gate, o.client, &o.below, 0, o.down) })
	}
}

// there carries a client's bytes to the gate.
func (o *core) there(most int) {
	if o.write(o.gate, o.before, o.step) {
		o.carry(o.client, o.gate, &o.above, o.step, most)
	}
}

// carry carries bytes one way, and their end. If most is not less than 0, the connection dies after so many.
func (o *core) carry(from, to *net.TCPConn, carried *atomic.Int64, step, most int) {
	b := make([]byte, 32<<10)
	for left := most; left != 0; {
		if left > 0 {
			b = b[:min(len(b), left)]
		}
		n, err := from.Read(b)
		if o.dead.Load() {
			return
		}
		if !o.pulled.Load() && !o.write(to, b[:n], step) {
			return
		}
		carried.Add(int64(n))
		left -= n
		switch {
		case err == io.EOF:
			_ = to.CloseWrite() // the other half may go on
			return
		case err != nil:
			to.Close()
			return
		}
	}
	o.die()
}

// die ends the connection, unless the other way has already.
func (o *core) die() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dead.Swap(true) {
		return
	}
	switch {
	case o.removed:
		o.close(-1)
	case o.how == hungUp:
		_, _ = o.gate.CloseWrite(), o.client.CloseWrite()
	case o.how == reset:
		o.close(0)
	case o.how == unheard:
		o.client.Close()
	}
}

func (o *core) close(linger int) {
	for _, end := range []*net.TCPConn{o.client, o.gate} {
		_ = end.SetLinger(linger)
		end.Close()
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
	for _, o := range c.cores {
		o.close(linger)
	}
}
