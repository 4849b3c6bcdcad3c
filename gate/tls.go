package gate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// chunk is how many bytes a connection in TLS reads at once.
const chunk = 4 << 10

// A secured is a client's connection in TLS, which gnet does not have: the standard library's, with a
// goroutine that reads and one that writes. It behaves as a connection on an event loop does: a
// socket that takes nothing is full after recheck, and an ended session's has Linger for its last
// frames.
type secured struct {
	server *Server
	from   netip.Addr
	remote string
	socket *net.TCPConn
	tls    *tls.Conn
	wakes  chan struct{} // of one
	deaf   chan struct{} // closed when the reading goroutine has ended
	safe   atomic.Bool   // the handshake is done

	mu      sync.Mutex // never taken by Wake and Cut: a session may call them from under it
	line    line
	writing bool        // a write is under way
	slow    *time.Timer // goes off while a write lasts
	ending  *time.Timer // cuts; nil: the session has not ended
}

// secure takes an accepted socket.
func (v *Server) secure(c *net.TCPConn, f framing, from netip.Addr, remote string) {
	k := &secured{server: v, from: from, remote: remote, socket: c, tls: tls.Server(c, v.tls),
		wakes: make(chan struct{}, 1), deaf: make(chan struct{})}
	v.add(k)
	k.line = line{framing: f, visit: v.gate.Open(k, remote)}
	v.talking.Go(k.read)
	v.talking.Go(k.write)
}

// Wake asks the writing goroutine to write.
func (k *secured) Wake() {
	select {
	case k.wakes <- struct{}{}:
	default: // it will look anyway
	}
}

// Cut ends the connection, also a handshake or a write that waits for the client.
func (k *secured) Cut() { k.socket.Close() }

// read is the reading goroutine. The handshake has as long as Hello, since a session has begun.
func (k *secured) read() {
	defer close(k.deaf)
	defer k.survive()
	if err := k.tls.Handshake(); err != nil {
		k.refuse(err)
		return
	}
	k.safe.Store(true)
	b := make([]byte, chunk)
	for {
		n, err := k.tls.Read(b)
		if k.hear(b[:n]) {
			k.Wake()
		}
		if err != nil {
			k.expire()
			return
		}
	}
}

// refuse counts a handshake that failed. Browsers that were sent here with http:// are told so.
func (k *secured) refuse(err error) {
	k.server.gate.Counters.Unsecured.Add(1)
	if r := (tls.RecordHeaderError{}); errors.As(err, &r) && r.Conn != nil &&
		httpVerb(r.RecordHeader) {
		_, _ = k.socket.Write(httpAnswer(400, "this port speaks TLS: wss://, not ws://"))
	}
	k.Cut()
}

func (k *secured) hear(b []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.line.hear(b)
}

// write is the writing goroutine, and ends the connection when both are done.
func (k *secured) write() {
	defer k.close()
	defer k.survive()
	for open := true; ; {
		select {
		case <-k.wakes:
			open = open && k.speak()
		case <-k.deaf: // what the last bytes were answered still goes out
			if open && k.safe.Load() {
				k.speak()
			}
			return
		}
	}
}

// speak writes until nothing waits. It returns false when nothing more is to be written.
func (k *secured) speak() bool {
	for {
		out, last := k.next()
		switch {
		case len(out) == 0 && !last:
			return true
		case !k.safe.Load(): // the session has ended before the client could hear why
			k.Cut()
			return false
		}
		if !k.send(out) {
			k.Cut()
			return false
		}
		if last {
			k.hangUp()
			return false
		}
	}
}

// next is what waits to be written.
func (k *secured) next() (out []byte, last bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.line.say()
}

// send writes, and waits for the socket to take it. Meanwhile the socket counts as full.
func (k *secured) send(out []byte) bool {
	k.during(true)
	defer k.during(false)
	_, err := k.tls.Write(out)
	return err == nil
}

func (k *secured) during(write bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writing = write
	switch {
	case !write:
		k.slow.Stop()
	case k.slow == nil:
		k.slow = time.AfterFunc(recheck, k.full)
	default:
		k.slow.Reset(recheck)
	}
}

// full is called again and again while a write lasts.
func (k *secured) full() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.writing {
		return
	}
	if _, over := k.line.visit.Full(); over || k.line.hungUp {
		k.endIn(k.server.gate.Limits.Linger)
	}
	k.slow.Reset(recheck)
}

// hangUp closes our half when the last byte is out, and leaves the other to the client, so that
// the last frame is not lost with bytes that it has still under way to us.
func (k *secured) hangUp() {
	k.expire()
	if k.tls.CloseWrite() != nil || k.socket.CloseWrite() != nil {
		k.Cut()
	}
}

// expire gives the connection its time for its last frames.
func (k *secured) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.endIn(k.server.gate.Limits.Linger)
}

func (k *secured) endIn(d time.Duration) {
	if k.ending == nil {
		k.ending = time.AfterFunc(d, k.Cut)
	}
}

// close ends it all.
func (k *secured) close() {
	k.Cut()
	<-k.deaf
	k.mu.Lock()
	for _, t := range []*time.Timer{k.slow, k.ending} {
		if t != nil {
			t.Stop()
		}
	}
	k.mu.Unlock()
	k.line.visit.Lost()
	k.server.remove(k, k.from, k.line.conduct())
}

// survive is deferred: a panic costs this connection only.
func (k *secured) survive() {
	if reason := recover(); reason != nil {
		k.server.gate.Log.Error("a connection's goroutine panicked", "remote", k.remote,
			"panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
		k.Cut()
	}
}

// httpVerb reports whether the first bytes of a connection are those of an HTTP request.
func httpVerb(b [5]byte) bool {
	switch string(b[:]) {
	case "GET /", "HEAD ", "POST ", "OPTIO":
		return true
	}
	return false
}
