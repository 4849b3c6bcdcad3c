package prompt

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// An editor reads lines from a terminal, with history and completion, and keeps what is shown meanwhile above them.
type editor struct {
	*term.Terminal
	file  *os.File
	state *term.State
}

// newEditor is nil if the input and output are not both terminals.
func newEditor(in io.Reader, out io.Writer, c completer) (*editor, error) {
	keys, ok := in.(*os.File)
	screen, shown := out.(*os.File)
	if !ok || !shown || !term.IsTerminal(int(keys.Fd())) || !term.IsTerminal(int(screen.Fd())) {
		return nil, nil
	}
	state, err := term.MakeRaw(int(keys.Fd()))
	if err != nil {
		return nil, fmt.Errorf("prompt: taking the terminal: %w", err)
	}
	both := struct {
		io.Reader
		io.Writer
	}{keys, screen}
	e := &editor{term.NewTerminal(both, "> "), keys, state}
	e.AutoCompleteCallback = func(text string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		line, at, could := c.complete(text, pos)
		if len(could) > 0 {
			fmt.Fprintln(e, strings.Join(could, "  "))
		}
		return line, at, true
	}
	e.fit()
	return e, nil
}

// fit takes the terminal's size over, which may have changed. Until somebody tells it, a terminal may say 0.
func (e *editor) fit() {
	if width, height, err := term.GetSize(int(e.file.Fd())); err == nil && width > 0 {
		e.SetSize(width, height) //nolint:errcheck // it is drawn anew with the next line
	}
}

// line reads one; io.EOF after Ctrl-D or Ctrl-C.
func (e *editor) line() (string, error) {
	e.fit()
	text, err := e.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return text, err
}

// close gives the terminal back.
func (e *editor) close() {
	term.Restore(int(e.file.Fd()), e.state) //nolint:errcheck // there is nobody to tell
	fmt.Fprintln(e.file)
}
