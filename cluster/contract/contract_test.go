package contract

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the files of testdata anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it was; -update writes it anew. Now:\n%s", file, got)
	}
}

func every(t *testing.T) *Contract {
	t.Helper()
	c, _, err := everything()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryKindOfFieldIsWrittenInEveryLanguage(t *testing.T) {
	t.Parallel()
	c := every(t)
	l, err := c.Lock()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "every.lock", l.Text())
	golden(t, "every.ts", c.TypeScript(Module, "@fireflyrt/client"))
	golden(t, "every.js", c.TypeScript(JavaScript, "./firefly.js"))
	golden(t, "every.d.ts", c.TypeScript(Declarations, "./firefly.js"))
	golden(t, "every.cs", c.CSharp(""))
}
