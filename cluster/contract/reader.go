package contract

import (
	"encoding"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/fireflyrt/firefly/actors/wire"
)

var textType = reflect.TypeFor[encoding.TextMarshaler]()

// A reader finds out what Go types look like in JSON.
type reader struct {
	shapes map[any]*Shape // by reflect.Type, or a protobuf message's full name
	around []reflect.Type // named types that are no structs, being looked at: they may hold themselves
	errs   []error
}

func (r *reader) message(t *wire.Type) *Shape {
	goType := t.GoType()
	if t.Proto() {
		return r.protoMessage(goType, t.New().(proto.Message).ProtoReflect().Descriptor())
	}
	if !isPlain(goType) {
		s := r.shape(goType)
		is := r.typeOf(goType, goType.String())
		s.Is = &is
		return s
	}
	return r.object(goType)
}

// shape makes the shape of a type, without its fields.
func (r *reader) shape(t reflect.Type) *Shape {
	s := &Shape{Go: t.String(), plain: identifier(t.Name()), from: path.Base(t.PkgPath())}
	r.shapes[t] = s
	return s
}

// object is the shape of a struct without a JSON of its own. One without a name is called after whoever holds it.
func (r *reader) object(t reflect.Type, holder ...string) *Shape {
	if s := r.shapes[t]; s != nil {
		return s
	}
	s := r.shape(t)
	if t.Name() == "" {
		s.plain, s.Go = identifier(slices.Concat(holder)...), "a struct without a name"
	}
	for _, m := range members(t) {
		f := Field{Name: m.name, Go: m.Name, Optional: m.absent || m.omitted(),
			Type: r.typeOf(m.Type, t.String()+"."+m.Name, s.plain, m.Name)}
		f.Type.Null = f.Type.Null && !m.omitted()
		f.Type.Quoted = m.quoted()
		s.Fields = append(s.Fields, f)
	}
	return s
}

// typeOf is what a value looks like; where names it for people, and holder makes a name for a struct without one.
func (r *reader) typeOf(t reflect.Type, where string, holder ...string) Type {
	if t.Kind() == reflect.Pointer {
		to := r.typeOf(t.Elem(), where, holder...)
		to.Null = true
		return to
	}
	if is := ownJSON(t); is != "" {
		return Type{Kind: is, Null: is == Any}
	}
	if t.Name() != "" && t.Kind() != reflect.Struct {
		if slices.Contains(r.around, t) {
			return Type{Kind: Any, Null: true}
		}
		r.around = append(r.around, t)
		defer func() { r.around = r.around[:len(r.around)-1] }()
	}
	switch t.Kind() {
	case reflect.Int:
		return Type{Kind: Int64}
	case reflect.Uint, reflect.Uintptr:
		return Type{Kind: Uint64}
	case reflect.Bool, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16,
		reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64, reflect.String:
		return Type{Kind: Kind(t.Kind().String())}
	case reflect.Interface:
		return Type{Kind: Any, Null: true}
	case reflect.Struct:
		return Type{Kind: Object, Shape: r.object(t, holder...)}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 && isPlain(t.Elem()) {
			return Type{Kind: Bytes, Null: true}
		}
		return Type{Kind: List, Null: true, Elem: r.elem(t, where, holder)}
	case reflect.Array:
		return Type{Kind: List, Len: t.Len(), Elem: r.elem(t, where, holder)}
	case reflect.Map:
		return Type{Kind: Map, Null: true, Key: r.key(t, where), Elem: r.elem(t, where, holder)}
	}
	r.errs = append(r.errs, fmt.Errorf("contract: %s is a %s, which cannot travel: leave it out (json:\"-\") or give "+
		"it another type", where, t))
	return Type{Kind: Any, Null: true}
}

func (r *reader) elem(t reflect.Type, where string, holder []string) *Type {
	e := r.typeOf(t.Elem(), where, holder...)
	return &e
}

// key is the kind of a map's keys.
func (r *reader) key(t reflect.Type, where string) Kind {
	switch k := t.Key(); {
	case k.Kind() == reflect.String, k.Implements(textType):
		return String
	case reflect.Int <= k.Kind() && k.Kind() <= reflect.Uintptr:
		return r.typeOf(k, where).Kind
	default:
		r.errs = append(r.errs, fmt.Errorf("contract: %s is a map by %s, which JSON does not have: let the keys be "+
			"strings or integers", where, k))
		return String
	}
}

// isPlain reports whether a type has the JSON of its kind.
func isPlain(t reflect.Type) bool { return ownJSON(t) == "" }

// ownJSON is what a type that says itself how it is written looks like; "": it does not.
func ownJSON(t reflect.Type) Kind {
	does := func(what reflect.Type) bool { return t.Implements(what) || reflect.PointerTo(t).Implements(what) }
	switch {
	case t.Kind() == reflect.Interface:
		return ""
	case t == reflect.TypeFor[time.Time]():
		return Time
	case t == reflect.TypeFor[json.Number]():
		return Number
	case does(reflect.TypeFor[json.Marshaler]()), does(reflect.TypeFor[json.Unmarshaler]()):
		return Any
	case does(textType):
		return String
	case does(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return Any
	}
	return ""
}
