package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// This file keeps what is sensitive out of recordings. A field is sensitive that is tagged `firefly:"sensitive"`, or
// in a protobuf message has the option [debug_redact = true]. A text is replaced by what a mask says of it, bytes
// likewise, and anything else becomes its zero value. What is empty stays so: that a secret is not there yet is no
// secret.

// unreadable stands for a body of a sensitive type that could not be decoded: neither can this.
var unreadable = []byte("masked:")

// A Redactor masks values of one type. Nil is that of a type in which nothing is sensitive: it costs nothing.
type Redactor struct{ plan plan }

// RedactorOf finds out what is sensitive in a type, at any depth; nil: nothing. It looks with reflection: ask at start.
func RedactorOf(t reflect.Type) *Redactor {
	if p := planOf(t); p != nil {
		return &Redactor{p}
	}
	return nil
}

// Copy returns a copy of a flat value of the Redactor's type without what is sensitive in it. What v shares with others
// (pointers, slices, maps) is changed in place: flat values share nothing.
func (r *Redactor) Copy(v any, mask func(contents string) string) any {
	if r == nil {
		return v
	}
	c := reflect.New(reflect.TypeOf(v)).Elem()
	c.Set(reflect.ValueOf(v))
	r.plan(c, mask)
	return c.Interface()
}

// Sensitive reports whether messages of the type have sensitive fields. It costs nothing.
func (t *Type) Sensitive() bool { return t.redact != nil }

// RedactBody returns a body without what is sensitive in it: the body itself if its type has no sensitive field. One
// that cannot be decoded is replaced by one that cannot either. The mask leaves alone what it made itself, so that
// masking twice gives the same.
func (t *Type) RedactBody(c Codec, body []byte, mask func(contents string) string) []byte {
	if t.redact == nil || len(body) == 0 {
		return body
	}
	msg, err := t.Decode(c, body)
	if err != nil {
		return unreadable
	}
	t.redact(msg, mask)
	masked, err := t.Encode(c, msg)
	if err != nil {
		return unreadable
	}
	return masked
}

// bindRedaction finds out, once, what is sensitive in the type.
func (t *Type) bindRedaction() {
	if t.proto {
		d := t.fresh().(proto.Message).ProtoReflect().Descriptor()
		if protoSensitive(d, nil) {
			t.redact = func(msg any, mask func(string) string) {
				redactProto(msg.(proto.Message).ProtoReflect(), mask)
			}
		}
		return
	}
	if plan := planOf(t.goType); plan != nil {
		t.redact = func(msg any, mask func(string) string) { plan(reflect.ValueOf(msg).Elem(), mask) }
	}
}

// A plan masks what is sensitive in a value that can be set.
type plan func(v reflect.Value, mask func(string) string)

// planOf is nil if nothing in the type is sensitive.
func planOf(t reflect.Type) plan {
	if !sensitive(t, nil) {
		return nil
	}
	return planFor(t, map[reflect.Type]*plan{})
}

// sensitive looks at a type whose holders are being looked at already.
func sensitive(t reflect.Type, holders []reflect.Type) bool {
	if slices.Contains(holders, t) {
		return false
	}
	holders = append(holders, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return sensitive(t.Elem(), holders)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if reached(f) && (tagged(f) || sensitive(f.Type, holders)) {
				return true
			}
		}
	}
	return false
}

func tagged(f reflect.StructField) bool {
	return slices.Contains(strings.Split(f.Tag.Get("firefly"), ","), "sensitive")
}

// reached reports whether codecs see the field: an embedded struct's fields are its holder's.
func reached(f reflect.StructField) bool {
	return f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct
}

// planFor makes the plan of a type; made holds those of the types around it, which it may hold again.
func planFor(t reflect.Type, made map[reflect.Type]*plan) plan {
	if p := made[t]; p != nil {
		return func(v reflect.Value, mask func(string) string) { (*p)(v, mask) }
	}
	p := new(plan)
	made[t] = p
	switch t.Kind() {
	case reflect.Pointer:
		*p = pointerPlan(planFor(t.Elem(), made))
	case reflect.Slice, reflect.Array:
		*p = listPlan(planFor(t.Elem(), made))
	case reflect.Map:
		*p = mapPlan(planFor(t.Elem(), made))
	case reflect.Struct:
		*p = structPlan(t, made)
	default:
		*p = func(reflect.Value, func(string) string) {}
	}
	return *p
}

