package record

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// This file reads the contents of records: what encode.go has written. Nothing in it panics, whatever the bytes are,
// and nothing is made larger than the bytes that ask for it. What is read keeps parts of the bytes.

var errMalformed = errors.New("the record's checksum is right, and its contents are not")

// A cursor takes fields off the front of b, and remembers that one was missing.
type cursor struct {
	b    []byte
	torn bool
}

func (c *cursor) uvarint() uint64 {
	n, size := binary.Uvarint(c.b)
	if size <= 0 {
		c.torn, c.b = true, nil
		return 0
	}
	c.b = c.b[size:]
	return n
}

func (c *cursor) varint() int64 {
	n, size := binary.Varint(c.b)
	if size <= 0 {
		c.torn, c.b = true, nil
		return 0
	}
	c.b = c.b[size:]
	return n
}

func (c *cursor) number() uint32 { return uint32(c.uvarint()) }

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.torn = true
		return 0
	}
	first := c.b[0]
	c.b = c.b[1:]
	return first
}

// take is the next n bytes.
func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.torn, c.b = true, nil
		return nil
	}
	taken := c.b[:n:n]
	c.b = c.b[n:]
	return taken
}

func (c *cursor) bytes() []byte     { return c.take(c.uvarint()) }
func (c *cursor) text() string      { return string(c.bytes()) }
func (c *cursor) ref() actors.Ref   { return actors.Ref{Kind: actors.KindName(c.text()), ID: c.text()} }
func (c *cursor) flag() (f [8]bool) { return flagsOf(c.byte()) }

func flagsOf(all byte) (f [8]bool) {
	for i := range f {
		f[i] = all&(1<<i) != 0
	}
	return f
}

// count is how many things follow, each of one byte at least.
func (c *cursor) count() int {
	n := c.uvarint()
	if n > uint64(len(c.b)) {
		c.torn, c.b = true, nil
		return 0
	}
	return int(n)
}

// json reads JSON into a value; it reports whether there was any.
func (c *cursor) json(into any) bool {
	text := c.bytes()
	if len(text) == 0 {
		return false
	}
	if json.Unmarshal(text, into) != nil {
		c.torn = true
		return false
	}
	return true
}

func (c *cursor) envelope() *actors.Envelope {
	size := c.take(4)
	if size == nil {
		c.torn = true
		return new(actors.Envelope)
	}
	e, rest, err := actors.ReadEnvelope(c.take(uint64(binary.BigEndian.Uint32(size))))
	if err != nil || len(rest) > 0 {
		c.torn = true
		return new(actors.Envelope)
	}
	e.Body = someOrNil(e.Body)
	return e
}

// done says whether all was there, and nothing else.
func (c *cursor) done() error {
	if c.torn || len(c.b) > 0 {
		return errMalformed
	}
	return nil
}

func decodeOpen(b []byte) (stream uint64, s *Segment, err error) {
	c := &cursor{b: b}
	stream = c.uvarint()
	s = &Segment{Activation: c.uvarint(), First: c.uvarint(), Incarnation: c.uvarint(), At: c.varint(),
		Node: c.text(), Ref: c.ref()}
	image := new(actors.Image)
	if c.json(image) {
		s.Image = image
		if image.State == nil || image.Ref != s.Ref {
			return 0, nil, errMalformed
		}
	}
	return stream, s, c.done()
}

func decodeStep(b []byte) (stream uint64, s *Step, err error) {
	c := &cursor{b: b}
	stream = c.uvarint()
	s = &Step{Index: c.uvarint(), Before: c.uvarint(), Quiet: c.flag()[0], Input: c.input()}
	for range c.count() {
		s.Turns = append(s.Turns, c.turn())
	}
	for range c.count() {
		s.Out = append(s.Out, *c.envelope())
	}
	p := new(actors.Patch)
	if c.json(p) {
		s.Patch = plain(p)
	}
	return stream, s, c.done()
}

func (c *cursor) input() Input {
	in := Input{Type: actors.InputType(c.byte())}
	there := c.flag()
	in.At, in.Question = c.varint(), c.uvarint()
	if there[0] {
		in.Envelope = c.envelope()
	}
	if there[1] {
		in.Result = c.bytes()
	}
	if there[2] {
		in.Refusal = new(actors.Refusal)
		c.torn = !c.json(in.Refusal) || c.torn
	}
	in.Session, in.Tables = c.ref(), c.text()
	if there[3] {
		for range c.count() {
			in.TooBig = append(in.TooBig, int(c.uvarint()))
		}
	}
	return in
}

func (c *cursor) turn() Turn {
	t := Turn{Number: c.number(), Verdict: actors.Verdict(c.byte()), Commit: c.flag()[0], Name: c.text(),
		Text: c.text(), Stack: c.text()}
	for range c.count() {
		o := actors.TimerOrder{Number: c.number()}
		f := c.flag()
		o.Every, o.Cancel, o.Wait = f[0], f[1], time.Duration(c.varint())
		o.Body = someOrNil(c.bytes())
		t.Timers = append(t.Timers, o)
	}
	return t
}

func decodeTables(b []byte) (hash string, files map[string][]byte, err error) {
	c := &cursor{b: b}
	hash, files = c.text(), map[string][]byte{}
	for range c.count() {
		name := c.text()
		files[name] = c.bytes()
	}
	return hash, files, c.done()
}

func decodeGap(b []byte) (stream uint64, g Gap, err error) {
	c := &cursor{b: b}
	stream = c.uvarint()
	g = Gap{Lost: c.uvarint(), Why: c.text()}
	return stream, g, c.done()
}

func decodeCheck(b []byte) (stream uint64, k Check, err error) {
	c := &cursor{b: b}
	stream = c.uvarint()
	k.After = c.uvarint()
	copy(k.Hash[:], c.take(uint64(len(k.Hash))))
	return stream, k, c.done()
}

func decodeClose(b []byte) (stream, index uint64, err error) {
	c := &cursor{b: b}
	stream, index = c.uvarint(), c.uvarint()
	return stream, index, c.done()
}

func decodePanic(b []byte) (stream uint64, p Panic, err error) {
	c := &cursor{b: b}
	stream = c.uvarint()
	p = Panic{Index: c.uvarint(), Number: c.number(), Name: c.text(), Text: c.text()}
	return stream, p, c.done()
}
