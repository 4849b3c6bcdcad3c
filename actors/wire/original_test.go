package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/fireflyrt/firefly/actors/wire"
)

// published is what both published games of the original have in front of their frames.
var published = wire.Original{Magic: [4]byte{78, 37, 38, 48}, Version: 9}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The first two were captured from the original itself.
func TestAnOriginalFrameIsWhatTheOriginalSends(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		game    wire.Original
		command uint32
		body    string
		bytes   string
	}{
		{"as captured", wire.Original{}, 1, "hi", "00000000" + "00" + "00000000" + "00000006" + "00000001" + "6869"},
		{"a published game's", published, 1, "hi", "4e252630" + "09" + "00000000" + "00000006" + "00000001" + "6869"},
		{"an empty body", published, 101, "", "4e252630" + "09" + "00000000" + "00000004" + "00000065"},
		{"each field in its place",
			wire.Original{Magic: [4]byte{1, 2, 3, 4}, Version: 5, ServerVersion: 0x06070809}, 0x0a0b0c0d, "\x0e",
			"01020304" + "05" + "06070809" + "00000005" + "0a0b0c0d" + "0e"},
		{"the ends of the ranges",
			wire.Original{Magic: [4]byte{255, 255, 255, 255}, Version: 255, ServerVersion: 1<<32 - 1}, 1<<32 - 1, "",
			"ffffffff" + "ff" + "ffffffff" + "00000004" + "ffffffff"},
	} {
		want := unhex(t, c.bytes)
		if got := c.game.AppendFrame(nil, c.command, []byte(c.body)); !bytes.Equal(got, want) {
			t.Errorf("%s: written % x, want % x", c.name, got, want)
		}
		command, body, rest, err := c.game.CutFrame(want, 64)
		if err != nil || command != c.command || string(body) != c.body || len(rest) > 0 {
			t.Errorf("%s: read %d %q, %d left, %v", c.name, command, body, len(rest), err)
		}
	}
}

func TestAWrongOriginalFrameIsRefusedAtItsFirstWrongByte(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		bytes string
		want  error
	}{
		{"nothing", "", wire.ErrShortHeader},
		{"one byte of another magic", "4f", wire.ErrMagic},
		{"the last byte of the magic", "4e252631", wire.ErrMagic},
		{"another magic and another version", "00000000" + "00", wire.ErrMagic},
		{"another version", "4e252630" + "08", wire.ErrVersion},
		{"another server version", "4e252630" + "09" + "00000001", wire.ErrVersion},
		{"half a length", "4e252630" + "09" + "00000000" + "ffff", wire.ErrShortHeader},
		{"length 0", "4e252630" + "09" + "00000000" + "00000000", wire.ErrNoCommand},
		{"length 3", "4e252630" + "09" + "00000000" + "00000003", wire.ErrNoCommand},
		{"length 4 without its command", "4e252630" + "09" + "00000000" + "00000004" + "000000", wire.ErrShortHeader},
		{"length 4", "4e252630" + "09" + "00000000" + "00000004" + "00000001", nil},
		{"a body that is not whole", "4e252630" + "09" + "00000000" + "00000006" + "00000001" + "68",
			wire.ErrShortBody},
		{"exactly the bound, not whole", "4e252630" + "09" + "00000000" + "00000104" + "00000001", wire.ErrShortBody},
		{"one byte over the bound", "4e252630" + "09" + "00000000" + "00000105", wire.ErrTooLong},
		{"half of all lengths", "4e252630" + "09" + "00000000" + "80000000", wire.ErrTooLong},
		{"the longest there is", "4e252630" + "09" + "00000000" + "ffffffff", wire.ErrTooLong},
	} {
		b := unhex(t, c.bytes)
		_, body, rest, err := published.CutFrame(b, 256)
		if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if err != nil && (body != nil || len(rest) != len(b)) {
			t.Errorf("%s: an error took bytes away", c.name)
		}
	}
}

func TestAnOriginalFrameIsCutOnlyWhenItIsWhole(t *testing.T) {
	t.Parallel()
	two := published.AppendFrame(nil, 101, []byte("first"))
	first := len(two)
	two = published.AppendFrame(two, 102, nil)
	for n := range first {
		want := wire.ErrShortHeader
		if n >= wire.OriginalHeaderSize {
			want = wire.ErrShortBody
		}
		if _, _, rest, err := published.CutFrame(two[:n], 64); !errors.Is(err, want) || len(rest) != n {
			t.Fatalf("with %d bytes: %v and %d left; want %v and all left", n, err, len(rest), want)
		}
	}
	command, body, rest, err := published.CutFrame(two, 64)
	if err != nil || command != 101 || string(body) != "first" || cap(body) != len(body) {
		t.Fatalf("the first frame: %d %q of %d, %v", command, body, cap(body), err)
	}
	command, body, rest, err = published.CutFrame(rest, 64)
	if err != nil || command != 102 || len(body)+len(rest) > 0 {
		t.Fatalf("the second frame: %d %q %q %v", command, body, rest, err)
	}
}

// A length of 4 GiB takes no memory, and a frame that is welcome takes none either.
func TestCuttingAnOriginalFrameAllocatesNothing(t *testing.T) {
	good := published.AppendFrame(nil, 101, []byte("body"))
	if n := testing.AllocsPerRun(100, func() {
		if _, _, _, err := published.CutFrame(good, 64); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func FuzzOriginal(f *testing.F) {
	f.Add([]byte(nil), uint32(0), 64)
	f.Add(published.AppendFrame(nil, 1, []byte("hi")), uint32(0x4e252630), 64)
	f.Add(published.AppendFrame(published.AppendFrame(nil, 101, nil), 2, nil), uint32(0x4e252630), 0)
	f.Add(published.AppendFrame(nil, 101, nil)[:13], uint32(0x4e252630), 64)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}, uint32(0), wire.MaxBody)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3}, uint32(0), 64)
	f.Fuzz(func(t *testing.T, b []byte, magic uint32, limit int) {
		game := wire.Original{Magic: [4]byte{byte(magic >> 24), byte(magic >> 16), byte(magic >> 8), byte(magic)}}
		if magic == 0x4e252630 {
			game.Version = 9
		}
		for rest := b; ; {
			command, body, next, err := game.CutFrame(rest, limit)
			if err != nil {
				if body != nil || len(next) != len(rest) {
					t.Fatalf("an error took bytes away: %v", err)
				}
				return
			}
			if len(body) > limit {
				t.Fatalf("a body of %d bytes over a bound of %d", len(body), limit)
			}
			if again := game.AppendFrame(nil, command, body); !bytes.Equal(again, rest[:len(rest)-len(next)]) {
				t.Fatalf("written again it is % x", again)
			}
			rest = next
		}
	})
}
