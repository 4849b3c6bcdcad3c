package contract

import (
	"reflect"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// ownProtoJSON is what messages look like that protojson writes in a way of their own.
func ownProtoJSON(name protoreflect.FullName) *Type {
	as := func(k Kind) *Type { return &Type{Kind: k, Proto: string(name)} }
	anything := &Type{Kind: Any, Null: true}
	switch name {
	case "google.protobuf.Timestamp":
		return as(Time)
	case "google.protobuf.Duration", "google.protobuf.FieldMask", "google.protobuf.StringValue":
		return as(String)
	case "google.protobuf.Struct":
		return &Type{Kind: Map, Proto: string(name), Key: String, Elem: anything}
	case "google.protobuf.ListValue":
		return &Type{Kind: List, Proto: string(name), Elem: anything}
	case "google.protobuf.Value":
		return &Type{Kind: Any, Null: true, Proto: string(name)}
	case "google.protobuf.Any":
		return as(Any)
	case "google.protobuf.BoolValue":
		return as(Bool)
	case "google.protobuf.Int32Value":
		return as(Int32)
	case "google.protobuf.UInt32Value":
		return as(Uint32)
	case "google.protobuf.Int64Value":
		return &Type{Kind: Int64, Quoted: true, Proto: string(name)}
	case "google.protobuf.UInt64Value":
		return &Type{Kind: Uint64, Quoted: true, Proto: string(name)}
	case "google.protobuf.FloatValue":
		return as(Float32)
	case "google.protobuf.DoubleValue":
		return as(Float64)
	case "google.protobuf.BytesValue":
		return as(Bytes)
	}
	return nil
}

// protoMessage is the shape of a protobuf message in the catalogue.
func (r *reader) protoMessage(t reflect.Type, d protoreflect.MessageDescriptor) *Shape {
	s := r.protoObject(d)
	s.Go, s.plain = t.String(), identifier(t.Name())
	s.Is = ownProtoJSON(d.FullName())
	return s
}

func (r *reader) protoObject(d protoreflect.MessageDescriptor) *Shape {
	if s := r.shapes[d.FullName()]; s != nil {
		return s
	}
	s := &Shape{Go: string(d.FullName()), from: string(d.ParentFile().Package().Name()), plain: nested(d)}
	r.shapes[d.FullName()] = s
	if ownProtoJSON(d.FullName()) != nil {
		return s
	}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		s.Fields = append(s.Fields, Field{Name: f.JSONName(), Go: identifier(strings.Split(string(f.Name()), "_")...),
			Number: int32(f.Number()), Optional: f.Cardinality() != protoreflect.Required, Type: r.protoField(f)})
	}
	return s
}

// nested is the name that Go has for a message, which may stand in another.
func nested(d protoreflect.MessageDescriptor) string {
	if outer, is := d.Parent().(protoreflect.MessageDescriptor); is {
		return nested(outer) + "_" + string(d.Name())
	}
	return identifier(string(d.Name()))
}

func (r *reader) protoField(f protoreflect.FieldDescriptor) Type {
	switch {
	case f.IsMap():
		value := r.protoType(f.MapValue())
		return Type{Kind: Map, Key: Kind(f.MapKey().Kind().String()), Elem: &value}
	case f.IsList():
		elem := r.protoType(f)
		return Type{Kind: List, Elem: &elem}
	}
	return r.protoType(f)
}

// protoType is what one value of a field is.
func (r *reader) protoType(f protoreflect.FieldDescriptor) Type {
	is := Type{Proto: f.Kind().String()}
	switch f.Kind() {
	case protoreflect.BoolKind:
		is.Kind = Bool
	case protoreflect.StringKind:
		is.Kind = String
	case protoreflect.BytesKind:
		is.Kind = Bytes
	case protoreflect.FloatKind:
		is.Kind = Float32
	case protoreflect.DoubleKind:
		is.Kind = Float64
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		is.Kind = Int32
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		is.Kind = Uint32
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		is.Kind, is.Quoted = Int64, true
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		is.Kind, is.Quoted = Uint64, true
	case protoreflect.EnumKind:
		return enum(f.Enum())
	default:
		return r.protoPart(f.Message())
	}
	return is
}

// protoPart is a message in a message.
func (r *reader) protoPart(d protoreflect.MessageDescriptor) Type {
	if own := ownProtoJSON(d.FullName()); own != nil {
		return *own
	}
	return Type{Kind: Object, Shape: r.protoObject(d)}
}

func enum(d protoreflect.EnumDescriptor) Type {
	if d.FullName() == "google.protobuf.NullValue" {
		return Type{Kind: Any, Null: true, Proto: string(d.FullName())}
	}
	t := Type{Kind: Enum}
	for i := range d.Values().Len() {
		v := d.Values().Get(i)
		t.Values = append(t.Values, Value{string(v.Name()), int32(v.Number())})
	}
	return t
}
