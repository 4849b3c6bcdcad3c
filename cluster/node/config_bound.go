package node

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A bound is what a key's value may be.
type bound struct {
	text string         // how it reads after "must be"
	ok   func(any) bool // of the value itself, not its pointer
}

var anything = bound{text: "", ok: func(any) bool { return true }}

// nameShape is that of nodes, roles and clusters: they become file names and parts of keys.
var nameShape = regexp.MustCompile(`^[a-z][a-z0-9-]{0,38}[a-z0-9]$|^[a-z]$`)

var named = bound{"lower-case letters, digits and -, at most 40",
	func(v any) bool { return nameShape.MatchString(v.(string)) }}

var filled = bound{"not empty", func(v any) bool { return v.(string) != "" }}

var address = bound{"host:port, with + behind the port if it rises from copy to copy",
	func(v any) bool { _, _, _, err := splitAddress(v.(string)); return err == nil }}

var networks = bound{"networks such as 10.0.0.0/8", func(v any) bool {
	return !slices.ContainsFunc(v.([]string), func(s string) bool {
		_, err := netip.ParsePrefix(s)
		return err != nil
	})
}}

func number(low, high int) bound {
	return bound{fmt.Sprintf("%d to %d", low, high),
		func(v any) bool { return v.(int) >= low && v.(int) <= high }}
}

func lasting(low, high time.Duration) bound {
	return bound{fmt.Sprintf("%s to %s", brief(low), brief(high)),
		func(v any) bool { return v.(time.Duration) >= low && v.(time.Duration) <= high }}
}

func sized(low, high Bytes) bound {
	return bound{fmt.Sprintf("%s to %s", low, high),
		func(v any) bool { return v.(Bytes) >= low && v.(Bytes) <= high }}
}

func oneOf(words ...string) bound {
	return bound{strings.Join(words, ", "),
		func(v any) bool { return slices.Contains(words, v.(string)) }}
}

// brief writes a duration without its zeros: 1m, not 1m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// units are the sizes' names, largest first.
var units = [...]struct {
	name string
	size Bytes
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func parseBytes(s string) (Bytes, error) {
	unit := Bytes(1)
	for _, u := range units {
		if digits, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = strings.TrimSpace(digits), u.size
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("node: %q is no size", s)
	}
	return Bytes(n) * unit, nil
}

// splitAddress reads host:port and host:port+.
func splitAddress(s string) (host string, port int, rises bool, err error) {
	s, rises = strings.CutSuffix(s, "+")
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, false, fmt.Errorf("node: address %q: %w", s, err)
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return "", 0, false, fmt.Errorf("node: port of %q: %w", s, err)
	}
	return host, int(n), rises, nil
}

// isLoopback says whether only this machine reaches the host.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// isEverywhere says whether the host stands for all of a machine's addresses.
func isEverywhere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}
