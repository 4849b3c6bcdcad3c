package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/cluster/original"
)

// errUnchecked means that a configuration was written that this game cannot run as it is.
var errUnchecked = errors.New("cli: it is written, but check refuses it; see above")

func (t *tool) importCommand(config *string) *cobra.Command {
	var json bool
	c := &cobra.Command{
		Use:   "import CONFIG.JSON",
		Short: "Make runtime.toml, or --config, of an original Firefly's configuration, and say what is left out",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return t.importOriginal(args[0], *config, json)
		},
	}
	c.Flags().BoolVar(&json, "json", false, "as one JSON object")
	return c
}

// An importReport is what import did, for --json.
type importReport struct {
	File  string          `json:"file"`
	Nodes []string        `json:"nodes"`
	Notes []original.Note `json:"notes"`              // what is not carried over, or otherwise
	Wrong node.Problems   `json:"problems,omitempty"` // what check says of the result
}

// importOriginal writes the configuration that another one says in the original's words.
func (t *tool) importOriginal(from, to string, json bool) error {
	text, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return misuse{fmt.Errorf("there is no %s", from)}
	}
	if err != nil {
		return fmt.Errorf("cli: reading the original: %w", err)
	}
	done, err := original.Import(filepath.Base(from), text)
	if fault := (*original.Fault)(nil); errors.As(err, &fault) {
		problems := node.Problems{{File: fault.File, Line: fault.Line, Col: fault.Col, What: fault.What,
			Do: `it should be the original's config.json, with {"servers": {...}}`}}
		if json {
			writeJSON(t.out, map[string]any{"problems": problems})
			return misuse{errors.New("1 problem")}
		}
		return problems
	}
	if err != nil {
		return err
	}
	if there(to) {
		return misuse{fmt.Errorf("there is a %s already, and it is not written over; name another: --config FILE", to)}
	}
	if err := writeNew(to, done.Runtime); err != nil {
		return err
	}
	report := importReport{File: to, Nodes: done.Nodes, Notes: done.Notes}
	if _, err = node.Load(to, t.kinds); err != nil && !errors.As(err, &report.Wrong) {
		return err
	}
	t.tellImport(report, json)
	if len(report.Wrong) > 0 {
		return errUnchecked
	}
	return nil
}

func (t *tool) tellImport(r importReport, json bool) {
	if json {
		writeJSON(t.out, r)
		return
	}
	for _, n := range r.Notes {
		fmt.Fprintln(t.out, n)
	}
	for _, p := range r.Wrong {
		fmt.Fprintln(t.out, p)
	}
	fmt.Fprintf(t.out, "%s is written: %d nodes; %d remarks above say what it does not say, or says otherwise\n",
		r.File, len(r.Nodes), len(r.Notes))
}
