package actors

import (
	"encoding"
	"encoding/json"
	"reflect"
	"unsafe"
)

// A scale knows how long contents of one flat type may be as JSON, without encoding them.
type scale struct {
	fixed int                         // all but texts
	texts func(at unsafe.Pointer) int // nil: there are none
}

// most is a bound of the contents at a place, which are of the scale's type.
func (s scale) most(at unsafe.Pointer) int {
	if s.texts == nil {
		return s.fixed
	}
	return s.fixed + s.texts(at)
}

// scaleOf looks with reflection: ask at start.
func scaleOf(t reflect.Type) scale {
	const quoted = len(`"\"\""`)
	switch k := t.Kind(); {
	case t.PkgPath() == "time" && t.Name() == "Time":
		return scale{fixed: 64}
	case t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return scale{texts: func(at unsafe.Pointer) int { return ownSize(reflect.NewAt(t, at).Elem().Interface()) }}
	case k == reflect.String:
		return scale{quoted, func(at unsafe.Pointer) int { return textFactor * len(*(*string)(at)) }}
	case k == reflect.Array:
		return scaleOfArray(t)
	case k == reflect.Struct:
		return scaleOfStruct(t)
	case k == reflect.Float32, k == reflect.Float64:
		return scale{fixed: 32 + quoted}
	default: // 10 bytes of JSON hold 4 of a number: 255, -32768, 4294967295
		return scale{fixed: 3*int(t.Size()) + quoted}
	}
}

// ownSize is the size of what writes itself.
func ownSize(v any) int {
	raw, err := json.Marshal(v)
	if err != nil {
		return 0
	}
	return textFactor * len(raw)
}

func scaleOfArray(t reflect.Type) scale {
	each := scaleOf(t.Elem())
	s := scale{fixed: len(`[]`) + t.Len()*(each.fixed+1)}
	if each.texts != nil {
		count, size := t.Len(), t.Elem().Size()
		s.texts = func(at unsafe.Pointer) (sum int) {
			for i := range count {
				sum += each.texts(unsafe.Add(at, uintptr(i)*size))
			}
			return sum
		}
	}
	return s
}

func scaleOfStruct(t reflect.Type) scale {
	s := scale{fixed: len(`{}`)}
	for i := range t.NumField() {
		f := t.Field(i)
		each, before, offset := scaleOf(f.Type), s.texts, f.Offset
		s.fixed += each.fixed + textFactor*max(len(f.Name), len(f.Tag.Get("json"))) + len(`"":,`)
		switch {
		case each.texts == nil:
		case before == nil:
			s.texts = func(at unsafe.Pointer) int { return each.texts(unsafe.Add(at, offset)) }
		default:
			s.texts = func(at unsafe.Pointer) int { return before(at) + each.texts(unsafe.Add(at, offset)) }
		}
	}
	return s
}
