// Package original reads the configuration of the original Firefly (Python, 2014) and says it as a runtime.toml.
//
// It promises that whatever it makes is accepted by `check`, that everything it does not carry over is told, with its
// place and what takes its place, and that no file, however torn, makes it panic. It does not translate the game: the
// original's app modules are programs in Python.
package original

import (
	"fmt"
	"slices"
	"strings"
)

// A Note is something of the file that runtime.toml does not say, or says otherwise.
type Note struct {
	File string `json:"file"`
	Line int    `json:"line"` // from 1
	Col  int    `json:"col"`
	Key  string `json:"key"`  // such as servers.net.remoteport
	What string `json:"what"` // became of it
}

func (n Note) String() string {
	return fmt.Sprintf("%s:%d:%d: %s %s", n.File, n.Line, n.Col, n.Key, n.What)
}

// A Fault is why a file is no configuration at all.
type Fault struct {
	File      string
	Line, Col int
	What      string
}

func (f *Fault) Error() string { return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Col, f.What) }

// An Imported is a configuration in today's words.
type Imported struct {
	Runtime []byte   // runtime.toml; it may hold the database's password
	Nodes   []string // that it names
	Notes   []Note   // in the file's order
}

// Import reads a config.json. The file's name stands in notes. The error is a Fault.
func Import(file string, all []byte) (*Imported, error) {
	root, err := read(file, all)
	if err != nil {
		return nil, err
	}
	m := &mapping{file: file, text: all, ports: map[int]string{}, reserved: map[int]bool{}}
	if root.is != object {
		return nil, m.fault(root.at, "the file holds %s, and should hold an object with servers", root.is)
	}
	for _, f := range m.fields(root, "") {
		switch f.name {
		case "master":
			m.master = f
		case "servers":
			m.servers = f
		case "db":
			m.db = f
		case "memcached":
			m.cache(f)
		default:
			m.note(f.at, f.name, "is left out: the original knows no such key")
		}
	}
	if m.servers.value.is != object || len(m.servers.value.fields) == 0 {
		return nil, m.fault(max(m.servers.at, root.at), "there are no servers")
	}
	if n := len(m.servers.value.fields); n > maxServers {
		return nil, m.fault(m.servers.at, "there are %d servers, and %d are read at most", n, maxServers)
	}
	m.makeNodes()
	m.makeStore()
	slices.SortStableFunc(m.notes, func(a, b placed) int { return a.at - b.at })
	done := &Imported{Runtime: []byte(m.write())}
	for _, n := range m.notes {
		done.Notes = append(done.Notes, n.Note)
	}
	for _, n := range m.nodes {
		done.Nodes = append(done.Nodes, n.name)
	}
	return done, nil
}

// maxServers bounds how many nodes a file makes.
const maxServers = 200

// A mapping is the way from the one configuration to the other.
type mapping struct {
	file  string
	text  []byte
	notes []placed

	master, servers, db field
	nodes               []*node
	ports               map[int]string // who has them
	reserved            map[int]bool   // the file names them
	store               []string       // lines of [persist]
}

// placed is a note with its place for sorting.
type placed struct {
	Note
	at int
}

func (m *mapping) note(at int, key, what string, args ...any) {
	line, col := position(m.text, at)
	m.notes = append(m.notes, placed{Note{m.file, line, col, printable(key), fmt.Sprintf(what, args...)}, at})
}

func (m *mapping) fault(at int, what string, args ...any) *Fault {
	line, col := position(m.text, at)
	return &Fault{m.file, line, col, fmt.Sprintf(what, args...)}
}

// fields are those of an object; of two with one name the last counts, as in Python.
func (m *mapping) fields(v value, key string) []field {
	var last []field
	for i, f := range v.fields {
		again := slices.ContainsFunc(v.fields[i+1:], func(o field) bool { return o.name == f.name })
		if again {
			m.note(f.at, joined(key, f.name), "is given again further down, and that counts")
			continue
		}
		last = append(last, f)
	}
	return last
}

// odd notes a value of a type that the original would have choked on.
func (m *mapping) odd(f field, key, want string) {
	m.note(f.value.at, key, "is left out: it is %s, and should be %s", f.value.is, want)
}

func joined(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// printable is a text that cannot do anything to a terminal, shortened.
func printable(s string) string {
	if r := []rune(s); len(r) > 80 {
		s = string(r[:77]) + "..."
	}
	return strings.Trim(fmt.Sprintf("%+q", s), `"`)
}

// cache says what became of memcached.
func (m *mapping) cache(f field) {
	m.note(f.at, f.name, "is left out: persist nodes keep rows in their own memory (persist.cache_bytes)")
}
