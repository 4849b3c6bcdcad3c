package client

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/url"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A Pipe carries frames, without knowing sessions: what tests use to say things that no client
// would. One goroutine may read and another write.
type Pipe struct {
	conn net.Conn
	in   *bufio.Reader
}

// A Way is how a connection is made. The zero Way is the usual one.
type Way struct {
	TLS  *tls.Config // of tls:// and wss://; nil: the gate's certificate is of a CA that this machine knows
	Head []byte      // sent before all else, as a proxy sends whose connection it is
}

// OpenPipe connects to host:port over tcp://, ws://, tls:// or wss://.
func OpenPipe(ctx context.Context, address string, w Way) (*Pipe, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("client: reading address %q: %w", address, err)
	}
	var c net.Conn
	switch u.Scheme {
	case "tcp":
		c, err = w.dial(ctx, "tcp", u.Host)
	case "tls":
		c, err = w.secure(ctx, u)
	case "ws", "wss":
		c, err = dialWebSocket(ctx, address, w)
	default:
		return nil, fmt.Errorf("client: address %q: there are tcp, ws, tls and wss", address)
	}
	if err != nil {
		return nil, fmt.Errorf("client: connecting to %s: %w", address, err)
	}
	return &Pipe{conn: c, in: bufio.NewReader(c)}, nil
}

// dial opens a plain connection.
func (w Way) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil || len(w.Head) == 0 {
		return c, err
	}
	if _, err := c.Write(w.Head); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// secure opens one in TLS.
func (w Way) secure(ctx context.Context, u *url.URL) (net.Conn, error) {
	c, err := w.dial(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	config := w.TLS.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	config.ServerName = cmp.Or(config.ServerName, u.Hostname())
	secured := tls.Client(c, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return secured, nil
}

// Write sends bytes as they are; over WebSocket they are one binary message.
func (p *Pipe) Write(b []byte) error {
	if _, err := p.conn.Write(b); err != nil {
		return fmt.Errorf("client: writing: %w", err)
	}
	return nil
}

// Read waits for the next frame. The body belongs to the caller.
func (p *Pipe) Read() (wire.Header, []byte, error) {
	var head [wire.HeaderSize]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return wire.Header{}, nil, fmt.Errorf("client: reading a header: %w", err)
	}
	h, err := wire.ParseHeader(head[:], wire.MaxBody)
	if err != nil {
		return h, nil, fmt.Errorf("client: reading a header: %w", err)
	}
	body := make([]byte, h.Length)
	if _, err := io.ReadFull(p.in, body); err != nil {
		return h, nil, fmt.Errorf("client: reading a body: %w", err)
	}
	return h, body, nil
}

// Conn is the connection itself, for deadlines.
func (p *Pipe) Conn() net.Conn { return p.conn }

// Close closes the connection; a Read that waits returns an error.
func (p *Pipe) Close() error { return p.conn.Close() }
