package hotreload

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// bind writes a value into a field of the form f, and reports whether all of it could be written.
// What names the field in faults.
func (p *paper) bind(f *form, v value, into reflect.Value, what string) bool {
	before := len(p.faults)
	switch {
	case f.typ == durationType:
		d, err := time.ParseDuration(v.text)
		if err != nil || !v.isText() {
			p.wrong(v, what, `a duration such as "1m30s"`)
		}
		into.SetInt(int64(d))
	case reflect.PointerTo(f.typ).Implements(textType):
		reader := into.Addr().Interface().(encoding.TextUnmarshaler)
		err := guarded(func() error { return reader.UnmarshalText([]byte(v.text)) })
		if err != nil || !v.isText() {
			p.wrong(v, what, fmt.Sprintf("a %s in quotes (%v)", f.typ, err))
		}
	case f.columns != nil:
		p.bindRecord(f, v, into, what)
	case f.item != nil:
		p.bindList(f, v, into, what)
	default:
		p.bindScalar(v, into, what)
	}
	return len(p.faults) == before
}

func (p *paper) wrong(v value, what, wanted string) {
	p.fault(v.at, fmt.Sprintf("%s is %s", what, v.said()), "write "+wanted)
}

func (v value) isText() bool   { return v.sort == text || v.sort == cell }
func (v value) isNumber() bool { return v.sort == number || v.sort == cell }

func (p *paper) bindScalar(v value, into reflect.Value, what string) {
	t := into.Type()
	ok := false
	switch {
	case into.Kind() == reflect.String:
		ok = v.isText()
		into.SetString(v.text)
	case into.Kind() == reflect.Bool:
		yes := strings.EqualFold(v.text, "true")
		ok = (v.sort == boolean || v.sort == cell) && (yes || strings.EqualFold(v.text, "false"))
		into.SetBool(yes)
	case into.CanInt():
		n, err := strconv.ParseInt(v.text, 10, t.Bits())
		ok = err == nil && v.isNumber()
		into.SetInt(n)
	case into.CanUint():
		n, err := strconv.ParseUint(v.text, 10, t.Bits())
		ok = err == nil && v.isNumber()
		into.SetUint(n)
	default:
		n, err := strconv.ParseFloat(v.text, t.Bits())
		ok = err == nil && v.isNumber() && !math.IsNaN(n) && !math.IsInf(n, 0)
		into.SetFloat(n)
	}
	if !ok {
		p.wrong(v, what, wantedBy(into))
	}
}

// wantedBy says what a scalar field can hold.
func wantedBy(field reflect.Value) string {
	switch {
	case field.Kind() == reflect.String:
		return "a text in quotes"
	case field.Kind() == reflect.Bool:
		return "true or false"
	case field.CanInt():
		most := int64(math.MaxInt64) >> (64 - field.Type().Bits())
		return fmt.Sprintf("a whole number from %d to %d", -most-1, most)
	case field.CanUint():
		most := uint64(math.MaxUint64) >> (64 - field.Type().Bits())
		return fmt.Sprintf("a whole number from 0 to %d", most)
	default:
		return "a number"
	}
}

func (p *paper) bindRecord(f *form, v value, into reflect.Value, what string) {
	if v.sort != record {
		p.wrong(v, what, "a record with "+f.names())
		return
	}
	seen := make(map[string]bool, len(v.fields))
	for _, field := range v.fields {
		c, known := f.column(field.name)
		switch {
		case !known:
			p.fault(field.at, "column "+quoted(field.name)+" is unknown",
				"the columns are "+f.names())
		case seen[field.name]:
			p.fault(field.at, "column "+quoted(field.name)+" stands here twice", "keep one")
		default:
			seen[field.name] = true
			if field.sort == cell && field.text == "" && c.optional {
				continue
			}
			p.bind(c.form, field.value, into.Field(c.index), c.name)
		}
	}
	for _, c := range f.columns {
		if !seen[c.name] && !c.optional && !v.whole {
			p.fault(v.at, "column "+quoted(c.name)+" is missing", "add it")
		}
	}
}

func (p *paper) bindList(f *form, v value, into reflect.Value, what string) {
	if v.sort != list {
		p.wrong(v, what, "a list")
		return
	}
	into.Set(reflect.MakeSlice(f.typ, len(v.list), len(v.list)))
	for i, item := range v.list {
		p.bind(f.item, item, into.Index(i), fmt.Sprintf("%s[%d]", what, i))
	}
}
