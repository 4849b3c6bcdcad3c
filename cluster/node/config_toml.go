package node

import (
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A place is a line and a column in the file, both from 1. The zero place is that of what is not
// written there.
type place struct{ line, col int }

// An entry is one thing that the file says: a key with its value, or a table's header (form
// header).
type entry struct {
	path  []string
	at    place
	value value
}

// A form is how a value is written in the file.
type form uint8

const (
	formHeader form = iota // no value: [path]
	formText
	formNumber
	formList
	formTruth
	formOther // a fraction, a date: no key takes these
)

// A value is what stands behind a key.
type value struct {
	at   place
	form form
	text string // what text says; else as it is written
	list []value
}

// culprit is the first item of a list that is no text, else the value itself.
func (v value) culprit() value {
	for _, item := range v.list {
		if item.form != formText {
			return item
		}
	}
	return v
}

// maxSyntax bounds how many lines that are not TOML are reported.
const maxSyntax = 10

// scan takes a TOML text apart. A line that is not TOML is reported, blanked out and scanned past,
// unless the line before was one as well: then a bracket or quote is probably open, and what
// follows would be guesswork.
// Then whole is false.
func scan(text []byte) (entries []entry, problems []Problem, whole bool) {
	text = append([]byte(nil), text...)
	for last := -1; ; {
		var torn *Problem
		entries, torn = scanOnce(text)
		if torn == nil {
			return entries, problems, true
		}
		if torn.Line == last+1 || len(problems) == maxSyntax {
			return entries, problems, false
		}
		problems = append(problems, *torn)
		last = torn.Line
		blank(text, torn.Line)
	}
}

// blank overwrites one line with spaces, so that all places stay as they are.
func blank(text []byte, line int) {
	for i := range text {
		switch {
		case text[i] == '\n':
			line--
		case line == 1:
			text[i] = ' '
		}
	}
}

// scanOnce scans up to the first line that is not TOML.
func scanOnce(text []byte) ([]entry, *Problem) {
	var p unstable.Parser
	p.Reset(text)
	var entries []entry
	var table []string
	for p.NextExpression() {
		n := p.Expression()
		switch n.Kind {
		case unstable.Table, unstable.ArrayTable:
			path, at := keyPath(&p, n)
			table = path
			entries = append(entries, entry{path: path, at: at})
		case unstable.KeyValue:
			entries = appendPair(entries, &p, table, n)
		}
	}
	torn := (*unstable.ParserError)(nil)
	if !errors.As(p.Error(), &torn) {
		return entries, nil
	}
	at := p.Shape(p.Range(torn.Highlight)).Start
	return entries, &Problem{Line: at.Line, Col: at.Column,
		What: "not TOML: " + plain(torn.Message),
		Do:   `a line is a [table], a key = "text", key = 12, key = ["a", "b"], or a # comment`}
}

// plain takes the parser's prefix off its message.
func plain(message string) string { return strings.TrimPrefix(message, "toml: ") }

// appendPair adds a key with its value; an inline table adds all that is in it.
func appendPair(entries []entry, p *unstable.Parser, table []string, n *unstable.Node) []entry {
	path, at := keyPath(p, n)
	path = append(append([]string(nil), table...), path...)
	v := n.Value()
	if v.Kind != unstable.InlineTable {
		return append(entries, entry{path: path, at: at, value: readValue(p, v, at)})
	}
	entries = append(entries, entry{path: path, at: at})
	for children := v.Children(); children.Next(); {
		if children.Node().Kind == unstable.KeyValue {
			entries = appendPair(entries, p, path, children.Node())
		}
	}
	return entries
}

// keyPath returns the parts of a key or table's name, and where the first of them stands.
func keyPath(p *unstable.Parser, n *unstable.Node) ([]string, place) {
	var path []string
	var at place
	for parts := n.Key(); parts.Next(); {
		if len(path) == 0 {
			at = placeOf(p, parts.Node(), at)
		}
		path = append(path, string(parts.Node().Data))
	}
	return path, at
}

// readValue copies a value; one without a place of its own stands where its first element does, or
// its key.
func readValue(p *unstable.Parser, n *unstable.Node, key place) value {
	v := value{at: placeOf(p, n, key), form: formOther, text: string(n.Data)}
	switch n.Kind {
	case unstable.String:
		v.form = formText
	case unstable.Integer:
		v.form = formNumber
	case unstable.Bool:
		v.form = formTruth
	case unstable.Array:
		v.form = formList
		for items := n.Children(); items.Next(); {
			v.list = append(v.list, readValue(p, items.Node(), v.at))
		}
		if len(v.list) > 0 {
			v.at = v.list[0].at
		}
	}
	return v
}

// placeOf is where a node stands; the parser gives arrays no range.
func placeOf(p *unstable.Parser, n *unstable.Node, otherwise place) place {
	if n.Raw.Length == 0 {
		return otherwise
	}
	at := p.Shape(n.Raw).Start
	return place{at.Line, at.Column}
}
