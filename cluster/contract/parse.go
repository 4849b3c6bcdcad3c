package contract

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fireflyrt/firefly/actors/wire"
)

// What a lock file's lines are.
var (
	appLine     = regexp.MustCompile(`^app (.+)$`)
	retiredLine = regexp.MustCompile(`^(\d+) retired (\S+)$`)
	headLine    = regexp.MustCompile(`^(\d+) (in|out|internal)( public)?( proto)? (\S+)(?: -> (\d+|` + empty + `))?$`)
	fieldLine   = regexp.MustCompile(`^  ((?:"(?:[^"\\]|\\.)*"|[^ "])+) (.+?)( optional)?(?: #(-?\d+))?$`)
)

var directions = map[string]wire.Direction{"in": wire.DirIn, "out": wire.DirOut, "internal": wire.DirInternal}

// ParseLock reads a lock file. What it does not understand is returned, line by line.
func ParseLock(text []byte) (*Lock, []Difference) {
	l := &Lock{}
	var wrong []Difference
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimRight(line, "\r")
		if what := l.take(i+1, line); what != "" {
			wrong = append(wrong, Difference{Line: i + 1, Grade: Never, What: what,
				Do: "put it right by hand, or take the file as it was before; `gen lock` writes it"})
		}
	}
	if l.App == "" && len(wrong) == 0 {
		wrong = append(wrong, Difference{Grade: Never, What: "it does not say whose it is",
			Do: "take the file as it was before; `gen lock` writes it"})
	}
	slices.SortStableFunc(l.Entries, func(a, b Entry) int { return cmp.Compare(a.Number, b.Number) })
	return l, wrong
}

// take reads the next line; the result says what is wrong with it.
func (l *Lock) take(at int, line string) string {
	if line == "" || strings.HasPrefix(line, "#") {
		return ""
	}
	if m := appLine.FindStringSubmatch(line); m != nil && l.App == "" {
		l.App, l.line = m[1], at
		return ""
	}
	e := Entry{line: at}
	number := ""
	if m := retiredLine.FindStringSubmatch(line); m != nil {
		number, e.Retired, e.Name = m[1], true, m[2]
	} else if m := headLine.FindStringSubmatch(line); m != nil {
		number, e.Public, e.Proto, e.Name, e.Reply = m[1], m[3] != "", m[4] != "", m[5], m[6]
		e.Direction = directions[m[2]]
	} else {
		return l.takeField(at, line)
	}
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return fmt.Sprintf("%s is no number of a message", number)
	}
	e.Number = uint32(n)
	if other := l.entry(e.Number); other != nil {
		return fmt.Sprintf("%s stands here, and in line %d %s does: two have taken the same number", e, other.line,
			other)
	}
	l.Entries = append(l.Entries, e)
	return ""
}

// takeField adds a field to the entry above it.
func (l *Lock) takeField(at int, line string) string {
	m := fieldLine.FindStringSubmatch(line)
	if m == nil || len(l.Entries) == 0 {
		return fmt.Sprintf("%.60q is not understood", line)
	}
	f := Line{Path: m[1], Kind: m[2], Optional: m[3] != "", line: at}
	if m[4] != "" {
		n, err := strconv.ParseInt(m[4], 10, 32)
		if err != nil {
			return fmt.Sprintf("%s is no number of a field", m[4])
		}
		f.Number = int32(n)
	}
	e := &l.Entries[len(l.Entries)-1]
	if e.Retired || e.field(f.Path) != nil {
		return fmt.Sprintf("the field %s does not belong here", f.Path)
	}
	e.Lines = append(e.Lines, f)
	return ""
}

// entry finds a number; nil: the lock does not have it.
func (l *Lock) entry(number uint32) *Entry {
	for i := range l.Entries {
		if l.Entries[i].Number == number {
			return &l.Entries[i]
		}
	}
	return nil
}

// field finds a line by its path; nil: there is none.
func (e *Entry) field(path string) *Line {
	for i := range e.Lines {
		if e.Lines[i].Path == path {
			return &e.Lines[i]
		}
	}
	return nil
}
