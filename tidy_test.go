package firefly_test

import (
	"go/ast"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The style says about 70 lines a function, 400 a file, 100 columns; these are the walls behind "about".
const (
	maxFunction = 75
	maxFile     = 400
	maxTestFile = 600
	maxColumns  = 120 // a tab counts four
)

// Goroutines start only here: each has an owner that stops it and waits.
var goroutines = []string{
	"actors/system.go", "cluster/etcd.go", "cluster/registry.go", "cluster/link.go", "cluster/node/", "cluster/cli/",
	"cluster/admin/server.go", "gate/gnet.go", "gate/client/", "hotreload/watch.go", "persist/mariadbtest/",
	"cluster/clustertest/", "cluster/prompt/prompt.go",
}

// Files of these folders hold behaviours: what they ask for comes through ctx.
var behaviours = []string{"modules/", "sample/"}

// Reflection is for start-up: types and tags.
var reflection = []string{
	"actors/wire/", "actors/kind.go", "actors/props.go", "actors/cell.go", "actors/row.go", "actors/scale.go",
	"actors/index.go", "actors/bulk.go",
	"actors/turn.go", // the type of an event, to find its listeners
	"persist/table_column.go", "hotreload/", "cluster/node/", "cluster/contract/", "gate/client/",
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func in(path string, places []string) bool {
	return slices.ContainsFunc(places, func(p string) bool {
		return p == path || strings.HasSuffix(p, "/") && strings.HasPrefix(path, p)
	})
}

func TestNothingOutgrowsItsNoun(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		lines := strings.Split(s.text, "\n")
		if most := map[bool]int{false: maxFile, true: maxTestFile}[s.test]; len(lines)-1 > most {
			t.Errorf("%s has %d lines, the wall is %d: split it by nouns", s.path, len(lines)-1, most)
		}
		for i, line := range lines {
			if columns := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")); columns > maxColumns {
				t.Errorf("%s:%d has %d columns, the wall is %d: break it", s.path, i+1, columns, maxColumns)
			}
		}
		for _, d := range s.tree.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || s.test {
				continue
			}
			if n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; n > maxFunction {
				t.Errorf("%s: %s has %d lines, the wall is %d: let it decide, and helpers compute",
					s.at(f), f.Name.Name, n, maxFunction)
			}
		}
	}
}

func TestGoroutinesStartInNamedPlacesOnly(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test || in(s.path, goroutines) {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s starts a goroutine: hand the work to actors.Scheduler, or name its owner in tidy_test.go",
					s.at(g))
			}
			return true
		})
	}
}

func TestBehavioursAskOnlyTheirContext(t *testing.T) {
	t.Parallel()
	instead := map[string]string{
		"sync": "an actor owns its state: no locks", "math/rand": "ctx.Rand()", "math/rand/v2": "ctx.Rand()",
		"os": "hot tables, or Work", "net": "actors.Work", "net/http": "actors.Work",
		"database/sql": "cells and tables",
	}
	for _, s := range sources(t) {
		if s.test || !in(s.path, behaviours) || s.path == "sample/bot.go" {
			continue
		}
		for _, path := range s.imports() {
			if better, bad := instead[path]; bad {
				t.Errorf("%s imports %s; instead: %s", s.path, path, better)
			}
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ChanType, *ast.SendStmt, *ast.SelectStmt:
				t.Errorf("%s uses a channel; instead: actors.Ask, Send or Work", s.at(n))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" &&
					slices.Contains([]string{"Now", "Sleep", "After", "Since", "AfterFunc", "Tick"}, n.Sel.Name) {
					t.Errorf("%s uses time.%s; instead: ctx.Now(), ctx.After, ctx.Every", s.at(n), n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestNoMagic(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if slices.Contains(s.imports(), "reflect") && !in(s.path, reflection) {
			t.Errorf("%s imports reflect, which is for start-up only: use generics, or name the file here", s.path)
		}
		for _, d := range s.tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: no init(): call it from the composition root", s.at(f))
			}
		}
	}
}

func TestNoNameHidesWhatItIs(t *testing.T) {
	t.Parallel()
	hiding := []string{"manager", "helper", "util", "utils", "common", "base", "impl", "data", "info"}
	for _, s := range sources(t) {
		for _, part := range strings.FieldsFunc(strings.TrimSuffix(s.path, ".go"), func(r rune) bool {
			return r == '/' || r == '_' || r == '.'
		}) {
			if slices.Contains(hiding, part) {
				t.Errorf("%s: %q says nothing: name the noun", s.path, part)
			}
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			ty, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			for _, h := range hiding {
				name := strings.TrimSuffix(strings.ToLower(ty.Name.Name), "database")
				if strings.HasSuffix(name, h) {
					t.Errorf("%s: type %s hides what it is behind %q: name the noun", s.at(n), ty.Name.Name, h)
				}
			}
			return true
		})
	}
}

func TestWordsOfUnfinishedWorkDoNotStand(t *testing.T) {
	t.Parallel()
	words := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "not impl" + "emented"}
	for _, s := range sources(t) {
		for i, line := range strings.Split(s.text, "\n") {
			for _, w := range words {
				if strings.Contains(line, w) {
					t.Errorf("%s:%d says %q: finish it or leave it out", s.path, i+1, w)
				}
			}
		}
	}
}
