package determinism_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"
	"golang.org/x/tools/txtar"

	"github.com/fireflyrt/firefly/cluster/determinism"
)

// unpack writes the files of an archive in testdata below a directory of the test's own.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", archive))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range a.Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestEachFindingIsWhereItShouldBeAndNoOtherIs(t *testing.T) {
	t.Parallel()
	analysistest.Run(t, unpack(t, "game.txtar"), determinism.Analyzer, "./modules/...")
}
