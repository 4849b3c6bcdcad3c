package gate

import (
	"fmt"
	"net"
)

// A Scheme is how clients come, as it stands before an address.
type Scheme string

// The transports. Sessions are the same over all of them.
const (
	TCP Scheme = "tcp" // frames follow one another
	WS  Scheme = "ws"  // WebSocket: one frame in each binary message
	TLS Scheme = "tls" // as tcp, in TLS
	WSS Scheme = "wss" // as ws, in TLS
)

// Secure reports whether a certificate is needed.
func (s Scheme) Secure() bool { return s == TLS || s == WSS }

// A Listener is an address where clients are taken, and how they speak there.
type Listener struct {
	Scheme  Scheme
	Address string // host:port; port 0 is any
}

// String is the address as clients dial it.
func (l Listener) String() string { return string(l.Scheme) + "://" + l.Address }

// framing is how frames lie in the bytes of one connection that was taken here.
func (l Listener) framing(v *Server) framing {
	if l.Scheme == WS || l.Scheme == WSS {
		return &webSocket{limits: &v.gate.Limits, origins: v.sockets.Origins}
	}
	return stream{frameMax: v.gate.Limits.FrameMax}
}

// A port is a listener at work. Its Address is the one that it has got.
type port struct {
	Listener
	socket *net.TCPListener
}

// listen binds an address; Go sets SO_REUSEADDR, so a gate that was killed can come back at once.
func listen(l Listener) (*port, error) {
	switch l.Scheme {
	case TCP, WS, TLS, WSS:
	default:
		return nil, fmt.Errorf("gate: listening on %s: there are tcp, ws, tls and wss", l)
	}
	socket, err := net.Listen("tcp", l.Address)
	if err != nil {
		return nil, fmt.Errorf("gate: listening on %s: %w", l, err)
	}
	l.Address = socket.Addr().String()
	return &port{l, socket.(*net.TCPListener)}, nil
}
