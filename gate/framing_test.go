package gate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/gobwas/ws"

	"github.com/fireflyrt/firefly/actors/wire"
)

// catcher is a visit's part.
type catcher struct {
	frames  [][]byte
	touches int
	left    bool
}

func (c *catcher) Receive(frame []byte) { c.frames = append(c.frames, bytes.Clone(frame)) }
func (c *catcher) Touch()               { c.touches++ }
func (c *catcher) Leave()               { c.left = true }

// feed gives b to a framing as a connection does: in pieces of the sizes given, keeping what is
// left, and returns what came out.
func feed(t *testing.T, f framing, b []byte, sizes []byte) (*catcher, error) {
	t.Helper()
	c := new(catcher)
	var left []byte
	for len(b) > 0 {
		n := len(b)
		if len(sizes) > 0 {
			n = min(n, 1+int(sizes[0]))
			sizes = sizes[1:]
		}
		left = append(left, b[:n]...)
		b = b[n:]
		done, err := f.cut(left, c)
		if done < 0 || done > len(left) {
			t.Fatalf("cut is done with %d of %d bytes", done, len(left))
		}
		if err != nil {
			return c, err
		}
		left = append(left[:0], left[done:]...)
	}
	return c, nil
}

// However a stream is cut into pieces, the frames that come out are those that went in, and a
// frame over the bound never gets room.
func FuzzStream(f *testing.F) {
	two := wire.AppendFrame(nil, 0, 101, 1, []byte("first"))
	two = wire.AppendFrame(two, 1, 102, 2, nil)
	f.Add(two, []byte{0, 0, 3})
	f.Add([]byte{0, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 1}, []byte(nil))
	f.Add([]byte{255}, []byte{9})
	f.Fuzz(func(t *testing.T, b, sizes []byte) {
		const bound = 256
		whole, err := feed(t, stream{bound}, bytes.Clone(b), nil)
		pieces, err2 := feed(t, stream{bound}, bytes.Clone(b), sizes)
		if (err == nil) != (err2 == nil) || len(whole.frames) != len(pieces.frames) {
			t.Fatalf("whole: %d frames, %v; in pieces: %d, %v",
				len(whole.frames), err, len(pieces.frames), err2)
		}
		var again []byte
		for i, frame := range whole.frames {
			if !bytes.Equal(frame, pieces.frames[i]) || len(frame) > wire.HeaderSize+bound {
				t.Fatalf("frame %d: % x and % x", i, frame, pieces.frames[i])
			}
			again = append(again, frame...)
		}
		if !bytes.HasPrefix(b, again) {
			t.Fatalf("what came out did not go in: % x", again)
		}
	})
}

const handshakeOfTest = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" +
	"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// However bytes are cut into pieces, the WebSocket parser takes the same messages from them, never
// panics, never takes more than its bound, and answers in whole frames.
func FuzzWebSocket(f *testing.F) {
	mask := func(f ws.Frame) []byte {
		return ws.MustCompileFrame(ws.MaskFrameWith(f, [4]byte{9, 8, 7, 6}))
	}
	binaryFrame := mask(ws.NewBinaryFrame([]byte("twelve bytes")))
	f.Add(true, binaryFrame, []byte{0, 5})
	f.Add(true, append(mask(ws.NewFrame(ws.OpBinary, false, []byte("a"))),
		mask(ws.NewFrame(ws.OpContinuation, true, []byte("b")))...), []byte{1, 1, 1})
	f.Add(true, append(mask(ws.NewPingFrame([]byte("p"))), mask(ws.NewCloseFrame(nil))...),
		[]byte(nil))
	f.Add(true, mask(ws.NewBinaryFrame(make([]byte, 300))), []byte{200, 99})
	f.Add(true, []byte{130, 255, 128, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, []byte(nil))
	f.Add(false, []byte(handshakeOfTest), []byte{20, 30})
	f.Add(false, []byte("GET /x HTTP/1.1\r\n\r\n"), []byte(nil))
	f.Fuzz(func(t *testing.T, open bool, b, sizes []byte) {
		l := Limits{FrameMax: 256, Handshake: 512}
		run := func(sizes []byte) (*catcher, []byte, error) {
			w := &webSocket{limits: &l, open: open}
			c, err := feed(t, w, bytes.Clone(b), sizes)
			if len(w.message) > wire.HeaderSize+l.FrameMax {
				t.Fatalf("%d bytes of fragments were kept", len(w.message))
			}
			return c, w.reply(nil), err
		}
		whole, said, err := run(nil)
		pieces, said2, err2 := run(sizes)
		if len(whole.frames) != len(pieces.frames) || whole.touches != pieces.touches ||
			errors.Is(err, errHangUp) != errors.Is(err2, errHangUp) ||
			(err == nil) != (err2 == nil) {
			t.Fatalf("whole: %d messages, %v; in pieces: %d, %v",
				len(whole.frames), err, len(pieces.frames), err2)
		}
		for i, m := range whole.frames {
			if !bytes.Equal(m, pieces.frames[i]) || len(m) > wire.HeaderSize+l.FrameMax {
				t.Fatalf("message %d: % x and % x", i, m, pieces.frames[i])
			}
		}
		if !bytes.Equal(said, said2) {
			t.Fatalf("it said %q and %q", said, said2)
		}
	})
}

func TestAFrameGoesOutAsOneBinaryMessageWhateverItsLength(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		w := &webSocket{open: true}
		payload := bytes.Repeat([]byte{7}, n)
		out := w.wrap([]byte("before"), payload)[6:]
		h, err := ws.ReadHeader(bytes.NewReader(out))
		size := len(out) - n
		if err != nil || !h.Fin || h.OpCode != ws.OpBinary || h.Masked || h.Length != int64(n) ||
			size != ws.HeaderSize(h) || !bytes.Equal(out[size:], payload) {
			t.Errorf("%d bytes: %+v, %v", n, h, err)
		}
	}
	if out := new(webSocket).wrap(nil, []byte("x")); out != nil {
		t.Errorf("before the handshake it said %q", out)
	}
}

