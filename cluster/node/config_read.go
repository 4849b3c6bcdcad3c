package node

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/cluster/spelling"
)

// A reading turns one file into a Config and collects what is wrong on the way; nothing ends it
// early.
type reading struct {
	config   *Config
	entries  []entry
	env      Env
	problems Problems
	tables   []NodeConfig // the [node.X] as they stand, not yet copied
	foreign  []string     // tables that were reported whole
	whole    bool         // the file could be read to its end
}

func newReading(path string, text []byte, env Env, scale map[string]Scaling) *reading {
	r := &reading{config: &Config{Path: path, Scaled: scale, places: map[string]place{}}, env: env}
	var torn []Problem
	r.entries, torn, r.whole = scan(text)
	for _, p := range torn {
		p.File = filepath.Base(path)
		r.problems = append(r.problems, p)
	}
	return r
}

// wrong notes a problem: what is wrong, as a clause without a full stop.
func (r *reading) wrong(at place, what string, args ...any) *Problem {
	r.problems = append(r.problems, Problem{File: filepath.Base(r.config.Path),
		Line: at.line, Col: at.col, What: fmt.Sprintf(what, args...)})
	return &r.problems[len(r.problems)-1]
}

// apply fills in the defaults, then goes through the entries in the file's order.
func (r *reading) apply() {
	for _, k := range keys {
		if k.value != "" && !strings.Contains(k.name, "*") {
			r.preset(k, nil)
		}
	}
	for _, e := range r.entries {
		path := strings.Join(e.path, ".")
		if first, twice := r.config.places[path]; twice && e.value.form != formHeader {
			r.wrong(e.at, "%s is given twice, first on line %d", path, first.line).
				advise("keep one of them")
			continue
		} else if twice && r.headed(path, e.at) {
			r.wrong(e.at, "table [%s] stands twice, first on line %d", path, first.line).
				advise("put its keys together")
			continue
		}
		r.config.places[path] = e.at
		if e.value.form == formHeader {
			r.open(e)
		} else {
			r.assign(e, path)
		}
	}
}

// headed says whether an earlier entry was the header of the same table.
func (r *reading) headed(path string, before place) bool {
	return slices.ContainsFunc(r.entries, func(e entry) bool {
		return e.value.form == formHeader && strings.Join(e.path, ".") == path &&
			(e.at.line < before.line || e.at.line == before.line && e.at.col < before.col)
	})
}

// preset gives a field its default.
func (r *reading) preset(k key, n *NodeConfig) {
	form := formText
	if _, err := strconv.Atoi(k.value); err == nil {
		form = formNumber
	} else if k.form() == "true or false" {
		form = formTruth
	}
	if err := r.put(k.field(r.config, n), value{form: form, text: k.value}); err != "" {
		panic("node: default of " + k.name + ": " + err) // the table of keys itself is wrong
	}
}

// open handles a table's header.
func (r *reading) open(e entry) {
	switch {
	case e.path[0] == "node" && len(e.path) == 2:
		r.node(e.path[1], e.at)
	case e.path[0] == "original" && len(e.path) == 2:
		r.original(e.path[1], e.at)
	case len(e.path) == 1 && (e.path[0] == "node" || e.path[0] == "original"):
	case e.path[0] == "node" && len(e.path) == 3 && e.path[2] == "original":
	case len(e.path) == 1 && slices.Contains(sections(), e.path[0]):
	default:
		r.foreignTable(e)
	}
}

// foreignTable reports a table that no key belongs to, once; its keys are passed over.
func (r *reading) foreignTable(e entry) {
	name := strings.Join(e.path, ".")
	r.foreign = append(r.foreign, name)
	r.wrong(e.at, "unknown table [%s]", name).
		advise(instead(name, append(sections(), "node.NAME", "original.NAME")))
}

// sections are the tables whose names are fixed.
func sections() []string {
	var names []string
	for _, k := range keys {
		if t := k.table(); !strings.Contains(t, "*") && !slices.Contains(names, t) {
			names = append(names, t)
		}
	}
	return names
}

// node finds or begins the table of a node.
func (r *reading) node(name string, at place) *NodeConfig {
	for i := range r.tables {
		if r.tables[i].Table == name {
			return &r.tables[i]
		}
	}
	if !nameShape.MatchString(name) {
		r.wrong(at, "%q cannot be a node's name", name).
			advise("use " + named.text)
	}
	if p := "node." + name; r.config.places[p] == (place{}) {
		r.config.places[p] = at
	}
	r.tables = append(r.tables, NodeConfig{Name: name, Table: name})
	n := &r.tables[len(r.tables)-1]
	for _, k := range keys {
		if k.value != "" && k.table() == "node.*" {
			r.preset(k, n)
		}
	}
	return n
}

// assign handles a key and its value.
func (r *reading) assign(e entry, path string) {
	for _, t := range r.foreign {
		if strings.HasPrefix(path, t+".") {
			return
		}
	}
	k, n, ok := r.find(e)
	if !ok {
		return
	}
	field := k.field(r.config, n)
	if expected := r.put(field, e.value); expected != "" {
		r.wrong(e.value.culprit().at, "%s is %s, but should be %s",
			path, quoted(e.value), expected).
			advise(example(k))
		return
	}
	r.config.places[path+"="] = e.value.at
	if k.name == secret {
		r.reveal(e, path)
	} else if !k.bound.ok(pointed(field)) {
		r.wrong(e.value.at, "%s is %s, which is out of bounds", path, quoted(e.value)).
			advise("it must be " + k.bound.text)
	}
}

