package persist

import (
	"encoding/json"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/fireflyrt/firefly/actors"
)

// drawn draws the contents of a message. An empty body is none.
func drawn(t *rapid.T) (number uint64, text string, body json.RawMessage, rows map[string]json.RawMessage) {
	bodies := rapid.Map(rapid.StringN(1, 20, -1), func(s string) json.RawMessage {
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return quoted
	})
	if rows = rapid.MapOfN(rapid.String(), bodies, 0, 5).Draw(t, "rows"); len(rows) == 0 {
		rows = nil
	}
	for name := range rows {
		if rapid.Bool().Draw(t, "deleted") {
			rows[name] = json.RawMessage("null")
		}
	}
	return rapid.Uint64().Draw(t, "number"), rapid.String().Draw(t, "text"), bodies.Draw(t, "body"), rows
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number, text, body, rows := drawn(t)
		for _, v := range []struct{ sent, got encoder }{
			{&load{Kind: "hero", ID: text, Fence: number, Anew: true, Page: number}, new(load)},
			{&loaded{Version: number, Cells: body, Parts: rows}, new(loaded)},
			{&loaded{Box: body, Term: number, More: true}, new(loaded)},
			{&save{Kind: actors.KindName(text), ID: text, Fence: number, Holder: number + 1, Version: number + 2,
				Cells: body, Parts: rows, Box: body, DueAt: int64(number), Commit: true}, new(save)},
			{&save{Again: true, Term: number, Shown: true}, new(save)},
			{&saved{Term: number}, new(saved)},
		} {
			bytes := v.sent.encode()
			if err := v.got.decode(bytes); err != nil || !reflect.DeepEqual(v.sent, v.got) {
				t.Fatalf("%+v became %+v, %v", v.sent, v.got, err)
			}
			later := protowire.AppendFixed32(protowire.AppendTag(bytes, 99, protowire.Fixed32Type), 7)
			if err := v.got.decode(protowire.AppendVarint(protowire.AppendTag(later, 98, protowire.VarintType),
				7)); err != nil {
				t.Fatalf("with fields of a later build: %v", err)
			}
		}
	})
}

func TestWhatIsDecodedDoesNotKeepItsMessage(t *testing.T) {
	t.Parallel()
	bytes := (&save{Cells: json.RawMessage(`"cells"`), Box: json.RawMessage(`"box"`),
		Parts: map[string]json.RawMessage{"bag/1": json.RawMessage(`"row"`)}}).encode()
	got := new(save)
	if err := got.decode(bytes); err != nil {
		t.Fatal(err)
	}
	clear(bytes)
	if all := string(got.Cells) + string(got.Box) + string(got.Parts["bag/1"]); all != `"cells""box""row"` {
		t.Errorf("%q is left of it", all)
	}
}

// Whatever comes, it is read or it is an error.
func FuzzDecode(f *testing.F) {
	f.Add((&save{Kind: "hero", ID: "ann", Fence: 1, Cells: json.RawMessage(`{}`),
		Parts: map[string]json.RawMessage{"a": json.RawMessage("1"), "b": nil}}).encode())
	f.Add([]byte("{"))
	f.Add([]byte{0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range []encoder{new(load), new(loaded), new(save), new(saved)} {
			if m.decode(b) != nil {
				continue
			}
			again := reflect.New(reflect.TypeOf(m).Elem()).Interface().(encoder)
			if err := again.decode(m.encode()); err != nil {
				t.Errorf("%+v cannot be read again: %v", m, err)
			}
		}
	})
}
