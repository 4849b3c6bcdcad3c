package wire

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// message makes a protobuf type whose field 2 has the option debug_redact, with a list and a map of itself.
func message(t *testing.T) *dynamicpb.Message {
	t.Helper()
	field := func(number int32, name string, ty descriptorpb.FieldDescriptorProto_Type, secret bool,
	) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: &ty,
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
		if secret {
			f.Options = &descriptorpb.FieldOptions{DebugRedact: proto.Bool(true)}
		}
		if ty == descriptorpb.FieldDescriptorProto_TYPE_MESSAGE {
			f.TypeName, f.Label = proto.String(".Note"), descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}
		return f
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("note.proto"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Note"),
			Field: []*descriptorpb.FieldDescriptorProto{
				field(1, "name", descriptorpb.FieldDescriptorProto_TYPE_STRING, false),
				field(2, "secret", descriptorpb.FieldDescriptorProto_TYPE_STRING, true),
				field(3, "key", descriptorpb.FieldDescriptorProto_TYPE_BYTES, true),
				field(4, "pin", descriptorpb.FieldDescriptorProto_TYPE_INT32, true),
				field(5, "notes", descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, false),
			}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewMessage(file.Messages().Get(0))
}

func TestFieldsWithTheOptionDebugRedactAreMasked(t *testing.T) {
	t.Parallel()
	m := message(t)
	fields := m.Descriptor().Fields()
	name, secret, key, pin, notes := fields.Get(0), fields.Get(1), fields.Get(2), fields.Get(3), fields.Get(4)
	fill := func(m protoreflect.Message) {
		m.Set(name, protoreflect.ValueOfString("Ann"))
		m.Set(secret, protoreflect.ValueOfString("abc"))
		m.Set(key, protoreflect.ValueOfBytes([]byte("k")))
		m.Set(pin, protoreflect.ValueOfInt32(7))
	}
	fill(m)
	fill(m.Mutable(notes).List().AppendMutable().Message())
	if !protoSensitive(m.Descriptor(), nil) {
		t.Fatal("nothing in it counts as sensitive")
	}
	redactProto(m, func(s string) string { return "*" + s[:1] })
	for _, m := range []protoreflect.Message{m, m.Get(notes).List().Get(0).Message()} {
		if m.Get(name).String() != "Ann" || m.Get(secret).String() != "*a" || string(m.Get(key).Bytes()) != "*k" ||
			m.Get(pin).Int() != 0 {
			t.Errorf("masked: %v", m)
		}
	}
}

func TestAMessageWithoutTheOptionHasNothingToMask(t *testing.T) {
	t.Parallel()
	if In[*wrapperspb.StringValue](100).t.Sensitive() {
		t.Error("a plain protobuf type counts as sensitive")
	}
}
