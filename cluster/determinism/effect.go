package determinism

import (
	"bytes"
	"go/ast"
	"go/printer"
	"go/token"
	"go/types"
)

// assigned judges an assignment in the body of a loop.
func (l *loop) assigned(a *ast.AssignStmt) string {
	for _, r := range a.Rhs {
		if seen := l.quiet(r); seen != "" {
			return seen
		}
	}
	if way, ok := ways[a.Tok]; ok {
		return l.added(a.Lhs[0], a.Rhs[0], way)
	}
	if a.Tok == token.DEFINE {
		return ""
	}
	if a.Tok != token.ASSIGN {
		return types.ExprString(a.Lhs[0]) + " is changed step by step"
	}
	for i, left := range a.Lhs {
		var right ast.Expr
		if len(a.Lhs) == len(a.Rhs) {
			right = a.Rhs[i]
		}
		if seen := l.replaced(a, left, right); seen != "" {
			return seen
		}
	}
	return ""
}

// ways are the operators whose steps may come in any order, among themselves.
var ways = map[token.Token]string{
	token.ADD_ASSIGN: "+", token.SUB_ASSIGN: "+", token.MUL_ASSIGN: "*", token.OR_ASSIGN: "|", token.AND_ASSIGN: "&",
	token.AND_NOT_ASSIGN: "&", token.XOR_ASSIGN: "^",
}

// added judges x += y and the like.
func (l *loop) added(left, right ast.Expr, way string) string {
	if l.mine(left) {
		return ""
	}
	if !isInteger(l.TypesInfo.TypeOf(left)) {
		return types.ExprString(left) + " is added up, which depends on the order unless it is a whole number"
	}
	if i, ok := ast.Unparen(left).(*ast.IndexExpr); ok {
		if seen := l.quiet(i.Index); seen != "" {
			return seen
		}
		if l.same(i.X, l.over) && !l.isKey(i.Index) {
			return l.grows()
		}
		l.ownAll(left)
		return l.effect(i.X, l.way(i.Index, way))
	}
	return l.effect(left, way)
}

func (l *loop) grows() string {
	return "it writes other entries of " + types.ExprString(l.over) + " than the one that it is at"
}

// replaced judges left = right; right is nil for one of several results of a call.
func (l *loop) replaced(a *ast.AssignStmt, left, right ast.Expr) string {
	path := types.ExprString(left)
	switch {
	case l.mine(left):
		return ""
	case right == nil:
		return path + " is assigned"
	}
	if i, ok := ast.Unparen(left).(*ast.IndexExpr); ok {
		return l.entry(i, right)
	}
	if c, ok := ast.Unparen(right).(*ast.CallExpr); ok && len(c.Args) > 1 && l.same(c.Args[0], left) {
		switch b := l.builtin(c); b {
		case "append":
			if !l.sortedAfter(left, l.stmt.End()) {
				return path + " is appended to, and not sorted afterwards"
			}
			l.ownAll(c.Args[0])
			return l.effect(left, b)
		case "max", "min":
			l.ownAll(c.Args[0])
			return l.effect(left, b)
		}
	}
	if l.constant(right) {
		l.fixed = append(l.fixed, a)
		lasting := l.lasting
		seen := l.effect(left, "="+l.text(right))
		l.lasting = lasting // the next entry would write the same again
		return seen
	}
	return path + " is assigned, and the last entry wins"
}

// entry judges m[i] = right: entries by the loop's own key are each written once.
func (l *loop) entry(i *ast.IndexExpr, right ast.Expr) string {
	if seen := l.quiet(i.Index); seen != "" {
		return seen
	}
	_, isMap := core(l.TypesInfo.TypeOf(i.X)).(*types.Map)
	switch {
	case l.isKey(i.Index):
		return l.effect(i.X, ownEntry)
	case l.same(i.X, l.over):
		return l.grows()
	case isMap && l.constant(right):
		return l.effect(i.X, "="+l.text(right))
	}
	return types.ExprString(i) + " is assigned, and of equal keys the last entry wins"
}

