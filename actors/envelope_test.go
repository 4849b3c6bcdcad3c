package actors

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/fireflyrt/firefly/actors/wire"
)

func sampleEnvelopes() []*Envelope {
	session := SessionRef("gate-1", wire.Proto, 9, 4)
	return []*Envelope{
		{Type: Message, To: Ref{"player", "ann"}, From: session, Session: session, Number: 101, Codec: wire.JSON,
			Body: []byte(`{"a":1}`), Request: 7, Attempt: 1, Hops: 2, Epoch: 3, Deadline: 1 << 60, At: 5},
		{Type: Answered, To: session, Number: 0, Codec: wire.Proto, Request: 1},
		{Type: Message, From: Ref{"room", "0,0"}, Number: 300, Codec: wire.Proto, Body: []byte{0, 1}, Key: "ann",
			Fan: []Ref{session, SessionRef("gate-1", wire.Proto, 9, 5)}},
	}
}

func TestEnvelopesSurviveTheLink(t *testing.T) {
	var b []byte
	for _, e := range sampleEnvelopes() {
		b = e.Append(b)
	}
	for _, want := range sampleEnvelopes() {
		got, rest, err := ReadEnvelope(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Body) == 0 {
			got.Body = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		b = rest
	}
	if len(b) != 0 {
		t.Errorf("%d bytes left", len(b))
	}
}

func TestATornEnvelopeIsRefusedAtEveryByte(t *testing.T) {
	for _, e := range sampleEnvelopes() {
		whole := e.Append(nil)
		for n := range len(whole) {
			if _, _, err := ReadEnvelope(whole[:n]); err == nil {
				t.Fatalf("%d of %d bytes were read as an envelope", n, len(whole))
			}
		}
	}
}

func FuzzReadEnvelope(f *testing.F) {
	for _, e := range sampleEnvelopes() {
		f.Add(e.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, rest, err := ReadEnvelope(b)
		if err != nil {
			return
		}
		again, _, err := ReadEnvelope(e.Append(nil))
		if err != nil || !bytes.Equal(again.Append(nil), e.Append(nil)) {
			t.Fatalf("not the same again: %v", err)
		}
		if len(rest) > len(b) {
			t.Fatal("more left than there was")
		}
	})
}

func TestRefsReadAsTheyAreWritten(t *testing.T) {
	for _, r := range []Ref{{"player", "ann"}, {"room", "a/b"}, {"p", "Ünï"}} {
		got, err := ParseRef(r.String())
		if err != nil || got != r {
			t.Errorf("%v: got %v, %v", r, got, err)
		}
	}
	long := "player/" + string(make([]byte, 300))
	for _, bad := range []string{"", "player", "player/", "/ann", "player/\xff", long} {
		if _, err := ParseRef(bad); err == nil {
			t.Errorf("%.20q passes as a ref", bad)
		}
	}
}

func TestShardsAreSpreadEvenlyOverNamesThatDifferInOneDigit(t *testing.T) {
	var count [16]int
	for i := range 16000 {
		count[Ref{"player", "user" + string(rune('0'+i%10)) + string(rune('0'+i/10%10)) +
			string(rune('0'+i/100%10)) + string(rune('0'+i/1000))}.Shard(16)]++
	}
	for shard, n := range count {
		if n < 800 || n > 1200 {
			t.Errorf("shard %d has %d of 16000", shard, n)
		}
	}
}

func TestASessionsNameSaysItsGateAndCodec(t *testing.T) {
	gate, codec, ok := SessionRef("gate-1", wire.Proto, 77, 3).SessionPlace()
	if gate != "gate-1" || codec != wire.Proto || !ok {
		t.Errorf("got %q %v %v", gate, codec, ok)
	}
	if _, _, ok := (Ref{"player", "gate-1.json.1.1"}).SessionPlace(); ok {
		t.Error("a player passes as a session")
	}
}
