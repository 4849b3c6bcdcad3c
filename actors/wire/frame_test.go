package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/fireflyrt/firefly/actors/wire"
)

func TestAHeaderIsTwelveBytesInNetworkOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		h     wire.Header
		bytes []byte
	}{
		{"all zero", wire.Header{}, make([]byte, 12)},
		{"each field in its place",
			wire.Header{Length: 0x010203, Number: 0x04050607, Seq: 0x08090a0b},
			[]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{"an error", wire.Header{Flags: wire.FlagError, Length: 1, Number: 101, Seq: 7},
			[]byte{1, 0, 0, 1, 0, 0, 0, 101, 0, 0, 0, 7}},
		{"the ends of the ranges",
			wire.Header{Length: wire.MaxBody, Number: 1<<32 - 1, Seq: 1<<32 - 1},
			[]byte{0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
	} {
		if got := c.h.Append(nil); !bytes.Equal(got, c.bytes) {
			t.Errorf("%s: Append gives % x, want % x", c.name, got, c.bytes)
		}
		if got, err := wire.ParseHeader(c.bytes, wire.MaxBody); err != nil || got != c.h {
			t.Errorf("%s: ParseHeader gives %+v, %v; want %+v", c.name, got, err, c.h)
		}
	}
}

func TestAWrongHeaderIsRefusedAndSaysWhy(t *testing.T) {
	t.Parallel()
	frame := func(flags byte, length ...byte) []byte {
		return append(append([]byte{flags}, length...), 0, 0, 0, 100, 0, 0, 0, 1)
	}
	for _, c := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"nothing", nil, wire.ErrShortHeader},
		{"eleven bytes", make([]byte, 11), wire.ErrShortHeader},
		{"the compression bit, not agreed on", frame(2, 0, 0, 0), wire.ErrFlags},
		{"the highest bit", frame(128, 0, 0, 0), wire.ErrFlags},
		{"one byte over the bound", frame(0, 0, 1, 1), wire.ErrTooLong},
		{"the longest there is", frame(0, 255, 255, 255), wire.ErrTooLong},
		{"exactly the bound", frame(0, 0, 1, 0), nil},
	} {
		_, err := wire.ParseHeader(c.bytes, 256)
		if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestAFrameIsCutOnlyWhenItIsWhole(t *testing.T) {
	t.Parallel()
	two := wire.AppendFrame(nil, 0, 101, 1, []byte("first"))
	first := len(two)
	two = wire.AppendFrame(two, wire.FlagError, 102, 2, nil)
	for n := range first {
		_, _, rest, err := wire.CutFrame(two[:n], 64)
		want := wire.ErrShortHeader
		if n >= wire.HeaderSize {
			want = wire.ErrShortBody
		}
		if !errors.Is(err, want) || len(rest) != n {
			t.Fatalf("with %d bytes: %v and %d left; want %v and all left", n, err, len(rest), want)
		}
	}
	h, body, rest, err := wire.CutFrame(two, 64)
	if err != nil || h.Number != 101 || string(body) != "first" {
		t.Fatalf("the first frame: %+v %q %v", h, body, err)
	}
	if cap(body) != len(body) {
		t.Error("appending to a body would overwrite the next frame")
	}
	h, body, rest, err = wire.CutFrame(rest, 64)
	want := wire.Header{Flags: wire.FlagError, Number: 102, Seq: 2}
	if err != nil || h != want || len(body)+len(rest) != 0 {
		t.Fatalf("the second frame: %+v %q %q %v", h, body, rest, err)
	}
}

func TestABodyBeyondThreeBytesOfLengthIsAProgrammersError(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Fatal("a header that lies about its length was written")
		}
	}()
	wire.Header{Length: wire.MaxBody + 1}.Append(nil)
}

