package gate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gobwas/ws"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A webSocket is the framing of browsers: after an HTTP handshake, one frame in each binary
// message. It reads RFC 6455 from bytes that are there, never from a socket, and holds clients to
// its every must: masks, reserved bits, control frames, fragments in order and in bounds.
type webSocket struct {
	limits  *Limits
	origins []string // hosts of pages, beside our own, that may connect; "*" is any

	open    bool   // the handshake is done
	message []byte // fragments of an unfinished message
	inside  bool   // a message is unfinished
	own     []byte // our handshake's answer, or a close frame
	pong    []byte // the answer to the newest ping; older ones need none
	closing bool   // a close frame was queued or came
}

// cut does the handshake first, once its header is whole.
func (w *webSocket) cut(b []byte, to taker) (done int, err error) {
	if !w.open {
		if done, err = w.handshake(b); err != nil || !w.open {
			return done, err
		}
	}
	for {
		n, err := w.next(b[done:], to)
		done += n
		if n == 0 || err != nil {
			return done, err
		}
	}
}

// endOfHeader ends an HTTP header.
const endOfHeader = "\r\n\r\n"

func (w *webSocket) handshake(b []byte) (done int, err error) {
	end := bytes.Index(b[:min(len(b), w.limits.Handshake)], []byte(endOfHeader))
	if end < 0 {
		if len(b) >= w.limits.Handshake {
			w.own = httpAnswer(http.StatusRequestHeaderFieldsTooLarge, "the header is too long")
			return 0, errHandshake
		}
		return 0, nil
	}
	end += len(endOfHeader)
	var out bytes.Buffer
	var host, origin string
	var strange bool // a page may not connect
	_, err = ws.Upgrader{
		OnRequest: func(uri []byte) error {
			if path, _, _ := strings.Cut(string(uri), "?"); path != "/" {
				return ws.RejectConnectionError(ws.RejectionStatus(http.StatusNotFound),
					ws.RejectionReason("the path of the game is /"))
			}
			return nil
		},
		OnHost: func(h []byte) error { host = string(h); return nil },
		OnHeader: func(key, value []byte) error {
			if string(key) == "Origin" {
				origin = string(value)
			}
			return nil
		},
		OnBeforeUpgrade: func() (ws.HandshakeHeader, error) {
			if strange = !w.welcomes(origin, host); strange {
				return nil, ws.RejectConnectionError(ws.RejectionStatus(http.StatusForbidden),
					ws.RejectionReason("pages of "+origin+" may not connect"))
			}
			return nil, nil
		},
	}.Upgrade(readWriter{bytes.NewReader(b[:end]), &out})
	if out.Len() == 0 { // not even HTTP
		w.own = httpAnswer(http.StatusBadRequest, "this is a WebSocket's port")
	} else {
		w.own = out.Bytes()
	}
	switch {
	case strange:
		return end, errOrigin
	case err != nil:
		return end, errHandshake
	}
	w.open = true
	return end, nil
}

type readWriter struct {
	io.Reader
	io.Writer
}

func httpAnswer(status int, text string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s\n",
		status, http.StatusText(status), len(text)+1, text)
}

// welcomes reports whether a page of this origin may connect: one of our own host or of this
// machine, whatever the port, or of a host on the list. Programs that are no browsers send none.
func (w *webSocket) welcomes(origin, host string) bool {
	if origin == "" || slices.Contains(w.origins, "*") {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" {
		return false
	}
	from := u.Hostname()
	if ip := net.ParseIP(from); from == "localhost" || ip != nil && ip.IsLoopback() {
		return true
	}
	own := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		own = h
	}
	return strings.EqualFold(from, own) || slices.Contains(w.origins, from) ||
		slices.Contains(w.origins, u.Host)
}

