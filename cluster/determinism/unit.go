package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
)

const (
	runtimePath = "github.com/fireflyrt/firefly"
	actorsPath  = runtimePath + "/actors"
)

// A unit is what is behaviour as a whole or not at all: a function with all literals in it, a literal that is behaviour
// by what it takes, or the initial value of a package's variable.
type unit struct {
	name     string
	node     ast.Node // *ast.FuncDecl, *ast.FuncLit or ast.Expr
	fn       *types.Func
	root     bool // is behaviour by what it takes
	findings []finding
	calls    []*unit // whom it mentions, in whatever way
	reached  bool
	from     *unit // what it was first reached from; nil for a root
}

func (u *unit) origin() *unit {
	for u.from != nil {
		u = u.from
	}
	return u
}

// A graph is one package: its units, and who mentions whom.
type graph struct {
	*analysis.Pass
	context *types.Interface // actors.Context; nil if the package does not import actors
	units   []*unit          // in order of the source
	byFunc  map[*types.Func]*unit
	byVar   map[*types.Var]*unit
	byLit   map[*ast.FuncLit]*unit
	named   []*types.Named
}

func newGraph(p *analysis.Pass) *graph {
	g := &graph{Pass: p, byFunc: map[*types.Func]*unit{}, byVar: map[*types.Var]*unit{},
		byLit: map[*ast.FuncLit]*unit{}}
	for _, i := range p.Pkg.Imports() {
		if i.Path() != actorsPath {
			continue
		}
		if c := i.Scope().Lookup("Context"); c != nil {
			g.context, _ = c.Type().Underlying().(*types.Interface)
		}
	}
	for _, name := range p.Pkg.Scope().Names() {
		if t, ok := p.Pkg.Scope().Lookup(name).(*types.TypeName); ok {
			if n, ok := t.Type().(*types.Named); ok {
				g.named = append(g.named, n)
			}
		}
	}
	for _, file := range g.sources() {
		for _, d := range file.Decls {
			g.declare(d)
		}
	}
	return g
}

// sources are the files that count: all but tests, and what go test makes for them.
func (g *graph) sources() []*ast.File {
	var files []*ast.File
	for _, f := range g.Files {
		name := g.Fset.Position(f.FileStart).Filename
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			files = append(files, f)
		}
	}
	return files
}

func (g *graph) declare(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		fn, ok := g.TypesInfo.Defs[d.Name].(*types.Func)
		if !ok || d.Body == nil {
			return
		}
		u := &unit{name: nameOf(fn), node: d, fn: fn, root: g.behaves(fn.Signature())}
		g.byFunc[fn] = u
		g.add(u)
	case *ast.GenDecl:
		for _, s := range d.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok || d.Tok != token.VAR {
				continue
			}
			for i, e := range v.Values {
				u := &unit{name: v.Names[i].Name, node: e}
				g.add(u)
				for j, n := range v.Names {
					if variable, ok := g.TypesInfo.Defs[n].(*types.Var); ok && (j == i || len(v.Values) == 1) {
						g.byVar[variable] = u
					}
				}
			}
		}
	}
}

// add adds a unit, and as units of their own the literals in it that are behaviour whoever makes them.
func (g *graph) add(u *unit) {
	g.units = append(g.units, u)
	ast.Inspect(u.node, func(n ast.Node) bool {
		lit, ok := n.(*ast.FuncLit)
		if !ok || g.byLit[lit] == u {
			return true
		}
		s, ok := g.TypesInfo.TypeOf(lit).(*types.Signature)
		if !ok || !g.behaves(s) {
			return true
		}
		inner := &unit{name: "a function in " + u.name, node: lit, root: true}
		g.byLit[lit] = inner
		g.add(inner)
		return false
	})
}

// behaves says that a function is behaviour by what it takes: a Context, one that a game has wrapped, or the Props of a
// constructor.
func (g *graph) behaves(s *types.Signature) bool {
	if g.context == nil {
		return false
	}
	for v := range s.Params().Variables() {
		if types.Implements(v.Type(), g.context) || isActors(v.Type(), "Props") {
			return true
		}
	}
	return false
}

