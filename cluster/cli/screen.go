package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// A screen shows a live table on a terminal, where to play below it, and the last few events. It
// redraws in place, so that what stood on the terminal before stays.
type screen struct {
	file   *os.File
	drawn  int // lines that stand there from the last time
	rows   []Row
	play   string
	admin  string
	recent []string
}

// maxRecent is how many events stay in sight.
const maxRecent = 8

// newView is a screen for a terminal, else lines.
func newView(w io.Writer, json bool) View {
	if file, ok := w.(*os.File); ok && !json && term.IsTerminal(int(file.Fd())) {
		return &screen{file: file}
	}
	return lines{w, json}
}

func (s *screen) Event(e Event) {
	switch e.What {
	case "play":
		s.play = e.Text
	case "admin":
		s.admin = e.Text
	default:
		s.recent = append(s.recent, e.At.Format("15:04:05 ")+e.String())
		s.recent = s.recent[max(0, len(s.recent)-maxRecent):]
	}
	s.draw()
}

func (s *screen) Table(rows []Row) {
	s.rows = rows
	s.draw()
}

func (s *screen) draw() {
	width, height, err := term.GetSize(int(s.file.Fd()))
	if err != nil || width < 20 || height < 5 {
		width, height = 80, 24
	}
	all := tableLines(s.rows)
	if s.play != "" {
		all = append(all, "", "  "+bold(s.play)+"   Ctrl-C stops everything")
	}
	if s.admin != "" {
		all = append(all, "  "+s.admin)
	}
	if len(s.recent) > 0 {
		all = append(append(all, ""), s.recent...)
	}
	all = all[:min(len(all), height-1)] // what has scrolled away cannot be redrawn
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	b.WriteString("\r\x1b[J")
	for _, line := range all {
		b.WriteString(cut(line, width))
		b.WriteByte('\n')
	}
	s.drawn = len(all)
	fmt.Fprint(s.file, b.String())
}

func bold(s string) string { return "\x1b[1m" + s + "\x1b[0m" }

// cut shortens a line to the terminal's width: a wrapped line would be counted as one.
func cut(line string, width int) string {
	visible, escaped := 0, false
	for i, r := range line {
		switch {
		case r == '\x1b':
			escaped = true
		case escaped:
			escaped = r != 'm'
		case r == '\t' || r < ' ':
			return line[:i] + "\x1b[0m"
		default:
			if visible++; visible >= width {
				return line[:i] + "\x1b[0m"
			}
		}
	}
	return line
}