func pointerPlan(of plan) plan {
	return func(v reflect.Value, mask func(string) string) {
		if !v.IsNil() {
			of(v.Elem(), mask)
		}
	}
}

func listPlan(of plan) plan {
	return func(v reflect.Value, mask func(string) string) {
		for i := range v.Len() {
			of(v.Index(i), mask)
		}
	}
}

func mapPlan(of plan) plan {
	return func(v reflect.Value, mask func(string) string) {
		for _, k := range v.MapKeys() {
			item := reflect.New(v.Type().Elem()).Elem()
			item.Set(v.MapIndex(k))
			of(item, mask)
			v.SetMapIndex(k, item)
		}
	}
}

func structPlan(t reflect.Type, made map[reflect.Type]*plan) plan {
	type part struct {
		index int
		plan  plan
	}
	var parts []part
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case !reached(f):
		case tagged(f):
			parts = append(parts, part{i, hide})
		case sensitive(f.Type, nil):
			parts = append(parts, part{i, planFor(f.Type, made)})
		}
	}
	return func(v reflect.Value, mask func(string) string) {
		for _, p := range parts {
			p.plan(v.Field(p.index), mask)
		}
	}
}

// hide is the plan of a sensitive field.
func hide(v reflect.Value, mask func(string) string) {
	switch {
	case v.IsZero() || !v.CanSet():
	case v.Kind() == reflect.String:
		v.SetString(mask(v.String()))
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		if v.Len() > 0 {
			v.SetBytes([]byte(mask(string(v.Bytes()))))
		}
	default:
		v.SetZero()
	}
}

// protoSensitive looks at a message whose holders are being looked at already.
func protoSensitive(d protoreflect.MessageDescriptor, holders []protoreflect.FullName) bool {
	if slices.Contains(holders, d.FullName()) {
		return false
	}
	holders = append(holders, d.FullName())
	fields := d.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if redacted(f) || f.Message() != nil && protoSensitive(f.Message(), holders) {
			return true
		}
	}
	return false
}

func redacted(f protoreflect.FieldDescriptor) bool {
	o, ok := f.Options().(*descriptorpb.FieldOptions)
	return ok && o.GetDebugRedact()
}

// redactProto masks a message that nobody else has.
func redactProto(m protoreflect.Message, mask func(string) string) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case redacted(f):
			hideProto(m, f, v, mask)
		case f.Message() == nil || f.IsMap() && f.MapValue().Message() == nil:
		case f.IsMap():
			v.Map().Range(func(_ protoreflect.MapKey, item protoreflect.Value) bool {
				redactProto(item.Message(), mask)
				return true
			})
		case f.IsList():
			for i := range v.List().Len() {
				redactProto(v.List().Get(i).Message(), mask)
			}
		default:
			redactProto(v.Message(), mask)
		}
		return true
	})
}

func hideProto(m protoreflect.Message, f protoreflect.FieldDescriptor, v protoreflect.Value,
	mask func(string) string,
) {
	switch plain := f.Cardinality() != protoreflect.Repeated; {
	case plain && f.Kind() == protoreflect.StringKind && v.String() != "":
		m.Set(f, protoreflect.ValueOfString(mask(v.String())))
	case plain && f.Kind() == protoreflect.BytesKind && len(v.Bytes()) > 0:
		m.Set(f, protoreflect.ValueOfBytes([]byte(mask(string(v.Bytes())))))
	default:
		m.Clear(f)
	}
}

// checkRedaction says what is tagged in vain: a field that codecs do not see, or a tag that is misspelt.
func checkRedaction(t reflect.Type) error {
	for i := range t.NumField() {
		f := t.Field(i)
		word, is := f.Tag.Lookup("firefly")
		switch {
		case is && !tagged(f):
			return fmt.Errorf("wire: %s.%s: the tag firefly:%q is unknown; there is \"sensitive\"", t, f.Name, word)
		case is && !reached(f):
			return fmt.Errorf("wire: %s.%s is sensitive and not exported: nobody sees it; remove the tag", t, f.Name)
		}
	}
	return nil
}
