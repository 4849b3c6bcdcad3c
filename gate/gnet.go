package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is the only one that knows sockets and gnet. What gnet leaves to its users is here:
// its outbound buffer has no bound, so a connection gets bytes only while that buffer is empty;
// it tells nobody when the buffer has drained, so a full one is looked at again after recheck.

// Sockets say where a gate listens. An empty address means not at all; port 0 means any.
type Sockets struct {
	TCP, WS string
	Origins []string       // hosts of pages that may connect, beside the gate's own and loopback
	Trusted []netip.Prefix // networks without bounds per address
}

const (
	loops   = 2                     // event loops
	room    = 256 << 10             // bytes handed to the kernel in one write, about
	recheck = 10 * time.Millisecond // for a socket that was full
)

// A Server puts a Gate behind real sockets. It owns two accepting goroutines, gnet's loops, and a
// timer for each connection that is full or about to close.
type Server struct {
	gate      *Gate
	admission *admission
	origins   []string
	engine    *gnet.Client
	tcp, ws   net.Listener
	accepting sync.WaitGroup
	stopping  chan struct{}

	mu    sync.Mutex
	conns map[*connection]struct{}
	empty chan struct{} // closed when stopping and the last connection has gone
}

// Serve begins to listen. The error of an address that cannot be had names it; nothing is left
// open then.
func Serve(g *Gate, s Sockets) (*Server, error) {
	v := &Server{gate: g, origins: s.Origins, stopping: make(chan struct{}),
		conns:     map[*connection]struct{}{},
		admission: newAdmission(&g.Limits, &g.Counters, s.Trusted)}
	var err error
	if v.tcp, err = listen("tcp", s.TCP); err != nil {
		return nil, err
	}
	if v.ws, err = listen("ws", s.WS); err != nil {
		v.closeListeners()
		return nil, err
	}
	v.engine, err = gnet.NewClient(&handler{server: v}, gnet.WithNumEventLoop(loops),
		gnet.WithLogger(quiet{g.Log}))
	if err == nil {
		err = v.engine.Start()
	}
	if err != nil {
		v.closeListeners()
		return nil, fmt.Errorf("gate: starting event loops: %w", err)
	}
	v.accept(v.tcp, func() framing { return stream{frameMax: g.Limits.FrameMax} })
	v.accept(v.ws, func() framing { return &webSocket{limits: &g.Limits, origins: v.origins} })
	return v, nil
}

// listen binds an address; Go sets SO_REUSEADDR, so a gate that was killed can come back at once.
func listen(scheme, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("gate: listening on %s://%s: %w", scheme, address, err)
	}
	return l, nil
}

// TCP returns the address where TCP clients are taken, "" if nowhere.
func (v *Server) TCP() string { return addressOf(v.tcp) }

// WS returns the address where WebSocket clients are taken, "" if nowhere.
func (v *Server) WS() string { return addressOf(v.ws) }

func addressOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

func (v *Server) closeListeners() {
	for _, l := range []net.Listener{v.tcp, v.ws} {
		if l != nil {
			l.Close()
		}
	}
}

// Stop must be called once. It stops accepting, says RESTARTING to every client, waits until their last
// frames are written and they have gone, at most Limits.Linger or until ctx ends, and frees
// everything.
func (v *Server) Stop(ctx context.Context) error {
	close(v.stopping)
	v.closeListeners()
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
	}
	if err := v.engine.Stop(); err != nil {
		return fmt.Errorf("gate: stopping event loops: %w", err)
	}
	return nil
}

// accept takes clients in until the listener is closed.
func (v *Server) accept(l net.Listener, makeFraming func() framing) {
	if l == nil {
		return
	}
	v.accepting.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // out of files: those that are open go on
				v.gate.Log.Warn("accept failed", "address", l.Addr().String(), "error", err)
				select {
				case <-v.stopping:
				case <-time.After(recheck):
				}
				continue
			}
			v.enroll(c, makeFraming())
		}
	})
}

// enroll gives an accepted socket to an event loop, if it may stay.
func (v *Server) enroll(c net.Conn, f framing) {
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok || remote == nil { // it has gone already
		c.Close()
		return
	}
	from := remote.AddrPort().Addr().Unmap()
	if !v.admission.admit(from, time.Now()) {
		c.Close()
		return
	}
	k := &connection{server: v, framing: f, from: from, remote: remote.String()}
	if _, err := v.engine.EnrollContext(c, k); err != nil || k.session == nil {
		v.gate.Log.Warn("connection not taken", "remote", k.remote, "error", err)
		v.admission.release(from)
	}
}

func (v *Server) add(k *connection) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conns[k] = struct{}{}
}

func (v *Server) remove(k *connection) {
	v.admission.release(k.from)
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.conns, k)
	if v.empty != nil && len(v.conns) == 0 {
		close(v.empty)
	}
}

// A connection is a client's socket. Its event loop alone uses what is above the lock.
type connection struct {
	server  *Server
	session *Session
	framing framing
	from    netip.Addr
	remote  string
	partial []byte    // bytes of a frame that is not whole
	frames  [][]byte  // scratch
	hungUp  bool      // no more is read
	shut    bool      // our half is closed, the last frame is out
	until   time.Time // when a connection whose session has ended is given up; zero: it has not
	timer   *time.Timer

	mu   sync.Mutex
	gnet gnet.Conn // nil once closed: gnet's queue must not be touched after its loop ended
}

