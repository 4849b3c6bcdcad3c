package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
)

// A loop runs over a map. Its order cannot be seen if all that it does comes to the same in every order: entries of
// other maps by its own key, whole numbers that are added up, the greatest, the least, constants, a slice that is
// sorted afterwards, or a look whether there is such an entry.
//
// Each method that judges returns what can be seen, in words, or "".
type loop struct {
	*scanner
	stmt  *ast.RangeStmt
	over  ast.Expr     // the map
	key   types.Object // nil if the loop does not ask for it
	value types.Object

	label   string                // of the loop itself
	effects map[string]string     // what is written, and in which way
	written map[types.Object]bool // the fields and variables of these
	own     map[ast.Expr]bool     // mentions of it that belong to the writing
	lasting bool                  // something is written that the next entry does not write in the same way again
	fixed   []ast.Stmt            // constants that are assigned
	exits   []exit                // ways out before the last entry
	inner   int                   // loops and switches around the statement, within this loop, that a break ends
}

// An exit is a statement that ends the loop, and what stands before it in its block.
type exit struct {
	block []ast.Stmt
	stmt  ast.Stmt
}

// newLoop is nil unless the statement runs over a map and learns more of it than how long it is.
func newLoop(s *scanner, r *ast.RangeStmt) *loop {
	l := &loop{scanner: s, stmt: r, over: r.X, effects: map[string]string{}, written: map[types.Object]bool{},
		own: map[ast.Expr]bool{}}
	if len(s.stack) > 1 {
		if labelled, ok := s.stack[len(s.stack)-2].(*ast.LabeledStmt); ok {
			l.label = labelled.Label.Name
		}
	}
	key, value := r.Key, r.Value
	if c, ok := ast.Unparen(r.X).(*ast.CallExpr); ok {
		f := s.mapIterator(c)
		if f == "" || len(c.Args) != 1 {
			return nil
		}
		if l.over = c.Args[0]; f == "Values" {
			key, value = nil, r.Key
		}
	} else if _, ok := core(s.TypesInfo.TypeOf(r.X)).(*types.Map); !ok {
		return nil
	}
	l.key, l.value = s.variable(key), s.variable(value)
	if l.key == nil && l.value == nil && r.Tok != token.ASSIGN {
		return nil
	}
	return l
}

func (s *scanner) variable(e ast.Expr) types.Object {
	if id, ok := e.(*ast.Ident); ok && id.Name != "_" {
		return s.TypesInfo.Defs[id]
	}
	return nil
}

func (l *loop) seen() string {
	if l.stmt.Tok == token.ASSIGN {
		return "the loop leaves its last entry in a variable"
	}
	if seen := l.block(l.stmt.Body.List); seen != "" {
		return seen
	}
	return first(l.left(), l.readBack(), l.calledBack())
}

func (l *loop) block(list []ast.Stmt) string {
	for i, s := range list {
		if seen := l.statement(s, list[:i]); seen != "" {
			return seen
		}
	}
	return ""
}

// statement judges one statement; before are those ahead of it in its block.
func (l *loop) statement(s ast.Stmt, before []ast.Stmt) string {
	switch s := s.(type) {
	case nil, *ast.EmptyStmt:
		return ""
	case *ast.BlockStmt:
		return l.block(s.List)
	case *ast.LabeledStmt:
		return l.statement(s.Stmt, before)
	case *ast.ExprStmt:
		return l.called(s.X)
	case *ast.DeclStmt:
		return l.quietAll(s)
	case *ast.IncDecStmt:
		return l.added(s.X, nil, "+")
	case *ast.AssignStmt:
		return l.assigned(s)
	case *ast.IfStmt:
		if l.greatest(s) {
			return ""
		}
		return first(l.statement(s.Init, nil), l.quiet(s.Cond), l.block(s.Body.List), l.statement(s.Else, nil))
	case *ast.SwitchStmt:
		return first(l.statement(s.Init, nil), l.quiet(s.Tag), l.within(s.Body))
	case *ast.TypeSwitchStmt:
		return first(l.statement(s.Init, nil), l.quietAll(s.Assign), l.within(s.Body))
	case *ast.CaseClause:
		for _, e := range s.List {
			if seen := l.quiet(e); seen != "" {
				return seen
			}
		}
		return l.block(s.Body)
	case *ast.ForStmt:
		return first(l.statement(s.Init, nil), l.quiet(s.Cond), l.statement(s.Post, nil), l.within(s.Body))
	case *ast.RangeStmt:
		return first(l.quiet(s.X), l.within(s.Body))
	case *ast.ReturnStmt, *ast.BranchStmt:
		return l.leave(s, before)
	default:
		return "the body does more than add up"
	}
}

// within judges a body in which break ends something else than the loop.
func (l *loop) within(b *ast.BlockStmt) string {
	l.inner++
	defer func() { l.inner-- }()
	return l.block(b.List)
}

func first(seen ...string) string {
	for _, s := range seen {
		if s != "" {
			return s
		}
	}
	return ""
}