func TestAMaskIsTakenOffWhereverTheFrameLies(t *testing.T) {
	t.Parallel()
	want := binary.BigEndian.AppendUint64(nil, 0x0102030405060708)
	var all []byte
	for range 9 {
		all = append(all, ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame(want)))...)
	}
	w := &webSocket{limits: &Limits{FrameMax: 100}, open: true}
	c, err := feed(t, w, all, []byte{3, 17, 0, 40})
	if err != nil || len(c.frames) != 9 {
		t.Fatalf("%d messages, %v", len(c.frames), err)
	}
	for _, m := range c.frames {
		if !bytes.Equal(m, want) {
			t.Errorf("got % x", m)
		}
	}
}

// However a stream of the original's frames is cut into pieces, the session reads the same frames,
// with rising seqs, and they are those that went in.
func FuzzOriginalStream(f *testing.F) {
	game := wire.Original{Magic: [4]byte{78, 37, 38, 48}, Version: 9}
	two := game.AppendFrame(game.AppendFrame(nil, 101, []byte("first")), 102, nil)
	f.Add(two, []byte{0, 0, 3})
	f.Add(game.AppendFrame(two, 2, []byte("bye")), []byte{40})
	f.Add(append(game.AppendFrame(nil, 101, nil)[:9], 255, 255, 255, 255), []byte(nil))
	f.Add([]byte{78, 37, 38, 49}, []byte{1})
	f.Fuzz(func(t *testing.T, b, sizes []byte) {
		const bound = 256
		run := func(sizes []byte) (*catcher, error) {
			g := &Gate{Options: Options{Limits: Limits{FrameMax: bound}}}
			return feed(t, &original{how: &Original{Original: game}, gate: g}, bytes.Clone(b), sizes)
		}
		whole, err := run(nil)
		pieces, err2 := run(sizes)
		if (err == nil) != (err2 == nil) || errors.Is(err, errHangUp) != errors.Is(err2, errHangUp) ||
			len(whole.frames) != len(pieces.frames) {
			t.Fatalf("whole: %d frames, %v; in pieces: %d, %v",
				len(whole.frames), err, len(pieces.frames), err2)
		}
		var again []byte
		for i, frame := range whole.frames {
			h, body, rest, err := wire.CutFrame(frame, bound)
			if err != nil || len(rest) > 0 || h.Flags != 0 || h.Seq != uint32(i+1) ||
				!bytes.Equal(frame, pieces.frames[i]) {
				t.Fatalf("frame %d: %+v, % x and % x, %v", i, h, frame, pieces.frames[i], err)
			}
			again = game.AppendFrame(again, h.Number, body)
		}
		if !bytes.HasPrefix(b, again) {
			t.Fatalf("what came out did not go in: % x", again)
		}
	})
}

// A seq never comes again: what keeps replies and repeated requests apart is gone then.
func TestAConnectionOfTheOriginalsEndsWhenItsSeqsAreUsedUp(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	o := &original{how: new(Original), gate: &Gate{Options: Options{Limits: l}}, seq: math.MaxUint32 - 1}
	frame := o.how.AppendFrame(nil, 101, nil)
	c, err := feed(t, o, append(frame, frame...), nil)
	if !errors.Is(err, errWorn) || len(c.frames) != 1 {
		t.Fatalf("%d frames, %v", len(c.frames), err)
	}
	if h, _, _, err := wire.CutFrame(c.frames[0], 0); err != nil || h.Seq != math.MaxUint32 {
		t.Errorf("the last one is %+v, %v", h, err)
	}
}
