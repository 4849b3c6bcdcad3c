package record

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/fireflyrt/firefly/actors"
)

// This file writes records. Integers are varints (zigzag where they may be negative), texts and bytes stand behind
// their length, and what is written as JSON is canonical: keys in order, no blanks.

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBytes(b, s []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendRef(b []byte, r actors.Ref) []byte {
	return appendText(appendText(b, string(r.Kind)), r.ID)
}

// appendJSON writes nothing but a length of 0 for what is not there.
func appendJSON(b []byte, there bool, v any) []byte {
	if !there {
		return append(b, 0)
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("record: what stands in a step is plain: %v", err))
	}
	return appendBytes(b, text)
}

func appendFlags(b []byte, flags ...bool) []byte {
	var all byte
	for i, set := range flags {
		if set {
			all |= 1 << i
		}
	}
	return append(b, all)
}

func appendHeader(b []byte, h Header) []byte {
	b, at := begin(b, typeHeader)
	text, err := json.Marshal(h)
	if err != nil {
		panic(fmt.Sprintf("record: a header is texts and numbers: %v", err))
	}
	return seal(append(b, text...), at)
}

// appendOpen begins a stream, with an image in JSON, or lets it go on from an earlier file, with none.
func appendOpen(b []byte, stream uint64, s *Segment, image []byte) []byte {
	b, at := begin(b, typeOpen)
	for _, n := range [...]uint64{stream, s.Activation, s.First, s.Incarnation} {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.AppendVarint(b, s.At)
	b = appendText(b, s.Node)
	b = appendRef(b, s.Ref)
	return seal(appendBytes(b, image), at)
}

func appendStep(b []byte, stream uint64, s *Step) []byte {
	b, at := begin(b, typeStep)
	b = binary.AppendUvarint(b, stream)
	b = binary.AppendUvarint(b, s.Index)
	b = binary.AppendUvarint(b, s.Before)
	b = appendFlags(b, s.Quiet)
	b = appendInput(b, &s.Input)
	b = binary.AppendUvarint(b, uint64(len(s.Turns)))
	for i := range s.Turns {
		b = appendTurn(b, &s.Turns[i])
	}
	b = binary.AppendUvarint(b, uint64(len(s.Out)))
	for i := range s.Out {
		b = appendEnvelope(b, &s.Out[i])
	}
	return seal(appendPatch(b, s.Patch), at)
}

func appendInput(b []byte, in *Input) []byte {
	b = append(b, byte(in.Type))
	b = appendFlags(b, in.Envelope != nil, in.Result != nil, in.Refusal != nil, in.TooBig != nil)
	b = binary.AppendVarint(b, in.At)
	b = binary.AppendUvarint(b, in.Question)
	if in.Envelope != nil {
		b = appendEnvelope(b, in.Envelope)
	}
	if in.Result != nil {
		b = appendBytes(b, in.Result)
	}
	if in.Refusal != nil {
		b = appendJSON(b, true, in.Refusal)
	}
	b = appendText(appendRef(b, in.Session), in.Tables)
	if in.TooBig != nil {
		b = binary.AppendUvarint(b, uint64(len(in.TooBig)))
		for _, turn := range in.TooBig {
			b = binary.AppendUvarint(b, uint64(turn))
		}
	}
	return b
}

// appendEnvelope writes the link's form behind its length, which is known only afterwards: four bytes of it.
func appendEnvelope(b []byte, e *actors.Envelope) []byte {
	at := len(b)
	b = e.Append(append(b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func appendTurn(b []byte, t *Turn) []byte {
	b = binary.AppendUvarint(b, uint64(t.Number))
	b = append(b, byte(t.Verdict))
	b = appendFlags(b, t.Commit)
	b = appendText(b, t.Name)
	b = appendText(b, t.Text)
	b = appendText(b, t.Stack)
	b = binary.AppendUvarint(b, uint64(len(t.Timers)))
	for _, o := range t.Timers {
		b = binary.AppendUvarint(b, uint64(o.Number))
		b = appendFlags(b, o.Every, o.Cancel)
		b = binary.AppendVarint(b, int64(o.Wait))
		b = appendBytes(b, o.Body)
	}
	return b
}

// appendPatch writes a patch as JSON. Cells and rows are most of what changes, and are JSON already: they are copied.
func appendPatch(b []byte, p *actors.Patch) []byte {
	if p == nil {
		return append(b, 0)
	}
	at := len(b)
	b = append(b, '{')
	b = appendTexts(b, "cells", p.Cells)
	b = appendTexts(b, "rows", p.Rows)
	if len(p.Groups)+len(p.Bound) > 0 || p.Rest != nil {
		more, err := json.Marshal(&actors.Patch{Groups: p.Groups, Bound: p.Bound, Rest: p.Rest})
		if err != nil {
			panic(fmt.Sprintf("record: groups and sessions are texts: %v", err))
		}
		b = append(comma(b), more[1:len(more)-1]...)
	}
	return measured(append(b, '}'), at)
}

// measured puts the length of what was appended since at before it.
func measured(b []byte, at int) []byte {
	n := len(b) - at
	var length [binary.MaxVarintLen64]byte
	k := binary.PutUvarint(length[:], uint64(n))
	b = append(b, length[:k]...)
	copy(b[at+k:], b[at:at+n])
	copy(b[at:], length[:k])
	return b
}

func appendTexts(b []byte, name string, texts map[string]json.RawMessage) []byte {
	if len(texts) == 0 {
		return b
	}
	b = append(appendName(comma(b), name), '{')
	if len(texts) == 1 {
		for key, text := range texts {
			b = appendField(b, key, text)
		}
		return append(b, '}')
	}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		b = appendField(b, key, texts[key])
	}
	return append(b, '}')
}

func appendField(b []byte, key string, text json.RawMessage) []byte {
	b = appendName(comma(b), key)
	if text == nil {
		return append(b, "null"...)
	}
	return append(b, text...)
}

func comma(b []byte) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return b
}

func appendName(b []byte, name string) []byte {
	for _, c := range []byte(name) {
		if c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return append(appendQuoted(b, name), ':')
		}
	}
	b = append(append(append(b, '"'), name...), '"')
	return append(b, ':')
}

func appendQuoted(b []byte, name string) []byte {
	text, err := json.Marshal(name)
	if err != nil {
		panic(fmt.Sprintf("record: a text is JSON: %v", err))
	}
	return append(b, text...)
}

func appendTables(b []byte, hash string, files map[string][]byte) []byte {
	b, at := begin(b, typeTables)
	b = appendText(b, hash)
	b = binary.AppendUvarint(b, uint64(len(files)))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		b = appendBytes(appendText(b, name), files[name])
	}
	return seal(b, at)
}

func appendGap(b []byte, stream uint64, g Gap) []byte {
	b, at := begin(b, typeGap)
	b = binary.AppendUvarint(b, stream)
	b = binary.AppendUvarint(b, g.Lost)
	return seal(appendText(b, g.Why), at)
}

func appendCheck(b []byte, stream uint64, c Check) []byte {
	b, at := begin(b, typeCheck)
	b = binary.AppendUvarint(b, stream)
	b = binary.AppendUvarint(b, c.After)
	return seal(append(b, c.Hash[:]...), at)
}

func appendClose(b []byte, stream, index uint64) []byte {
	b, at := begin(b, typeClose)
	b = binary.AppendUvarint(b, stream)
	return seal(binary.AppendUvarint(b, index), at)
}

func appendPanic(b []byte, stream uint64, p Panic) []byte {
	b, at := begin(b, typePanic)
	b = binary.AppendUvarint(b, stream)
	b = binary.AppendUvarint(b, p.Index)
	b = binary.AppendUvarint(b, uint64(p.Number))
	return seal(appendText(appendText(b, p.Name), p.Text), at)
}

func appendEnd(b []byte) []byte {
	b, at := begin(b, typeEnd)
	return seal(b, at)
}
