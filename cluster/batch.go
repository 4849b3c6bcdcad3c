package cluster

import "encoding/binary"

// batchVersion is the first byte of every batch. A node that reads another one refuses it.
const batchVersion = 1

// A batch is what travels between two nodes: a header, then envelopes, one after another. The header's integers are
// fixed in size and big-endian:
//
//	offset  size
//	0       1     version
//	1       8     incarnation of the sender
//	9       8     incarnation that it is for; any other refuses it
//	17      8     stream: which of the sender's streams to the receiver; a higher one replaces a lower one
//	25      8     seq: place in the stream, from 1; 0 is a ping, which carries no envelopes and has no place
//	33      8     ackStream: the newest stream that came the other way
//	41      8     ack: how far it has come without a gap
//	49      1     1: something behind a gap was dropped, send again from ack+1
//	50      1     length of the sender's name, which follows
type batch struct {
	from, to       uint64
	stream, seq    uint64
	ackStream, ack uint64
	gap            bool
	name           string
	envelopes      []byte
}

// headSize is the size of a header before the name.
const headSize = 51

// appendHead writes the header of a batch; envelopes may be appended behind it.
func (h *batch) appendHead(b []byte) []byte {
	b = append(b, batchVersion)
	for _, n := range [...]uint64{h.from, h.to, h.stream, h.seq, h.ackStream, h.ack} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	gap := byte(0)
	if h.gap {
		gap = 1
	}
	b = append(b, gap, byte(len(h.name)))
	return append(b, h.name...)
}

// stamp writes into a finished header what is only known when the batch is sealed.
func stamp(b []byte, seq, ackStream, ack uint64) {
	binary.BigEndian.PutUint64(b[25:], seq)
	binary.BigEndian.PutUint64(b[33:], ackStream)
	binary.BigEndian.PutUint64(b[41:], ack)
}

// readBatch takes a batch apart. It never panics, whatever b holds; the envelopes are a part of b.
func readBatch(b []byte) (batch, error) {
	if len(b) < headSize || b[0] != batchVersion || b[49] > 1 || len(b) < headSize+int(b[50]) {
		return batch{}, errMalformed
	}
	n := func(at int) uint64 { return binary.BigEndian.Uint64(b[at:]) }
	rest := b[headSize:]
	h := batch{from: n(1), to: n(9), stream: n(17), seq: n(25), ackStream: n(33), ack: n(41), gap: b[49] == 1,
		name: string(rest[:b[50]]), envelopes: rest[b[50]:]}
	if h.seq == 0 && len(h.envelopes) > 0 {
		return batch{}, errMalformed
	}
	return h, nil
}