// Wake asks the event loop to write.
func (k *connection) Wake() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gnet != nil {
		k.gnet.Wake(nil)
	}
}

// Cut ends the connection.
func (k *connection) Cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gnet != nil {
		k.gnet.Close()
	}
}

// later does f unless the connection ends before.
func (k *connection) later(d time.Duration, f func()) {
	if k.timer != nil {
		k.timer.Stop()
	}
	k.timer = time.AfterFunc(d, f)
}

// A handler is what gnet calls, each connection's on its own loop.
type handler struct {
	gnet.BuiltinEventEngine
	server *Server
}

// OnOpen begins a session.
func (h *handler) OnOpen(c gnet.Conn) (out []byte, action gnet.Action) {
	k := c.Context().(*connection)
	k.mu.Lock()
	k.gnet = c
	k.mu.Unlock()
	h.server.add(k)
	k.session = h.server.gate.Open(k, k.remote)
	return nil, gnet.None
}

// OnClose ends it.
func (h *handler) OnClose(c gnet.Conn, _ error) gnet.Action {
	k := c.Context().(*connection)
	k.mu.Lock()
	k.gnet = nil
	k.mu.Unlock()
	if k.timer != nil {
		k.timer.Stop()
	}
	k.session.Lost()
	h.server.remove(k)
	return gnet.None
}

// OnTraffic is one turn of a connection: bytes came, or something wants to be written. All that
// waits by its end leaves in one write. A panic costs this connection only.
func (h *handler) OnTraffic(c gnet.Conn) (action gnet.Action) {
	k := c.Context().(*connection)
	defer func() {
		if reason := recover(); reason != nil {
			h.server.gate.Log.Error("a connection's turn panicked", "remote", k.remote,
				"panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
			action = gnet.Close
		}
	}()
	k.read(c)
	return k.write(c)
}

// read takes what came. gnet's slice dies with the call, so what is not a whole frame is copied.
func (k *connection) read(c gnet.Conn) {
	b, err := c.Next(-1)
	if err != nil || len(b) == 0 || k.hungUp {
		return
	}
	if len(k.partial) > 0 {
		k.partial = append(k.partial, b...)
		b = k.partial
	}
	done, err := k.framing.cut(b, k.session)
	if err == nil {
		k.partial = append(k.partial[:0], b[done:]...)
		return
	}
	k.hungUp, k.partial = true, nil
	switch {
	case errors.Is(err, errHandshake):
		k.server.gate.Counters.Malformed.Add(1)
	case !errors.Is(err, errHangUp):
		k.session.Malformed(err)
	}
}

// write hands the kernel what waits, unless it has not yet taken what it was given before.
func (k *connection) write(c gnet.Conn) gnet.Action {
	for !k.shut && c.OutboundBuffered() == 0 {
		var last *wire.Close
		k.frames, last = k.session.Take(k.frames[:0], room)
		out := k.framing.reply(nil)
		for _, f := range k.frames {
			out = k.framing.wrap(out, f)
		}
		clear(k.frames)
		if last != nil {
			out = k.framing.farewell(out, last)
		}
		if len(out) == 0 && last == nil && !k.hungUp {
			return gnet.None
		}
		if _, err := c.Write(out); err != nil {
			return gnet.None // gnet has closed it
		}
		if last != nil || k.hungUp && len(k.frames) == 0 {
			k.hungUp = true
			return k.hangUp(c)
		}
	}
	if k.shut {
		return gnet.None
	}
	return k.wait()
}

// wait looks again later, if anything waits for a socket that is full.
func (k *connection) wait() gnet.Action {
	waiting, ended := k.session.Full()
	if ended || k.hungUp {
		if k.givenUp() {
			return gnet.Close
		}
	} else if !waiting {
		return gnet.None
	}
	k.later(recheck, k.Wake)
	return gnet.None
}

// hangUp closes our half when the last byte is out, and leaves the other to the client, so that
// the last frame is not lost with bytes that it has still under way to us.
func (k *connection) hangUp(c gnet.Conn) gnet.Action {
	if k.givenUp() {
		return gnet.Close
	}
	if c.OutboundBuffered() > 0 {
		k.later(recheck, k.Wake)
		return gnet.None
	}
	if !k.shut {
		k.shut = true
		if err := syscall.Shutdown(c.Fd(), syscall.SHUT_WR); err != nil {
			return gnet.Close
		}
		k.later(time.Until(k.until), k.Cut)
	}
	return gnet.None
}

// givenUp reports whether an ended session's connection has had its time for its last frames.
func (k *connection) givenUp() bool {
	if k.until.IsZero() {
		k.until = time.Now().Add(k.server.gate.Limits.Linger)
	}
	return time.Now().After(k.until)
}

// quiet is gnet's log: what matters of it goes into ours.
type quiet struct{ log *slog.Logger }

func (quiet) Debugf(string, ...any) {}
func (quiet) Infof(string, ...any)  {}

func (q quiet) Warnf(format string, args ...any) {
	q.log.Warn("gnet", "text", fmt.Sprintf(format, args...))
}

func (q quiet) Errorf(format string, args ...any) {
	q.log.Error("gnet", "text", fmt.Sprintf(format, args...))
}

func (q quiet) Fatalf(format string, args ...any) { q.Errorf(format, args...) }
