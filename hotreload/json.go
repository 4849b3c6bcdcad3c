package hotreload

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

var jsonFormat = format{tag: "json", nests: true, read: readJSON}

// readJSON reads one array of objects, keeping the place of everything in it.
func readJSON(p *paper, _ *form) []value {
	r := jsonReader{paper: p, tokens: json.NewDecoder(bytes.NewReader(p.content))}
	r.tokens.UseNumber()
	v, err := r.value(0)
	if err == nil {
		behind := r.next()
		if _, more := r.tokens.Token(); !errors.Is(more, io.EOF) {
			p.fault(behind, "something stands behind the array", "a table is one array of objects")
			return nil
		}
	}
	switch {
	case err != nil:
		p.fault(r.next(), "this is not JSON: "+err.Error(), "mend it here or just before")
	case v.sort != list:
		p.wrong(v, "the file", "one array of objects")
	default:
		return v.list
	}
	return nil
}

type jsonReader struct {
	paper  *paper
	tokens *json.Decoder
}

var errTooDeep = errors.New("it nests too deep")

// value reads the next value, whatever it is.
func (r jsonReader) value(depth int) (value, error) {
	if depth > 2*maxDepth {
		return value{}, errTooDeep
	}
	at := r.next()
	token, err := r.tokens.Token()
	if err != nil {
		return value{}, ended(err)
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return r.list(at, depth)
		}
		return r.record(at, depth)
	case string:
		return value{at: at, sort: text, text: token}, nil
	case json.Number:
		return value{at: at, sort: number, text: token.String()}, nil
	case bool:
		said := map[bool]string{true: "true", false: "false"}
		return value{at: at, sort: boolean, text: said[token]}, nil
	default:
		return value{at: at, sort: null}, nil
	}
}

func (r jsonReader) list(at Place, depth int) (value, error) {
	v := value{at: at, sort: list}
	for r.tokens.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.list = append(v.list, item)
	}
	_, err := r.tokens.Token()
	return v, ended(err)
}

func (r jsonReader) record(at Place, depth int) (value, error) {
	v := value{at: at, sort: record}
	for r.tokens.More() {
		name, err := r.value(depth + 1)
		if err != nil {
			return v, err
		}
		held, err := r.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.fields = append(v.fields, named{name.text, name.at, held})
	}
	_, err := r.tokens.Token()
	return v, ended(err)
}

// ended makes the end of the file within a value an error.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next is where the next value begins, behind blanks and what separates.
func (r jsonReader) next() Place {
	from := int(r.tokens.InputOffset())
	behind := r.paper.content[from:]
	return r.paper.place(from + len(behind) - len(bytes.TrimLeft(behind, " \t\r\n,:")))
}
