package contract

// A Shape is what an object looks like: a body, or a part of one.
type Shape struct {
	Name   string  // an identifier that no other shape of the contract has
	Go     string  // the type in Go, for people
	Fields []Field // in the order of the struct
	Is     *Type   // it is no object with fields but this; nil: it is one

	plain string // its name in Go as an identifier; not alone, maybe
	from  string // the package's last name
}

// A Field is one member of an object.
type Field struct {
	Name     string // in JSON
	Go       string // in Go
	Number   int32  // in protobuf; 0: it is no field of a protobuf message
	Optional bool   // it may be missing, and then means the zero value
	Type     Type
}

// A Kind is what a value is, before pointers, lists and maps.
type Kind string

// The kinds. Go's int and uint are what they are on 64 bits. The names stand in lock files and must never change.
const (
	Bool    Kind = "bool"
	Int8    Kind = "int8"
	Int16   Kind = "int16"
	Int32   Kind = "int32"
	Int64   Kind = "int64"
	Uint8   Kind = "uint8"
	Uint16  Kind = "uint16"
	Uint32  Kind = "uint32"
	Uint64  Kind = "uint64"
	Float32 Kind = "float32"
	Float64 Kind = "float64"
	Number  Kind = "number" // json.Number: of any size
	String  Kind = "string"
	Bytes   Kind = "bytes" // base64 in JSON
	Time    Kind = "time"  // RFC 3339 in JSON
	Any     Kind = "any"   // any JSON: an interface, or a type that writes itself
	Enum    Kind = "enum"  // protobuf's: a value's name in JSON, or the number of one without
	Object  Kind = "object"
	List    Kind = "list"
	Map     Kind = "map"
)

// A Type is what a field, an element or a value in a map is.
type Type struct {
	Kind   Kind
	Null   bool    // null may stand for it
	Quoted bool    // it stands in a string in JSON
	Proto  string  // what protobuf calls it: sint64, google.protobuf.Duration; "": it is no value of protobuf's
	Key    Kind    // Map: of the keys, or what protobuf calls it; in JSON they are strings
	Len    int     // List: of an array; 0: of any length
	Elem   *Type   // List, Map
	Shape  *Shape  // Object
	Values []Value // Enum
}

// A Value is one of an enum's.
type Value struct {
	Name   string
	Number int32
}

// holds is the shape that a type holds at any depth, or nil.
func (t *Type) holds() *Shape {
	for ; t != nil; t = t.Elem {
		if t.Shape != nil {
			return t.Shape
		}
	}
	return nil
}

// within lists the shapes that a shape's values hold.
func (s *Shape) within() []*Shape {
	var all []*Shape
	for i := range s.Fields {
		if held := s.Fields[i].Type.holds(); held != nil {
			all = append(all, held)
		}
	}
	if held := s.Is.holds(); held != nil {
		all = append(all, held)
	}
	return all
}
