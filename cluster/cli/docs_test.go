package cli

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// commanded finds commands in the pages for people, up to a remark behind them.
var commanded = regexp.MustCompile(`(?m)go run \./sample ([a-z][^\n` + "`" + `#]*)`)

func TestCommandsThatAreToldOfAreCommands(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, "../../README.md", "../../ARCHITECTURE.md", "../../CHANGELOG.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range commanded.FindAllStringSubmatch(string(text), -1) {
			line, _, _ := strings.Cut(m[1], "  ") // what it does
			args := doubled(strings.Fields(strings.TrimRight(line, " .,:;)")))
			tool := fakeTool()
			tool.out, tool.err = io.Discard, io.Discard
			c, rest, err := tool.root().Find(args)
			if err == nil {
				err = c.ParseFlags(rest)
			}
			if err != nil {
				t.Errorf("%s tells of %q, which is no command: %v", filepath.Base(page), line, err)
			}
			if found++; c == tool.root() || !c.HasParent() {
				t.Errorf("%s tells of %q, which is no verb", filepath.Base(page), line)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands found: the test does not look at the pages", found)
	}
}
