package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// This file is the frame of the format: what a file begins with, and where a record begins and ends. The contents of
// records are in encode.go and decode.go, and all of it in docs/recording.md. What is written here is never changed: a
// new version gets a new number, and this one stays readable.

// Version is the format that is written.
const Version = 1

// magic begins every file; one byte with the version follows.
const magic = "FIREREC"

// marker begins every record, so that the next one is found behind a damaged one.
const marker = "\xf1\xec"

// headLen is the length of what stands before a record's payload: marker, type, length, checksum.
const headLen = len(marker) + 1 + 4 + 4

// The types of records. The values stand in files and never change.
const (
	typeHeader = 1 // once, first
	typeOpen   = 2 // a stream begins, or goes on from an earlier file
	typeStep   = 3
	typeTables = 4 // once for each hash, before the first step that read them
	typeGap    = 5 // steps of a stream were dropped here
	typeCheck  = 6
	typeClose  = 7 // an activation ended
	typePanic  = 8
	typeEnd    = 9 // the file was closed in order
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the checksum of a record: over the version, then type, length and payload.
func sum(record []byte) uint32 {
	c := crc32.Update(0, castagnoli, []byte{Version})
	c = crc32.Update(c, castagnoli, record[len(marker):len(marker)+5])
	return crc32.Update(c, castagnoli, record[headLen:])
}

// begin makes room for a record's head; what is appended then is its payload, until seal.
func begin(b []byte, kind byte) (_ []byte, at int) {
	at = len(b)
	b = append(b, marker...)
	b = append(b, kind)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0), at
}

// seal writes the head of the record that began at.
func seal(b []byte, at int) []byte {
	record := b[at:]
	binary.BigEndian.PutUint32(record[len(marker)+1:], uint32(len(record)-headLen))
	binary.BigEndian.PutUint32(record[len(marker)+5:], sum(record))
	return b
}

// appendMagic begins a file.
func appendMagic(b []byte) []byte { return append(append(b, magic...), Version) }

var errNoRecord = errors.New("no record begins here")

// measure says how long the record at the beginning of b claims to be, all of which is there.
func measure(b []byte) (size int, err error) {
	if len(b) < headLen {
		return 0, fmt.Errorf("torn: a record has a head of %d bytes, and %d are left", headLen, len(b))
	}
	if string(b[:len(marker)]) != marker {
		return 0, errNoRecord
	}
	n := uint64(binary.BigEndian.Uint32(b[len(marker)+1:]))
	if n > uint64(len(b)-headLen) {
		return 0, fmt.Errorf("torn: the record has %d bytes, and %d are left", n, len(b)-headLen)
	}
	return headLen + int(n), nil
}

// frame reads the record at the beginning of b and says how long it is.
func frame(b []byte) (kind byte, payload []byte, size int, err error) {
	if size, err = measure(b); err != nil {
		return 0, nil, 0, err
	}
	if binary.BigEndian.Uint32(b[len(marker)+5:]) != sum(b[:size]) {
		return 0, nil, 0, errors.New("the record's checksum differs")
	}
	return b[len(marker)], b[headLen:size], size, nil
}
