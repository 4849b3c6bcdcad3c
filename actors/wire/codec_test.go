package wire_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/sourcecontextpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fireflyrt/firefly/actors/wire"
)

type bought struct {
	Item string `json:"item"`
	Gold int    `json:"gold"`
}

func line[M any](t *testing.T) *wire.Type {
	t.Helper()
	c := wire.Messages(wire.In[M](100))
	if err := c.Err(); err != nil {
		t.Fatal(err)
	}
	return c.ByNumber(100)
}

func TestAPlainStructTravelsAsJSONOnly(t *testing.T) {
	t.Parallel()
	b := line[*bought](t)
	body, err := b.Encode(wire.JSON, &bought{"sword", 7})
	if err != nil || string(body) != `{"item":"sword","gold":7}` {
		t.Fatalf("%s, %v", body, err)
	}
	back, err := b.Decode(wire.JSON, body)
	if err != nil || !reflect.DeepEqual(back, &bought{"sword", 7}) {
		t.Fatalf("%+v, %v", back, err)
	}
	if b.Proto() || b.Native() != wire.JSON {
		t.Error("a plain struct counts as protobuf")
	}
	for _, c := range []wire.Codec{0, wire.Proto, 3, 255} {
		if _, err := b.Encode(c, &bought{}); !errors.Is(err, wire.ErrNoCodec) {
			t.Errorf("encoding in %s: %v", c, err)
		}
		if _, err := b.Decode(c, nil); !errors.Is(err, wire.ErrNoCodec) {
			t.Errorf("decoding in %s: %v", c, err)
		}
	}
}

func TestAnEmptyBodyIsTheZeroMessage(t *testing.T) {
	t.Parallel()
	if m, err := line[*bought](t).Decode(wire.JSON, nil); err != nil || *m.(*bought) != (bought{}) {
		t.Errorf("%+v, %v", m, err)
	}
	m, err := line[*wrapperspb.Int64Value](t).Decode(wire.Proto, nil)
	if err != nil || m.(*wrapperspb.Int64Value).Value != 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestABodyThatIsNoMessageNamesNumberTypeAndCodec(t *testing.T) {
	t.Parallel()
	_, err := line[*bought](t).Decode(wire.JSON, []byte(`{"gold":"much"}`))
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("100 bought in json: ")) {
		t.Errorf("got %v", err)
	}
	for _, c := range []wire.Codec{wire.JSON, wire.Proto} {
		if _, err := line[*structpb.Struct](t).Decode(c, []byte{0xff, 1}); err == nil {
			t.Errorf("nonsense in %s was read", c)
		}
	}
}

// protojson puts in spaces that differ from build to build on purpose; ours has none, writes
// int64 as strings and maps in the order of their keys.
func TestTheJSONOfAProtobufMessageIsCanonical(t *testing.T) {
	t.Parallel()
	nested, err := structpb.NewStruct(map[string]any{
		"z": 1, "a": []any{true, "x y", nil}, "m": map[string]any{"k": "v, w: 1"}})
	if err != nil {
		t.Fatal(err)
	}
	at := timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	if got, err := line[*structpb.Struct](t).Encode(wire.JSON, nested); err != nil ||
		string(got) != `{"a":[true,"x y",null],"m":{"k":"v, w: 1"},"z":1}` {
		t.Errorf("struct: %s, %v", got, err)
	}
	if got, err := line[*timestamppb.Timestamp](t).Encode(wire.JSON, at); err != nil ||
		string(got) != `"2026-01-02T03:04:05Z"` {
		t.Errorf("timestamp: %s, %v", got, err)
	}
	big := wrapperspb.Int64(1<<53 + 1)
	if got, err := line[*wrapperspb.Int64Value](t).Encode(wire.JSON, big); err != nil ||
		string(got) != `"9007199254740993"` {
		t.Errorf("int64: %s, %v", got, err)
	}
}

func TestAProtobufMessageComesBackFromBothCodecs(t *testing.T) {
	t.Parallel()
	s := line[*structpb.Struct](t)
	msg, err := structpb.NewStruct(map[string]any{"a": 1, "b": "two", "c": []any{3.0}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []wire.Codec{wire.JSON, wire.Proto} {
		first, err := s.Encode(c, msg)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 { // maps range in another order each time; the bytes may not
			if again, _ := s.Encode(c, msg); !bytes.Equal(again, first) {
				t.Fatalf("%s: the same message gave %q and %q", c, first, again)
			}
		}
		kept := bytes.Clone(first)
		back, err := s.Decode(c, first)
		if err != nil {
			t.Fatal(err)
		}
		clear(first) // the message keeps nothing of its body
		if !proto.Equal(back.(proto.Message), msg) {
			t.Errorf("%s: %q came back as %v", c, kept, back)
		}
	}
	if !s.Proto() || s.Native() != wire.Proto {
		t.Error("a protobuf message does not count as one")
	}
}

func TestANewerClientsFieldsAreOverlooked(t *testing.T) {
	t.Parallel()
	old := []*wire.Type{line[*bought](t), line[*sourcecontextpb.SourceContext](t)}
	for _, l := range old {
		if _, err := l.Decode(wire.JSON, []byte(`{"from_tomorrow":[1]}`)); err != nil {
			t.Errorf("%s: %v", l, err)
		}
	}
}

func TestACodecIsKnownByItsName(t *testing.T) {
	t.Parallel()
	names := map[string]wire.Codec{"": wire.JSON, "json": wire.JSON, "proto": wire.Proto}
	for name, want := range names {
		if c, err := wire.ParseCodec(name); err != nil || c != want {
			t.Errorf("%q is %s, %v", name, c, err)
		}
	}
	if _, err := wire.ParseCodec("xml"); err == nil {
		t.Error("xml was taken for a codec")
	}
	if s := wire.Codec(9).String(); s != "codec(9)" {
		t.Errorf("an unknown codec calls itself %s", s)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(byte(1), []byte(`{"item":"sword","gold":7}`))
	f.Add(byte(1), []byte(`{"a":{"b":[1,null,"c"]}}`))
	f.Add(byte(2), []byte{10, 3, 10, 1, 'a'})
	f.Add(byte(0), []byte(nil))
	lines := wire.Messages(wire.In[*bought](100), wire.In[*structpb.Struct](101)).All()
	f.Fuzz(func(t *testing.T, codec byte, body []byte) {
		for _, l := range lines {
			msg, err := l.Decode(wire.Codec(codec), body)
			if err != nil {
				continue
			}
			if _, err := l.Encode(wire.Codec(codec), msg); err != nil {
				t.Errorf("%s decoded %q but does not encode it: %v", l, body, err)
			}
		}
	})
}
