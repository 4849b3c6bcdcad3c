// Package firefly_test holds the rules of the house that a compiler does not: which floor may know which, where each
// big dependency is known, and how long things may get. Each message says what to do instead.
package firefly_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/fireflyrt/firefly"

// A floor may import the packages listed, and those below them, and nothing else of the project.
var floors = map[string][]string{
	"actors/wire":         {},
	"actors":              {"actors/wire"},
	"gate":                {"actors", "actors/wire"},
	"gate/client":         {"actors", "actors/wire"},
	"gate/client/ts":      {},
	"persist":             {"actors", "actors/wire"},
	"persist/mariadbtest": {"cluster/freeport"},
	"cluster/etcdtest":    {"cluster/freeport"},
	"actors/virtual":      {},
	"cluster/freeport":    {},
	"cluster/determinism": {},
	"cluster/contract":    {"actors/wire"},
	"hotreload":           {"actors", "actors/wire"},
	"record":              {"actors", "actors/wire"},
	"cluster":             {"actors", "actors/wire", "cluster/identity"},
	"cluster/identity":    {},
	"cluster/spelling":    {},
	"cluster/prompt":      {"actors", "actors/wire", "gate/client", "cluster/contract", "cluster/spelling"},
	"cluster/original":    {},
	"cluster/admin":       {"actors", "actors/wire"},
	"cluster/node": {"actors", "actors/wire", "gate", "gate/client", "persist", "hotreload", "record", "cluster",
		"cluster/admin", "cluster/identity", "cluster/spelling"},
	"cluster/replay": {"actors", "actors/wire", "actors/virtual", "gate", "gate/client", "persist", "hotreload",
		"record", "cluster", "cluster/admin", "cluster/node"},
	"cluster/cli": {"actors", "actors/wire", "gate", "gate/client", "persist", "hotreload", "record", "cluster",
		"cluster/admin", "cluster/node", "cluster/replay", "cluster/freeport", "cluster/determinism",
		"cluster/identity", "cluster/original", "cluster/prompt", "cluster/contract"},
	"cluster/clustertest": {"cluster/node", "cluster/freeport"},
	"modules/":            {"actors", "actors/wire", "hotreload", "modules/"},
	"sample": {"actors", "actors/wire", "hotreload", "persist", "gate/client", "cluster/node", "cluster/cli",
		"modules/"},
	"sample/bank":  {"actors", "actors/wire", "persist", "cluster/node", "cluster/cli"},
	"sample/relay": {"actors", "actors/wire", "cluster/node", "cluster/cli"},
}

// Each big dependency is known in these files only; a trailing slash means any file of the folder.
var dependencies = map[string][]string{
	"github.com/asynkron/protoactor-go/actor": {"actors/system.go", "actors/mailbox.go", "cluster/link.go",
		"cluster/guard.go"},
	"github.com/asynkron/protoactor-go/remote": {"cluster/link.go", "cluster/guard.go"},
	"github.com/panjf2000/gnet/v2":             {"gate/gnet.go"},
	"github.com/gobwas/ws":                     {"gate/websocket.go"},
	"github.com/dgraph-io/ristretto/v2":        {"persist/cache.go"},
	"github.com/go-sql-driver/mysql":           {"persist/mysql.go"},
	"modernc.org/sqlite":                       {"persist/sqlite.go"},
	"github.com/pressly/goose/v3":              {"persist/migration.go"},
	"go.etcd.io/etcd/client/v3": {"cluster/registry.go", "cluster/registry_lease.go",
		"cluster/certificate.go"},
	"go.etcd.io/etcd/server/v3":           {"cluster/etcd.go"},
	"google.golang.org/grpc":              {"cluster/link.go", "cluster/guard.go", "cluster/handshake.go"},
	"github.com/spf13/cobra":              {"cluster/cli/"},
	"github.com/pelletier/go-toml/v2":     {"cluster/node/config_toml.go", "hotreload/toml.go"},
	"github.com/fsnotify/fsnotify":        {"hotreload/watch.go"},
	"github.com/prometheus/client_golang": {"cluster/admin/metrics.go"},
	"github.com/coder/websocket":          {"gate/client/websocket.go"},
	"github.com/chromedp/chromedp":        {},
	"golang.org/x/tools":                  {"cluster/determinism/"},
	"golang.org/x/term": {"cluster/prompt/editor.go", "cluster/cli/screen.go", "cluster/cli/replay.go",
		"cluster/cli/migrate.go"},
}

// A source is one parsed file.
type source struct {
	path string // from the root, with slashes
	test bool
	text string
	fset *token.FileSet
	tree *ast.File
}

func (s source) folder() string { return filepath.ToSlash(filepath.Dir(s.path)) }

func (s source) at(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.fset.Position(n.Pos()).Line)
}

// sources parses every Go file of the project but generated ones.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".pb.go") {
			return nil
		}
		s := source{path: filepath.ToSlash(path), test: strings.HasSuffix(path, "_test.go"), fset: token.NewFileSet()}
		s.tree, err = parser.ParseFile(s.fset, path, nil, parser.ParseComments)
		s.text = read(t, path)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d Go files found: the rules are not looking at the project", len(all))
	}
	return all
}

// imports are the paths that a file imports.
func (s source) imports() []string {
	var paths []string
	for _, i := range s.tree.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		paths = append(paths, path)
	}
	return paths
}

func TestLowerFloorsKnowNothingOfHigherOnes(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.folder() == "." {
			continue
		}
		allowed, known := floors[floorOf(s.folder())]
		if !known {
			t.Errorf("%s: the folder stands on no floor: give it one in floor_test.go", s.path)
			continue
		}
		for _, path := range s.imports() {
			inside, ours := strings.CutPrefix(path, module+"/")
			if !ours || s.test || inside == s.folder() || slices.Contains(allowed, floorOf(inside)) {
				continue
			}
			t.Errorf("%s imports %s: the floor of %s may import only %s; declare a small interface there and let a "+
				"higher floor fulfil it", s.path, inside, s.folder(), strings.Join(allowed, ", "))
		}
	}
}

// floorOf names the floor of a folder: all modules stand on one.
func floorOf(folder string) string {
	for _, shared := range []string{"modules/"} {
		if strings.HasPrefix(folder, shared) {
			return shared
		}
	}
	return folder
}

func TestEachBigDependencyIsKnownInOnePlace(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, path := range s.imports() {
			for dependency, files := range dependencies {
				if path != dependency && !strings.HasPrefix(path, dependency+"/") {
					continue
				}
				if !slices.ContainsFunc(files, func(f string) bool {
					return f == s.path || strings.HasSuffix(f, "/") && strings.HasPrefix(s.path, f)
				}) {
					t.Errorf("%s imports %s, which is known only in %s: use what that file offers", s.path, path,
						strings.Join(files, ", "))
				}
			}
		}
	}
}
