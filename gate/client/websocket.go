package client

import (
	"context"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// dialWebSocket opens a WebSocket as a net.Conn: each Write is one binary message.
func dialWebSocket(ctx context.Context, url string, w Way) (net.Conn, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: w.dial, TLSClientConfig: w.TLS,
		Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(true)
	defer transport.CloseIdleConnections()
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(-1) // Pipe bounds frames
	stream := websocket.NetConn(context.Background(), c, websocket.MessageBinary)
	return webSocketConn{stream, c}, nil
}

// A webSocketConn closes at once: the gate has its own way to say goodbye.
type webSocketConn struct {
	net.Conn
	c *websocket.Conn
}

func (w webSocketConn) Close() error { return w.c.CloseNow() }
