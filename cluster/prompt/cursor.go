package prompt

import (
	"encoding/json"
	"strings"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A cursor is a place in a JSON text that is being written: in which object or list it is, and whether in a name.
type cursor struct {
	open   []opened
	begins int  // where the name that is being written begins, with its quote
	naming bool // a field's name goes here
}

// An opened is an object or a list that is not closed yet.
type opened struct {
	shape
	object bool
	key    string // the newest
	naming bool   // a name comes next
	seen   []string
}

// locate reads a text up to its end, where the cursor is. It forgives what is no JSON.
func locate(root shape, text string) cursor {
	var c cursor
	for i := 0; i < len(text); i++ {
		switch b := text[i]; b {
		case '{', '[':
			c.open = append(c.open, opened{shape: c.value(root), object: b == '{', naming: b == '{'})
		case '}', ']':
			c.open = c.open[:max(0, len(c.open)-1)]
		case ',':
			c.comma()
		case '"':
			end := closing(text, i)
			if end < 0 {
				c.stand(i)
				return c
			}
			c.name(text[i : end+1])
			i = end
		case ' ', '\t', ':':
		default:
			end := i
			for end < len(text) && !strings.ContainsRune(`{}[],:" `, rune(text[end])) {
				end++
			}
			if end == len(text) {
				c.stand(i)
				return c
			}
			i = end - 1
		}
	}
	c.stand(len(text))
	return c
}

// closing finds the quote that ends the string that begins at a place; less than 0: it is not there yet.
func closing(text string, at int) int {
	for i := at + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// value is the shape of the value that comes next.
func (c *cursor) value(root shape) shape {
	if len(c.open) == 0 {
		return root
	}
	in := c.open[len(c.open)-1]
	of := in.element()
	if in.object && len(in.names()) > 0 {
		of = in.field(in.key)
	}
	return of
}

func (c *cursor) comma() {
	if n := len(c.open); n > 0 {
		c.open[n-1].naming = c.open[n-1].object
	}
}

// name takes a whole string: a field's name, if one comes next.
func (c *cursor) name(quoted string) {
	n := len(c.open)
	if n == 0 || !c.open[n-1].naming {
		return
	}
	in := &c.open[n-1]
	if json.Unmarshal([]byte(quoted), &in.key) == nil {
		in.seen = append(in.seen, in.key)
	}
	in.naming = false
}

// stand notes that the text ends in what begins at a place, or there.
func (c *cursor) stand(at int) {
	n := len(c.open)
	c.begins, c.naming = at, n > 0 && c.open[n-1].naming
}

// shapeAt is the shape of the object in which a text of a message's body ends.
func shapeAt(t *wire.Type, text string) shape {
	c := locate(shapeOf(t), text)
	if len(c.open) == 0 {
		return shape{}
	}
	return c.open[len(c.open)-1].shape
}
