package hotreload

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A form is what a Row wants: found by reflection once, when the table is declared.
type form struct {
	typ     reflect.Type
	columns []column // of a struct
	item    *form    // of a slice
}

// A column is one field of a struct, under its name in the file.
type column struct {
	name     string
	index    int
	optional bool
	form     *form
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

const maxDepth = 8 // of structs in structs: what nests deeper is a type that holds itself

func formOfRow[Row any](f format) (*form, error) {
	t := reflect.TypeFor[Row]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("a row is a struct, not %s", t)
	}
	return formOf(t, f, 0)
}

func formOf(t reflect.Type, f format, depth int) (*form, error) {
	made := &form{typ: t}
	var err error
	switch {
	case depth > maxDepth:
		return nil, fmt.Errorf("%s nests deeper than %d", t, maxDepth)
	case t == durationType || reflect.PointerTo(t).Implements(textType) || isScalar(t.Kind()):
		return made, nil
	case t.Kind() == reflect.Struct && (f.nests || depth == 0):
		made.columns, err = columnsOf(t, f, depth)
	case t.Kind() == reflect.Slice && f.nests:
		made.item, err = formOf(t.Elem(), f, depth+1)
	default:
		err = fmt.Errorf("%s cannot hold a %s", f.tag, t)
	}
	return made, err
}

func columnsOf(t reflect.Type, f format, depth int) ([]column, error) {
	var columns []column
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get(f.tag), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = strings.ToLower(field.Name)
		}
		if options != "" && options != "omitempty" {
			return nil, fmt.Errorf("field %s: option %q is unknown, the only one is omitempty",
				field.Name, options)
		}
		if slices.ContainsFunc(columns, func(c column) bool { return c.name == name }) {
			return nil, fmt.Errorf("field %s: column %q is another field's already",
				field.Name, name)
		}
		inner, err := formOf(field.Type, f, depth+1)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", field.Name, err)
		}
		columns = append(columns, column{name, i, options == "omitempty", inner})
	}
	if len(columns) == 0 {
		return nil, fmt.Errorf("%s has no field for a column", t)
	}
	return columns, nil
}

func isScalar(k reflect.Kind) bool {
	return k == reflect.String || k == reflect.Bool || k >= reflect.Int && k <= reflect.Uint64 ||
		k == reflect.Float32 || k == reflect.Float64
}

// column finds a column by its name in the file.
func (f *form) column(name string) (column, bool) {
	for _, c := range f.columns {
		if c.name == name {
			return c, true
		}
	}
	return column{}, false
}

// names lists the columns for whoever mistyped one.
func (f *form) names() string {
	names := make([]string, len(f.columns))
	for i, c := range f.columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}
