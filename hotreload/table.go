// Package hotreload keeps the game's data tables: prices, drops, levels; files that designers edit
// while players play.
//
// A Table is declared once as a package variable and is a name only: the rows belong to the node,
// in its Set. A good save is live within a second, on every node that sees the files. All tables of
// a Set change together or not at all, behind one atomic pointer, and a turn reads one edition from
// its start to its end. A broken file changes nothing and is reported as file:line:col with what to
// do, once per content.
//
// It does not promise that all nodes change in the same instant, and it cannot tell a file cut off
// at the end of a line, and left so, from a finished one: programs that write tables slowly write
// elsewhere and rename.
package hotreload

import (
	"fmt"
	"iter"

	"github.com/fireflyrt/firefly/actors"
)

// Declared is any Table, whatever its types; Module.Tables lists them. Only a *Table fulfils it.
type Declared interface {
	// File is the table's file, relative to the directory of the Set, with forward slashes.
	File() string

	problem() error                         // why the declaration cannot work, nil if it can
	parse(content []byte) (any, []Fault)    // a *sheet of the table's types, or what is wrong
	cross(e *Edition, of any) (bad []Fault) // the checks that look at other tables
}

// A Table declares one file of rows. Its methods may be used from any goroutine once it is
// declared.
//
// Row is a struct. Its exported fields are the file's columns, named by a tag (`csv:"gold"`,
// `json:"gold"`, `toml:"gold"`, as the format goes) or else by the field in lower case; "-" leaves
// one out, and the option `csv:"note,omitempty"` lets a file do without it. Fields are strings,
// bools, numbers, time.Duration ("1m30s") and whatever implements encoding.TextUnmarshaler; in JSON
// and TOML also structs and slices of these.
type Table[K comparable, Row any] struct {
	file   string
	format format
	form   *form
	flaw   error
	key    func(Row) K
	checks []func(Row) error
	across []func(*Edition, Row) error
}

// CSV declares a table whose file has a header line and then one row a line. Key names a row; no
// two may share one.
func CSV[K comparable, Row any](file string, key func(Row) K) *Table[K, Row] {
	return declare(file, csvFormat, key)
}

// JSON declares a table whose file is one array of objects.
func JSON[K comparable, Row any](file string, key func(Row) K) *Table[K, Row] {
	return declare(file, jsonFormat, key)
}

// TOML declares a table whose file is one array of tables: [[price]], again and again, under any
// one name.
func TOML[K comparable, Row any](file string, key func(Row) K) *Table[K, Row] {
	return declare(file, tomlFormat, key)
}

func declare[K comparable, Row any](file string, f format, key func(Row) K) *Table[K, Row] {
	t := &Table[K, Row]{file: file, format: f, key: key}
	t.form, t.flaw = formOfRow[Row](f)
	return t
}

// Check adds a rule that every row must keep, and returns the table, so that it stands in the
// declaration. The error says what is wrong with the row; file and line are put before it.
func (t *Table[K, Row]) Check(rule func(Row) error) *Table[K, Row] {
	t.checks = append(t.checks, rule)
	return t
}

// CheckAcross adds a rule about a row and the other tables of the same edition: a drop names an
// item that has a price. It runs when all tables are read; look others up with Find.
func (t *Table[K, Row]) CheckAcross(rule func(*Edition, Row) error) *Table[K, Row] {
	t.across = append(t.across, rule)
	return t
}

// Get returns the row with this key, in the edition that the turn holds. What a Row's slices point
// to is shared: read only.
func (t *Table[K, Row]) Get(ctx actors.Context, k K) (Row, bool) { return t.Find(held(ctx), k) }

// All ranges over the rows in the order of the file, in the edition that the turn holds.
func (t *Table[K, Row]) All(ctx actors.Context) iter.Seq2[K, Row] { return t.Rows(held(ctx)) }

// Find is Get for code that has an edition in its hand, such as a rule of CheckAcross.
func (t *Table[K, Row]) Find(e *Edition, k K) (Row, bool) {
	s := t.sheet(e)
	i, ok := s.index[k]
	if !ok {
		var none Row
		return none, false
	}
	return s.rows[i], true
}

// Rows is All for code that has an edition in its hand.
func (t *Table[K, Row]) Rows(e *Edition) iter.Seq2[K, Row] {
	s := t.sheet(e)
	return func(yield func(K, Row) bool) {
		for i, row := range s.rows {
			if !yield(s.keys[i], row) {
				return
			}
		}
	}
}

// File is the table's file, relative to the directory of the Set.
func (t *Table[K, Row]) File() string { return t.file }

// sheet finds the table's rows in an edition. That the table is missing there is a programmer's
// error.
func (t *Table[K, Row]) sheet(e *Edition) *sheet[K, Row] {
	if e != nil {
		if s, ok := e.sheets[t].(*sheet[K, Row]); ok {
			return s
		}
	}
	const why = "hotreload: table %s is read but not loaded; list it in Module.Tables"
	panic(fmt.Sprintf(why, t.file))
}

func (t *Table[K, Row]) problem() error { return t.flaw }