// find finds the key of an entry, and the node it is about.
func (r *reading) find(e entry) (key, *NodeConfig, bool) {
	table, last := strings.Join(e.path[:len(e.path)-1], "."), e.path[len(e.path)-1]
	var n *NodeConfig
	shape := table
	switch {
	case e.path[0] == "node" && len(e.path) == 3:
		n, shape = r.node(e.path[1], e.at), "node.*"
	case e.path[0] == "node" && len(e.path) == 4 && e.path[2] == "original":
		n, shape = r.node(e.path[1], e.at), "node.*.original"
		n.Originals, last = append(n.Originals, OriginalDoor{Name: last}), "NAME"
	case e.path[0] == "original" && len(e.path) == 3:
		r.original(e.path[1], e.at)
		shape = "original.*"
	}
	var there []string
	for _, k := range keys {
		if k.table() != shape {
			continue
		}
		if k.last() == last {
			return k, n, true
		}
		there = append(there, k.last())
	}
	r.unknown(e, table, last, there)
	return key{}, nil, false
}

// unknown reports a key that is not in the table, with the nearest that is.
func (r *reading) unknown(e entry, table, last string, there []string) {
	switch {
	case last == "original" && strings.HasPrefix(table, "node."):
		r.wrong(e.at, "original in [%s] wants a name", table).
			advise(`write original.NAME = "0.0.0.0:11009", and say in [original.NAME] how its clients speak`)
	case len(there) > 0:
		do := instead(last, there)
		if _, near := spelling.Nearest(last, there); !near {
			if other, ok := elsewhere(last); ok {
				do = "did you mean " + other + "?"
			}
		}
		r.wrong(e.at, "unknown key %s in [%s]", last, table).
			advise(do)
	case table == "":
		do := "put it below a table such as [cluster]"
		if other, ok := elsewhere(last); ok {
			do = "did you mean " + other + "?"
		}
		r.wrong(e.at, "key %s stands outside of any table", last).
			advise(do)
	default:
		r.foreignTable(entry{path: e.path[:len(e.path)-1], at: e.at})
	}
}

// elsewhere finds a key of this very name in another table.
func elsewhere(last string) (string, bool) {
	for _, k := range keys {
		if k.last() == last {
			return strings.ReplaceAll(k.name, "*", "NAME"), true
		}
	}
	return "", false
}

// put writes a value into a field; it returns what was expected instead, if the value is of another
// type.
func (r *reading) put(field any, v value) string {
	switch f := field.(type) {
	case *string:
		if v.form != formText {
			return "a text"
		}
		*f = v.text
	case *int:
		n, err := strconv.Atoi(strings.ReplaceAll(v.text, "_", ""))
		if v.form != formNumber || err != nil {
			return "a whole number"
		}
		*f = n
	case *bool:
		if v.form != formTruth {
			return "true or false"
		}
		*f = v.text == "true"
	case *time.Duration:
		d, err := time.ParseDuration(v.text)
		if v.form != formText || err != nil {
			return "a duration"
		}
		*f = d
	case size:
		n, err := parseBytes(v.text)
		if v.form != formText && v.form != formNumber || err != nil {
			return "a size"
		}
		f.set(n)
	case *[]string:
		texts, ok := textList(v)
		if !ok {
			return "a list of texts"
		}
		*f = texts
	case *[4]byte:
		magic, ok := readMagic(v)
		if !ok {
			return "a list of four numbers from 0 to 255"
		}
		*f = magic
	case *Telling:
		number, ok := readTelling(v)
		if !ok {
			return `"silent" or a number from 1 to 4294967295`
		}
		*f = number
	case *Etcd:
		if *f = (Etcd{Embedded: true}); v.form == formText && v.text == "embedded" {
			break
		}
		texts, ok := textList(v)
		if !ok {
			return `"embedded" or a list of texts`
		}
		*f = Etcd{Endpoints: texts}
	default:
		panic(fmt.Sprintf("node: no way to read a %T", field))
	}
	return ""
}

func textList(v value) ([]string, bool) {
	texts := make([]string, len(v.list))
	for i, item := range v.list {
		if item.form != formText {
			return nil, false
		}
		texts[i] = item.text
	}
	return texts, v.form == formList
}

// pointed is the value that a field's pointer leads to.
func pointed(field any) any {
	switch f := field.(type) {
	case *string:
		return *f
	case *int:
		return *f
	case *time.Duration:
		return *f
	case size:
		return f.get()
	case *bool:
		return *f
	case *[]string:
		return *f
	case *[4]byte:
		return *f
	case *Telling:
		return *f
	case *Etcd:
		return *f
	default:
		panic(fmt.Sprintf("node: no way to read a %T", field))
	}
}

// reveal puts a secret in place of the name of its environment variable. One that is missing is
// reported by the check of the store that needs it.
func (r *reading) reveal(e entry, path string) {
	name, ok := strings.CutPrefix(e.value.text, "env:")
	if !ok {
		return
	}
	dsn, _ := r.env(name)
	r.config.Persist.DSN = dsn
	r.config.places[path+"=env:"+name] = e.value.at
}