// called judges a call for its effect: delete, and rows of an actors.Map by the loop's key.
func (l *loop) called(e ast.Expr) string {
	c, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return l.quiet(e)
	}
	if l.builtin(c) == "delete" {
		if !l.isKey(c.Args[1]) && l.same(c.Args[0], l.over) {
			return "it deletes other entries of " + types.ExprString(l.over) + " than the one that it is at"
		}
		return first(l.quiet(c.Args[1]), l.effect(c.Args[0], l.way(c.Args[1], "delete")))
	}
	if f, ok := ast.Unparen(c.Fun).(*ast.SelectorExpr); ok && len(c.Args) > 0 && l.isKey(c.Args[0]) &&
		isActors(l.TypesInfo.TypeOf(f.X), "Map") && (f.Sel.Name == "Set" || f.Sel.Name == "Delete") {
		for _, a := range c.Args {
			if seen := l.quiet(a); seen != "" {
				return seen
			}
		}
		return l.effect(f.X, ownEntry)
	}
	return l.quiet(c)
}

// ownEntry is the way of what is done to the entry of the loop's own key: each is looked at once.
const ownEntry = "own entry"

// way is the way in which an entry is written.
func (l *loop) way(index ast.Expr, other string) string {
	if l.isKey(index) {
		return ownEntry
	}
	return other
}

// effect notes that something is written in a way that commutes with itself, but not with another way.
func (l *loop) effect(e ast.Expr, way string) string {
	l.lasting = true
	l.ownAll(e)
	l.written[l.object(e)] = true
	path := types.ExprString(ast.Unparen(e))
	if had, ok := l.effects[path]; ok && had != way {
		return path + " is written in two ways"
	}
	l.effects[path] = way
	return ""
}

// ownAll marks an expression as part of the writing.
func (l *loop) ownAll(e ast.Expr) { l.own[ast.Unparen(e)] = true }

// leave judges a way out of the loop, or within it.
func (l *loop) leave(s ast.Stmt, before []ast.Stmt) string {
	switch s := s.(type) {
	case *ast.BranchStmt:
		switch {
		case s.Tok == token.GOTO:
			return "it jumps"
		case s.Label != nil && s.Label.Name == l.label && s.Tok == token.CONTINUE,
			s.Label != nil && l.local(l.TypesInfo.Uses[s.Label]),
			s.Label == nil && (s.Tok != token.BREAK || l.inner > 0):
			return ""
		}
	case *ast.ReturnStmt:
		for _, r := range s.Results {
			if seen := l.quiet(r); seen != "" {
				return seen
			}
			if l.depends(r) {
				return "it returns " + types.ExprString(r) + ", of whichever entry comes first"
			}
		}
	}
	l.exits = append(l.exits, exit{before, s})
	return ""
}

// left judges the ways out together: which entry is the last to be looked at must not matter.
func (l *loop) left() string {
	if len(l.exits) == 0 {
		return ""
	}
	if l.lasting {
		return "it stops at whichever entry comes first, and has changed something until then"
	}
	covered := map[ast.Stmt]bool{}
	text := ""
	for i, x := range l.exits {
		now := l.text(x.stmt)
		for _, f := range l.fixed {
			for _, b := range x.block {
				if b == f {
					covered[f] = true
					now += ";" + l.text(f)
				}
			}
		}
		if i > 0 && now != text {
			return "it ends in one way or another with whichever entry comes first"
		}
		text = now
	}
	for _, f := range l.fixed {
		if !covered[f] {
			return "it stops at whichever entry comes first, and has changed something until then"
		}
	}
	return ""
}

// depends says that an expression mentions something of the loop: the entry, or what its body declares or writes.
func (l *loop) depends(e ast.Node) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		x, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		if id, ok := x.(*ast.Ident); ok && l.local(l.TypesInfo.Uses[id]) {
			found = true
		}
		if _, written := l.effects[types.ExprString(x)]; written {
			found = true
		}
		return !found
	})
	return found
}

// readBack says that the body reads what it writes, so that each entry sees what those before it did.
func (l *loop) readBack() string {
	seen := ""
	ast.Inspect(l.stmt.Body, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok || seen != "" {
			return seen == ""
		}
		if l.own[e] {
			return false
		}
		if i, ok := e.(*ast.IndexExpr); ok && l.isKey(i.Index) {
			return false // the entry of its own
		}
		if path := types.ExprString(e); l.effects[path] != "" {
			seen = path + " is read while it is written"
		}
		return true
	})
	return seen
}

// calledBack is readBack for what the body calls: functions of the package that only look, but at what it writes.
func (l *loop) calledBack() string {
	seen := ""
	ast.Inspect(l.stmt.Body, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if ok && seen == "" && l.looksAt(l.byFunc[l.callee(c)], map[*unit]bool{}) {
			seen = types.ExprString(c.Fun) + " reads what is written"
		}
		return seen == ""
	})
	return seen
}

// looksAt says that a unit, or what it mentions, mentions something that the loop writes.
func (l *loop) looksAt(u *unit, busy map[*unit]bool) bool {
	if u == nil || busy[u] {
		return false
	}
	busy[u] = true
	found := false
	ast.Inspect(u.node, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok || found {
			return !found
		}
		o := l.TypesInfo.Uses[id]
		if found = o != nil && l.written[o]; found {
			return false
		}
		if fn, ok := o.(*types.Func); ok {
			found = l.looksAt(l.byFunc[fn.Origin()], busy)
		}
		return !found
	})
	return found
}

// object is the field, or the variable, that a path ends with.
func (l *loop) object(e ast.Expr) types.Object {
	switch x := ast.Unparen(e).(type) {
	case *ast.SelectorExpr:
		return l.TypesInfo.Uses[x.Sel]
	case *ast.Ident:
		return l.TypesInfo.Uses[x]
	case *ast.IndexExpr:
		return l.object(x.X)
	case *ast.StarExpr:
		return l.object(x.X)
	}
	return nil
}
