package contract

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// A member is a struct's field as encoding/json sees it: that of an embedded struct is its holder's.
type member struct {
	reflect.StructField
	name   string // in JSON
	named  bool   // by a tag
	words  []string
	path   []int
	absent bool // with the pointer to an embedded struct that it stands in
}

// members lists what encoding/json writes of a struct, in order. Of several members of one name that wins which lies
// least deep, and of those the one whose tag says the name; if there are still several, none is written.
func members(t reflect.Type) []member {
	all := promoted(t)
	slices.SortStableFunc(all, func(a, b member) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(len(a.path), len(b.path)),
			-cmp.Compare(rank(a.named), rank(b.named)))
	})
	var won []member
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(m member) bool { return m.name != all[0].name })
		if n < 0 {
			n = len(all)
		}
		if n == 1 || len(all[0].path) != len(all[1].path) || all[0].named != all[1].named {
			won = append(won, all[0])
		}
		all = all[n:]
	}
	slices.SortFunc(won, func(a, b member) int { return slices.Compare(a.path, b.path) })
	return won
}

func rank(named bool) int {
	if named {
		return 1
	}
	return 0
}

// An embedding is a struct in a struct, whose members are its holder's.
type embedding struct {
	of     reflect.Type
	path   []int
	absent bool
	twice  bool // at the same depth: then none of its members is written
}

// promoted lists all members, those that lose too, depth by depth.
func promoted(t reflect.Type) []member {
	var all []member
	seen := map[reflect.Type]bool{}
	for level := []embedding{{of: t}}; len(level) > 0; {
		var next []embedding
		for _, e := range level {
			if seen[e.of] {
				continue
			}
			seen[e.of] = true
			for i := range e.of.NumField() {
				m, inner := memberOf(e, i)
				switch {
				case inner != nil:
					next = embed(next, *inner)
				case m != nil && e.twice:
					all = append(all, *m, *m)
				case m != nil:
					all = append(all, *m)
				}
			}
		}
		level = next
	}
	return all
}

func embed(all []embedding, e embedding) []embedding {
	for i := range all {
		if all[i].of == e.of {
			all[i].twice = true
			return all
		}
	}
	return append(all, e)
}

// memberOf is a field of an embedded struct: a member, a struct whose fields are members, or neither.
func memberOf(e embedding, i int) (*member, *embedding) {
	f := e.of.Field(i)
	to, tag := f.Type, f.Tag.Get("json")
	if to.Name() == "" && to.Kind() == reflect.Pointer {
		to = to.Elem()
	}
	if tag == "-" || !f.IsExported() && !(f.Anonymous && to.Kind() == reflect.Struct) {
		return nil, nil
	}
	name, words, _ := strings.Cut(tag, ",")
	path := append(slices.Clone(e.path), i)
	if !isName(name) && f.Anonymous && to.Kind() == reflect.Struct {
		return nil, &embedding{of: to, path: path, absent: e.absent || to != f.Type}
	}
	m := &member{StructField: f, name: f.Name, named: isName(name), words: strings.Split(words, ","), path: path,
		absent: e.absent}
	if m.named {
		m.name = name
	}
	return m, nil
}

// isName reports whether encoding/json takes a tag's word for a name.
func isName(word string) bool {
	return word != "" && !strings.ContainsFunc(word, func(c rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	})
}

// omitted reports whether the member is left out when it is zero.
func (m member) omitted() bool {
	if slices.Contains(m.words, "omitzero") {
		return true
	}
	never := m.Type.Kind() == reflect.Struct || m.Type.Kind() == reflect.Array && m.Type.Len() > 0
	return slices.Contains(m.words, "omitempty") && !never
}

// quoted reports whether the member is a number, a bool or a string that is written into a string.
func (m member) quoted() bool {
	of := m.Type
	if of.Name() == "" && of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if !slices.Contains(m.words, "string") || !isPlain(of) {
		return false
	}
	return reflect.Bool <= of.Kind() && of.Kind() <= reflect.Float64 || of.Kind() == reflect.String
}
