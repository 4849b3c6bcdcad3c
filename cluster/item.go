package cluster

import (
	"encoding/binary"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// A tag says what an item of a batch is. It is the item's first byte; the values travel on the link.
type tag byte

const (
	tagEnvelope  tag = 1 // an envelope from whoever routed it, to the tenure that its picture showed
	tagPassed    tag = 2 // an envelope passed on by the tenure before the one in its Epoch, under a number
	tagMarker    tag = 3 // a marker from the member that it is of
	tagPassedEnd tag = 4 // a marker passed on by the tenure before
	tagChunk     tag = 5 // a piece of a shard's state, from a move's source to its target
	tagVerdict   tag = 6 // what the target says of it
	tagDone      tag = 7 // an envelope that was passed on under this number is where it was to go
	tagLeft      tag = 8 // whoever sends it has left in order, and sends nothing after it
	tagBelated   tag = 9 // a marker for the last of several tenures, from who has forgotten the first
)

// An item is one thing in a batch. Which fields it has follows from its tag.
type item struct {
	tag     tag
	e       *actors.Envelope
	number  uint64
	marker  *marker
	chunk   *chunk
	verdict *verdict
}

// A marker ends what a member sends to a tenure: after it the member sends to the tenure of epoch next.
type marker struct {
	to     actors.Tenure
	next   uint64
	member uint64
}

// A passage names one attempt to move one shard's state.
type passage struct {
	of      actors.Tenure // that gives the shard away
	intent  int64         // the date of the intent
	attempt uint64        // of the source; rises
}

// A chunk is a piece of a state. The first begins at offset 0; a total of 0 takes back what was sent.
type chunk struct {
	passage
	total, offset uint64
	bytes         []byte
}

// A verdict says what became of a state at the target: it is staged, or why it was refused.
type verdict struct {
	passage
	refusal string // empty: staged
}

// shard is that of the tenure which the item is about; 0 if it names none.
func (i *item) shard() int {
	switch {
	case i.marker != nil:
		return i.marker.to.Shard
	case i.chunk != nil:
		return i.chunk.of.Shard
	case i.verdict != nil:
		return i.verdict.of.Shard
	}
	return 0
}

// append writes the item to b: the tag, then fields in order, integers as varints, texts and bytes with their length.
func (i *item) append(b []byte) []byte {
	b = append(b, byte(i.tag))
	switch i.tag {
	case tagEnvelope:
		return i.e.Append(b)
	case tagPassed:
		return i.e.Append(appendNumbers(b, i.number))
	case tagDone:
		return appendNumbers(b, i.number)
	case tagLeft:
		return b
	case tagMarker, tagPassedEnd, tagBelated:
		return appendNumbers(appendTenure(b, i.marker.to), i.marker.next, i.marker.member)
	case tagChunk:
		b = appendNumbers(appendPassage(b, i.chunk.passage), i.chunk.total, i.chunk.offset)
		return appendText(b, i.chunk.bytes)
	default:
		return appendText(appendPassage(b, i.verdict.passage), i.verdict.refusal)
	}
}

func appendTenure(b []byte, t actors.Tenure) []byte {
	return appendNumbers(appendText(b, t.Role), uint64(t.Shard), t.Epoch)
}

func appendPassage(b []byte, p passage) []byte {
	return appendNumbers(appendTenure(b, p.of), uint64(p.intent), p.attempt)
}

func appendNumbers(b []byte, all ...uint64) []byte {
	for _, n := range all {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func appendText[T []byte | string](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// readItem reads one item and returns what stands behind it. Bodies are parts of b. It never panics, whatever b holds.
func readItem(b []byte) (item, []byte, error) {
	if len(b) == 0 {
		return item{}, nil, errMalformed
	}
	i, r := item{tag: tag(b[0])}, cursorOf(b[1:])
	switch i.tag {
	case tagEnvelope, tagPassed:
		if i.tag == tagPassed {
			i.number = r.Uvarint()
		}
		e, rest, err := actors.ReadEnvelope(r.B)
		if err != nil {
			return item{}, nil, err
		}
		i.e = e
		return i, rest, nil
	case tagDone:
		i.number = r.Uvarint()
	case tagLeft: // there is no more of it
	case tagMarker, tagPassedEnd, tagBelated:
		i.marker = &marker{to: r.tenure(), next: r.Uvarint(), member: r.Uvarint()}
	case tagChunk:
		i.chunk = &chunk{passage: r.passage(), total: r.Uvarint(), offset: r.Uvarint(), bytes: r.Bytes()}
	case tagVerdict:
		i.verdict = &verdict{passage: r.passage(), refusal: string(r.Bytes())}
	default:
		return item{}, nil, errMalformed
	}
	if r.Torn {
		return item{}, nil, errMalformed
	}
	return i, r.B, nil
}

// A cursor takes fields off the front of what items have been written to.
type cursor struct{ wire.Cursor }

func cursorOf(b []byte) *cursor { return &cursor{wire.Cursor{B: b}} }

func (r *cursor) tenure() actors.Tenure {
	t := actors.Tenure{Role: string(r.Bytes())}
	shard := r.Uvarint()
	if shard > maxShard {
		r.Torn = true
	}
	t.Shard, t.Epoch = int(shard), r.Uvarint()
	return t
}

func (r *cursor) passage() passage {
	return passage{of: r.tenure(), intent: int64(r.Uvarint()), attempt: r.Uvarint()}
}

// maxShard is more than any role has, and what an int holds anywhere.
const maxShard = 1 << 30
