package client

import (
	"bufio"
	"context"
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

// OpenPipe connects to tcp://host:port or ws://host:port.
func OpenPipe(ctx context.Context, address string) (*Pipe, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("client: reading address %q: %w", address, err)
	}
	var c net.Conn
	switch u.Scheme {
	case "tcp":
		c, err = new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	case "ws":
		c, err = dialWebSocket(ctx, address)
	default:
		return nil, fmt.Errorf("client: address %q: there are tcp:// and ws://", address)
	}
	if err != nil {
		return nil, fmt.Errorf("client: connecting to %s: %w", address, err)
	}
	return &Pipe{conn: c, in: bufio.NewReader(c)}, nil
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
