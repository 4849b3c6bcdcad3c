package contract

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// packages finds what stands before a type's own name: main. or github.com/x-y/z. of the arguments of a generic one.
var packages = regexp.MustCompile(`[^\[\],* ]*[./]`)

// identifier makes one name of several words: Page[main.Item] becomes PageOfItem. Packages are left out.
func identifier(words ...string) string {
	var name strings.Builder
	for _, word := range words {
		word = packages.ReplaceAllString(word, "")
		word = strings.NewReplacer("[]", "ListOf ", "[", " Of ", ",", " And ").Replace(word)
		for _, part := range strings.FieldsFunc(word, func(c rune) bool { return !inIdentifier(c) }) {
			if name.Len() > 0 {
				part = upper(part)
			}
			name.WriteString(part)
		}
	}
	made := name.String()
	if made == "" || unicode.IsDigit(rune(made[0])) {
		return "_" + made
	}
	return made
}

func inIdentifier(c rune) bool { return c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) }

// upper lets a name begin with a capital.
func upper(name string) string {
	for i, c := range name {
		return string(unicode.ToUpper(c)) + name[i+len(string(c)):]
	}
	return name
}

// name gives every shape that clients know a name of its own. Those that would have the same are called after their
// packages too, all of them, so that none changes its name when another is added later.
func (c *Contract) name() {
	all := c.known()
	for _, s := range all {
		s.Name = s.plain
	}
	for _, s := range twins(all) {
		s.Name = identifier(upper(s.from), upper(s.plain))
	}
	for n, s := range twins(all) { // of packages of one name: that is as far as it goes
		s.Name += strconv.Itoa(n + 1)
	}
	for _, m := range c.Messages {
		if m.Shape.Name == "" {
			m.Shape.Name = m.Shape.plain
		}
	}
	slices.SortFunc(c.Parts, func(a, b *Shape) int { return cmp.Compare(a.Name, b.Name) })
}

// known lists the shapes of messages that clients know, and then what those hold, which are the contract's parts.
func (c *Contract) known() []*Shape {
	var all []*Shape
	for _, m := range append(c.received(), c.sent()...) {
		all = append(all, m.Shape)
	}
	messages := len(all)
	for i := 0; i < len(all); i++ {
		for _, held := range all[i].within() {
			if !slices.Contains(all, held) {
				all = append(all, held)
			}
		}
	}
	c.Parts = all[messages:]
	return all
}

// twins lists the shapes whose name another has, too. So it is in C# when they differ in case, and in any language when
// they differ by the _ that keeps a name from being a word of the language.
func twins(all []*Shape) []*Shape {
	folded := func(s *Shape) string { return strings.TrimRight(strings.ToLower(s.Name), "_") }
	count := map[string]int{}
	for _, s := range all {
		count[folded(s)]++
	}
	return slices.DeleteFunc(slices.Clone(all), func(s *Shape) bool { return count[folded(s)] == 1 })
}

// apart makes a name that is none of those that are taken.
func apart(name string, taken ...string) string {
	if slices.Contains(taken, name) {
		return name + "_"
	}
	return name
}