// greatest judges if v > best { best = v }, which is a maximum, or a minimum.
func (l *loop) greatest(s *ast.IfStmt) bool {
	c, ok := ast.Unparen(s.Cond).(*ast.BinaryExpr)
	if !ok || s.Else != nil || len(s.Body.List) != 1 || l.statement(s.Init, nil) != "" {
		return false
	}
	a, ok := s.Body.List[0].(*ast.AssignStmt)
	if !ok || a.Tok != token.ASSIGN || len(a.Lhs) != 1 || l.quiet(a.Rhs[0]) != "" {
		return false
	}
	more := c.Op == token.GTR || c.Op == token.GEQ
	if !more && c.Op != token.LSS && c.Op != token.LEQ {
		return false
	}
	value, best := c.X, c.Y
	if l.same(value, a.Lhs[0]) {
		value, best, more = best, value, !more
	}
	if !l.same(best, a.Lhs[0]) || types.ExprString(value) != types.ExprString(a.Rhs[0]) || l.mine(best) {
		return false
	}
	l.ownAll(best)
	return l.effect(a.Lhs[0], map[bool]string{true: "max", false: "min"}[more]) == ""
}

// isKey says that an expression is the loop's key, which no other entry has, maybe under the name of another type.
func (l *loop) isKey(e ast.Expr) bool {
	if c, ok := ast.Unparen(e).(*ast.CallExpr); ok && l.TypesInfo.Types[c.Fun].IsType() && len(c.Args) == 1 {
		to, from := l.TypesInfo.TypeOf(c), l.TypesInfo.TypeOf(c.Args[0])
		return types.Identical(to.Underlying(), from.Underlying()) && l.isKey(c.Args[0])
	}
	id, ok := ast.Unparen(e).(*ast.Ident)
	return ok && l.key != nil && l.TypesInfo.Uses[id] == l.key
}

// mine says that an expression is the entry's own: blank, declared in the body, or a field of the loop's value, if that
// is a pointer.
func (l *loop) mine(e ast.Expr) bool {
	switch x := ast.Unparen(e).(type) {
	case *ast.Ident:
		return x.Name == "_" || l.local(l.TypesInfo.Uses[x])
	case *ast.SelectorExpr:
		id, ok := ast.Unparen(x.X).(*ast.Ident)
		if !ok || !l.local(l.TypesInfo.Uses[id]) {
			return false
		}
		_, pointer := l.TypesInfo.TypeOf(id).Underlying().(*types.Pointer)
		if pointer && l.TypesInfo.Uses[id] == l.value {
			l.lasting = true
			return true
		}
		return !pointer
	case *ast.IndexExpr:
		id, ok := ast.Unparen(x.X).(*ast.Ident)
		return ok && l.fresh(l.TypesInfo.Uses[id])
	}
	return false
}

// local says that an object is declared by the loop.
func (l *loop) local(o types.Object) bool {
	return o != nil && l.stmt.Pos() <= o.Pos() && o.Pos() < l.stmt.End()
}

// fresh says that an object is declared in the body, made there, and so of nobody else's.
func (l *loop) fresh(o types.Object) bool {
	if !l.local(o) {
		return false
	}
	fresh := false
	ast.Inspect(l.stmt.Body, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok || a.Tok != token.DEFINE || len(a.Lhs) != 1 {
			return true
		}
		if id, ok := a.Lhs[0].(*ast.Ident); !ok || l.TypesInfo.Defs[id] != o {
			return true
		}
		switch r := a.Rhs[0].(type) {
		case *ast.CompositeLit:
			fresh = true
		case *ast.CallExpr:
			fresh = l.builtin(r) == "make"
		}
		return true
	})
	return fresh
}

// constant says that an expression is the same for all entries.
func (l *loop) constant(e ast.Expr) bool {
	switch t := l.TypesInfo.Types[e]; {
	case t.Value != nil, t.IsNil():
		return true
	}
	c, ok := e.(*ast.CompositeLit)
	return ok && len(c.Elts) == 0
}

func (l *loop) text(n ast.Node) string {
	var b bytes.Buffer
	if printer.Fprint(&b, l.Fset, n) != nil {
		return ""
	}
	return b.String()
}

func isInteger(t types.Type) bool {
	if t == nil {
		return false
	}
	b, ok := core(t).(*types.Basic)
	return ok && b.Info()&types.IsInteger != 0
}
