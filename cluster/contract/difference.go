package contract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A Grade says how bad a difference is.
type Grade uint8

// The grades.
const (
	Fine     Grade = iota + 1 // it hurts nobody, and is to be written down
	Breaking                  // it hurts whoever is out there, and is written down only when that is said to be meant
	Never                     // there is no way to mean it
)

// A Difference is one thing in which a program has left its lock: where in the file, what, and what to do about it.
type Difference struct {
	Line   int    // from 1; 0: it is about the file as a whole
	Number uint32 // the message's; 0: it is about none
	Grade  Grade
	What   string
	Do     string
}

const writeDown = "write it down: `gen lock`"

func accept(number uint32) string { return fmt.Sprintf("`gen lock --accept %d`", number) }

// Compare says in what a program has left the lock, in the order of the lock.
func (l *Lock) Compare(program *Lock) []Difference {
	if l.App != program.App {
		return []Difference{{Line: l.line, Grade: Never, Do: "name another file: --lock FILE",
			What: fmt.Sprintf("it is the lock of %s, and this is %s", l.App, program.App)}}
	}
	var all []Difference
	moved := map[uint32]bool{}
	for i := range l.Entries {
		was := &l.Entries[i]
		is := program.entry(was.Number)
		switch {
		case was.Retired && is != nil:
			all = append(all, l.reused(program, was, is))
		case was.Retired:
		case is == nil:
			to := l.elsewhere(program, was)
			if to != nil {
				moved[to.Number] = true
			}
			all = append(all, gone(was, to))
		case was.Name != is.Name:
			all = append(all, l.another(program, was, is))
		default:
			all = append(all, was.compare(is)...)
		}
	}
	for i := range program.Entries {
		if is := &program.Entries[i]; l.entry(is.Number) == nil && !moved[is.Number] {
			all = append(all, Difference{Line: l.place(is.Number), Number: is.Number, Grade: Fine,
				What: is.String() + " is new", Do: writeDown})
		}
	}
	slices.SortStableFunc(all, func(a, b Difference) int { return a.Line - b.Line })
	return all
}

// elsewhere finds an entry of the program that has the name of one that it lacks, under a number that is new.
func (l *Lock) elsewhere(program *Lock, was *Entry) *Entry {
	for i := range program.Entries {
		if is := &program.Entries[i]; is.Name == was.Name && l.entry(is.Number) == nil {
			return is
		}
	}
	return nil
}

// free is the next number that nothing has ever had.
func (l *Lock) free(program *Lock, after uint32) uint32 {
	for after++; l.entry(after) != nil || program.entry(after) != nil; after++ {
	}
	return after
}

// place is the line at which a number that the file lacks would stand.
func (l *Lock) place(number uint32) int {
	for _, e := range l.Entries {
		if e.Number > number {
			return e.line
		}
	}
	last := 0
	for _, e := range l.Entries {
		for last = max(last, e.line); len(e.Lines) > 0; e.Lines = e.Lines[1:] {
			last = max(last, e.Lines[0].line)
		}
	}
	return last + 1
}

func (l *Lock) reused(program *Lock, was, is *Entry) Difference {
	return Difference{Line: was.line, Number: was.Number, Grade: Never,
		What: fmt.Sprintf("%d is retired, it was %s, and %s has it now", was.Number, was.Name, is.Name),
		Do:   fmt.Sprintf("no number is used twice: give %s another, %d is free", is.Name, l.free(program, was.Number))}
}

func gone(was, to *Entry) Difference {
	d := Difference{Line: was.line, Number: was.Number, Grade: Breaking}
	if to != nil {
		d.What = fmt.Sprintf("%s has the number %d now, and is known as %d", was.Name, to.Number, was.Number)
		d.Do = fmt.Sprintf("give it %d back, or, if nobody out there has it, retire that: %s", was.Number,
			accept(was.Number))
		return d
	}
	d.What = was.String() + " is gone"
	d.Do = "bring it back, or, if nobody out there has it, retire its number for ever: " + accept(was.Number)
	return d
}

// another is a number that means another message now.
func (l *Lock) another(program *Lock, was, is *Entry) Difference {
	d := Difference{Line: was.line, Number: was.Number, Grade: Breaking,
		What: fmt.Sprintf("%d was %s and is %s now", was.Number, was.Name, is.Name)}
	for i := range program.Entries {
		if e := &program.Entries[i]; e.Name == was.Name {
			d.What += fmt.Sprintf(", and %s has %d", e.Name, e.Number)
		}
	}
	d.Do = fmt.Sprintf("a number is for ever: give %s one of its own, %d is free; or, if it is %s under another name, "+
		"say so: %s", is.Name, l.free(program, was.Number), was.Name, accept(was.Number))
	return d
}

