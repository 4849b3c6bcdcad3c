package actors

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// This file finds the fields that a store is to keep columns for: those that are tagged `firefly:"index"`, in the type
// of a stored cell or of the rows of one. The column's name is the cell's, an underscore and the field's as JSON has
// it, in lower case; so an operator can look for players by wallet_gold, without a line of SQL by the game.

// An IndexType is what an indexed column holds: as wide as the field's Go type.
type IndexType uint8

// The types of indexed columns.
const (
	IndexInt   IndexType = iota + 1 // any of Go's signed integers
	IndexUint                       // any of the unsigned ones
	IndexFloat                      // float32, float64
	IndexBool
	IndexText // string; the column holds how it begins
)

// An Index is one field that the store keeps a column for, and an index over that.
type Index struct {
	Cell   string
	InRows bool     // it stands in each row of a Rows cell, not in the entity's own
	Path   []string // of names in JSON, from the cell's or the row's contents to the field
	Column string
	Type   IndexType
}

// maxColumn bounds the name of a column, in bytes: a database takes no more.
const maxColumn = 64

// takenColumns are those that each row has anyway, as far as an index could have their names.
var takenColumns = [...]string{"due_at", "updated_at"}

// Indexes lists the indexed fields of a kind, in the order of its cells and their fields.
func (s *System) Indexes(k KindName) []Index {
	if s.kinds[k] == nil || s.kinds[k].table == nil {
		return nil
	}
	return slices.Clone(s.kinds[k].table.indexes)
}

// checkIndexes finds a cell's indexed fields and refuses those that cannot be.
func (p *Props) checkIndexes(cell string, t reflect.Type, inRows bool) {
	f := indexFinder{p: p, cell: cell, whole: t}
	f.walk(t, nil, nil, "")
	if f.isBad {
		return
	}
	for _, x := range f.found {
		x.InRows = inRows
		p.table.index(x)
	}
}

// index takes a column's name, unless it is taken or none.
func (t *table) index(x Index) {
	where := "cell " + x.Cell + ": the index of " + strings.Join(x.Path, ".")
	same := func(o Index) bool { return o.Column == x.Column }
	switch {
	case len(x.Column) > maxColumn:
		t.refuse("%s: its column %s is longer than %d bytes; give the field a shorter name for JSON",
			where, x.Column, maxColumn)
	case !isColumn(x.Column):
		t.refuse("%s: its column would be %q; a column is of a-z, 0-9 and _, a letter first: name the cell so, and "+
			"the field for JSON", where, x.Column)
	case slices.Contains(takenColumns[:], x.Column):
		t.refuse("%s: its column %s is the runtime's own; give the field another name for JSON", where, x.Column)
	case slices.ContainsFunc(t.indexes, same):
		other := t.indexes[slices.IndexFunc(t.indexes, same)]
		t.refuse("%s: its column %s is that of cell %s, %s, too; give one of the fields another name for JSON",
			where, x.Column, other.Cell, strings.Join(other.Path, "."))
	default:
		t.indexes = append(t.indexes, x)
	}
}

func isColumn(name string) bool {
	for i, c := range []byte(name) {
		isLetter := c >= 'a' && c <= 'z'
		if !isLetter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return name != ""
}

// An indexFinder looks for tags in the type of one cell.
type indexFinder struct {
	p     *Props
	cell  string
	whole reflect.Type // of the cell's or a row's contents
	found []Index
	isBad bool
}

func (f *indexFinder) refuse(what, why string) {
	f.isBad = true
	f.p.table.refuse("cell %q: %s%s: %s", f.cell, f.whole, what, why)
}

// walk looks at the fields of a struct, which stands at steps in the contents, under names in their JSON. Inside is
// why a tag here is in vain, if it is.
func (f *indexFinder) walk(t reflect.Type, steps []int, names []string, inside string) {
	if t.Kind() == reflect.Array {
		f.walk(t.Elem(), steps, names, "is one of many; only Rows have an index for each")
	}
	if t.Kind() != reflect.Struct || t.PkgPath() == "time" {
		return
	}
	for i := range t.NumField() {
		field := t.Field(i)
		at, under, why := append(slices.Clone(steps), i), slices.Clone(names), inside
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			name = field.Name
		}
		if !field.Anonymous || field.Tag.Get("json") != "" {
			under = append(under, name)
		}
		isIndex := false
		for _, word := range strings.Split(field.Tag.Get("firefly"), ",") {
			switch word {
			case "":
			case "index":
				isIndex = true
			case "sensitive":
				why = "is sensitive: a column would show it to whoever may read the database; remove one of the tags"
			default:
				f.refuse("."+field.Name, `the tag firefly:"`+word+`" is unknown; there are "index" and "sensitive"`)
			}
		}
		if !isIndex {
			f.walk(field.Type, at, under, why)
			continue
		}
		f.field(field, at, under, why, options)
	}
}

// field takes an indexed field on, or says why it cannot have an index.
func (f *indexFinder) field(field reflect.StructField, steps []int, names []string, why, options string) {
	kind := indexTypeOf(field.Type)
	switch {
	case why != "":
	case kind == 0:
		why = "has an index, and is no integer, float, bool or string but " + field.Type.String()
	case strings.Contains(options, "omit"):
		why = "has an index, and is left out of JSON when empty: its column would be NULL then; remove the option"
	case !f.isPlain(steps, names, kind):
		why = "has an index, but does not stand in the JSON of its cell as a plain value of its own name"
	}
	if why != "" {
		f.refuse("."+field.Name, why)
		return
	}
	f.found = append(f.found, Index{Cell: f.cell, Path: names, Type: kind,
		Column: strings.ToLower(f.cell + "_" + strings.Join(names, "_"))})
}

func indexTypeOf(t reflect.Type) IndexType {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return IndexInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return IndexUint
	case reflect.Float32, reflect.Float64:
		return IndexFloat
	case reflect.Bool:
		return IndexBool
	case reflect.String:
		return IndexText
	}
	return 0
}

// isPlain tries it: contents whose field is set must have the value where a column would look for it. So fields that
// another one hides, and types that write themselves in their own way, are found before the first row is.
func (f *indexFinder) isPlain(steps []int, names []string, kind IndexType) bool {
	contents := reflect.New(f.whole).Elem()
	field := contents.FieldByIndex(steps)
	if !field.CanSet() {
		return false
	}
	want := "7"
	switch kind {
	case IndexInt:
		field.SetInt(7)
	case IndexUint:
		field.SetUint(7)
	case IndexFloat:
		field.SetFloat(7)
	case IndexBool:
		field.SetBool(true)
		want = "true"
	case IndexText:
		field.SetString("7")
		want = `"7"`
	}
	raw, err := json.Marshal(contents.Interface())
	for _, name := range names {
		var holder map[string]json.RawMessage
		if err == nil {
			err = json.Unmarshal(raw, &holder)
		}
		raw = holder[name]
	}
	return err == nil && string(raw) == want
}
