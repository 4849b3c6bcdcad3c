package hotreload

import (
	"fmt"
	"path"
	"strings"
)

// MaxFaults bounds how many faults of one reading are kept; the rest is counted.
const MaxFaults = 50

// A Place is a position in a file: both numbers from 1, the column in characters.
type Place struct{ Line, Col int }

// A Fault is one thing wrong with one file, and what to do about it.
type Fault struct {
	File string
	Place
	What string
	Do   string // empty when What says it
}

// At is the place as editors and terminals understand it: file:line:col.
func (f Fault) At() string { return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Col) }

func (f Fault) String() string {
	if f.Do == "" {
		return f.At() + ": " + f.What
	}
	return f.At() + ": " + f.What + "; " + f.Do
}

// Faults is why a reading was refused: every fault of every file, in the order of the tables and
// then of the lines.
type Faults struct {
	List []Fault // at most MaxFaults
	More int     // how many were left off
}

// Error is one line for each fault.
func (f *Faults) Error() string {
	lines := make([]string, 0, len(f.List)+1)
	for _, one := range f.List {
		lines = append(lines, one.String())
	}
	if f.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", f.More))
	}
	return strings.Join(lines, "\n")
}

// add takes the faults of one file, which lies in dir.
func (f *Faults) add(dir, file string, faults []Fault) {
	for _, one := range faults {
		if len(f.List) == MaxFaults {
			f.More++
			continue
		}
		one.File = path.Join(dir, file)
		f.List = append(f.List, one)
	}
}

// orNil is the error, if there is one.
func (f *Faults) orNil() error {
	if len(f.List) == 0 {
		return nil
	}
	return f
}
