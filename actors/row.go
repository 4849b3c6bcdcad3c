package actors

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/fireflyrt/firefly/actors/wire"
)

// maxKey bounds the key of a stored row, in bytes: with its cell's name it is a key of 255 bytes in the store.
const maxKey = 100

// maxName bounds the name of a cell or a group, in bytes.
const maxName = 100

// A Map is a cell of many rows by key, stored row by row: a flush writes the rows that changed. V is flat.
type Map[K cmp.Ordered, V any] struct {
	p       *Props
	name    string
	stored  bool
	textual bool // its keys are texts
	version int
	steps   []Migration
	rows    map[K]V
	keys    []K               // in order; nil when a key has come or gone since
	log     []rowBefore[K, V] // what this turn changed, oldest first
	touched bool
	dirty   map[K]bool // changed since last collected
	given   map[K]bool // collected, not confirmed

	// Bounds of the rows in dirty and given, in bytes, with their keys: what this turn has changed, what others have,
	// and what was collected. Sizes are those that have been measured, and not changed since.
	edited, waiting, sent int
	sizes                 map[K]int

	redactor *wire.Redactor
	scale    scale
}

// A rowBefore is a row as it was before one change of the turn.
type rowBefore[K cmp.Ordered, V any] struct {
	key   K
	value V
	had   bool
	dirty bool
}

// Rows declares a stored cell of rows. All runs in key order. Keys are written as text: at most 100 bytes.
func Rows[K cmp.Ordered, V any](p *Props, cell string, steps ...Migration) *Map[K, V] {
	return newMap[K, V](p, cell, true, steps)
}

// CarryRows declares a cell of rows that is not stored; it travels when the entity moves, and survives a rebuild.
func CarryRows[K cmp.Ordered, V any](p *Props, cell string) *Map[K, V] {
	return newMap[K, V](p, cell, false, nil)
}

func newMap[K cmp.Ordered, V any](p *Props, name string, stored bool, steps []Migration) *Map[K, V] {
	m := &Map[K, V]{p: p, name: name, stored: stored, steps: steps, version: currentVersion(steps),
		textual: reflect.TypeFor[K]().Kind() == reflect.String,
		rows:    map[K]V{}, dirty: map[K]bool{}, given: map[K]bool{},
		redactor: p.redactor(name, reflect.TypeFor[V]()), scale: p.scale(name, stored, reflect.TypeFor[V]())}
	if p.probing {
		p.checkFlat(name, reflect.TypeFor[V]())
		p.checkSteps(name, steps)
		storing[V](p, name, true, stored, steps)
		if strings.ContainsAny(name, "/\x00") {
			p.table.refuse("cell %q: no slash in a name", name)
		}
	}
	p.addCell(m, stored)
	return m
}

// Get returns a copy of a row, and whether there is one.
func (m *Map[K, V]) Get(k K) (V, bool) {
	m.p.turn(m.name)
	v, ok := m.rows[k]
	return v, ok
}

// At returns a copy of a row, or the zero value.
func (m *Map[K, V]) At(k K) V {
	m.p.turn(m.name)
	return m.rows[k]
}

// Has reports whether there is such a row.
func (m *Map[K, V]) Has(k K) bool {
	_, ok := m.Get(k)
	return ok
}

// Len is the number of rows.
func (m *Map[K, V]) Len() int {
	m.p.turn(m.name)
	return len(m.rows)
}

// Set puts a row. A key that is not UTF-8, or of a stored cell is longer than 100 bytes, panics.
func (m *Map[K, V]) Set(k K, v V) {
	m.checkKey(k)
	if !m.remember(k) {
		m.keys = nil
	}
	m.rows[k] = v
	if m.stored {
		m.edited += m.scale.most(unsafe.Pointer(&v))
	}
}

// Delete removes a row, if there is one.
func (m *Map[K, V]) Delete(k K) {
	if !m.Has(k) {
		return
	}
	m.remember(k)
	m.keys = nil
	delete(m.rows, k)
}

// All runs over the rows in key order, as they were when it began: the body may set and delete.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	m.p.turn(m.name)
	if m.keys == nil {
		m.keys = make([]K, 0, len(m.rows))
		for k := range m.rows {
			m.keys = append(m.keys, k)
		}
		slices.Sort(m.keys)
	}
	keys := m.keys
	values := make([]V, len(keys))
	for i, k := range keys {
		values[i] = m.rows[k]
	}
	return func(yield func(K, V) bool) {
		for i, k := range keys {
			if !yield(k, values[i]) {
				return
			}
		}
	}
}

// remember logs a row before it changes, and reports whether it was there.
func (m *Map[K, V]) remember(k K) bool {
	t := m.p.turn(m.name)
	if !m.touched {
		t.touch(m)
		m.touched = true
	}
	v, had := m.rows[k]
	m.log = append(m.log, rowBefore[K, V]{k, v, had, m.dirty[k]})
	if m.stored {
		m.dirty[k] = true
		m.edited += len(m.name) + m.keyBytes(k) + versionBytes
		delete(m.sizes, k)
	}
	return had
}

func (m *Map[K, V]) cellName() string { return m.name }
func (m *Map[K, V]) isStored() bool   { return m.stored }
func (m *Map[K, V]) isDirty() bool    { return len(m.dirty) > 0 }

func (m *Map[K, V]) undo() {
	for _, b := range slices.Backward(m.log) {
		if b.had {
			m.rows[b.key] = b.value
		} else {
			delete(m.rows, b.key)
		}
		if !b.dirty {
			delete(m.dirty, b.key)
		}
		if m.stored && (b.dirty || m.given[b.key]) { // it may have been measured or collected as the turn had it
			m.waiting += len(m.name) + m.keyBytes(b.key) + versionBytes + m.scale.most(unsafe.Pointer(&b.value))
		}
		delete(m.sizes, b.key)
	}
	m.keys, m.edited = nil, 0
	m.keep()
}

