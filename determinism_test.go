package firefly_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/cluster/determinism"
)

func TestBehavioursAreFunctionsOfTheirEnvelopes(t *testing.T) {
	t.Parallel()
	r, err := determinism.Check(t.Context(), ".", "./modules/...", "./sample")
	if err != nil {
		t.Fatal(err)
	}
	if r.Packages < 5 || r.Behaviours < 40 {
		t.Errorf("%d behaviours in %d packages: the check does not look at them", r.Behaviours, r.Packages)
	}
	for _, f := range r.Findings {
		t.Error(f)
	}
}

// before is what the examples of docs/determinism.md stand in; imports are added as an example needs them.
const before = `
type Hit struct{ Text string }
type Heal struct{}
type hero struct {
	until, began  time.Time
	damage, sum   int
	hits          chan *Hit
	target        actors.Ref
	mu            sync.Mutex
	count         atomic.Int64
	gold          map[string]int
	motd          []byte
	online        int
}
const Player actors.KindName = "player"
var online int
func post(string) (int, error) { return 0, nil }
func (h *hero) heal() {}
func (h *hero) post(string) {}
func (h *hero) posted(actors.Context, int, error) error { return nil }
func (h *hero) read(actors.Context, []byte, error) error { return nil }
func (h *hero) hit(ctx actors.Context, m *Hit) error {
`

// imported finds what an example uses of packages that it may use.
var imported = regexp.MustCompile(`\b(atomic|maps|os|rand|slices|sync|time)\.`)

var importPaths = map[string]string{"atomic": "sync/atomic", "rand": "math/rand/v2"}

// writeExample makes a package of an example, and returns the lines that it marks as found.
func writeExample(t *testing.T, dir, rule, code string) []int {
	t.Helper()
	text := "package " + rule + "\n"
	needed := map[string]bool{"github.com/fireflyrt/firefly/actors": true}
	for _, m := range imported.FindAllStringSubmatch(before+code, -1) {
		path := importPaths[m[1]]
		if path == "" {
			path = m[1]
		}
		needed[path] = true
	}
	for path := range needed {
		text += "import \"" + path + "\"\n"
	}
	text += before + code + "return nil\n}\n"
	if err := os.MkdirAll(filepath.Join(dir, rule), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, rule, "example.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var marked []int
	for i, line := range strings.Split(text, "\n") {
		if strings.Contains(line, "// found") {
			marked = append(marked, i+1)
		}
	}
	return marked
}

func TestThePageOnDeterminismIsTrue(t *testing.T) {
	t.Parallel()
	const page = "docs/determinism.md"
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	requires := strings.Replace(read(t, "go.mod"), "module "+module, "module page", 1) +
		"\nrequire " + module + " v0.0.0\nreplace " + module + " => " + root + "\n"
	for name, text := range map[string]string{"go.mod": requires, "go.sum": read(t, "go.sum")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var sections []string
	marked := map[string][]int{}
	for _, section := range strings.Split(read(t, page), "\n## ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		if name == "How to run it" {
			continue
		}
		sections = append(sections, name)
		_, code, _ := strings.Cut(body, "\n```go\n")
		code, _, _ = strings.Cut(code, "```\n")
		marked[name] = writeExample(t, dir, name, code)
		if !strings.Contains(body, "\n**Why.** ") || !strings.Contains(body, "\n**Instead.** ") {
			t.Errorf("%s: the section %s does not say why, or what instead", page, name)
		}
	}
	var rules []string
	for _, r := range determinism.Rules() {
		rules = append(rules, string(r))
	}
	if !slices.Equal(sections, rules) {
		t.Fatalf("%s has sections %q, the rules are %q", page, sections, rules)
	}
	r, err := determinism.Check(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]int{}
	for _, f := range r.Findings {
		rule := filepath.Dir(f.File)
		if f.Rule == determinism.Excused {
			f.Line++ // the comment, above what it would excuse
		}
		if f.Rule != determinism.Rule(rule) && rule != string(determinism.Excused) {
			t.Errorf("the example of %s breaks %s: %s", rule, f.Rule, f)
		}
		found[rule] = append(found[rule], f.Line)
	}
	for _, rule := range rules {
		if got := slices.Compact(found[rule]); len(got) == 0 || !slices.Equal(got, marked[rule]) {
			t.Errorf("the example of %s has findings in its lines %v, and marks %v", rule, got, marked[rule])
		}
	}
}
