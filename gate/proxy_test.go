package gate

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

// header writes a PROXY header as a proxy does.
func header(command, family byte, body ...byte) []byte {
	b := append([]byte(proxySignature), command, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...)
}

var (
	ownAddress = netip.MustParseAddrPort("10.0.0.1:5")
	four       = []byte{203, 0, 113, 7, 10, 0, 0, 9, 0x12, 0x67, 0x24, 0xb8}
	six        = append(append(netip.MustParseAddr("2001:db8::7").AsSlice(),
		netip.MustParseAddr("2001:db8::9").AsSlice()...), 0x12, 0x67, 0x24, 0xb8)
	mapped = append(append(netip.MustParseAddr("::ffff:203.0.113.7").AsSlice(),
		netip.MustParseAddr("::ffff:10.0.0.9").AsSlice()...), 0x12, 0x67, 0x24, 0xb8)
)

func TestAProxySaysWhoseConnectionItIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header []byte
		want   string // an address, or what the error says
	}{
		"over IPv4":               {header(0x21, 0x11, four...), "203.0.113.7:4711"},
		"over IPv6":               {header(0x21, 0x21, six...), "[2001:db8::7]:4711"},
		"IPv4 in IPv6":            {header(0x21, 0x21, mapped...), "203.0.113.7:4711"},
		"with extensions":         {header(0x21, 0x11, append(four, 4, 0, 1, 0)...), "203.0.113.7:4711"},
		"its own":                 {header(0x20, 0x00), "10.0.0.1:5"},
		"its own, with addresses": {header(0x20, 0x11, four...), "10.0.0.1:5"},
		"of nobody":               {header(0x21, 0x00), "10.0.0.1:5"},
		"over UDP":                {header(0x21, 0x12, four...), "10.0.0.1:5"},
		"of a Unix socket":        {header(0x21, 0x31, make([]byte, 216)...), "10.0.0.1:5"},
		"as long as it may be": {header(0x21, 0x11, append(four, make([]byte, proxyMax-12)...)...),
			"203.0.113.7:4711"},
		"a byte longer":            {header(0x21, 0x11, make([]byte, proxyMax+1)...), "4097 bytes; at most 4096"},
		"too short for IPv4":       {header(0x21, 0x11, four[:11]...), "family 0x11 with 11 bytes"},
		"too short for IPv6":       {header(0x21, 0x21, four...), "family 0x21 with 12 bytes"},
		"of no family":             {header(0x21, 0x41, four...), "of family 0x41"},
		"over no transport":        {header(0x21, 0x13, four...), "of family 0x13"},
		"of version 1":             {[]byte("PROXY TCP4 203.0.113.7 10.0.0.9 4711 9400\r\n"), "does not begin with"},
		"of version 3":             {header(0x31, 0x11, four...), "version and command 0x31"},
		"with an unknown command":  {header(0x22, 0x11, four...), "version and command 0x22"},
		"that ends":                {header(0x21, 0x11, four...)[:20], "unexpected EOF"},
		"that ends before its end": {[]byte(proxySignature), "EOF"},
		"that is none, and short":  {[]byte("\r\n\r\n\x00\r\nQ!"), "does not begin with"},
		"that is nothing":          {nil, "nobody comes"},
	} {
		for _, r := range []io.Reader{bytes.NewReader(c.header), iotest.OneByteReader(bytes.NewReader(c.header))} {
			got, err := readProxy(r, ownAddress)
			said := got.String()
			if err != nil {
				said = err.Error()
			}
			if !strings.Contains(said, c.want) || err == nil && said != c.want {
				t.Errorf("a header %s: %q, want %q", name, said, c.want)
			}
		}
	}
}

// Whatever comes, a header is read to its end and not a byte further, however it is cut; and what
// is taken for one names an address.
func FuzzProxy(f *testing.F) {
	f.Add(header(0x21, 0x11, four...))
	f.Add(header(0x21, 0x21, append(six, 1, 2, 3)...))
	f.Add(header(0x20, 0x00))
	f.Add([]byte("PROXY TCP4 203.0.113.7 10.0.0.9 4711 9400\r\n"))
	f.Add(append([]byte(proxySignature), 0x21, 0x11, 255, 255))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole := bytes.NewReader(b)
		at, err := readProxy(whole, ownAddress)
		pieces := bytes.NewReader(b)
		at2, err2 := readProxy(iotest.OneByteReader(pieces), ownAddress)
		if at != at2 || (err == nil) != (err2 == nil) {
			t.Fatalf("whole: %s, %v; in pieces: %s, %v", at, err, at2, err2)
		}
		if err != nil {
			return
		}
		size := proxyHead + int(binary.BigEndian.Uint16(b[14:]))
		if !at.IsValid() || len(b)-whole.Len() != size || len(b)-pieces.Len() != size || size > proxyHead+proxyMax {
			t.Fatalf("%s after %d and %d bytes of %d", at, len(b)-whole.Len(), len(b)-pieces.Len(), size)
		}
	})
}