func (m *Map[K, V]) keep() {
	m.waiting, m.edited = m.waiting+m.edited, 0
	clear(m.log)
	m.log, m.touched = m.log[:0], false
}

func (m *Map[K, V]) adopt(old slot) {
	o := old.(*Map[K, V])
	m.rows, m.dirty, m.given = o.rows, o.dirty, o.given
	m.waiting, m.sent, m.sizes = o.waiting, o.sent, o.sizes
}

func (m *Map[K, V]) load(_, parts map[string]json.RawMessage) error {
	for part, raw := range parts {
		cell, text, _ := strings.Cut(part, "/")
		if cell != m.name || raw == nil || string(raw) == "null" {
			continue
		}
		k, err := parseKey[K](text)
		var plain json.RawMessage
		if err == nil {
			plain, err = upToDate(raw, m.version, m.steps)
		}
		var v V
		if err == nil {
			err = json.Unmarshal(plain, &v)
		}
		if err != nil {
			return fmt.Errorf("actors: load row %s: %w", part, err)
		}
		m.rows[k] = v
	}
	return nil
}

func (m *Map[K, V]) collect(_, parts map[string]json.RawMessage) error {
	sent := 0
	for k := range m.dirty {
		part := m.name + "/" + formatKey(k)
		v, ok := m.rows[k]
		if sent += len(part); !ok {
			parts[part] = nil
			continue
		}
		raw, err := versioned(m.version, v)
		if err != nil {
			return fmt.Errorf("actors: save row %s: %w", part, err)
		}
		parts[part] = raw
		sent += len(raw)
	}
	for k := range m.dirty {
		m.given[k] = true
	}
	clear(m.dirty)
	m.sent, m.waiting, m.edited = m.sent+sent, 0, 0 // the bounds of before were wider
	return nil
}

func (m *Map[K, V]) restore() {
	for i := range m.log {
		m.log[i].dirty = m.log[i].dirty || m.given[m.log[i].key]
	}
	for k := range m.given {
		m.dirty[k] = true
	}
	clear(m.given)
	m.waiting, m.sent = m.waiting+m.sent, 0
}

func (m *Map[K, V]) confirm() {
	clear(m.given)
	m.sent, m.sizes = 0, nil
}

func (m *Map[K, V]) peek() any { return maps.Clone(m.rows) }

// formatKey writes a key as its plain contents, also one whose type has a String method: parseKey reads it again.
func formatKey[K cmp.Ordered](k K) string {
	v := reflect.ValueOf(k)
	switch {
	case v.Kind() == reflect.String:
		return v.String()
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10)
	default:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	}
}

// checkKey panics at a key that the store, or a recording, would not take, in the turn that sets it: later, it would
// keep the whole entity from being written.
func (m *Map[K, V]) checkKey(k K) {
	if !m.textual {
		return
	}
	text := formatKey(k)
	if m.stored && len(text) > maxKey || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		panic(fmt.Sprintf("actors: cell %s: a key is UTF-8 without NUL of at most %d bytes: %.40q...",
			m.name, maxKey, text))
	}
}

func parseKey[K cmp.Ordered](text string) (K, error) {
	var k K
	v := reflect.ValueOf(&k).Elem()
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, 64)
		v.SetInt(n)
		return k, err
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, 64)
		v.SetUint(n)
		return k, err
	default:
		f, err := strconv.ParseFloat(text, 64)
		v.SetFloat(f)
		return k, err
	}
	return k, nil
}

// A rowEdit is the rows that a turn has changed, as they were before it.
type rowEdit[K cmp.Ordered, V any] struct {
	m      *Map[K, V]
	before []rowBefore[K, V]
}

func (m *Map[K, V]) edit(undoing bool) Edit {
	e := rowEdit[K, V]{m, slices.Clone(m.log)}
	for i := range e.before {
		if b := &e.before[i]; undoing {
			b.value, b.had = m.rows[b.key]
		}
	}
	return e
}

func (e rowEdit[K, V]) Before(p *Patch) error {
	var errs []error
	for _, b := range slices.Backward(e.before) { // the oldest is the last to be said
		errs = append(errs, e.m.patch(p, b.key, b.value, b.had))
	}
	return errors.Join(errs...)
}

func (e rowEdit[K, V]) After(p *Patch) error {
	var errs []error
	for _, b := range e.before {
		v, is := e.m.rows[b.key]
		errs = append(errs, e.m.patch(p, b.key, v, is))
	}
	return errors.Join(errs...)
}

// Weight is what it keeps in memory, in bytes. Texts that rows point to are not in it.
func (e rowEdit[K, V]) Weight() int {
	return editWeight + cap(e.before)*int(unsafe.Sizeof(rowBefore[K, V]{}))
}

func (m *Map[K, V]) image(p *Patch) error {
	var errs []error
	for k, v := range m.rows {
		errs = append(errs, m.patch(p, k, v, true))
	}
	return errors.Join(errs...)
}

func (m *Map[K, V]) patch(p *Patch, k K, v V, is bool) error {
	row := m.name + "/" + formatKey(k)
	if !is {
		p.Rows[row] = nil
		return nil
	}
	raw, err := versioned(m.version, p.masked(m.redactor, v))
	if err != nil {
		return fmt.Errorf("actors: image of row %s: %w", row, err)
	}
	p.Rows[row] = raw
	return nil
}
