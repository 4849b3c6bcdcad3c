package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxLog is the size in bytes from which on a node's log is put aside when the node starts; one
// earlier log is kept, as NODE.log.1.
const maxLog = 16 << 20

// openLog opens a node's log to append to.
func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("cli: making the log directory: %w", err)
	}
	if at, err := os.Stat(path); err == nil && at.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("cli: putting a long log aside: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cli: opening a log: %w", err)
	}
	return f, nil
}

// A follower reads what nodes append to their logs.
type follower struct {
	dir string
	at  map[string]int64 // how far each log has been read, by node
}

func newFollower(dir string) *follower { return &follower{dir: dir, at: map[string]int64{}} }

// A follower reads maxFollow bytes of a log at a time and shows maxWarnings lines of them: who
// wants more reads the log.
const (
	maxFollow   = 64 << 10
	maxWarnings = 4
)

// warnings returns the warnings and errors that were logged since the last call, and where somebody
// may log in to the admin page.
func (f *follower) warnings(children []*child) []Event {
	var events []Event
	for _, c := range children {
		if !c.followed {
			continue
		}
		found := 0
		for _, line := range f.read(c.Name) {
			if _, url, ok := strings.Cut(line, "login_once="); ok {
				events = append(events, Event{At: time.Now(), What: "admin", Node: c.Name,
					PID: c.running.PID, Text: "admin page, once: " + strings.Trim(tidy(url), `"`)})
			}
			if text, ok := warning(line); ok && found < maxWarnings {
				found++
				events = append(events, Event{At: time.Now(), What: "log", Node: c.Name,
					PID: c.running.PID, Text: text})
			}
		}
	}
	return events
}

// begin skips what stands in a node's log already.
func (f *follower) begin(name string) {
	if at, err := os.Stat(f.path(name)); err == nil {
		f.at[name] = at.Size()
	}
}

func (f *follower) path(name string) string { return filepath.Join(f.dir, name+".log") }

// read returns the whole lines that are new, the last maxFollow bytes of them.
func (f *follower) read(name string) []string {
	file, err := os.Open(f.path(name))
	if err != nil {
		return nil // not there yet
	}
	defer file.Close()
	at, err := file.Stat()
	if err != nil || at.Size() == f.at[name] {
		return nil
	}
	from := f.at[name]
	if at.Size() < from { // put aside meanwhile
		from = 0
	}
	from = max(from, at.Size()-maxFollow)
	text, err := readAt(file, from, at.Size())
	if err != nil {
		return nil
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	f.at[name] = from + int64(whole)
	return strings.Split(strings.TrimSuffix(string(text[:whole]), "\n"), "\n")
}

func readAt(file *os.File, from, to int64) ([]byte, error) {
	text := make([]byte, to-from)
	n, err := file.ReadAt(text, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cli: reading a log: %w", err)
	}
	return text[:n], nil
}

// last is the last line that a node wrote, shortened, or "".
func (f *follower) last(name string) string {
	file, err := os.Open(f.path(name))
	if err != nil {
		return ""
	}
	defer file.Close()
	at, err := file.Stat()
	if err != nil {
		return ""
	}
	text, err := readAt(file, max(0, at.Size()-maxFollow), at.Size())
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return tidy(line) // what follows is the stack
		}
	}
	return tidy(lines[len(lines)-1])
}

// warning says whether a line of slog's (text or JSON) or of a Go crash is one to show, and how.
func warning(line string) (string, bool) {
	for _, mark := range [...]string{"level=WARN", "level=ERROR",
		`"level":"WARN"`, `"level":"ERROR"`, "panic: ", "fatal error: "} {
		if strings.Contains(line, mark) {
			return tidy(line), true
		}
	}
	return "", false
}

// maxLine is how much of a logged line is shown.
const maxLine = 240

// tidy takes the time off a line of slog's, and what a terminal might obey.
func tidy(line string) string {
	if rest, ok := strings.CutPrefix(line, "time="); ok {
		if _, behind, ok := strings.Cut(rest, " "); ok {
			line = behind
		}
	}
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, line)
	if len(line) > maxLine {
		line = line[:maxLine] + "..."
	}
	return line
}
