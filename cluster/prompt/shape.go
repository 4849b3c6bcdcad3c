package prompt

import (
	"encoding/json"
	"reflect"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A shape is what a JSON value may hold, as far as names go.
type shape interface {
	names() []string         // of its fields, in their order; none: it is no object
	field(name string) shape // of this name
	element() shape          // of a list, or of a map's values
}

// shapeOf is the shape of a message's body.
func shapeOf(t *wire.Type) shape {
	if m, ok := t.New().(proto.Message); ok {
		return protoShape{m.ProtoReflect().Descriptor()}
	}
	return goShape{t.GoType()}
}

// A leaf holds no names.
type leaf struct{}

func (leaf) names() []string    { return nil }
func (leaf) field(string) shape { return leaf{} }
func (leaf) element() shape     { return leaf{} }

// A goShape is that of a plain Go type, by the rules of encoding/json.
type goShape struct{ t reflect.Type }

func (g goShape) fields() (all []reflect.StructField) {
	t := g.t
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	own := reflect.TypeFor[json.Marshaler]()
	if t.Kind() != reflect.Struct || t.Implements(own) || reflect.PointerTo(t).Implements(own) {
		return nil
	}
	for _, f := range reflect.VisibleFields(t) {
		if f.IsExported() && nameOf(f) != "" && !inlined(f) && inline(t, f) {
			all = append(all, f)
		}
	}
	return all
}

// inlined reports whether a field's own fields stand in its place.
func inlined(f reflect.StructField) bool { return f.Anonymous && f.Tag.Get("json") == "" }

// inline reports whether all that a field is embedded in is inlined.
func inline(t reflect.Type, f reflect.StructField) bool {
	for n := 1; n < len(f.Index); n++ {
		if !inlined(t.FieldByIndex(f.Index[:n])) {
			return false
		}
	}
	return true
}

// nameOf is a field's name in JSON; "": it has none.
func nameOf(f reflect.StructField) string {
	tag := f.Tag.Get("json")
	name, _, _ := strings.Cut(tag, ",")
	switch {
	case tag == "-":
		return ""
	case name == "":
		return f.Name
	}
	return name
}

func (g goShape) names() (all []string) {
	for _, f := range g.fields() {
		all = append(all, nameOf(f))
	}
	return all
}

func (g goShape) field(name string) shape {
	for _, f := range g.fields() {
		if nameOf(f) == name {
			return goShape{f.Type}
		}
	}
	return leaf{}
}

func (g goShape) element() shape {
	switch g.t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		return goShape{g.t.Elem()}
	}
	return leaf{}
}

// A protoShape is that of a protobuf message, by the rules of protojson.
type protoShape struct {
	protoreflect.MessageDescriptor
}

func (p protoShape) names() (all []string) {
	for i := range p.Fields().Len() {
		all = append(all, p.Fields().Get(i).JSONName())
	}
	return all
}

func (p protoShape) field(name string) shape {
	f := p.Fields().ByJSONName(name)
	switch {
	case f == nil:
		return leaf{}
	case f.IsMap():
		return many{valueOf(f.MapValue())}
	case f.IsList():
		return many{valueOf(f)}
	}
	return valueOf(f)
}

func (protoShape) element() shape { return leaf{} }

func valueOf(f protoreflect.FieldDescriptor) shape {
	if m := f.Message(); m != nil {
		return protoShape{m}
	}
	return leaf{}
}

// A many is a list or a map of a protobuf message.
type many struct{ of shape }

func (many) names() []string      { return nil }
func (m many) field(string) shape { return m.of }
func (m many) element() shape     { return m.of }
