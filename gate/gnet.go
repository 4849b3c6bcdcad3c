package gate

import (
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
)

// This file is the only one that knows gnet. What gnet leaves to its users is here: its outbound
// buffer has no bound, so a connection gets bytes only while that buffer is empty; it tells nobody
// when the buffer has drained, so a full one is looked at again after recheck.

const (
	loopCount = 2 // event loops
	// gulp is how many bytes of one connection are read before others have their turn: a flood of the
	// smallest frames, each of which is answered, must not hold the loop for long.
	gulp = 4 << 10
)

// loops are gnet's event loops. Each connection that is full or about to close has a timer besides.
type loops struct{ engine *gnet.Client }

func startLoops(log *slog.Logger) (*loops, error) {
	engine, err := gnet.NewClient(new(handler), gnet.WithNumEventLoop(loopCount),
		gnet.WithReadBufferCap(gulp), gnet.WithLogger(quiet{log}))
	if err == nil {
		err = engine.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("gate: starting event loops: %w", err)
	}
	return &loops{engine}, nil
}

// take gives an accepted socket to one of the loops. After an error it is closed, and nothing was
// begun.
func (l *loops) take(c net.Conn, k *connection) error {
	_, err := l.engine.EnrollContext(c, k)
	if err == nil && k.visit == nil {
		err = errors.New("gate: the event loop has not opened it")
	}
	return err
}

// stop ends what is still open.
func (l *loops) stop() error {
	if err := l.engine.Stop(); err != nil {
		return fmt.Errorf("gate: stopping event loops: %w", err)
	}
	return nil
}

// A connection is a client's socket on an event loop. The loop alone uses what is above the lock.
type connection struct {
	line
	server   *Server
	from     netip.Addr
	remote   string
	original *Original // nil: the client says Hello
	until    moment    // when a connection whose session has ended is given up; 0: it has not
	timer    *time.Timer

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
type handler struct{ gnet.BuiltinEventEngine }

// OnOpen begins a session.
func (*handler) OnOpen(c gnet.Conn) (out []byte, action gnet.Action) {
	k := c.Context().(*connection)
	k.mu.Lock()
	k.gnet = c
	k.mu.Unlock()
	k.server.add(k)
	if k.original != nil {
		k.visit = k.server.gate.Enter(k, k.remote, k.original)
	} else {
		k.visit = k.server.gate.Open(k, k.remote)
	}
	return nil, gnet.None
}

// OnClose ends it.
func (*handler) OnClose(c gnet.Conn, _ error) gnet.Action {
	k := c.Context().(*connection)
	k.mu.Lock()
	k.gnet = nil
	k.mu.Unlock()
	if k.timer != nil {
		k.timer.Stop()
	}
	k.visit.Lost()
	k.server.remove(k, k.from, k.conduct())
	return gnet.None
}

// OnTraffic is one turn of a connection: bytes came, or something wants to be written. All that
// waits by its end leaves in one write. A panic costs this connection only.
func (*handler) OnTraffic(c gnet.Conn) (action gnet.Action) {
	k := c.Context().(*connection)
	defer func() {
		if reason := recover(); reason != nil {
			k.server.gate.Log.Error("a connection's turn panicked", "remote", k.remote,
				"panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
			action = gnet.Close
		}
	}()
	if b, err := c.Next(-1); err == nil {
		k.hear(b) // gnet's slice dies with this call
	}
	return k.write(c)
}

// write hands the kernel what waits, unless it has not yet taken what it was given before.
func (k *connection) write(c gnet.Conn) gnet.Action {
	for !k.shut && c.OutboundBuffered() == 0 {
		out, last := k.say()
		if len(out) == 0 && !last {
			return gnet.None
		}
		if _, err := c.Write(out); err != nil {
			return gnet.None // gnet has closed it
		}
		if last {
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
	waiting, ended := k.visit.Full()
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
		k.later(time.Until(k.server.gate.time(k.until)), k.Cut)
	}
	return gnet.None
}

// givenUp reports whether an ended session's connection has had its time for its last frames.
func (k *connection) givenUp() bool {
	g := k.server.gate
	now := g.moment(time.Now())
	if k.until == 0 {
		k.until = now + moment(g.Limits.Linger)
	}
	return now > k.until
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