// isActors says that a type is, or points to, the one of this name in package actors.
func isActors(t types.Type, name string) bool {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Name() == name && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == actorsPath
}

// isWork says that a call is actors.Work: what it is given runs off the actor, and its answer is recorded.
func (g *graph) isWork(c *ast.CallExpr) bool {
	fn := g.callee(c)
	return fn != nil && fn.FullName() == actorsPath+".Work"
}

// callee is the function or method that a call names; nil for a value, a builtin or a conversion.
func (g *graph) callee(c *ast.CallExpr) *types.Func {
	e := ast.Unparen(c.Fun)
	switch i := e.(type) {
	case *ast.IndexExpr:
		e = ast.Unparen(i.X)
	case *ast.IndexListExpr:
		e = ast.Unparen(i.X)
	}
	var id *ast.Ident
	switch e := e.(type) {
	case *ast.Ident:
		id = e
	case *ast.SelectorExpr:
		id = e.Sel
	default:
		return nil
	}
	fn, _ := g.TypesInfo.Uses[id].(*types.Func)
	if fn != nil {
		fn = fn.Origin()
	}
	return fn
}

// targets are the units that a mention of an object can come to; of an interface's method, all in the package that
// fulfil it.
func (g *graph) targets(o types.Object) []*unit {
	var all []*unit
	switch o := o.(type) {
	case *types.Var:
		if u := g.byVar[o]; u != nil {
			all = append(all, u)
		}
	case *types.Func:
		o = o.Origin()
		if u := g.byFunc[o]; u != nil {
			return append(all, u)
		}
		r := o.Signature().Recv()
		if r == nil || !types.IsInterface(r.Type()) {
			return nil
		}
		wanted, ok := r.Type().Underlying().(*types.Interface)
		if !ok {
			return nil
		}
		for _, n := range g.named {
			if types.IsInterface(n) || n.TypeParams() != nil || !types.Implements(types.NewPointer(n), wanted) {
				continue
			}
			m, _, _ := types.LookupFieldOrMethod(types.NewPointer(n), true, g.Pkg, o.Name())
			if fn, ok := m.(*types.Func); ok && g.byFunc[fn.Origin()] != nil {
				all = append(all, g.byFunc[fn.Origin()])
			}
		}
	}
	return all
}

// reach returns the units that are behaviour, in order of the source.
func (g *graph) reach() []*unit {
	var todo, all []*unit
	for _, u := range g.units {
		if u.root {
			u.reached = true
			todo = append(todo, u)
		}
	}
	for len(todo) > 0 {
		u := todo[0]
		todo = todo[1:]
		for _, c := range u.calls {
			if !c.reached {
				c.reached, c.from = true, u
				todo = append(todo, c)
			}
		}
	}
	for _, u := range g.units {
		if u.reached {
			all = append(all, u)
		}
	}
	return all
}

// export tells the packages above of functions that are no behaviour here, and would be trouble in one.
func (g *graph) export() {
	for _, u := range g.units {
		if u.fn == nil {
			continue
		}
		if f := u.first(map[*unit]bool{}); f != nil {
			message := f.message
			if !f.afar {
				message = short(g.Fset.Position(f.pos)) + ": " + message
			}
			g.ExportObjectFact(u.fn, &leak{f.rule, message})
		}
	}
}

// first is the first finding that a unit comes to, its own before those of whom it mentions. What is reported here
// already is not told again.
func (u *unit) first(seen map[*unit]bool) *finding {
	if seen[u] || u.reached {
		return nil
	}
	seen[u] = true
	if len(u.findings) > 0 {
		return &u.findings[0]
	}
	for _, c := range u.calls {
		if f := c.first(seen); f != nil {
			return f
		}
	}
	return nil
}

// nameOf is a function's name as a reader of its package knows it: Player.buy.
func nameOf(fn *types.Func) string {
	r := fn.Signature().Recv()
	if r == nil {
		return fn.Name()
	}
	t := types.Unalias(r.Type())
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	if n, ok := t.(*types.Named); ok {
		return n.Obj().Name() + "." + fn.Name()
	}
	return fn.Name()
}
