package contract

import (
	"bytes"
	"slices"
)

// Check compares a lock file with a program; nothing is the right answer.
func Check(file []byte, program *Lock) []Difference {
	l, wrong := ParseLock(file)
	if len(wrong) > 0 {
		return wrong
	}
	if different := l.Compare(program); len(different) > 0 {
		return different
	}
	return differentText(file, l.after(program).Text())
}

// differentText finds where a file that says the right things is not what would be written.
func differentText(file, want []byte) []Difference {
	file = bytes.ReplaceAll(file, []byte("\r\n"), []byte("\n"))
	if bytes.Equal(file, want) {
		return nil
	}
	line := 1
	for i := range min(len(file), len(want)) {
		if file[i] != want[i] {
			break
		}
		if file[i] == '\n' {
			line++
		}
	}
	return []Difference{{Line: line, Grade: Fine, What: "this is not how it is written", Do: writeDown}}
}

// Renew is what a lock file, empty if there is none yet, is to be for a program: what is new in it, what has changed in
// a way that hurts nobody or under an accepted number, and the numbers of what is gone, as retired. If there is
// something that hurts and is not accepted, that is returned and nothing is to be written.
func Renew(file []byte, program *Lock, accepted ...uint32) (text []byte, against []Difference) {
	if len(file) == 0 {
		return program.Text(), nil
	}
	l, wrong := ParseLock(file)
	if len(wrong) > 0 {
		return nil, wrong
	}
	for _, d := range l.Compare(program) {
		if d.Grade == Never || d.Grade == Breaking && !slices.Contains(accepted, d.Number) {
			against = append(against, d)
		}
	}
	if len(against) > 0 {
		return nil, against
	}
	return l.after(program).Text(), nil
}

// after is the lock once the program is as it should be.
func (l *Lock) after(program *Lock) *Lock {
	next := &Lock{App: program.App}
	for _, e := range l.Entries {
		if program.entry(e.Number) == nil {
			next.Entries = append(next.Entries, Entry{Number: e.Number, Name: e.Name, Retired: true})
		}
	}
	next.Entries = append(next.Entries, program.Entries...)
	slices.SortFunc(next.Entries, func(a, b Entry) int { return int(int64(a.Number) - int64(b.Number)) })
	return next
}
