// Package determinism reads a game's source for whatever makes a behaviour more than a function of its envelopes: the
// process's time and luck, goroutines, channels, locks, files and sockets, variables that entities share, and the order
// of maps where it can be seen. Such a behaviour does otherwise on replay.
//
// It promises that what it looks for is found in every function that takes an actors.Context or an *actors.Props, in
// the function literals within, and in whatever these refer to in their own package and in packages that are checked
// with it; and that each finding says what to use instead. It does not see into other modules, through reflection, into
// methods that only another package calls, into functions in fields that somebody else sets, or what is written through
// a pointer. What it lets pass is not proven; what it finds may be excused:
//
//	//firefly:deterministic REASON
//
// on the line, or alone on the line above it.
package determinism

import (
	"go/token"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// Analyzer is the check as a pass of go/analysis, for drivers other than Check. A diagnostic's category is its Rule.
var Analyzer = &analysis.Analyzer{
	Name:      "determinism",
	Doc:       "find what makes a behaviour do otherwise on replay",
	URL:       "https://github.com/fireflyrt/firefly/blob/main/docs/determinism.md",
	Run:       func(p *analysis.Pass) (any, error) { look(p); return nil, nil },
	FactTypes: []analysis.Fact{(*leak)(nil)},
}

// A leak is known of a function that is no behaviour itself, for packages whose behaviours call it.
type leak struct {
	Rule    Rule
	Message string
}

// AFact marks a leak as a fact of go/analysis.
func (*leak) AFact() {}

func (l *leak) String() string { return string(l.Rule) + ": " + l.Message }

// look reports what it finds in a package, and returns how many functions of it are behaviour by what they take.
func look(p *analysis.Pass) int {
	if trusted(p) {
		return 0
	}
	g := newGraph(p)
	for _, u := range g.units {
		g.scan(u)
	}
	excuses := g.excuses()
	for _, u := range g.units {
		u.findings = excuses.excuse(u.findings)
	}
	behaviours := 0
	for _, u := range g.reach() {
		if u.root {
			behaviours++
		}
		for _, f := range u.findings {
			message := f.message
			if from := u.origin(); from != u {
				message += " (reached from " + from.name + ")"
			}
			p.Report(analysis.Diagnostic{Pos: f.pos, Category: string(f.rule), Message: message})
		}
	}
	for _, f := range excuses.wrong() {
		p.Report(analysis.Diagnostic{Pos: f.pos, Category: string(f.rule), Message: f.message})
	}
	g.export()
	return behaviours
}

// trusted says that a package is not looked at: the standard library's, which belongs to no module, those of other
// modules, and the runtime's own, which answers for itself.
func trusted(p *analysis.Pass) bool {
	if p.Module == nil || p.Module.Path == "" || p.Module.Version != "" {
		return true
	}
	inside, ours := strings.CutPrefix(p.Pkg.Path(), runtimePath+"/")
	return ours && !strings.HasPrefix(inside, "modules/") && !strings.HasPrefix(inside, "sample")
}

// short is a position for a message: the file's own name, and the line.
func short(p token.Position) string { return filepath.Base(p.Filename) + ":" + strconv.Itoa(p.Line) }
