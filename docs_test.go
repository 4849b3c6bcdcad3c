package firefly_test

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/actors/wire"
)

// codesOf finds the codes that the runtime, its modules and its clients have: constants of the type Code outside of the
// sample, and what others say that cannot be constants of that type.
func codesOf(t *testing.T) []string {
	t.Helper()
	var codes []string
	for _, s := range sources(t) {
		if s.test || s.folder() == "sample" || strings.HasPrefix(s.path, "sample/") {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			d, ok := n.(*ast.GenDecl)
			if !ok || d.Tok != token.CONST {
				return true
			}
			for _, line := range d.Specs {
				v := line.(*ast.ValueSpec)
				if isCode(v.Type) && len(v.Values) == 1 {
					text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
					if err != nil {
						t.Fatalf("%s: %v", s.at(v), err)
					}
					codes = append(codes, text)
				}
			}
			return true
		})
	}
	for _, n := range wire.CloseNumbers() {
		codes = append(codes, n.String())
	}
	for _, file := range []string{"cluster/admin/refusal.go", "cluster/admin/console.go"} {
		for _, m := range refusing.FindAllStringSubmatch(read(t, file), -1) {
			codes = append(codes, m[1])
		}
	}
	for _, m := range exiting.FindAllStringSubmatch(read(t, "cluster/cli/tool.go"), -1) {
		codes = append(codes, "Exit code "+m[1])
	}
	for _, m := range closing.FindAllStringSubmatch(read(t, "cluster/replay/client.go"), -1) {
		codes = append(codes, m[1])
	}
	for _, m := range reasoning.FindAllStringSubmatch(read(t, "gate/resume.go"), -1) {
		codes = append(codes, m[1])
	}
	browser, err := filepath.Glob("gate/client/ts/src/*.ts")
	if err != nil || len(browser) == 0 {
		t.Fatalf("no sources of the TypeScript client: %v", err)
	}
	for _, file := range browser {
		for _, m := range calling.FindAllStringSubmatch(read(t, file), -1) {
			codes = append(codes, m[1])
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// exiting finds the exit codes of the verbs, closing how a World's clients end that no gate closes, reasoning why a
// session is not resumed, calling what the TypeScript client calls what it saw.
var (
	calling   = regexp.MustCompile(`"([A-Z]{2,}(?:_[A-Z]+)*)"`)
	reasoning = regexp.MustCompile(`"([A-Z_]+): `)
	exiting   = regexp.MustCompile(`\texit[A-Z]\w+ += (\d)`)
	closing   = regexp.MustCompile(`wire\.Close\{Code: "([A-Z_]+)"`)
)

func TestWhatAWorldIsSaidToSayItSays(t *testing.T) {
	t.Parallel()
	var kit strings.Builder
	for _, s := range sources(t) {
		if s.folder() == "cluster/replay" && !s.test {
			kit.WriteString(s.text)
		}
	}
	_, table, _ := strings.Cut(read(t, "docs/errors.md"), "# What a World says")
	table, _, _ = strings.Cut(table, "\n## ")
	words := regexp.MustCompile("\n\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1)
	if len(words) < 5 {
		t.Fatalf("only %d sayings found: the test does not look at the page", len(words))
	}
	for _, w := range words {
		if !strings.Contains(kit.String(), w[1]) {
			t.Errorf("docs/errors.md has a World say %q, which it does not", w[1])
		}
	}
}

// refusing finds the codes of the admin pages, which are HTTP's and not actors'.
var refusing = regexp.MustCompile(`refusal\{http\.\w+, "([A-Z_]+)"`)

func isCode(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "Code"
	case *ast.SelectorExpr:
		return e.Sel.Name == "Code"
	}
	return false
}

func TestEachCodeHasASectionAndEachSectionACode(t *testing.T) {
	t.Parallel()
	const page = "docs/errors.md"
	text := read(t, page)
	codes := codesOf(t)
	if len(codes) < 28 {
		t.Fatalf("only %d codes found: the test does not look at the runtime", len(codes))
	}
	var sections []string
	for _, section := range strings.Split("\n"+text, "\n## ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		if name == "How an error looks" {
			continue
		}
		sections = append(sections, name)
		for _, part := range []string{"**What it means.** ", "**What to do.** "} {
			if !strings.Contains(body, part) {
				t.Errorf("%s: the section %s has no %q", page, name, part)
			}
		}
	}
	for _, c := range codes {
		if !slices.Contains(sections, c) {
			t.Errorf("%s has no section for %s: say what it means and what to do", page, c)
		}
	}
	for i, s := range sections {
		if !slices.Contains(codes, s) {
			t.Errorf("%s: the section %s is about no code of the runtime", page, s)
		}
		if slices.Index(sections, s) < i {
			t.Errorf("%s has two sections %s", page, s)
		}
	}
	for _, n := range wire.CloseNumbers() {
		_, body, _ := strings.Cut(text, "\n## "+n.String()+"\n")
		body, _, _ = strings.Cut(body, "\n## ")
		if !strings.Contains(body, strconv.Itoa(int(n))) {
			t.Errorf("%s: the section %s does not tell its number, %d", page, n, n)
		}
	}
}

// keyed finds keys of runtime.toml in a text.
var keyed = regexp.MustCompile("`((?:cluster|gate|actors|persist|record|tls)\\.[a-z_]+)`")

func TestKeysThatAreToldOfExist(t *testing.T) {
	t.Parallel()
	table := read(t, "cluster/node/config_key.go")
	for _, page := range pages(t) {
		for _, m := range keyed.FindAllStringSubmatch(read(t, page), -1) {
			if !strings.Contains(table, strconv.Quote(m[1])) {
				t.Errorf("%s tells of the key %s, which runtime.toml does not have", page, m[1])
			}
		}
	}
}

// pages are the texts for people.
func pages(t *testing.T) []string {
	t.Helper()
	more, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(more, "README.md", "ARCHITECTURE.md", "CHANGELOG.md")
}

// pointer finds what points into the code: a file, or a file and what is declared there.
var pointer = regexp.MustCompile("`((?:[a-z_]+/)*[a-z_]+\\.(?:go|toml|md|js|csv|conf))(?::([A-Za-z]+))?`")

func TestFilesAndFunctionsThatAreToldOfExist(t *testing.T) {
	t.Parallel()
	found := 0
	for _, page := range pages(t) {
		for _, m := range pointer.FindAllStringSubmatch(read(t, page), -1) {
			found++
			text, err := os.ReadFile(m[1])
			if err != nil {
				t.Errorf("%s tells of %s, which is not there: name where it is now", page, m[1])
				continue
			}
			if m[2] != "" && !declares(string(text), m[2]) {
				t.Errorf("%s tells of %s in %s, which does not declare it: name where it is now", page, m[2], m[1])
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d pointers found: the test does not look at the pages", found)
	}
}

func declares(text, name string) bool {
	return regexp.MustCompile(`(?m)^(?:func (?:\([^)]*\) )?|type )` + name + `\b`).MatchString(text)
}

// linked finds the targets of links and pictures that are files.
var linked = regexp.MustCompile(`\]\(([^):#]+)\)`)

// fenced finds blocks of code.
var fenced = regexp.MustCompile("(?s)\n```([a-z]*)\n(.*?)\n```\n")

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		prose := fenced.ReplaceAllString(read(t, page), "")
		for _, m := range linked.FindAllStringSubmatch(prose, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}

func TestArchitectureTellsOfEveryFloor(t *testing.T) {
	t.Parallel()
	text := read(t, "ARCHITECTURE.md")
	for floor := range floors {
		if !strings.Contains(text, "`"+floor+"`") {
			t.Errorf("ARCHITECTURE.md does not tell of the floor %s", floor)
		}
	}
}

func TestTheTwoCommandsStandOnLinesOfTheirOwn(t *testing.T) {
	t.Parallel()
	lines := strings.Split(read(t, "README.md"), "\n")
	for _, command := range []string{"go run ./sample up", "go test ./..."} {
		if !slices.Contains(lines, command) {
			t.Errorf("README.md does not have %q on a line of its own", command)
		}
	}
}

// tried are pages whose code is compiled and run by tests of their own, as a whole or from this text on.
var tried = map[string]string{
	"docs/determinism.md": "",                    // TestThePageOnDeterminismIsTrue
	"docs/testing.md":     "## From a report to", // TestAReportBecomesATest
}

func TestCodeThatIsShownIsCodeThatRuns(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, s := range sources(t) {
		all.WriteString(s.text)
	}
	shown := 0
	for _, page := range pages(t) {
		text := read(t, page)
		if from, ok := tried[page]; ok {
			text, _, _ = strings.Cut(text, from)
		}
		for _, block := range fenced.FindAllStringSubmatch(text, -1) {
			if block[1] != "go" {
				continue
			}
			if shown++; !strings.Contains(all.String(), block[2]) {
				t.Errorf("%s shows code that stands in no file any more:\n%s", page, block[2])
			}
		}
	}
	if shown < 2 {
		t.Errorf("only %d pieces of code found: the test does not look at the pages", shown)
	}
}

func TestMakeFuzzesEverythingThatCanBeFuzzed(t *testing.T) {
	t.Parallel()
	text := read(t, "Makefile")
	for _, s := range sources(t) {
		for _, d := range s.tree.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !s.test || !strings.HasPrefix(f.Name.Name, "Fuzz") {
				continue
			}
			if !strings.Contains(text, " "+f.Name.Name+"$$ ./"+s.folder()+"\n") {
				t.Errorf("%s: the Makefile's fuzz does not name %s of ./%s", s.at(f), f.Name.Name, s.folder())
			}
		}
	}
}

// tested finds names of tests.
var tested = regexp.MustCompile("`(Test[A-Z]\\w+)`")

func TestTestsThatAreToldOfExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test {
				known[f.Name.Name] = true
			}
		}
	}
	found := 0
	for _, page := range pages(t) {
		for _, m := range tested.FindAllStringSubmatch(read(t, page), -1) {
			if found++; !known[m[1]] {
				t.Errorf("%s tells of the test %s, which there is not", page, m[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d tests found: this one does not look at the pages", found)
	}
}
