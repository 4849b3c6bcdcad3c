package hotreload

import (
	"bytes"
	"sort"
	"strconv"
	"unicode/utf8"
)

// A paper is a file while it is read: its bytes, and what was found wrong so far.
type paper struct {
	content []byte
	faults  []Fault
	starts  []int // where each line begins; made when the first place is asked for
}

var byteOrderMark = []byte("\xef\xbb\xbf") // what spreadsheets put before UTF-8

// unreadable finds what makes looking for rows pointless, and takes a byte order mark off.
func (p *paper) unreadable() bool {
	p.content = bytes.TrimPrefix(p.content, byteOrderMark)
	if len(bytes.TrimSpace(p.content)) == 0 {
		p.fault(Place{1, 1}, "the file is empty", "save it again")
		return true
	}
	if utf8.Valid(p.content) {
		return false
	}
	bad := 0
	for {
		r, size := utf8.DecodeRune(p.content[bad:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		bad += size
	}
	p.fault(p.place(bad), "byte 0x"+strconv.FormatUint(uint64(p.content[bad]), 16)+" is not UTF-8",
		"save the file as UTF-8")
	return true
}

func (p *paper) fault(at Place, what, do string) {
	p.faults = append(p.faults, Fault{Place: at, What: what, Do: do})
}

// place turns an offset into line and column.
func (p *paper) place(offset int) Place {
	p.rule()
	offset = min(max(offset, 0), len(p.content))
	line := sort.SearchInts(p.starts, offset+1)
	return Place{line, 1 + utf8.RuneCount(p.content[p.starts[line-1]:offset])}
}

// placeOf is the place of a column given in bytes, from 1; never beyond the end of its line.
func (p *paper) placeOf(line, col int) Place {
	p.rule()
	line = min(max(line, 1), len(p.starts))
	offset := p.starts[line-1] + col - 1
	if line < len(p.starts) {
		offset = min(offset, p.starts[line]-1)
	}
	return p.place(offset)
}

// rule finds the lines, once.
func (p *paper) rule() {
	if p.starts != nil {
		return
	}
	p.starts = []int{0}
	for i, b := range p.content {
		if b == '\n' {
			p.starts = append(p.starts, i+1)
		}
	}
}
