package determinism

import (
	"cmp"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

const excuseMark = "//firefly:deterministic"

// An excuse is a comment that lets the findings of one line pass.
type excuse struct {
	pos    token.Pos
	reason string
	used   bool
}

// excuses are those of a package, by the line for which each stands.
type excuses struct {
	fset *token.FileSet
	at   map[line]*excuse
}

type line struct {
	file   string
	number int
}

func (g *graph) excuses() *excuses {
	x := &excuses{g.Fset, map[line]*excuse{}}
	for _, file := range g.sources() {
		var taken map[int]bool // lines with code, looked up when there is an excuse
		for _, group := range file.Comments {
			for _, c := range group.List {
				reason, ok := strings.CutPrefix(c.Text, excuseMark)
				if !ok || reason != "" && reason[0] != ' ' && reason[0] != '\t' {
					continue
				}
				if taken == nil {
					taken = x.lines(file)
				}
				at := x.line(c.Pos())
				if !taken[at.number] {
					at.number++ // alone on its line: for the next one
				}
				x.at[at] = &excuse{pos: c.Pos(), reason: strings.TrimSpace(reason)}
			}
		}
	}
	return x
}

// lines are the lines of a file on which code begins or ends.
func (x *excuses) lines(file *ast.File) map[int]bool {
	taken := map[int]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n.(type) {
		case nil, *ast.Comment, *ast.CommentGroup:
			return false
		}
		if n != file {
			taken[x.line(n.Pos()).number] = true
			taken[x.line(n.End()).number] = true
		}
		return true
	})
	return taken
}

func (x *excuses) line(p token.Pos) line {
	at := x.fset.Position(p)
	return line{at.Filename, at.Line}
}

// excuse leaves the findings that have no excuse.
func (x *excuses) excuse(all []finding) []finding {
	return slices.DeleteFunc(all, func(f finding) bool {
		e := x.at[x.line(f.pos)]
		if e != nil {
			e.used = true
		}
		return e != nil && e.reason != ""
	})
}

// wrong returns excuses that give no reason, or that excuse nothing, in order of the source.
func (x *excuses) wrong() []finding {
	var all []finding
	for _, e := range x.at {
		switch {
		case e.reason == "":
			all = append(all, finding{pos: e.pos, rule: Excused,
				message: "an excuse without a reason excuses nothing: say why a replay does the same, " +
					excuseMark + " REASON"})
		case !e.used:
			all = append(all, finding{pos: e.pos, rule: Excused,
				message: "nothing is found here that wants an excuse: take the comment away"})
		}
	}
	slices.SortFunc(all, func(a, b finding) int { return cmp.Compare(a.pos, b.pos) })
	return all
}
