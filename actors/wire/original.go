package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A frame of the protocol firefly/1, which clients of the original Firefly speak, is a header of 17
// bytes, big-endian and the same in both directions, and a body:
//
//	 0  magic           4 bytes
//	 4  version         1 byte   of the protocol
//	 5  server version  4 bytes
//	 9  length          4 bytes  of command and body: 4 is the least, and a frame has 13 more
//	13  command         4 bytes  a request's number, which its reply repeats; a push's own
const (
	OriginalHeaderSize = 17
	originalPrefix     = 9 // bytes that are the same in all frames of a game
	originalCommand    = 4 // bytes that length counts beside the body
)

// An Original is what stands in front of every frame of one original game, both ways. The zero
// Original is that of a game which has set none.
type Original struct {
	Magic         [4]byte
	Version       uint8 // of the protocol
	ServerVersion uint32
}

// Errors of a frame of firefly/1, beside ErrTooLong. Nothing can be read behind one: close the
// connection.
var (
	ErrMagic     = errors.New("wire: a frame of firefly/1 begins with other bytes")
	ErrVersion   = errors.New("wire: a frame of firefly/1 has another version")
	ErrNoCommand = errors.New("wire: a frame of firefly/1 has no room for its command")
)

// CutFrame takes the first frame off b: its command, its body, which is a part of b, and the rest.
// The body may have up to limit bytes. With fewer bytes than a whole frame the error is
// ErrShortHeader or ErrShortBody. What is wrong is an error as soon as its byte is there: ErrMagic,
// ErrVersion, ErrNoCommand or ErrTooLong, with what was wrong.
func (o Original) CutFrame(b []byte, limit int) (command uint32, body, rest []byte, err error) {
	if err := o.check(b, limit); err != nil {
		return 0, nil, b, err
	}
	end := originalPrefix + 4 + int(binary.BigEndian.Uint32(b[originalPrefix:]))
	if len(b) < end {
		return 0, nil, b, ErrShortBody
	}
	command = binary.BigEndian.Uint32(b[originalPrefix+4:])
	return command, b[OriginalHeaderSize:end:end], b[end:], nil
}

// check looks at as much of a header as there is.
func (o Original) check(b []byte, limit int) error {
	var room [originalPrefix]byte
	there := b[:min(len(b), originalPrefix)]
	if want := o.appendPrefix(room[:0]); !bytes.Equal(there, want[:len(there)]) {
		return o.stranger(there)
	}
	if len(b) < originalPrefix+4 {
		return ErrShortHeader
	}
	switch length := binary.BigEndian.Uint32(b[originalPrefix:]); {
	case length < originalCommand:
		return fmt.Errorf("%w: its length is %d, and the command alone has 4", ErrNoCommand, length)
	case int64(length)-originalCommand > int64(limit):
		return fmt.Errorf("%w: %d bytes, the bound is %d", ErrTooLong, length-originalCommand, limit)
	}
	if len(b) < OriginalHeaderSize {
		return ErrShortHeader
	}
	return nil
}

// stranger says what is wrong with the first bytes of a frame.
func (o Original) stranger(got []byte) error {
	want := o.appendPrefix(nil)[:len(got)]
	if n := min(len(got), len(o.Magic)); !bytes.Equal(got[:n], want[:n]) {
		return fmt.Errorf("%w: % x, not % x", ErrMagic, got[:n], want[:n])
	}
	return fmt.Errorf("%w: % x, not % x", ErrVersion, got[len(o.Magic):], want[len(o.Magic):])
}

// AppendFrame writes a whole frame behind b. A body whose length the header cannot say is a
// programmer's error and panics.
func (o Original) AppendFrame(b []byte, command uint32, body []byte) []byte {
	if int64(len(body)) > math.MaxUint32-originalCommand {
		panic(fmt.Sprintf("wire: a frame of firefly/1 cannot carry a body of %d bytes", len(body)))
	}
	b = o.appendPrefix(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)+originalCommand))
	b = binary.BigEndian.AppendUint32(b, command)
	return append(b, body...)
}

func (o Original) appendPrefix(b []byte) []byte {
	b = append(append(b, o.Magic[:]...), o.Version)
	return binary.BigEndian.AppendUint32(b, o.ServerVersion)
}