func TestEachCloseNumberHasItsNameAndAdvice(t *testing.T) {
	t.Parallel()
	want := map[wire.CloseNumber]struct {
		name   string
		advice wire.Return
	}{
		1001: {"RESTARTING", wire.ReturnNow},
		2003: {"SLOW_CLIENT", wire.ReturnLater},
		2004: {"RATE_LIMITED", wire.ReturnLater},
		3001: {"BAD_FRAME", wire.ReturnNever},
		3002: {"HELLO_TIMEOUT", wire.ReturnNever},
		3003: {"VERSION", wire.ReturnNever},
		3004: {"UNAUTHENTICATED", wire.ReturnNever},
		3005: {"TAKEN_OVER", wire.ReturnNever},
		3006: {"KICKED", wire.ReturnNever},
	}
	if got := len(wire.CloseNumbers()); got != len(want) {
		t.Errorf("there are %d close numbers, the table has %d", got, len(want))
	}
	for _, n := range wire.CloseNumbers() {
		if n.String() != want[n].name || n.Advice() != want[n].advice {
			t.Errorf("%d is %s, advice %d; want %+v", uint16(n), n, n.Advice(), want[n])
		}
	}
	if n := wire.CloseNumber(9999); n.String() != "CLOSED_9999" || n.Advice() != wire.ReturnNever {
		t.Errorf("an unknown number is %s, advice %d", n, n.Advice())
	}
}

// The bodies are what the protocol's page says, letter by letter: clients are written from it.
func TestTheRuntimesBodiesAreWrittenAsTheProtocolSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body any
		want string
	}{
		{wire.Hello{Version: 2}, `{"version":2}`},
		{wire.Hello{Version: 2, Codec: "proto", Ticket: "t", Client: "bot/1",
			Resume: &wire.Resume{Session: "s", Token: "k", Received: 12}},
			`{"version":2,"codec":"proto","ticket":"t","client":"bot/1",` +
				`"resume":{"session":"s","token":"k","received":12}}`},
		{wire.Welcome{Session: "s", Codec: "json", Heartbeat: 15, FrameMax: 65536, Time: 1,
			Received: 7},
			`{"session":"s","codec":"json","heartbeat_s":15,"frame_max":65536,"time_ms":1,` +
				`"received":7,"resumed":false}`},
		{wire.Error{Code: "UNKNOWN_NUMBER"}, `{"code":"UNKNOWN_NUMBER"}`},
		{wire.Error{Code: "X", Text: "t", RetryAfter: 5, Incident: "i"},
			`{"code":"X","text":"t","retry_after_ms":5,"incident":"i"}`},
		{wire.Close{Code: "SLOW_CLIENT", Number: wire.CloseSlowClient, Text: "t"},
			`{"code":"SLOW_CLIENT","number":2003,"text":"t"}`},
		{wire.Ping{Received: 12}, `{"received":12}`},
		{wire.Pong{}, `{"received":0}`},
	} {
		if got, err := json.Marshal(c.body); err != nil || string(got) != c.want {
			t.Errorf("%T: %s, %v; want %s", c.body, got, err, c.want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte(nil), 64)
	f.Add(wire.AppendFrame(nil, 0, 101, 1, []byte(`{"a":1}`)), 64)
	f.Add(wire.AppendFrame(wire.AppendFrame(nil, wire.FlagError, 3, 0, nil), 0, 5, 9, nil), 0)
	f.Add([]byte{0, 255, 255, 255, 0, 0, 0, 100, 0, 0, 0, 1}, wire.MaxBody)
	f.Add([]byte{255, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 1}, 64)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		for rest := b; ; {
			h, body, next, err := wire.CutFrame(rest, limit)
			if err != nil {
				if body != nil || len(next) != len(rest) {
					t.Fatalf("an error took bytes away: %v", err)
				}
				return
			}
			if len(body) > limit || len(body) != h.Length {
				t.Fatalf("a body of %d bytes under a length of %d and a bound of %d",
					len(body), h.Length, limit)
			}
			again := wire.AppendFrame(nil, h.Flags, h.Number, h.Seq, body)
			if !bytes.Equal(again, rest[:len(rest)-len(next)]) {
				t.Fatalf("written again it is % x", again)
			}
			rest = next
		}
	})
}
