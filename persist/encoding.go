package persist

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fireflyrt/firefly/actors"
)

// The messages of every load and every save travel as protobuf messages, whose fields are numbered here: as JSON they
// cost a game node and a keeper more than all else that they do for a save. A field that is not known is passed over.

// fields are the fields of a message, encoded. Those that are zero are left out.
type fields []byte

func (f fields) number(n protowire.Number, v uint64) fields {
	if v == 0 {
		return f
	}
	return protowire.AppendVarint(protowire.AppendTag(f, n, protowire.VarintType), v)
}

func (f fields) flag(n protowire.Number, v bool) fields { return f.number(n, protowire.EncodeBool(v)) }

func (f fields) text(n protowire.Number, v string) fields {
	if v == "" {
		return f
	}
	return protowire.AppendString(protowire.AppendTag(f, n, protowire.BytesType), v)
}

func (f fields) body(n protowire.Number, v []byte) fields {
	if len(v) == 0 {
		return f
	}
	return protowire.AppendBytes(protowire.AppendTag(f, n, protowire.BytesType), v)
}

// rows appends a message {1: name, 2: data} for each row, in the order of their names; without data it is deleted.
func (f fields) rows(n protowire.Number, rows map[string]json.RawMessage) fields {
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		data := rows[name]
		if isNull(data) {
			data = nil
		}
		size := protowire.SizeTag(1) + protowire.SizeBytes(len(name)) + protowire.SizeTag(2) +
			protowire.SizeBytes(len(data))
		row := make(fields, 0, size).text(1, name).body(2, data)
		f = protowire.AppendBytes(protowire.AppendTag(f, n, protowire.BytesType), row)
	}
	return f
}

// each calls visit for every field that is a number or bytes, in their order. The bytes are those of b.
func (f fields) each(visit func(n protowire.Number, v uint64, data []byte) error) error {
	for b := []byte(f); len(b) > 0; {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var v uint64
		var data []byte
		switch kind {
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			data, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, kind, b)
		}
		if size < 0 {
			return fmt.Errorf("field %d: %w", n, protowire.ParseError(size))
		}
		b = b[size:]
		if err := visit(n, v, data); err != nil {
			return fmt.Errorf("field %d: %w", n, err)
		}
	}
	return nil
}

// readRow adds a row to rows, which it makes if need be. What is kept does not keep the message alive.
func readRow(data []byte, rows *map[string]json.RawMessage) error {
	var name string
	body := json.RawMessage("null")
	err := fields(data).each(func(n protowire.Number, _ uint64, data []byte) error {
		switch n {
		case 1:
			name = string(data)
		case 2:
			body = bytes.Clone(data)
		}
		return nil
	})
	if *rows == nil {
		*rows = make(map[string]json.RawMessage)
	}
	(*rows)[name] = body
	return err
}

func (m *load) encode() []byte {
	return fields{}.text(1, string(m.Kind)).text(2, m.ID).number(3, m.Fence).flag(4, m.Anew).number(5, m.Page)
}

func (m *load) decode(b []byte) error {
	return fields(b).each(func(n protowire.Number, v uint64, data []byte) error {
		switch n {
		case 1:
			m.Kind = actors.KindName(data)
		case 2:
			m.ID = string(data)
		case 3:
			m.Fence = v
		case 4:
			m.Anew = protowire.DecodeBool(v)
		case 5:
			m.Page = v
		}
		return nil
	})
}

func (m *loaded) encode() []byte {
	return fields{}.number(1, m.Version).body(2, m.Cells).rows(3, m.Parts).body(4, m.Box).number(5, m.Term).
		flag(6, m.More)
}

func (m *loaded) decode(b []byte) error {
	return fields(b).each(func(n protowire.Number, v uint64, data []byte) error {
		switch n {
		case 1:
			m.Version = v
		case 2:
			m.Cells = bytes.Clone(data)
		case 3:
			return readRow(data, &m.Parts)
		case 4:
			m.Box = bytes.Clone(data)
		case 5:
			m.Term = v
		case 6:
			m.More = protowire.DecodeBool(v)
		}
		return nil
	})
}

func (m *save) encode() []byte {
	return make(fields, 0, len(m.Cells)+len(m.Box)+128).text(1, string(m.Kind)).text(2, m.ID).number(3, m.Fence).
		number(4, m.Holder).number(5, m.Version).body(6, m.Cells).rows(7, m.Parts).body(8, m.Box).
		number(9, uint64(m.DueAt)).flag(10, m.Commit).flag(11, m.Again).number(12, m.Term).
		flag(13, m.Shown)
}

func (m *save) decode(b []byte) error {
	return fields(b).each(func(n protowire.Number, v uint64, data []byte) error {
		switch n {
		case 1:
			m.Kind = actors.KindName(data)
		case 2:
			m.ID = string(data)
		case 3:
			m.Fence = v
		case 4:
			m.Holder = v
		case 5:
			m.Version = v
		case 6:
			m.Cells = bytes.Clone(data)
		case 7:
			return readRow(data, &m.Parts)
		case 8:
			m.Box = bytes.Clone(data)
		case 9:
			m.DueAt = int64(v)
		case 10:
			m.Commit = protowire.DecodeBool(v)
		case 11:
			m.Again = protowire.DecodeBool(v)
		case 12:
			m.Term = v
		case 13:
			m.Shown = protowire.DecodeBool(v)
		}
		return nil
	})
}

func (m *saved) encode() []byte { return fields{}.number(1, m.Term) }

func (m *saved) decode(b []byte) error {
	return fields(b).each(func(n protowire.Number, v uint64, _ []byte) error {
		if n == 1 {
			m.Term = v
		}
		return nil
	})
}