// compare says what of a message is different.
func (e *Entry) compare(is *Entry) []Difference {
	var all []Difference
	breaks := func(line int, do, format string, args ...any) {
		all = append(all, Difference{Line: line, Number: e.Number, Grade: Breaking,
			What: fmt.Sprintf("%s %s", e, fmt.Sprintf(format, args...)),
			Do:   fmt.Sprintf("%s, or, if nobody out there minds, say so: %s", do, accept(e.Number))})
	}
	var fine []string
	switch {
	case e.Direction != is.Direction:
		breaks(e.line, "give what it is now another number", "was %s and is %s now", e.Direction, is.Direction)
	case e.Proto != is.Proto:
		breaks(e.line, "give what it is now another number", "was %s and is %s now", form(e.Proto), form(is.Proto))
	case e.Public && !is.Public:
		breaks(e.line, "let it be Public again", "was served before login and is not now")
	case is.Public && !e.Public:
		fine = append(fine, "it is public")
	}
	if e.Reply != is.Reply {
		if e.Reply == "" {
			fine = append(fine, "it is answered")
		} else {
			breaks(e.line, "give the other answer to another request", "was answered by %s and is %s now", e.Reply,
				answered(is.Reply))
		}
	}
	fine = append(fine, e.compareLines(is, breaks)...)
	if len(all) == 0 && len(fine) > 0 {
		all = append(all, Difference{Line: e.line, Number: e.Number, Grade: Fine, Do: writeDown,
			What: fmt.Sprintf("%s has changed in a way that hurts nobody: %s", e, strings.Join(fine, ", "))})
	}
	return all
}

func form(proto bool) string {
	if proto {
		return "a protobuf message"
	}
	return "a plain struct"
}

func answered(reply string) string {
	if reply == "" {
		return "not handled"
	}
	return "answered by " + reply
}

// compareLines says what of the fields is different, and returns what is so in a way that hurts nobody. Of what is gone
// or another, what stands within is not told.
func (e *Entry) compareLines(is *Entry, breaks func(line int, do, format string, args ...any)) (fine []string) {
	told := ""
	for _, was := range e.Lines {
		if told != "" && within(was.Path, told) {
			continue
		}
		now := is.field(was.Path)
		if now == nil {
			told = was.Path
			breaks(was.line, "bring it back", "has lost the %s%s", was.name(), is.renamed(e, was))
			continue
		}
		if what, do := was.hurts(e.Direction, now); what != "" {
			told = was.Path
			breaks(was.line, do, "has changed the %s: %s", was.name(), what)
			continue
		}
		if *now != (Line{was.Path, was.Kind, was.Optional, was.Number, now.line}) {
			fine = append(fine, fmt.Sprintf("%s is %s", was.Path, strings.TrimPrefix(now.String(), was.Path+" ")))
		}
	}
	for _, now := range is.Lines {
		if e.field(now.Path) == nil {
			fine = append(fine, now.Path+" is new")
		}
	}
	return fine
}

// within reports whether a path leads on from another.
func within(path, from string) bool {
	return strings.HasPrefix(path, from+".") || strings.HasPrefix(path, from+"=")
}

func (f Line) name() string {
	if f.Kind == "value" {
		return "value " + f.Path
	}
	return "field " + f.Path
}

// renamed guesses which new field is the one that was lost: one beside it of its kind, or with its number.
func (e *Entry) renamed(was *Entry, lost Line) string {
	for _, f := range e.Lines {
		if was.field(f.Path) != nil || beside(f.Path) != beside(lost.Path) || f.Number != lost.Number {
			continue
		}
		if f.Number != 0 || f.Kind == lost.Kind {
			return fmt.Sprintf(" (is it %s now?)", f.Path)
		}
	}
	return ""
}

// beside is where a path stands in.
func beside(path string) string { return path[:strings.LastIndexAny(path, ".=")+1] }

// hurts says what of a field is different in a way that hurts, and what to do about it.
func (f Line) hurts(d wire.Direction, now *Line) (what, do string) {
	switch {
	case f.Number != now.Number:
		return fmt.Sprintf("its number in protobuf was %d and is %d", f.Number, now.Number), "give it its number back"
	case !fits(d, f.Kind, now.Kind):
		return fmt.Sprintf("it was %s and is %s", f.Kind, now.Kind), "keep its kind and add another field"
	case d != wire.DirOut:
		return "", ""
	case now.Optional && !f.Optional:
		return "it may be missing", "let it always be there"
	case nilable(now.Kind) && !now.Optional && (f.Optional || !nilable(f.Kind)):
		return "it may be null", "let it never be nil"
	}
	return "", ""
}
