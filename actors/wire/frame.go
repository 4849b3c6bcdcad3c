package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A frame of the protocol firefly/2 is a header of 12 bytes, big-endian, and a body:
//
//	0  flags   1 byte   bit 0: the body is an Error; bit 1: kept for compression; others must be 0
//	1  length  3 bytes  of the body alone; 0 is legal
//	4  number  4 bytes  what the body is
//	8  seq     4 bytes  client: 0 wants no answer. server: the request it answers, 0 is a push
const (
	HeaderSize = 12
	MaxBody    = 1<<24 - 1 // the most that a length of 3 bytes can say; what a gate takes is less
	Version    = 2         // what Hello must say
)

// Flags are the first byte of a header.
type Flags uint8

// The flags in use. Whoever sets another is not speaking this protocol.
const (
	FlagError Flags = 1 << 0 // a server's: the body is an Error, whatever the number
)

// A Header is the head of a frame.
type Header struct {
	Flags  Flags
	Length int // bytes of body
	Number uint32
	Seq    uint32
}

// Errors of a header. Nothing can be read behind a wrong one: close the connection.
var (
	ErrShortHeader = errors.New("wire: a frame's header is not whole")
	ErrFlags       = errors.New("wire: a frame's flags have bits that must be 0")
	ErrTooLong     = errors.New("wire: a frame's body is longer than allowed")
)

// ParseHeader reads the header at the front of b. Its body may have up to limit bytes. The errors
// are ErrShortHeader (wait for more bytes), ErrFlags and ErrTooLong, with what was wrong.
func ParseHeader(b []byte, limit int) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, ErrShortHeader
	}
	first := binary.BigEndian.Uint32(b)
	h := Header{
		Flags:  Flags(first >> 24),
		Length: int(first & MaxBody),
		Number: binary.BigEndian.Uint32(b[4:]),
		Seq:    binary.BigEndian.Uint32(b[8:]),
	}
	if h.Flags&^FlagError != 0 {
		return h, fmt.Errorf("%w: %08b", ErrFlags, h.Flags)
	}
	if h.Length > limit {
		return h, fmt.Errorf("%w: %d bytes, the bound is %d", ErrTooLong, h.Length, limit)
	}
	return h, nil
}

// Append writes the header behind b. A Length beyond MaxBody is a programmer's error and panics.
func (h Header) Append(b []byte) []byte {
	if h.Length < 0 || h.Length > MaxBody {
		panic(fmt.Sprintf("wire: a frame cannot carry a body of %d bytes", h.Length))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(h.Flags)<<24|uint32(h.Length))
	b = binary.BigEndian.AppendUint32(b, h.Number)
	return binary.BigEndian.AppendUint32(b, h.Seq)
}

// AppendFrame writes a whole frame behind b.
func AppendFrame(b []byte, flags Flags, number, seq uint32, body []byte) []byte {
	b = Header{Flags: flags, Length: len(body), Number: number, Seq: seq}.Append(b)
	return append(b, body...)
}

// CutFrame takes the first frame off b: its header, its body, which is a part of b, and the rest.
// With fewer bytes than a whole frame the error is ErrShortHeader or ErrShortBody; the header is
// checked as soon as it is there.
func CutFrame(b []byte, limit int) (h Header, body, rest []byte, err error) {
	h, err = ParseHeader(b, limit)
	if err != nil {
		return h, nil, b, err
	}
	if len(b) < HeaderSize+h.Length {
		return h, nil, b, ErrShortBody
	}
	end := HeaderSize + h.Length
	return h, b[HeaderSize:end:end], b[end:], nil
}

// ErrShortBody means that the header is whole and the body is not yet: wait for more bytes.
var ErrShortBody = errors.New("wire: a frame's body is not whole")
