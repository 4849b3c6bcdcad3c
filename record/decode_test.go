package record

import (
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
