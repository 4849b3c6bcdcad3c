package determinism

import (
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// A scanner walks one unit and notes what it does and whom it mentions.
type scanner struct {
	*graph
	unit  *unit
	stack []ast.Node // from the unit down to the node that is looked at, which is the last
}

// scan looks at a unit. What it finds counts only if the unit is reached.
func (g *graph) scan(u *unit) {
	s := &scanner{graph: g, unit: u}
	ast.Inspect(u.node, func(n ast.Node) bool {
		if n == nil {
			s.stack = s.stack[:len(s.stack)-1]
			return true
		}
		if c, ok := n.(*ast.CallExpr); ok && g.isWork(c) {
			return false
		}
		if lit, ok := n.(*ast.FuncLit); ok {
			if inner := g.byLit[lit]; inner != nil && inner != u {
				u.calls = append(u.calls, inner)
				return false
			}
		}
		s.stack = append(s.stack, n)
		s.look(n)
		return true
	})
	slices.SortStableFunc(u.findings, func(a, b finding) int { return cmp.Compare(a.pos, b.pos) })
}

func (s *scanner) find(n ast.Node, r Rule, message string) {
	s.unit.findings = append(s.unit.findings, finding{pos: n.Pos(), rule: r, message: message})
}

const (
	noChannel = "channels pass what no recording holds: use actors.Ask, ctx.Send or actors.Work"
	noShared  = " is written, which all entities of the process share: keep it in a cell, or in the behaviour's own " +
		"fields"
)

func (s *scanner) look(n ast.Node) {
	switch n := n.(type) {
	case *ast.GoStmt:
		s.find(n, Goroutine, "a goroutine runs when it likes: use actors.Work")
	case *ast.SendStmt, *ast.SelectStmt:
		if !s.selected() {
			s.find(n, Channel, noChannel)
		}
	case *ast.UnaryExpr:
		if n.Op == token.ARROW && !s.selected() {
			s.find(n, Channel, noChannel)
		}
	case *ast.RangeStmt:
		s.lookAtRange(n)
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			for _, e := range n.Lhs {
				s.written(e)
			}
		}
	case *ast.IncDecStmt:
		s.written(n.X)
	case *ast.CallExpr:
		s.lookAtCall(n)
	case *ast.Ident:
		s.lookAtName(n)
	}
}

// selected says that the node is what a case of a select waits for: the select is the finding.
func (s *scanner) selected() bool {
	for i := len(s.stack) - 2; i >= 0; i-- {
		switch around := s.stack[i].(type) {
		case *ast.CommClause:
			n := s.stack[len(s.stack)-1]
			return around.Comm != nil && around.Comm.Pos() <= n.Pos() && n.End() <= around.Comm.End()
		case *ast.BlockStmt:
			return false
		}
	}
	return false
}

func (s *scanner) lookAtRange(n *ast.RangeStmt) {
	for _, e := range []ast.Expr{n.Key, n.Value} {
		if e != nil && n.Tok == token.ASSIGN {
			s.written(e)
		}
	}
	t := s.TypesInfo.TypeOf(n.X)
	if t == nil {
		return
	}
	if _, ok := core(t).(*types.Chan); ok {
		s.find(n, Channel, noChannel)
		return
	}
	l := newLoop(s, n)
	if l == nil {
		return
	}
	if seen := l.seen(); seen != "" {
		s.find(n, Order, "the order of a map differs from run to run, and it can be seen: "+seen+
			"; run over slices.Sorted(maps.Keys(...)), or keep the rows in an actors.Map")
	}
}

func (s *scanner) lookAtCall(n *ast.CallExpr) {
	if b := s.builtin(n); b != "" {
		switch {
		case b == "close", b == "make" && isChan(s.TypesInfo.TypeOf(n)):
			s.find(n, Channel, noChannel)
		case (b == "delete" || b == "clear" || b == "copy") && len(n.Args) > 0:
			s.written(n.Args[0])
		}
		return
	}
	s.changed(n)
	if f := s.mapIterator(n); f != "" && !s.sorted(n) {
		s.find(n, Order, "maps."+f+" is in an order that differs from run to run: sort it at once, with "+
			"slices.Sorted or slices.SortedFunc")
	}
}

// builtin is the name of the builtin function that is called, if one is.
func (g *graph) builtin(c *ast.CallExpr) string {
	if id, ok := ast.Unparen(c.Fun).(*ast.Ident); ok {
		if b, ok := g.TypesInfo.Uses[id].(*types.Builtin); ok {
			return b.Name()
		}
	}
	return ""
}

// mapIterator is Keys, Values or All if that function of package maps is called.
func (s *scanner) mapIterator(c *ast.CallExpr) string {
	fn := s.callee(c)
	if fn == nil || fn.Pkg() == nil || fn.Pkg().Path() != "maps" {
		return ""
	}
	switch fn.Name() {
	case "Keys", "Values", "All":
		return fn.Name()
	}
	return ""
}

