package record

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// This file reads the contents of records: what encode.go has written. Nothing in it panics, whatever the bytes are,
// and nothing is made larger than the bytes that ask for it. What is read keeps parts of the bytes.

var errMalformed = errors.New("the record's checksum is right, and its contents are not")

// A cursor takes fields off the front of what encode.go has written.
type cursor struct{ wire.Cursor }

func cursorOf(b []byte) *cursor { return &cursor{wire.Cursor{B: b}} }

func (c *cursor) number() uint32    { return uint32(c.Uvarint()) }
func (c *cursor) text() string      { return string(c.Bytes()) }
func (c *cursor) ref() actors.Ref   { return actors.Ref{Kind: actors.KindName(c.text()), ID: c.text()} }
func (c *cursor) flag() (f [8]bool) { return flagsOf(c.Byte()) }

func flagsOf(all byte) (f [8]bool) {
	for i := range f {
		f[i] = all&(1<<i) != 0
	}
	return f
}

// json reads JSON into a value; it reports whether there was any.
func (c *cursor) json(into any) bool {
	text := c.Bytes()
	if len(text) == 0 {
		return false
	}
	if json.Unmarshal(text, into) != nil {
		c.Torn = true
		return false
	}
	return true
}

func (c *cursor) envelope() *actors.Envelope {
	size := c.Take(4)
	if size == nil {
		c.Torn = true
		return new(actors.Envelope)
	}
	e, rest, err := actors.ReadEnvelope(c.Take(uint64(binary.BigEndian.Uint32(size))))
	if err != nil || len(rest) > 0 {
		c.Torn = true
		return new(actors.Envelope)
	}
	e.Body = someOrNil(e.Body)
	return e
}

// done says whether all was there, and nothing else.
func (c *cursor) done() error {
	if c.Torn || len(c.B) > 0 {
		return errMalformed
	}
	return nil
}

func decodeOpen(b []byte) (stream uint64, s *Segment, err error) {
	c := cursorOf(b)
	stream = c.Uvarint()
	s = &Segment{Activation: c.Uvarint(), First: c.Uvarint(), Incarnation: c.Uvarint(), At: c.Varint(),
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
	c := cursorOf(b)
	stream = c.Uvarint()
	s = &Step{Index: c.Uvarint(), Before: c.Uvarint(), Quiet: c.flag()[0], Input: c.input()}
	for range c.Count() {
		s.Turns = append(s.Turns, c.turn())
	}
	for range c.Count() {
		s.Out = append(s.Out, *c.envelope())
	}
	p := new(actors.Patch)
	if c.json(p) {
		s.Patch = plain(p)
	}
	return stream, s, c.done()
}

func (c *cursor) input() Input {
	in := Input{Type: actors.InputType(c.Byte())}
	there := c.flag()
	in.At, in.Question = c.Varint(), c.Uvarint()
	if there[0] {
		in.Envelope = c.envelope()
	}
	if there[1] {
		in.Result = c.Bytes()
	}
	if there[2] {
		in.Refusal = new(actors.Refusal)
		c.Torn = !c.json(in.Refusal) || c.Torn
	}
	in.Session, in.Tables = c.ref(), c.text()
	if there[3] {
		for range c.Count() {
			in.TooBig = append(in.TooBig, int(c.Uvarint()))
		}
	}
	return in
}

func (c *cursor) turn() Turn {
	t := Turn{Number: c.number(), Verdict: actors.Verdict(c.Byte()), Commit: c.flag()[0], Name: c.text(),
		Text: c.text(), Stack: c.text()}
	for range c.Count() {
		o := actors.TimerOrder{Number: c.number()}
		f := c.flag()
		o.Every, o.Cancel, o.Wait = f[0], f[1], time.Duration(c.Varint())
		o.Body = someOrNil(c.Bytes())
		t.Timers = append(t.Timers, o)
	}
	return t
}

func decodeTables(b []byte) (hash string, files map[string][]byte, err error) {
	c := cursorOf(b)
	hash, files = c.text(), map[string][]byte{}
	for range c.Count() {
		name := c.text()
		files[name] = c.Bytes()
	}
	return hash, files, c.done()
}

func decodeGap(b []byte) (stream uint64, g Gap, err error) {
	c := cursorOf(b)
	stream = c.Uvarint()
	g = Gap{Lost: c.Uvarint(), Why: c.text()}
	return stream, g, c.done()
}

func decodeCheck(b []byte) (stream uint64, k Check, err error) {
	c := cursorOf(b)
	stream = c.Uvarint()
	k.After = c.Uvarint()
	copy(k.Hash[:], c.Take(uint64(len(k.Hash))))
	return stream, k, c.done()
}

func decodeClose(b []byte) (stream, index uint64, err error) {
	c := cursorOf(b)
	stream, index = c.Uvarint(), c.Uvarint()
	return stream, index, c.done()
}

func decodePanic(b []byte) (stream uint64, p Panic, err error) {
	c := cursorOf(b)
	stream = c.Uvarint()
	p = Panic{Index: c.Uvarint(), Number: c.number(), Name: c.text(), Text: c.text()}
	return stream, p, c.done()
}
