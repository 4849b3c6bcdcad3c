package cluster

import "encoding/binary"

// batchVersion is the first byte of every batch. A node that reads another one refuses it.
const batchVersion = 2

// A batch is what travels between two nodes: a header, then items, one after another. The header's integers are fixed
// in size and big-endian:
//
//	offset  size
//	0       1     version
//	1       8     incarnation of the sender
//	9       8     incarnation that it is for; any other refuses it
//	17      8     stream: which of the sender's streams to the receiver; a higher one replaces a lower one
//	25      8     seq: place in the stream, from 1; 0 is a ping, which carries no items and has no place
//	33      8     ackStream: the newest stream that came the other way
//	41      8     ack: how far it has come without a gap
//	49      8     settled: how far all of it is with those it was for, and nothing waits or is passed on any more
//	57      1     bit 0: something behind a gap was dropped, send again from ack+1; bit 1: answer with a ping at once
//	58      1     length of the sender's name, which follows
type batch struct {
	from, to       uint64
	stream, seq    uint64
	ackStream, ack uint64
	settled        uint64
	gap, ask       bool
	name           string
	items          []byte
}

// headSize is the size of a header before the name.
const headSize = 59

// appendHead writes the header of a batch; items may be appended behind it.
func (h *batch) appendHead(b []byte) []byte {
	b = append(b, batchVersion)
	for _, n := range [...]uint64{h.from, h.to, h.stream, h.seq, h.ackStream, h.ack, h.settled} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	flags := byte(0)
	if h.gap {
		flags |= 1
	}
	if h.ask {
		flags |= 2
	}
	b = append(b, flags, byte(len(h.name)))
	return append(b, h.name...)
}

// stamp writes into a finished header what is only known when the batch is sealed.
func stamp(b []byte, seq uint64, at position) {
	for i, n := range [...]uint64{seq, at.stream, at.arrived, at.settled} {
		binary.BigEndian.PutUint64(b[25+8*i:], n)
	}
}

// readBatch takes a batch apart. It never panics, whatever b holds; the items are a part of b.
func readBatch(b []byte) (batch, error) {
	if len(b) < headSize || b[0] != batchVersion || b[57] > 3 || len(b) < headSize+int(b[58]) {
		return batch{}, errMalformed
	}
	n := func(at int) uint64 { return binary.BigEndian.Uint64(b[at:]) }
	rest := b[headSize:]
	h := batch{from: n(1), to: n(9), stream: n(17), seq: n(25), ackStream: n(33), ack: n(41), settled: n(49),
		gap: b[57]&1 != 0, ask: b[57]&2 != 0, name: string(rest[:b[58]]), items: rest[b[58]:]}
	if h.seq == 0 && len(h.items) > 0 {
		return batch{}, errMalformed
	}
	return h, nil
}
