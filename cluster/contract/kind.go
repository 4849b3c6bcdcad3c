package contract

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file says which kinds, as a lock writes them, may take each other's place.

// outer finds what stands around a kind: a list, an array or a map, and of pointers the star.
var outer = regexp.MustCompile(`^\*|^\[\d*\]|^map\[\w+\]`)

// nilable reports whether null may stand for what always stands.
func nilable(kind string) bool {
	return strings.HasPrefix(kind, "*") || strings.HasPrefix(kind, "[]") || strings.HasPrefix(kind, "map[") ||
		kind == string(Bytes) || kind == string(Any)
}

// fits reports whether a field that was of one kind may be of the other. A pointer at the front is about being null and
// not looked at; one within is, in what clients read. What clients send may be of a wider kind.
func fits(d wire.Direction, was, is string) bool {
	was, is = strings.TrimPrefix(was, "*"), strings.TrimPrefix(is, "*")
	for {
		around := outer.FindString(is)
		if d != wire.DirOut && around == "*" {
			is = is[1:]
			continue
		}
		switch {
		case outer.FindString(was) == "*" && around != "*":
			was = was[1:] // it cannot be null any more
		case around == "" || outer.FindString(was) != around:
			return was == is || d == wire.DirIn && wider(was, is)
		default:
			was, is = was[len(around):], is[len(around):]
		}
	}
}

// wider reports whether each value of one kind is one of the other, too.
func wider(was, is string) bool {
	if was == string(Float32) && is == string(Float64) {
		return true
	}
	from, signed, ok := bits(was)
	to, toSigned, ok2 := bits(is)
	return ok && ok2 && from < to && (toSigned || !signed)
}

// bits are those of an integer.
func bits(kind string) (n int, signed, ok bool) {
	digits, unsigned := strings.CutPrefix(kind, "uint")
	if !unsigned {
		if digits, ok = strings.CutPrefix(kind, "int"); !ok {
			return 0, false, false
		}
	}
	n, err := strconv.Atoi(digits)
	return n, !unsigned, err == nil
}
