package determinism

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/packages"
)

// A Finding is one place in the source.
type Finding struct {
	File    string `json:"file"` // from the directory that was checked from, if it is below
	Line    int    `json:"line"`
	Column  int    `json:"column"` // in bytes, from 1
	Rule    Rule   `json:"rule"`
	Message string `json:"message"` // what it is and what to use instead
}

// String is the finding on one line, as compilers have it.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}

// A Report is what a check has found, in order of files and lines, and how much it has looked at.
type Report struct {
	Packages   int       `json:"packages"`
	Behaviours int       `json:"behaviours"` // functions that are behaviour by what they take
	Findings   []Finding `json:"findings"`
}

const errorsMost = 10 // of the compiler, that an error lists

// Check looks at the packages that the patterns name, as the go command takes them from the directory; all of the
// module's if there are none. It needs the go command, the source, code that compiles, and a behaviour in it; the error
// says which is missing.
func Check(ctx context.Context, dir string, patterns ...string) (*Report, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, errors.New("determinism: this reads the game's source with the go command, and there is none in " +
			"PATH: run it where the game is built")
	}
	module, err := moduleOf(dir)
	if err != nil {
		return nil, err
	}
	from, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("determinism: looking for %s: %w", dir, err)
	}
	if len(patterns) == 0 {
		dir, patterns = module, []string{"./..."}
	}
	all, err := packages.Load(&packages.Config{Context: ctx, Dir: dir, Mode: packages.LoadSyntax | packages.NeedModule},
		patterns...)
	if err != nil {
		return nil, fmt.Errorf("determinism: loading %s: %w", strings.Join(patterns, " "), err)
	}
	if err := broken(all); err != nil {
		return nil, fmt.Errorf("determinism: loading %s: %w", strings.Join(patterns, " "), err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("determinism: %s matches no packages", strings.Join(patterns, " "))
	}
	d := &driver{from: from, known: map[string]*leak{}, report: &Report{Findings: []Finding{}}}
	packages.Visit(all, nil, func(p *packages.Package) { // those that are imported come first
		if slices.Contains(all, p) {
			d.pass(p)
		}
	})
	slices.SortFunc(d.report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Message, b.Message))
	})
	d.report.Findings = slices.Compact(d.report.Findings)
	if d.report.Behaviours == 0 {
		return nil, fmt.Errorf("determinism: nothing in %s takes an actors.Context: there is no behaviour to look at",
			strings.Join(patterns, " "))
	}
	return d.report, nil
}

// moduleOf finds the directory with the go.mod, from a directory upwards.
func moduleOf(dir string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("determinism: looking for go.mod from %s: %w", dir, err)
	}
	for above := at; ; above = filepath.Dir(above) {
		if _, err := os.Stat(filepath.Join(above, "go.mod")); err == nil {
			return above, nil
		}
		if above == filepath.Dir(above) {
			return "", fmt.Errorf("determinism: no go.mod in %s or above: run it in the game's source", at)
		}
	}
}

// broken lists what keeps packages from being read, errors in their imports included.
func broken(all []*packages.Package) error {
	var errs []error
	packages.Visit(all, nil, func(p *packages.Package) {
		for _, err := range p.Errors {
			errs = append(errs, err)
		}
	})
	if more := len(errs) - errorsMost; more > 0 {
		errs = append(errs[:errorsMost], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}

// A driver runs the pass over packages that were loaded, and carries what is known from one to the next.
type driver struct {
	from   string
	known  map[string]*leak // by the function's full name
	report *Report
}

func (d *driver) pass(p *packages.Package) {
	pass := &analysis.Pass{
		Analyzer: Analyzer, Fset: p.Fset, Files: p.Syntax, Pkg: p.Types, TypesInfo: p.TypesInfo,
		TypesSizes: p.TypesSizes, Module: &analysis.Module{},
		Report: func(f analysis.Diagnostic) {
			at := p.Fset.Position(f.Pos)
			d.report.Findings = append(d.report.Findings, Finding{File: d.path(at.Filename), Line: at.Line,
				Column: at.Column, Rule: Rule(f.Category), Message: f.Message})
		},
		ExportObjectFact: func(o types.Object, f analysis.Fact) {
			d.known[o.(*types.Func).FullName()] = f.(*leak)
		},
		ImportObjectFact: func(o types.Object, f analysis.Fact) bool {
			l := d.known[o.(*types.Func).FullName()]
			if l != nil {
				*f.(*leak) = *l
			}
			return l != nil
		},
	}
	if p.Module != nil {
		pass.Module = &analysis.Module{Path: p.Module.Path, Version: p.Module.Version}
	}
	if n := look(pass); n > 0 {
		d.report.Packages++
		d.report.Behaviours += n
	}
}

// path is a file as seen from where the check began.
func (d *driver) path(file string) string {
	if short, err := filepath.Rel(d.from, file); err == nil && filepath.IsLocal(short) {
		return filepath.ToSlash(short)
	}
	return file
}
