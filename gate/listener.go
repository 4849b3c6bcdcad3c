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

	Firefly1 Scheme = "firefly1" // the original's clients, over TCP: see Original
)

// Secure reports whether a certificate is needed.
func (s Scheme) Secure() bool { return s == TLS || s == WSS }

// A Listener is an address where clients are taken, and how they speak there.
type Listener struct {
	Scheme  Scheme
	Address string // host:port; port 0 is any

	Original *Original // of Firefly1 alone
}

// String is the address as clients dial it.
func (l Listener) String() string { return string(l.Scheme) + "://" + l.Address }

// framing is how frames lie in the bytes of one connection that was taken here.
func (l Listener) framing(v *Server) framing {
	switch l.Scheme {
	case WS, WSS:
		return &webSocket{limits: &v.gate.Limits, origins: v.sockets.Origins}
	case Firefly1:
		return &original{how: l.Original, gate: v.gate}
	default:
		return stream{frameMax: v.gate.Limits.FrameMax}
	}
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
	case Firefly1:
		if l.Original == nil {
			return nil, fmt.Errorf("gate: listening on %s: nothing says how its clients speak", l)
		}
	default:
		return nil, fmt.Errorf("gate: listening on %s: there are tcp, ws, tls, wss and firefly1", l)
	}
	socket, err := net.Listen("tcp", l.Address)
	if err != nil {
		return nil, fmt.Errorf("gate: listening on %s: %w", l, err)
	}
	l.Address = socket.Addr().String()
	return &port{l, socket.(*net.TCPListener)}, nil
}
