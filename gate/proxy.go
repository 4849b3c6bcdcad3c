package gate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// This file reads the PROXY protocol, version 2: what a proxy sends before a client's first byte, to
// say whose connection it passes on.

// proxyMax bounds what stands behind the fixed part of a PROXY header: addresses, and what a proxy
// likes to add. HAProxy and the clouds send some hundred bytes.
const proxyMax = 4 << 10

// proxyHead is the length of the fixed part.
const proxyHead = 16

const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// ProxyLocal is the PROXY header of whoever asks for himself, such as a proxy that looks whether the gate is well.
const ProxyLocal = proxySignature + "\x20\x00\x00\x00"

// Families of addresses, over TCP, whose connections have one.
const (
	proxyTCP4 = 0x11
	proxyTCP6 = 0x21
)

// errNobody is the end of a connection without a byte: a proxy has looked whether somebody listens.
var errNobody = errors.New("gate: nobody comes")

// readProxy reads one header, and nothing behind it. It returns whose connection it is; own, if the
// proxy says that it is one of its own, or that the client has no address.
func readProxy(r io.Reader, own netip.AddrPort) (netip.AddrPort, error) {
	var head [proxyHead]byte
	for n := 0; n < len(head); {
		m, err := r.Read(head[n:])
		n += m
		if n == 0 && err == io.EOF {
			return own, errNobody
		}
		if k := min(n, len(proxySignature)); string(head[:k]) != proxySignature[:k] {
			return own, errors.New("gate: the connection does not begin with a PROXY header of version 2")
		}
		if err != nil && n < len(head) {
			return own, fmt.Errorf("gate: reading a PROXY header: %w", err)
		}
	}
	size := int(binary.BigEndian.Uint16(head[14:]))
	if size > proxyMax {
		return own, fmt.Errorf("gate: a PROXY header of %d bytes; at most %d", size, proxyMax)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return own, fmt.Errorf("gate: reading a PROXY header: %w", err)
	}
	return proxied(head[12], head[13], body, own)
}

// proxied is whose connection a header says that it is.
func proxied(command, family byte, body []byte, own netip.AddrPort) (netip.AddrPort, error) {
	switch command {
	case 0x20: // LOCAL: the proxy looks whether we are well
		return own, nil
	case 0x21:
	default:
		return own, fmt.Errorf("gate: a PROXY header of version and command %#x", command)
	}
	if family>>4 > 3 || family&15 > 2 {
		return own, fmt.Errorf("gate: a PROXY header of family %#x", family)
	}
	size := 0
	switch family {
	case proxyTCP4:
		size = 4
	case proxyTCP6:
		size = 16
	default: // unspecified, or nothing that a bound per address could be about
		return own, nil
	}
	if len(body) < 2*size+4 {
		return own, fmt.Errorf("gate: a PROXY header of family %#x with %d bytes", family, len(body))
	}
	from, _ := netip.AddrFromSlice(body[:size])
	return netip.AddrPortFrom(from.Unmap(), binary.BigEndian.Uint16(body[2*size:])), nil
}
