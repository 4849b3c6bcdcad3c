package wire

import "encoding/binary"

// A Cursor takes fields off the front of B, and remembers in Torn that one was not whole. After that there is nothing
// more, and what is read is zero: whoever reads may look at Torn once, at the end. Nothing is copied.
type Cursor struct {
	B    []byte
	Torn bool
}

// Uvarint takes a number, as encoding/binary writes it.
func (c *Cursor) Uvarint() uint64 {
	n, size := binary.Uvarint(c.B)
	if size <= 0 {
		c.tear()
		return 0
	}
	c.B = c.B[size:]
	return n
}

// Varint takes a number that may be negative, as encoding/binary writes it.
func (c *Cursor) Varint() int64 {
	n, size := binary.Varint(c.B)
	if size <= 0 {
		c.tear()
		return 0
	}
	c.B = c.B[size:]
	return n
}

// Byte takes one byte.
func (c *Cursor) Byte() byte {
	b := c.Take(1)
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// Take takes n bytes. They are part of B; who appends to them gets others.
func (c *Cursor) Take(n uint64) []byte {
	if n > uint64(len(c.B)) {
		c.tear()
		return nil
	}
	taken := c.B[:n:n]
	c.B = c.B[n:]
	return taken
}

// Bytes takes bytes that stand behind their length.
func (c *Cursor) Bytes() []byte { return c.Take(c.Uvarint()) }

// Count takes the number of things that follow, each of a byte at least: more are not there.
func (c *Cursor) Count() int {
	n := c.Uvarint()
	if n > uint64(len(c.B)) {
		c.tear()
		return 0
	}
	return int(n)
}

func (c *Cursor) tear() { c.Torn, c.B = true, nil }
