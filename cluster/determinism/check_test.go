package determinism_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/cluster/determinism"
)

func TestACheckCarriesWhatItKnowsFromPackageToPackage(t *testing.T) {
	t.Parallel()
	dir := unpack(t, "game.txtar")
	r, err := determinism.Check(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(r.Findings, func(f determinism.Finding) bool {
		return strings.HasPrefix(f.Message, "dice.Twice leads to dice.go:10: rand.IntN ")
	})
	if r.Packages != 2 || r.Behaviours < 10 || i < 0 {
		t.Fatalf("%d behaviours in %d packages, %d findings; that of dice.Twice is number %d", r.Behaviours,
			r.Packages, len(r.Findings), i)
	}
	f := r.Findings[i]
	if !strings.HasPrefix(f.String(), "modules/game/process.go:") || f.Rule != determinism.Luck || f.Column != 11 {
		t.Errorf("%+v", f)
	}
	if !slices.IsSortedFunc(r.Findings, func(a, b determinism.Finding) int { return strings.Compare(a.File, b.File) }) {
		t.Errorf("in no order: %v", r.Findings)
	}
	for _, patterns := range [][]string{nil, {"."}} {
		r, err := determinism.Check(t.Context(), filepath.Join(dir, "modules", "game"), patterns...)
		if err != nil {
			t.Fatal(err)
		}
		files := map[bool]int{}
		for _, f := range r.Findings {
			files[filepath.IsAbs(f.File)]++
		}
		if above := map[bool]int{true: 1, false: 0}[patterns == nil]; files[true] != above || files[false] < 10 {
			t.Errorf("from the package's own directory, %d files are said in full, and %d are not", files[true],
				files[false])
		}
	}
}

func TestWhatCannotBeCheckedIsSaid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, source, pattern, want string }{
		{"no module", "", "", "no go.mod in /"},
		{"no such package", "package game", "./elsewhere/...", "pattern ./elsewhere/...: "},
		{"nothing in a package", "package game", "std/none...", "std/none... matches no packages"},
		{"no behaviour", "package game", "", "nothing in ./... takes an actors.Context"},
		{"a wrong type", "package game\n\nvar n int = \"one\"", "", "game.go:3:13: cannot use"},
		{"no syntax", "package game\n\nfunc {", "", "game.go:3:6: "},
		{"nothing to import", "package game\n\nimport _ \"example.com/none\"", "", "example.com/none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if c.source != "" {
				write(t, dir, "go.mod", "module game\n\ngo 1.26\n")
				write(t, dir, "game.go", c.source+"\n")
			}
			var patterns []string
			if c.pattern != "" {
				patterns = append(patterns, c.pattern)
			}
			r, err := determinism.Check(t.Context(), dir, patterns...)
			if err == nil || !strings.Contains(err.Error(), c.want) ||
				!strings.HasPrefix(err.Error(), "determinism: ") {
				t.Errorf("%v, %+v; want an error with %q", err, r, c.want)
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
