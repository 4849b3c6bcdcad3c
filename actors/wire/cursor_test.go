package wire_test

import (
	"encoding/binary"
	"testing"

	"github.com/fireflyrt/firefly/actors/wire"
)

func TestACursorTakesWhatWasWrittenAndNoMore(t *testing.T) {
	b := binary.AppendUvarint(nil, 300)
	b = binary.AppendVarint(b, -7)
	b = append(b, 'x', 2, 'h', 'i', 3)
	c := wire.Cursor{B: b}
	if n, m, x, text := c.Uvarint(), c.Varint(), c.Byte(), c.Bytes(); n != 300 || m != -7 || x != 'x' ||
		string(text) != "hi" || c.Torn {
		t.Fatalf("read %d, %d, %q, %q, torn: %v", n, m, x, text, c.Torn)
	}
	for what, read := range map[string]func(*wire.Cursor) bool{
		"a number":     func(c *wire.Cursor) bool { return c.Uvarint() != 0 },
		"a signed one": func(c *wire.Cursor) bool { return c.Varint() != 0 },
		"a byte":       func(c *wire.Cursor) bool { return c.Byte() != 0 },
		"too many":     func(c *wire.Cursor) bool { return c.Take(1<<63) != nil },
		"bytes":        func(c *wire.Cursor) bool { return c.Bytes() != nil },
	} {
		short := wire.Cursor{}
		if some := read(&short); some || !short.Torn {
			t.Errorf("%s: there was some: %v, torn: %v", what, some, short.Torn)
		}
	}
	rest := wire.Cursor{B: []byte{3, 'n', 'o'}}
	if got := rest.Count(); got != 0 || !rest.Torn {
		t.Errorf("of 3 things in 2 bytes it counted %d, torn: %v", got, rest.Torn)
	}
	if got := rest.Uvarint(); got != 0 {
		t.Errorf("behind a tear it read %d", got)
	}
}
