package contract

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "google.golang.org/protobuf/types/known/durationpb" // farm imports them
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
)

// farm is a message of protobuf with a field of every kind, as its compiler would describe it.
const farm = `
name: "farm.proto" package: "farm.v1" syntax: "proto3"
dependency: ["google/protobuf/timestamp.proto", "google/protobuf/duration.proto", "google/protobuf/wrappers.proto",
  "google/protobuf/struct.proto", "google/protobuf/field_mask.proto"]
enum_type { name: "Crop" value { name: "CROP_NONE" number: 0 } value { name: "CROP_RYE" number: 2 } }
message_type {
  name: "Farm"
  field { name: "is_open" number: 1 type: TYPE_BOOL }
  field { name: "i32" number: 2 type: TYPE_INT32 }
  field { name: "s32" number: 3 type: TYPE_SINT32 }
  field { name: "f32" number: 4 type: TYPE_FIXED32 }
  field { name: "u32" number: 5 type: TYPE_UINT32 }
  field { name: "i64" number: 6 type: TYPE_INT64 }
  field { name: "sf64" number: 7 type: TYPE_SFIXED64 }
  field { name: "u64" number: 8 type: TYPE_UINT64 }
  field { name: "fx64" number: 9 type: TYPE_FIXED64 }
  field { name: "float" number: 10 type: TYPE_FLOAT }
  field { name: "double" number: 11 type: TYPE_DOUBLE }
  field { name: "text" number: 12 type: TYPE_STRING }
  field { name: "raw" number: 13 type: TYPE_BYTES }
  field { name: "crop" number: 14 type: TYPE_ENUM type_name: ".farm.v1.Crop" }
  field { name: "crops" number: 15 type: TYPE_ENUM type_name: ".farm.v1.Crop" label: LABEL_REPEATED }
  field { name: "sums" number: 16 type: TYPE_INT64 label: LABEL_REPEATED }
  field { name: "barn" number: 17 type: TYPE_MESSAGE type_name: ".farm.v1.Farm.Barn" }
  field { name: "barns" number: 18 type: TYPE_MESSAGE type_name: ".farm.v1.Farm.BarnsEntry" label: LABEL_REPEATED }
  field { name: "at" number: 19 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" }
  field { name: "for" number: 20 type: TYPE_MESSAGE type_name: ".google.protobuf.Duration" }
  field { name: "maybe" number: 21 type: TYPE_MESSAGE type_name: ".google.protobuf.UInt64Value" }
  field { name: "bools" number: 22 type: TYPE_MESSAGE type_name: ".google.protobuf.BoolValue" label: LABEL_REPEATED }
  field { name: "free" number: 23 type: TYPE_MESSAGE type_name: ".google.protobuf.Struct" }
  field { name: "value" number: 24 type: TYPE_MESSAGE type_name: ".google.protobuf.Value" }
  field { name: "values" number: 25 type: TYPE_MESSAGE type_name: ".google.protobuf.ListValue" }
  field { name: "null" number: 26 type: TYPE_ENUM type_name: ".google.protobuf.NullValue" label: LABEL_REPEATED }
  field { name: "mask" number: 27 type: TYPE_MESSAGE type_name: ".google.protobuf.FieldMask" }
  nested_type { name: "Barn" field { name: "farm" number: 1 type: TYPE_MESSAGE type_name: ".farm.v1.Farm" } }
  nested_type { name: "BarnsEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_SINT32 }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".farm.v1.Farm.Barn" } }
}`

// full is a message of it, with something in every field.
const full = `{"isOpen":true,"i32":-1,"s32":-2,"f32":3,"u32":4294967295,"i64":"-9007199254740993","sf64":"7",
"u64":"18446744073709551615","fx64":"9","float":"NaN","double":1e300,"text":"ä","raw":"/w==","crop":"CROP_RYE",
"crops":["CROP_NONE"],"sums":["1"],"barn":{"farm":{}},"barns":{"-4":{}},"at":"2026-01-02T03:04:05Z","for":"1.5s",
"maybe":"0","bools":[false],"free":{"a":[1,null]},"value":null,"values":[1],"null":[null],"mask":"a,b"}`

func farmMessage(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	var file descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(farm), &file); err != nil {
		t.Fatal(err)
	}
	fields := file.MessageType[0].Field
	for _, nested := range file.MessageType[0].NestedType {
		fields = append(fields, nested.Field...)
	}
	for _, f := range fields {
		if f.Label == nil {
			f.Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
		}
	}
	made, err := protodesc.NewFile(&file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return made.Messages().ByName("Farm")
}

func TestEveryKindOfProtobufsIsWhatProtojsonMakesOfIt(t *testing.T) {
	t.Parallel()
	d := farmMessage(t)
	r := reader{shapes: map[any]*Shape{}}
	shape := r.protoObject(d)
	for _, text := range []string{"{}", full} {
		msg := dynamicpb.NewMessage(d)
		if err := protojson.Unmarshal([]byte(text), msg); err != nil {
			t.Fatal(err)
		}
		body, err := protojson.Marshal(msg)
		if err != nil {
			t.Fatal(err)
		}
		been := seen{}
		if bad := been.matchesShape(shape, told(t, body), ""); bad != "" {
			t.Errorf("%s\n%s", bad, body)
		}
		there := slices.DeleteFunc(slices.Clone(shape.Fields), func(f Field) bool {
			return been["."+f.Name+" missing"]
		})
		if text == full && len(there) != len(shape.Fields) {
			t.Errorf("of %d fields %d are there", len(shape.Fields), len(there))
		}
	}
	w := walker{above: map[*Shape]string{}}
	w.shape("", shape)
	var lines strings.Builder
	for _, l := range w.lines {
		lines.WriteString(l.String() + "\n")
	}
	golden(t, "farm.lock", []byte(lines.String()))
	script, shapes := script{}, slices.Compact(append(shape.within(), shape))
	for _, s := range shapes {
		s.Name = s.plain
	}
	for _, s := range shapes {
		script.shape(s, s.Go)
	}
	golden(t, "farm.ts", []byte(script.String()))
}