// sorted says that nobody sees the order of an iterator over a map: it is handed to a function that sorts, or that
// makes a map; it is collected and sorted later; or it is what a loop runs over, which is looked at by itself.
func (s *scanner) sorted(n *ast.CallExpr) bool {
	if len(s.stack) < 2 {
		return false
	}
	if r, ok := s.stack[len(s.stack)-2].(*ast.RangeStmt); ok && r.X == n {
		return true
	}
	by, ok := s.stack[len(s.stack)-2].(*ast.CallExpr)
	if !ok || s.callee(by) == nil {
		return false
	}
	switch s.callee(by).FullName() {
	case "slices.Sorted", "slices.SortedFunc", "slices.SortedStableFunc", "maps.Collect", "maps.Insert":
		return true
	case "slices.Collect", "slices.AppendSeq":
		a, ok := s.stack[max(0, len(s.stack)-3)].(*ast.AssignStmt)
		return ok && len(a.Lhs) == 1 && s.sortedAfter(a.Lhs[0], a.End())
	}
	return false
}

// sortedAfter says that a slice is sorted behind a position, in the same function.
func (s *scanner) sortedAfter(slice ast.Expr, end token.Pos) bool {
	found := false
	ast.Inspect(s.function(), func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok || c.Pos() < end || len(c.Args) == 0 {
			return true
		}
		fn := s.callee(c)
		if fn == nil || fn.Pkg() == nil || !sorts(fn) {
			return true
		}
		ast.Inspect(c.Args[0], func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			found = found || ok && s.same(e, slice)
			return true
		})
		return true
	})
	return found
}

func sorts(fn *types.Func) bool {
	switch fn.FullName() {
	case "slices.Sort", "slices.SortFunc", "slices.SortStableFunc", "sort.Slice", "sort.SliceStable", "sort.Sort",
		"sort.Stable", "sort.Strings", "sort.Ints", "sort.Float64s":
		return true
	}
	return false
}

// function is the innermost function around the node, or the unit.
func (s *scanner) function() ast.Node {
	for _, n := range slices.Backward(s.stack) {
		switch n.(type) {
		case *ast.FuncLit, *ast.FuncDecl:
			return n
		}
	}
	return s.unit.node
}

// same says that two expressions are the same path: a, a.b, a[i].
func (s *scanner) same(a, b ast.Expr) bool {
	x, y := root(s.TypesInfo, a), root(s.TypesInfo, b)
	return x != nil && x == y && types.ExprString(ast.Unparen(a)) == types.ExprString(ast.Unparen(b))
}

// written notes that an expression is written; it is a finding if that is a variable of a package.
func (s *scanner) written(e ast.Expr) {
	v, ok := root(s.TypesInfo, e).(*types.Var)
	if ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
		s.find(e, Shared, v.Name()+noShared)
	}
}

// changed finds a package's variable that a method of the package changes.
func (s *scanner) changed(c *ast.CallExpr) {
	f, ok := ast.Unparen(c.Fun).(*ast.SelectorExpr)
	if !ok {
		return
	}
	u := s.byFunc[s.callee(c)]
	if u == nil || u.fn.Signature().Recv() == nil {
		return
	}
	writes := false
	mine := func(e ast.Expr) {
		if id, ok := ast.Unparen(e).(*ast.Ident); ok && id.Name == u.fn.Signature().Recv().Name() {
			return // the method's own copy
		}
		writes = writes || root(s.TypesInfo, e) == u.fn.Signature().Recv()
	}
	ast.Inspect(u.node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				mine(e)
			}
		case *ast.IncDecStmt:
			mine(n.X)
		case *ast.CallExpr:
			if b := s.builtin(n); (b == "delete" || b == "clear") && len(n.Args) > 0 {
				mine(n.Args[0])
			}
		}
		return true
	})
	if writes {
		s.written(f.X)
	}
}

func (s *scanner) lookAtName(n *ast.Ident) {
	o := s.TypesInfo.Uses[n]
	if o == nil {
		return
	}
	s.unit.calls = append(s.unit.calls, s.targets(o)...)
	if o.Pkg() == nil || o.Pkg() == s.Pkg {
		return
	}
	if r, message := banned(o); r != "" {
		s.find(n, r, message)
		return
	}
	fn, ok := o.(*types.Func)
	if !ok {
		return
	}
	var l leak
	if s.ImportObjectFact(fn.Origin(), &l) {
		s.unit.findings = append(s.unit.findings, finding{pos: n.Pos(), rule: l.Rule, afar: true,
			message: fn.Pkg().Name() + "." + nameOf(fn) + " leads to " + l.Message})
	}
}

// root is the variable that a path begins with: a of a.b[i].c; nil if it begins with something else.
func root(info *types.Info, e ast.Expr) types.Object {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.SelectorExpr:
			if id, ok := x.X.(*ast.Ident); ok {
				if _, imported := info.Uses[id].(*types.PkgName); imported {
					return info.Uses[x.Sel]
				}
			}
			e = x.X
		case *ast.Ident:
			if o := info.Uses[x]; o != nil {
				return o
			}
			return info.Defs[x]
		default:
			return nil
		}
	}
}

func isChan(t types.Type) bool {
	if t == nil {
		return false
	}
	_, ok := core(t).(*types.Chan)
	return ok
}

// core is the type below names; of a type parameter, what all its types have in common if that is one kind.
func core(t types.Type) types.Type {
	if p, ok := types.Unalias(t).(*types.TypeParam); ok {
		i, ok := p.Constraint().Underlying().(*types.Interface)
		if !ok || i.NumEmbeddeds() == 0 {
			return t
		}
		if u, ok := i.EmbeddedType(0).(*types.Union); ok && u.Len() > 0 {
			return u.Term(0).Type().Underlying()
		}
		return i.EmbeddedType(0).Underlying()
	}
	return t.Underlying()
}
