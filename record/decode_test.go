package record

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"
)

// FuzzRecord changes the contents of records whose checksum is right, which FuzzParse hardly ever does.
func FuzzRecord(f *testing.F) {
	text, err := os.ReadFile("testdata/version1.rec")
	if err != nil {
		f.Fatal(err)
	}
	var before []byte // what may have to stand in front
	for text = text[len(magic)+1:]; len(text) > 0; {
		kind, payload, size, err := frame(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, payload)
		if kind == typeHeader || kind == typeOpen && before == nil {
			before = append(before, text[:size]...)
		}
		text = text[size:]
	}
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		b, at := begin(append(appendMagic(nil), before...), kind)
		b = appendEnd(seal(append(b, payload...), at))
		r, err := Parse(b)
		if _, damaged := err.(*Damage); err != nil && !damaged {
			t.Fatalf("error %v", err)
		}
		again, err := r.Append(nil)
		if err != nil {
			return // an image may hold what JSON does not write again
		}
		if _, err := Parse(again); err != nil {
			t.Errorf("what was read does not stay readable: %v", err)
		}
	})
}

// hostile are bytes that were made to cost a reader much: heads that claim half of the file, and between them, or not,
// records that are whole.
func hostile(size int, whole bool) []byte {
	head := binary.BigEndian.AppendUint32([]byte(marker+"\x03"), uint32(size/2))
	head = append(head, 0, 0, 0, 0)
	if whole {
		head = appendCheck(head, 7, Check{})
	}
	return append(appendMagic(nil), bytes.Repeat(head, size/len(head))...)
}

func TestHostileBytesCostAReaderAFewTimesTheFile(t *testing.T) {
	t.Parallel()
	for _, whole := range []bool{false, true} {
		text := hostile(4<<20, whole)
		r := newReader(text)
		if _, err := r.read(text); err == nil {
			t.Error("nothing is damaged")
		}
		if r.vain < 0 || r.vain >= len(text)/2 {
			t.Errorf("%d bytes may still be summed up", r.vain)
		}
	}
}

func TestASmallRecordIsFoundBehindManyBadHeads(t *testing.T) {
	t.Parallel()
	sample, err := os.ReadFile("testdata/version1.rec")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(append(hostile(1<<20, false), sample[len(magic)+1:]...))
	if _, damaged := err.(*Damage); !damaged || r.Steps() != whole.Steps() {
		t.Errorf("%d steps of %d are found, error %v", r.Steps(), whole.Steps(), err)
	}
}

func TestARecordThatMakesNoSenseCostsNoMoreThanItself(t *testing.T) {
	t.Parallel()
	sample, err := os.ReadFile("testdata/version1.rec")
	if err != nil {
		t.Fatal(err)
	}
	b, at := begin(appendMagic(nil), typeStep)
	b = seal(append(b, sample[len(magic)+1:]...), at) // whole records within it are its own business
	r, err := Parse(append(b, appendEnd(nil)...))
	if d, damaged := err.(*Damage); !damaged || d.More != 0 || d.Offset != int64(at) || r.Steps() != 0 {
		t.Errorf("error %v, %d steps", err, r.Steps())
	}
}
