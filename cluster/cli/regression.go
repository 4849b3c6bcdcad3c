package cli

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"github.com/fireflyrt/firefly/record"
)

// writeTest makes a regression test of a recording: a copy of it below testdata of the game's package, and beside it a
// Go test that plays it.
func (t *tool) writeTest(r *record.Recording, file string, o replaying) error {
	dir := o.into
	if dir == "" {
		dir = mainPackage()
	}
	name, err := packageName(dir)
	if err != nil {
		return misuse{err}
	}
	stem := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	copied := filepath.Join(dir, "testdata", stem+".rec")
	test := filepath.Join(dir, fileName(stem)+"_rec_test.go")
	if _, err := os.Stat(test); err == nil {
		return misuse{fmt.Errorf("%s is there already; rename the recording, or delete it", test)}
	}
	if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
		return fmt.Errorf("cli: making a place for the recording: %w", err)
	}
	if err := r.Write(copied); err != nil {
		return err
	}
	if err := os.WriteFile(test, []byte(t.testText(name, stem, r, o)), 0o644); err != nil {
		return fmt.Errorf("cli: writing the test: %w", err)
	}
	fmt.Fprintf(t.out, "wrote %s and %s; run it: go test ./%s -run TestReplayOf%s\n", copied, test,
		filepath.ToSlash(dir), camel(stem))
	return nil
}

func (t *tool) testText(pkg, stem string, r *record.Recording, o replaying) string {
	var who []string
	for _, a := range r.Actors() {
		who = append(who, a.Ref.String())
	}
	at := time.Unix(0, r.Header.At).UTC().Format(time.RFC3339)
	return fmt.Sprintf(`package %s

import (
	"testing"

	"github.com/fireflyrt/firefly/cluster/replay"
)

// Recorded on %s at %s: %d steps of %s. It fails while a behaviour does other things than it did
// then, and while a step still panics. To say what should be so instead, look at the state that it leaves:
// replay.StateOf[T](p, ref, "cell").
func TestReplayOf%s(t *testing.T) {
	replay.File(t, %s, "testdata/%s.rec")
}
`, pkg, r.Header.Node, at, r.Steps(), strings.Join(who, ", "), camel(stem), o.app, stem)
}

// mainPackage is the folder of the program's main package, as seen from the module's root.
func mainPackage() string {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "."
	}
	rest, inside := strings.CutPrefix(b.Path, b.Main.Path+"/")
	if !inside {
		return "."
	}
	return filepath.FromSlash(rest)
}

// packageName reads which package a folder holds.
func packageName(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("there is no Go package in %s; go to the module's root, or name it: --into FOLDER", dir)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly)
		if err == nil && !strings.HasSuffix(f.Name.Name, "_test") {
			return f.Name.Name, nil
		}
	}
	return "", fmt.Errorf("no file in %s says which package it is", dir)
}

// camel is a file's name as a part of a Go name.
func camel(stem string) string {
	var b strings.Builder
	up := true
	for _, r := range stem {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			up = true
		case up:
			b.WriteRune(unicode.ToUpper(r))
			up = false
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// fileName is a stem in which nothing but letters, digits and underscores remain.
func fileName(stem string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return '_'
	}, stem)
}
