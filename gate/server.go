package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// Sockets say where a gate listens, and to whom.
type Sockets struct {
	Listeners   []Listener
	Certificate *Certificate   // of those in TLS
	Proxies     []netip.Prefix // networks whose connections begin with a PROXY header; trusted besides
	Origins     []string       // hosts of pages that may connect, beside the gate's own and loopback
	Trusted     []netip.Prefix // networks without bounds per address, as loopback is
	Strict      []netip.Prefix // networks with them, whatever else they are
}

// A Server puts a Gate behind real sockets. It owns one accepting goroutine for each listener, one for
// each connection whose PROXY header is still to come, the event loops, and two goroutines for each
// connection in TLS.
type Server struct {
	gate      *Gate
	sockets   Sockets
	admission *admission
	loops     *loops
	tls       *tls.Config
	ports     []*port
	accepting sync.WaitGroup
	talking   sync.WaitGroup // connections in TLS
	running   context.Context
	halt      context.CancelFunc

	mu    sync.Mutex
	conns map[Conn]struct{}
	empty chan struct{} // closed when stopping and the last connection has gone
	told  time.Time     // when a proxy's mistake was last logged
}

// Serve begins to listen. The error of an address that cannot be had names it; nothing is left
// open then.
func Serve(g *Gate, s Sockets) (*Server, error) {
	v := &Server{gate: g, sockets: s, conns: map[Conn]struct{}{},
		admission: newAdmission(g, slices.Concat(s.Trusted, s.Proxies), s.Strict)}
	v.running, v.halt = context.WithCancel(context.Background())
	if s.Certificate != nil {
		v.tls = s.Certificate.config()
	}
	if err := v.listen(); err != nil {
		v.halt()
		v.closePorts()
		return nil, err
	}
	for _, p := range v.ports {
		v.accepting.Go(func() { v.accept(p) })
	}
	return v, nil
}

func (v *Server) listen() (err error) {
	for _, l := range v.sockets.Listeners {
		if l.Scheme.Secure() && v.tls == nil {
			return fmt.Errorf("gate: listening on %s: there is no certificate", l)
		}
		p, err := listen(l)
		if err != nil {
			return err
		}
		v.ports = append(v.ports, p)
	}
	v.loops, err = startLoops(v.gate.Log)
	return err
}

// Listeners are those of Sockets, in their order, with the addresses that they have got.
func (v *Server) Listeners() []Listener {
	var all []Listener
	for _, p := range v.ports {
		all = append(all, p.Listener)
	}
	return all
}

// Address returns the first address where clients of this kind are taken, "" if nowhere.
func (v *Server) Address(s Scheme) string {
	for _, p := range v.ports {
		if p.Scheme == s {
			return p.Address
		}
	}
	return ""
}

// Stop must be called once. It stops accepting, says RESTARTING to every client, waits until their
// last frames are written and they have gone, at most Limits.Linger or until ctx ends, and frees
// everything.
func (v *Server) Stop(ctx context.Context) error {
	v.halt()
	v.closePorts()
	v.accepting.Wait()
	v.gate.Close(wire.CloseRestarting, "the server restarts")
	v.mu.Lock()
	v.empty = make(chan struct{})
	if len(v.conns) == 0 {
		close(v.empty)
	}
	v.mu.Unlock()
	select {
	case <-v.empty:
	case <-ctx.Done():
		v.cutAll()
	}
	v.talking.Wait()
	return v.loops.stop()
}

func (v *Server) closePorts() {
	for _, p := range v.ports {
		p.socket.Close()
	}
}

func (v *Server) cutAll() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for k := range v.conns {
		k.Cut()
	}
}

// accept takes clients in until the port is closed.
func (v *Server) accept(p *port) {
	for {
		c, err := p.socket.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of files: those that are open go on
			v.gate.Log.Warn("accept failed", "address", p.String(), "error", err)
			select {
			case <-v.running.Done():
			case <-time.After(recheck):
			}
			continue
		}
		v.meet(p, c)
	}
}

// meet finds out whose connection it is.
func (v *Server) meet(p *port, c *net.TCPConn) {
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok || remote == nil { // it has gone already
		c.Close()
		return
	}
	if p.Original != nil {
		keepAlive(c, v.gate.Log)
	}
	from := remote.AddrPort()
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	if slices.ContainsFunc(v.sockets.Proxies, func(n netip.Prefix) bool { return n.Contains(from.Addr()) }) {
		v.accepting.Go(func() { v.introduce(p, c, from) })
		return
	}
	v.enroll(p, c, from)
}

// introduce waits for the PROXY header of a connection, as long as for Hello.
func (v *Server) introduce(p *port, c *net.TCPConn, proxy netip.AddrPort) {
	g := v.gate
	waiting := g.Counters.Handshakes.Add(1)
	if waiting > int64(g.Limits.Handshakes) {
		g.Counters.Handshakes.Add(-1)
		g.Counters.Shut.Add(1)
		g.Counters.ShutHandshakes.Add(1)
		c.Close()
		return
	}
	unwatch := context.AfterFunc(v.running, func() { c.Close() })
	err := c.SetReadDeadline(time.Now().Add(g.Limits.Hello))
	var from netip.AddrPort
	if err == nil {
		from, err = readProxy(c, proxy)
	}
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	}
	g.Counters.Handshakes.Add(-1)
	if !unwatch() { // stopping
		return
	}
	if errors.Is(err, errNobody) {
		c.Close()
		return
	}
	if err != nil {
		g.Counters.Unproxied.Add(1)
		v.complain(proxy, err)
		c.Close()
		return
	}
	v.enroll(p, c, from)
}

// complainEach is how often a proxy's mistakes are logged; all are counted.
const complainEach = time.Minute

func (v *Server) complain(proxy netip.AddrPort, err error) {
	v.mu.Lock()
	now := time.Now()
	silent := now.Sub(v.told) < complainEach
	if !silent {
		v.told = now
	}
	v.mu.Unlock()
	if !silent {
		v.gate.Log.Warn("a proxy's connection was closed", "proxy", proxy.String(), "error", err)
	}
}

// enroll takes a connection, if it may stay.
func (v *Server) enroll(p *port, c *net.TCPConn, from netip.AddrPort) {
	if !v.admission.admit(from.Addr(), time.Now()) {
		c.Close()
		return
	}
	if p.Scheme.Secure() {
		v.secure(c, p.framing(v), from.Addr(), from.String())
		return
	}
	k := &connection{server: v, line: line{framing: p.framing(v)}, original: p.Original,
		from: from.Addr(), remote: from.String()}
	if err := v.loops.take(c, k); err != nil {
		v.gate.Log.Warn("connection not taken", "remote", k.remote, "error", err)
		v.admission.release(from.Addr(), fair, time.Now())
	}
}

func (v *Server) add(k Conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conns[k] = struct{}{}
}

func (v *Server) remove(k Conn, from netip.Addr, c conduct) {
	v.admission.release(from, c, time.Now())
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.conns, k)
	if v.empty != nil && len(v.conns) == 0 {
		close(v.empty)
	}
}
