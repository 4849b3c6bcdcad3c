package hotreload

import (
	"strconv"
	"strings"
)

// A value is what a file says at a place, before it is known what the row wants there. All formats
// read into it, so that one binder speaks about all of them in the same words.
type value struct {
	at     Place
	sort   sortOf
	text   string  // cell, text, number, boolean
	list   []value // list
	fields []named // record, in the order of the file
	whole  bool    // record: the columns were held against the header already
}

// A named value is one field of a record.
type named struct {
	name string
	at   Place
	value
}

type sortOf uint8

const (
	cell    sortOf = iota // of a CSV file: becomes whatever the field wants
	text                  // in quotes
	number                // as written
	boolean               // true or false
	list
	record
	null
)

// said names the value in a fault.
func (v value) said() string {
	switch v.sort {
	case cell, text:
		return quoted(v.text)
	case list:
		return "a list"
	case record:
		return "a record"
	case null:
		return "null"
	default:
		return v.text
	}
}

// quoted keeps a fault on one line, however long the cell.
func quoted(s string) string {
	const most = 40
	if short := []rune(s); len(short) > most {
		s = string(short[:most]) + "..."
	}
	return strconv.Quote(strings.ToValidUTF8(s, "?"))
}
