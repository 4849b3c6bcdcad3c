package original

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Bounds of a file.
const (
	maxSize  = 1 << 20 // bytes
	maxDepth = 32      // of what stands in one another
)

// A value is what stands in the file, and where.
type value struct {
	at     int // bytes from the file's beginning
	is     kind
	text   string // of a text or a number
	truth  bool
	fields []field // of an object, in the file's order
	items  []value // of a list
}

type field struct {
	name  string
	at    int
	value value
}

// A kind is what a value is.
type kind string

const (
	null   kind = "nothing"
	truth  kind = "true or false"
	number kind = "a number"
	text   kind = "a text"
	list   kind = "a list"
	object kind = "an object"
)

// A scan takes a JSON text apart.
type scan struct {
	text    []byte
	decoder *json.Decoder
}

// read takes a file apart. The error is a Fault.
func read(file string, all []byte) (value, error) {
	if len(all) > maxSize {
		what := fmt.Sprintf("the file has %d bytes, and %d are read at most", len(all), maxSize)
		return value{}, &Fault{file, 1, 1, what}
	}
	all = bytes.TrimPrefix(all, []byte("\xef\xbb\xbf")) // as editors on Windows write it
	var any json.RawMessage
	if err := json.Unmarshal(all, &any); err != nil {
		at, torn := len(all), (*json.SyntaxError)(nil)
		if errors.As(err, &torn) {
			at = int(torn.Offset) - 1
		}
		line, col := position(all, at)
		return value{}, &Fault{file, line, col, "not JSON: " + err.Error()}
	}
	s := &scan{all, json.NewDecoder(bytes.NewReader(all))}
	s.decoder.UseNumber()
	v, err := s.value(0)
	if err != nil {
		line, col := position(all, s.next())
		return value{}, &Fault{file, line, col, err.Error()}
	}
	return v, nil
}

// next is where the next token begins.
func (s *scan) next() int {
	at := int(s.decoder.InputOffset())
	for at < len(s.text) && bytes.IndexByte([]byte(" \t\r\n,:"), s.text[at]) >= 0 {
		at++
	}
	return at
}

// value reads one value.
func (s *scan) value(depth int) (v value, err error) {
	if depth == maxDepth {
		return v, fmt.Errorf("things stand in one another %d deep", maxDepth)
	}
	v.at = s.next()
	token, err := s.decoder.Token()
	if err != nil {
		return v, err
	}
	switch t := token.(type) {
	case bool:
		v.is, v.truth = truth, t
	case json.Number:
		v.is, v.text = number, t.String()
	case string:
		v.is, v.text = text, t
	case json.Delim:
		return s.inside(v, t, depth)
	default:
		v.is = null
	}
	return v, nil
}

// inside reads what stands in a list or an object.
func (s *scan) inside(v value, opened json.Delim, depth int) (value, error) {
	v.is = list
	if opened == '{' {
		v.is = object
	}
	for s.decoder.More() {
		f := field{at: s.next()}
		if v.is == object {
			name, err := s.decoder.Token()
			if err != nil {
				return v, err
			}
			f.name, _ = name.(string)
		}
		inner, err := s.value(depth + 1)
		if err != nil {
			return v, err
		}
		if f.value = inner; v.is == object {
			v.fields = append(v.fields, f)
		} else {
			v.items = append(v.items, inner)
		}
	}
	_, err := s.decoder.Token()
	return v, err
}

// position is the line and the column, both from 1, of a place in a text.
func position(all []byte, at int) (line, col int) {
	before := all[:min(max(at, 0), len(all))]
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}

// port is a value as a port; false if it is none.
func (v value) port() (int, bool) {
	n, err := strconv.Atoi(v.text)
	return n, v.is == number && err == nil && n > 0 && n < 1<<16
}
