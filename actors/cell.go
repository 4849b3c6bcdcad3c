package actors

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A slot is a cell as its entity sees it, with its types erased.
type slot interface {
	cellName() string
	isStored() bool
	isDirty() bool
	adopt(old slot) // take over the contents of the same cell of an earlier instance
	load(cells, parts map[string]json.RawMessage) error
	// collect appends what a flush must write and forgets that it is dirty, but not what it gave away.
	collect(cells, parts map[string]json.RawMessage) error
	restore() // what was collected was not written: it is dirty again
	// unwritten lists the parts that differ from what the store is known to have; soil marks one as such.
	unwritten() []string
	soil(part string) error
	confirm()  // what was collected is durable
	peek() any // a copy of the contents
	undoable
	image(p *Patch) error // all of the contents

	// What a change of the entity would hold of the cell, in bytes: estimate is quick and never too low, measure is
	// what it is, and measureTurn is that of a change in which the turn under way is alone.
	estimate(n *entity) int
	measure(n *entity) int
	measureTurn(n *entity) int
}

// A Cell is one value of an entity's state. Its contents live between turns; T is flat, so that a copy shares nothing.
type Cell[T any] struct {
	p        *Props
	name     string
	stored   bool
	version  int
	steps    []Migration
	now      T
	before   T    // as it was when the turn began to edit
	editing  bool // before is set
	dirty    bool // differs from what was last collected
	wasDirty bool // dirty when the turn began to edit
	given    bool // was dirty when last collected, not confirmed yet
	redactor *wire.Redactor
	scale    scale
	size     int // as it was measured; 0: not since it was edited
}

// State declares a stored cell: loaded before the first message, written behind, durable after Commit. T must be flat:
// no maps, pointers, slices, channels, functions or interfaces at any depth; lists are Rows. Steps bring older stored
// versions up to T.
func State[T any](p *Props, cell string, steps ...Migration) *Cell[T] {
	return newCell[T](p, cell, true, steps)
}

// Carry declares a cell that is not stored; it travels when the entity moves to another node, and survives a rebuild.
func Carry[T any](p *Props, cell string) *Cell[T] { return newCell[T](p, cell, false, nil) }

func newCell[T any](p *Props, name string, stored bool, steps []Migration) *Cell[T] {
	c := &Cell[T]{p: p, name: name, stored: stored, steps: steps, version: currentVersion(steps),
		redactor: p.redactor(name, reflect.TypeFor[T]()), scale: p.scale(name, stored, reflect.TypeFor[T]())}
	if p.probing {
		p.checkFlat(name, reflect.TypeFor[T]())
		p.checkSteps(name, steps)
		storing[T](p, name, false, stored, steps)
	}
	p.addCell(c, stored)
	return c
}

// View returns a copy of the contents.
func (c *Cell[T]) View() T {
	c.p.turn(c.name)
	return c.now
}

// Edit returns the contents for this turn to change; they are undone if the turn is. The pointer is of no use after it.
func (c *Cell[T]) Edit() *T {
	t := c.p.turn(c.name)
	c.size = 0
	if !c.editing {
		t.touch(c)
		c.before, c.wasDirty, c.editing = c.now, c.dirty, true
		c.dirty = c.stored
	}
	return &c.now
}

func (c *Cell[T]) cellName() string { return c.name }
func (c *Cell[T]) isStored() bool   { return c.stored }
func (c *Cell[T]) isDirty() bool    { return c.dirty }

func (c *Cell[T]) undo() {
	var none T
	c.now, c.before, c.dirty, c.editing, c.size = c.before, none, c.wasDirty, false, 0
}

func (c *Cell[T]) keep() {
	var none T
	c.before, c.editing = none, false
}

func (c *Cell[T]) adopt(old slot) {
	o := old.(*Cell[T])
	c.now, c.dirty, c.given = o.now, o.dirty, o.given
}

func (c *Cell[T]) load(cells, _ map[string]json.RawMessage) error {
	raw, ok := cells[c.name]
	if !ok {
		return nil
	}
	plain, err := upToDate(raw, c.version, c.steps)
	if err == nil {
		err = json.Unmarshal(plain, &c.now)
	}
	if err != nil {
		return fmt.Errorf("actors: load cell %s: %w", c.name, err)
	}
	return nil
}

func (c *Cell[T]) collect(cells, _ map[string]json.RawMessage) error {
	raw, err := versioned(c.version, c.now)
	if err != nil {
		return fmt.Errorf("actors: save cell %s: %w", c.name, err)
	}
	cells[c.name] = raw
	c.given, c.dirty = c.dirty || c.given, false
	return nil
}

func (c *Cell[T]) restore() {
	c.wasDirty = c.wasDirty || c.given
	c.dirty, c.given = c.dirty || c.given, false
}

func (c *Cell[T]) confirm() { c.given = false }

func (c *Cell[T]) peek() any { return c.now }

// checkFlat refuses, with the path to it, whatever a copy of the type would share with its original.
func (p *Props) checkFlat(cell string, t reflect.Type) {
	if path := sharing(t); path != "" {
		p.table.refuse("cell %q: %s%s is not flat; lists and maps are Rows", cell, t, path)
	} else if path := hidden(t); path != "" {
		p.table.refuse("cell %q: %s%s is left out of JSON, and would be lost; export it", cell, t, path)
	}
}

func sharing(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Map, reflect.Pointer, reflect.Slice, reflect.Chan, reflect.Func, reflect.Interface,
		reflect.UnsafePointer:
		return " (" + t.Kind().String() + ")"
	case reflect.Array:
		return sharing(t.Elem())
	case reflect.Struct:
		if t.PkgPath() == "time" && t.Name() == "Time" {
			return "" // holds a pointer to a location that nobody changes
		}
		for i := range t.NumField() {
			if path := sharing(t.Field(i).Type); path != "" {
				return "." + t.Field(i).Name + path
			}
		}
	}
	return ""
}

// hidden is the path to a field that JSON leaves out: it would be lost on the way to the store, and to a recording.
func hidden(t reflect.Type) string {
	if t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return "" // it sees to that itself
	}
	switch t.Kind() {
	case reflect.Array:
		return hidden(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			path := hidden(f.Type)
			if path != "" || !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
				return "." + f.Name + path
			}
		}
	}
	return ""
}

// A cellEdit is a cell as it was before the turn.
type cellEdit[T any] struct {
	c      *Cell[T]
	before T
}

func (c *Cell[T]) edit(undoing bool) Edit {
	if undoing {
		return cellEdit[T]{c, c.now}
	}
	return cellEdit[T]{c, c.before}
}

func (e cellEdit[T]) Before(p *Patch) error { return e.c.patch(p, e.before) }
func (e cellEdit[T]) After(p *Patch) error  { return e.c.image(p) }

// Weight is what it keeps in memory, in bytes, rounded up as the allocator does. Texts that it points to are not in it.
func (e cellEdit[T]) Weight() int { return editWeight + int(unsafe.Sizeof(e))*9/8 }

func (c *Cell[T]) image(p *Patch) error { return c.patch(p, c.now) }

func (c *Cell[T]) patch(p *Patch, contents T) error {
	raw, err := versioned(c.version, p.masked(c.redactor, contents))
	if err != nil {
		return fmt.Errorf("actors: image of cell %s: %w", c.name, err)
	}
	p.Cells[c.name] = raw
	return nil
}
