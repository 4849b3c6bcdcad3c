package contract

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fireflyrt/firefly/actors/wire"
)

// fieldsMost bounds the fields of one message, those of its parts among them, each at each place that it stands at.
const fieldsMost = 4096

// A Lock is a contract as it was agreed on, in lines that a file keeps: each message with its fields, and the numbers
// of those that are gone.
type Lock struct {
	App     string
	Entries []Entry // by number
	line    int     // in the file, at which it says whose it is
}

// An Entry is one number.
type Entry struct {
	Number    uint32
	Name      string
	Retired   bool // nothing has it any more, and nothing ever will
	Direction wire.Direction
	Public    bool
	Proto     bool
	Reply     string // In: the number of what answers it, or empty; "": nobody handles it
	Lines     []Line // by path
	line      int    // in the file, from 1; 0: it stands in none
}

// empty is the Reply of a request that is answered without a body.
const empty = "empty"

// A Line is one field, or one value of a protobuf enum.
type Line struct {
	Path     string // of names in JSON, with dots between; "." is the body itself, kind=RED a value of the enum kind
	Kind     string // as Go has it: []object, map[string]int64, *string; =a.b: what a.b is, which it stands in
	Optional bool   // it may be missing
	Number   int32  // protobuf's, or the value's
	line     int
}

func (e Entry) String() string { return fmt.Sprintf("%d %s", e.Number, e.Name) }

// Lock is the contract in lines. It is an error if a message has more than 4,096 fields.
func (c *Contract) Lock() (*Lock, error) {
	l := &Lock{App: c.App}
	for _, m := range c.Messages {
		e := Entry{Number: m.Number, Name: m.plain, Direction: m.Direction, Public: m.Public, Proto: m.Proto}
		switch {
		case m.Reply != nil:
			e.Reply = strconv.FormatUint(uint64(m.Reply.Number), 10)
		case m.Handled:
			e.Reply = empty
		}
		w := walker{above: map[*Shape]string{}}
		if m.Is != nil {
			w.lines = []Line{{Path: ".", Kind: m.Is.locked("")}}
		} else {
			w.shape("", m.Shape)
		}
		if len(w.lines) > fieldsMost {
			return nil, fmt.Errorf("contract: %s has more than %d fields, those of its parts counted: make it smaller",
				e, fieldsMost)
		}
		slices.SortFunc(w.lines, func(a, b Line) int { return strings.Compare(a.Path, b.Path) })
		e.Lines = w.lines
		l.Entries = append(l.Entries, e)
	}
	return l, nil
}

// A walker goes through a body, to its ends.
type walker struct {
	lines []Line
	above map[*Shape]string // where it is in
}

func (w *walker) shape(path string, s *Shape) {
	if w.above[s] = path; path == "" {
		w.above[s] = "."
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		at := segment(f.Name)
		if path != "" {
			at = path + "." + at
		}
		w.field(at, f)
		if len(w.lines) > fieldsMost {
			break
		}
	}
	delete(w.above, s)
}

func (w *walker) field(at string, f *Field) {
	held := f.Type.holds()
	again, inside := w.above[held]
	w.lines = append(w.lines, Line{Path: at, Kind: f.Type.locked(again), Optional: f.Optional, Number: f.Number})
	if held != nil && !inside {
		w.shape(at, held)
	}
	for t := &f.Type; t != nil; t = t.Elem {
		for _, v := range t.Values {
			w.lines = append(w.lines, Line{Path: at + "=" + v.Name, Kind: "value", Number: v.Number})
		}
	}
}

// locked is the type as a lock has it; above is where its object stands, if it stands in itself.
func (t *Type) locked(above string) string {
	star := ""
	if t.Null && !slices.Contains([]Kind{List, Map, Bytes, Any}, t.Kind) {
		star = "*"
	}
	switch {
	case t.Proto != "":
		return star + t.Proto
	case t.Kind == List && t.Len > 0:
		return fmt.Sprintf("[%d]%s", t.Len, t.Elem.locked(above))
	case t.Kind == List:
		return "[]" + t.Elem.locked(above)
	case t.Kind == Map:
		return fmt.Sprintf("map[%s]%s", t.Key, t.Elem.locked(above))
	case t.Quoted:
		return fmt.Sprintf("%sstring(%s)", star, t.Kind)
	case t.Kind == Object && above != "":
		return star + "=" + above
	}
	return star + string(t.Kind)
}

// segment is one name of a path, in quotes if it has what a path has a use for.
func segment(name string) string {
	if plainSegment.MatchString(name) {
		return name
	}
	return strconv.Quote(name)
}

var plainSegment = regexp.MustCompile(`^[\pL\pN_$-]+$`)

// preface explains the file to whoever meets it in a review.
const preface = `# Which number is which message of %[1]s, and what it looks like to clients: a number is for ever.
# Written by 'gen lock', compared with the program by 'check'; keep it with the source. Do not edit it.
app %[1]s
`

// Text is the lock as its file has it.
func (l *Lock) Text() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, preface, l.App)
	for _, e := range l.Entries {
		fmt.Fprintf(&b, "\n%s\n", e.head())
		for _, f := range e.Lines {
			fmt.Fprintf(&b, "  %s\n", f)
		}
	}
	return []byte(b.String())
}

// head is the entry's own line.
func (e Entry) head() string {
	if e.Retired {
		return fmt.Sprintf("%d retired %s", e.Number, e.Name)
	}
	head := fmt.Sprintf("%d %s", e.Number, e.Direction)
	if e.Public {
		head += " public"
	}
	if e.Proto {
		head += " proto"
	}
	head += " " + e.Name
	if e.Reply != "" {
		head += " -> " + e.Reply
	}
	return head
}

func (f Line) String() string {
	text := f.Path + " " + f.Kind
	if f.Optional {
		text += " optional"
	}
	if f.Number != 0 || f.Kind == "value" {
		text += " #" + strconv.Itoa(int(f.Number))
	}
	return text
}
