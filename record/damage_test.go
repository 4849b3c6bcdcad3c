package record_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/fireflyrt/firefly/record"
)

// damaged reads what must be damaged, and be read nevertheless.
func damaged(t *testing.T, text []byte) (*record.Recording, *record.Damage) {
	t.Helper()
	r, err := record.Parse(text)
	d := (*record.Damage)(nil)
	if r == nil || !errors.As(err, &d) {
		t.Fatalf("recording %v, error %v", r, err)
	}
	return r, d
}

// places finds where records begin.
func places(text []byte) (at []int) {
	for i := range text {
		if bytes.HasPrefix(text[i:], []byte("\xf1\xec")) {
			at = append(at, i)
		}
	}
	return at
}

func TestAFileCutOffAnywhereIsReadUpToThere(t *testing.T) {
	t.Parallel()
	whole, _ := made(t, life(t, "game-1", 1, 0, 5))
	most := 0
	for n := len("FIREREC") + 2; n < len(whole); n++ {
		r, err := record.Parse(whole[:n])
		d := (*record.Damage)(nil)
		if !errors.As(err, &d) || d.Offset > int64(n) {
			t.Fatalf("cut off at %d: %v", n, err)
		}
		if r == nil {
			continue // not even the header is there
		}
		if r.Steps() < most {
			t.Fatalf("cut off at %d there are %d steps, and there were %d before", n, r.Steps(), most)
		}
		most = r.Steps()
	}
	if most != 5 {
		t.Errorf("at most %d steps were read", most)
	}
	r, d := damaged(t, whole[:len(whole)-20])
	if d.Offset >= int64(len(whole)-20) || d.Open || r.Steps() != 4 {
		t.Errorf("torn in the last step: %v, %d steps", d, r.Steps())
	}
	if _, d := damaged(t, whole[:places(whole)[8]]); !d.Open {
		t.Errorf("cut off between two records: %v", d)
	}
}

func TestFlippedBitsCostTheRecordThatTheyAreIn(t *testing.T) {
	t.Parallel()
	other := life(t, "game-1", 2, 0, 2)
	other.Ref, other.Image.Ref = bob, bob
	whole, _ := made(t, life(t, "game-1", 1, 0, 5), other)
	at := places(whole)
	text := bytes.Clone(whole)
	text[at[5]+40] ^= 4 // header, tables, open, step, step, here
	r, d := damaged(t, text)
	if d.Offset != int64(at[5]) || d.What != "the record's checksum differs" {
		t.Errorf("damage: %v, want it at %d", d, at[5])
	}
	s := r.Actor(ann).Segments
	if len(s) != 1 || len(s[0].Steps) != 2 || s[0].Gap == nil || s[0].Gap.Why != "damaged" || s[0].Gap.Lost != 3 {
		t.Errorf("the damaged actor: %+v", s[0])
	}
	if got := r.Actor(bob).Segments[0]; len(got.Steps) != 2 || got.Gap != nil {
		t.Errorf("the other actor: %+v", got)
	}
	for i := range whole { // wherever it is, it is found and costs one record at most
		text := bytes.Clone(whole)
		text[i] ^= 1 << (i % 8)
		if r, d := damaged(t, text); d.Offset > int64(i) || r.Actor(ann) == nil && r.Actor(bob) == nil {
			t.Fatalf("bit %d of byte %d: %v", i%8, i, d)
		}
	}
}

func TestAnActorGoesOnBehindDamageWhereItsStateStandsAgain(t *testing.T) {
	t.Parallel()
	again := life(t, "game-1", 1, 5, 2)
	whole, _ := made(t, life(t, "game-1", 1, 0, 3), again)
	at := places(whole)
	text := append(bytes.Clone(whole[:at[4]+9]), whole[at[5]:]...) // nine bytes of the second step are left
	r, _ := damaged(t, text)
	s := r.Actor(ann).Segments
	if len(s) != 2 || len(s[0].Steps) != 1 || s[0].Gap.Lost != 4 || len(s[1].Steps) != 2 {
		t.Errorf("segments: %+v", s)
	}
}

func FuzzParse(f *testing.F) {
	sample, err := os.ReadFile("testdata/version1.rec")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample)
	f.Add(sample[:len(sample)/2])
	f.Add([]byte("FIREREC\x01"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := record.Parse(text)
		if err == nil || r != nil {
			for _, a := range r.Actors() {
				r.Extract(a.Ref)
			}
			again, err := record.Merge(r, r).Append(nil)
			if err != nil {
				return // an image may hold what JSON does not write again
			}
			if _, err := record.Parse(again); err != nil {
				t.Errorf("what was read does not stay readable: %v", err)
			}
		}
	})
}
