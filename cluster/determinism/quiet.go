package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// quiet says what an expression in a loop over a map does beside having a value, or "".
func (l *loop) quiet(e ast.Expr) string {
	if e == nil {
		return ""
	}
	return l.quietAll(e)
}

// quietAll is quiet for all expressions below a node.
func (l *loop) quietAll(n ast.Node) string {
	return noisy(l.graph, n, map[*types.Func]bool{})
}

// noisy finds the first expression below a node that may do something; busy are functions that are looked at already.
func noisy(g *graph, n ast.Node, busy map[*types.Func]bool) string {
	seen := ""
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			seen = first(seen, "a function literal is called or kept")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				seen = first(seen, "it receives from a channel")
			}
		case *ast.CallExpr:
			if !g.silent(n, busy) {
				seen = first(seen, types.ExprString(n.Fun)+" is called for each entry")
			}
		}
		return seen == ""
	})
	return seen
}

var silentBuiltins = []string{"len", "cap", "min", "max", "make", "new", "append", "complex", "real", "imag"}

// silentPackages have functions, and methods of values, that do nothing but answer.
var silentPackages = []string{"strings", "strconv", "math", "math/bits", "cmp", "unicode", "unicode/utf8", "errors",
	"path", "time"}

// silentNames are functions and methods with no effect, of packages that have others, too.
var silentNames = []string{
	"fmt.Sprint", "fmt.Sprintf", "fmt.Sprintln", "fmt.Errorf",
	"slices.Contains", "slices.Index", "slices.Equal", "slices.Max", "slices.Min", "slices.Clone", "slices.Compare",
	"bytes.Equal", "bytes.Contains", "bytes.HasPrefix", "maps.Clone",
}

// silent says that a call has no effect, as far as can be told.
func (g *graph) silent(c *ast.CallExpr, busy map[*types.Func]bool) bool {
	if g.TypesInfo.Types[c.Fun].IsType() {
		return true
	}
	if b := g.builtin(c); b != "" {
		return slices.Contains(silentBuiltins, b)
	}
	fn := g.callee(c)
	if fn == nil || fn.Pkg() == nil {
		return false
	}
	if u := g.byFunc[fn]; u != nil {
		return busy[fn] || g.silentFunc(u, busy)
	}
	r := fn.Signature().Recv()
	if r == nil {
		return slices.Contains(silentNames, fn.FullName()) || slices.Contains(silentPackages, fn.Pkg().Path())
	}
	if fn.Pkg().Path() == actorsPath && (isActors(r.Type(), "Cell") || isActors(r.Type(), "Map")) {
		return slices.Contains([]string{"View", "At", "Has", "Len"}, fn.Name())
	}
	_, pointer := r.Type().(*types.Pointer)
	return !pointer && !types.IsInterface(r.Type()) &&
		(fn.Pkg().Path() == actorsPath || slices.Contains(silentPackages, fn.Pkg().Path()))
}

// silentFunc says that a function of the package only looks and answers: it writes nothing but its own variables.
func (g *graph) silentFunc(u *unit, busy map[*types.Func]bool) bool {
	d, ok := u.node.(*ast.FuncDecl)
	if !ok {
		return false
	}
	busy[u.fn] = true
	defer delete(busy, u.fn)
	if noisy(g, d.Body, busy) != "" {
		return false
	}
	own := func(e ast.Expr) bool {
		id, ok := ast.Unparen(e).(*ast.Ident)
		if !ok {
			return false
		}
		o := g.TypesInfo.Uses[id]
		return id.Name == "_" || o == nil || d.Pos() <= o.Pos() && o.Pos() < d.End()
	}
	silent := true
	ast.Inspect(d.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt, *ast.DeferStmt, *ast.SendStmt, *ast.SelectStmt:
			silent = false
		case *ast.IncDecStmt:
			silent = silent && own(n.X)
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				silent = silent && (n.Tok == token.DEFINE || own(e))
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				silent = silent && (e == nil || n.Tok != token.ASSIGN || own(e))
			}
		}
		return silent
	})
	return silent
}