// next takes one WebSocket frame off the front of b; 0 bytes if it is not whole.
func (w *webSocket) next(b []byte, to taker) (taken int, err error) {
	h, size, err := webSocketHeader(b)
	if err != nil || size == 0 {
		return 0, err
	}
	state := ws.StateServerSide
	if w.inside {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return 0, fmt.Errorf("websocket: %w", err)
	}
	if h.OpCode == ws.OpText {
		return 0, errors.New("websocket: a text message; frames travel in binary ones")
	}
	if bound := int64(wire.HeaderSize + w.limits.FrameMax); h.Length > bound-int64(len(w.message)) {
		return 0, fmt.Errorf("websocket: a message of more than %d bytes", bound)
	}
	end := size + int(h.Length)
	if len(b) < end {
		return 0, nil
	}
	payload := b[size:end]
	ws.Cipher(payload, h.Mask, 0)
	if h.OpCode.IsControl() {
		to.Touch()
		return end, w.control(h.OpCode, payload, to)
	}
	w.piece(h.Fin, payload, to)
	return end, nil
}

// piece takes a fragment of a message, or all of it.
func (w *webSocket) piece(fin bool, payload []byte, to taker) {
	switch {
	case fin && !w.inside:
		to.Receive(payload)
	case fin:
		w.message = append(w.message, payload...)
		to.Receive(w.message)
		w.message, w.inside = nil, false
	default:
		w.inside = true
		w.message = append(w.message, payload...)
		if len(payload) == 0 {
			to.Touch() // empty fragments cost, too
		}
	}
}

func (w *webSocket) control(op ws.OpCode, payload []byte, to taker) error {
	switch op {
	case ws.OpPing:
		w.pong = ws.MustCompileFrame(ws.NewPongFrame(bytes.Clone(payload)))
	case ws.OpClose:
		code, _ := ws.ParseCloseFrameData(payload)
		if len(payload) == 1 || len(payload) > 1 && ws.CheckCloseFrameData(code, "") != nil {
			code = ws.StatusProtocolError
		} else if len(payload) == 0 {
			code = ws.StatusNormalClosure
		}
		if code == ws.StatusNormalClosure {
			to.Leave()
		}
		w.closeWith(code, "")
		return errHangUp
	}
	return nil
}

func (w *webSocket) closeWith(code ws.StatusCode, reason string) {
	if !w.closing {
		w.closing, w.pong = true, nil
		body := ws.NewCloseFrameBody(code, reason)
		w.own = append(w.own, ws.MustCompileFrame(ws.NewCloseFrame(body))...)
	}
}

func (w *webSocket) reply(b []byte) []byte {
	b = append(b, w.own...)
	b = append(b, w.pong...)
	w.pong, w.own = nil, nil
	return b
}

// wrap writes nothing before the handshake: the client could not read it.
func (w *webSocket) wrap(b, frame []byte) []byte {
	if !w.open || w.closing {
		return b
	}
	return append(appendWebSocketHeader(b, len(frame)), frame...)
}

// farewell closes the WebSocket with a status that a browser shows to its page: the close number
// itself where RFC 6455 lets applications choose, else the nearest of its own.
func (w *webSocket) farewell(b []byte, c *wire.Close) []byte {
	if !w.open {
		return append(b, httpAnswer(http.StatusRequestTimeout, c.Text)...)
	}
	status := ws.StatusCode(c.Number)
	switch c.Number.Advice() {
	case wire.ReturnNow:
		status = ws.StatusGoingAway
	case wire.ReturnLater:
		status = 1013 // try again later
	}
	w.closeWith(status, c.Code)
	return w.reply(b)
}

// webSocketHeader reads a frame's header; size 0 says that it is not whole yet.
func webSocketHeader(b []byte) (h ws.Header, size int, err error) {
	if len(b) < ws.MinHeaderSize {
		return h, 0, nil
	}
	size = ws.MinHeaderSize
	switch b[1] & 127 {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if b[1]&128 != 0 {
		size += 4
	}
	if len(b) < size {
		return h, 0, nil
	}
	h, err = ws.ReadHeader(bytes.NewReader(b[:size]))
	if err != nil {
		return h, 0, fmt.Errorf("websocket: %w", err)
	}
	return h, size, nil
}

// appendWebSocketHeader writes the header of a whole binary message of n bytes.
func appendWebSocketHeader(b []byte, n int) []byte {
	b = append(b, 128|byte(ws.OpBinary))
	switch {
	case n < 126:
		return append(b, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
}
