package contract

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/typepb"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A seen is which fields were seen missing or null, so that a contract that allows too much is found, too.
type seen map[string]bool

// matches says in what JSON is not what a contract says; "": in nothing.
func (s seen) matches(t *Type, v any, at string) string {
	wrong := func() string { return fmt.Sprintf("%s: %v (%T) is no %s", at, v, v, t.locked("")) }
	if v == nil {
		if s[at+" null"] = true; !t.Null && t.Kind != Any {
			return wrong()
		}
		return ""
	}
	text, isText := v.(string)
	if t.Quoted && t.Kind != String {
		if !isText {
			return wrong()
		}
		if v = any(json.Number(text)); t.Kind == Bool {
			v = text == "true"
		}
	}
	switch t.Kind {
	case Any:
		return ""
	case Bool:
		if _, is := v.(bool); !is {
			return wrong()
		}
	case String, Bytes, Time, Enum:
		if _, err := base64.StdEncoding.DecodeString(text); !isText || t.Kind == Bytes && err != nil {
			return wrong()
		}
		if _, err := time.Parse(time.RFC3339Nano, text); t.Kind == Time && err != nil {
			return wrong()
		}
		if t.Kind == Enum && !slices.ContainsFunc(t.Values, func(v Value) bool { return v.Name == text }) {
			return wrong()
		}
	case List:
		list, is := v.([]any)
		if !is || t.Len > 0 && len(list) != t.Len {
			return wrong()
		}
		for _, item := range list {
			if bad := s.matches(t.Elem, item, at+"[]"); bad != "" {
				return bad
			}
		}
	case Map:
		object, is := v.(map[string]any)
		if !is {
			return wrong()
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if bad := s.matches(t.Elem, object[key], at+"{}"); bad != "" {
				return bad
			}
		}
	case Object:
		return s.matchesShape(t.Shape, v, at)
	default:
		n, is := v.(json.Number)
		if isNumber := is && fitsInto(t.Kind, n.String()); !isNumber && !(t.Proto != "" && text == "NaN") {
			return wrong()
		}
	}
	return ""
}

func fitsInto(k Kind, n string) bool {
	bits, signed, is := bits(string(k))
	if !is {
		_, err := strconv.ParseFloat(n, 64)
		return err == nil
	}
	var err error
	if signed {
		_, err = strconv.ParseInt(n, 10, bits)
	} else {
		_, err = strconv.ParseUint(n, 10, bits)
	}
	return err == nil
}

func (s seen) matchesShape(shape *Shape, v any, at string) string {
	object, is := v.(map[string]any)
	if !is {
		return fmt.Sprintf("%s: %v is no object", at, v)
	}
	known := map[string]bool{}
	for i := range shape.Fields {
		f := &shape.Fields[i]
		known[f.Name] = true
		value, there := object[f.Name]
		path := at + "." + f.Name
		if !there {
			if s[path+" missing"] = true; !f.Optional {
				return path + " is missing"
			}
			continue
		}
		if bad := s.matches(&f.Type, value, path); bad != "" {
			return bad
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !known[name] {
			return fmt.Sprintf("%s.%s is told by nobody", at, name)
		}
	}
	return ""
}

// loose lists what a shape lets be missing or null and never was.
func (s seen) loose(shape *Shape) []string {
	var all []string
	for _, f := range shape.Fields {
		if path := "." + f.Name; f.Optional && !s[path+" missing"] {
			all = append(all, f.Name+" is never missing")
		} else if f.Type.Null && f.Type.Kind != Any && !s[path+" null"] {
			all = append(all, f.Name+" is never null")
		}
	}
	return all
}

// filled makes a random value, half of it zero.
func filled(r *rand.Rand, v reflect.Value, depth int) {
	if depth > 6 || r.IntN(2) == 0 {
		return
	}
	switch v.Interface().(type) {
	case json.Number:
		v.SetString(strconv.Itoa(r.Int()))
		return
	case json.RawMessage:
		v.SetBytes([]byte(`{"raw":[1]}`))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(r.Int64N(1<<32), r.Int64N(1e9)).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> (64 - v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> (64 - v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(r.NormFloat64() * 1e30)
	case reflect.String:
		v.SetString(strings.Repeat("ä\"<", 1+r.IntN(3)))
	case reflect.Interface:
		v.Set(reflect.ValueOf([]int{1}))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(r, v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			filled(r, v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, item := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		filled(r, key, depth+1)
		filled(r, item, depth+1)
		v.SetMapIndex(key, item)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct {
				filledField(r, v.Field(i), depth)
			}
		}
	}
}

// filledField fills a field, or those of an embedded struct that has no exported name.
func filledField(r *rand.Rand, v reflect.Value, depth int) {
	if v.CanSet() {
		filled(r, v, depth+1)
		return
	}
	for i := range v.NumField() {
		if v.Field(i).CanSet() {
			filled(r, v.Field(i), depth+1)
		}
	}
}

// told is JSON with its numbers as they stand there.
func told(t *testing.T, body []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

func TestTheJSONOfAnyMessageIsWhatTheContractSays(t *testing.T) {
	t.Parallel()
	c, all, err := everything()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, m := range c.Messages {
		line := all.ByNumber(m.Number)
		if line.Proto() || m.Is != nil {
			continue
		}
		been := seen{}
		for range 200 {
			msg := line.New()
			for v := reflect.ValueOf(msg).Elem(); v.IsZero() && r.IntN(20) > 0; {
				filled(r, v, 0)
				if v.NumField() == 0 {
					break
				}
			}
			body, err := line.Encode(wire.JSON, msg)
			if err != nil {
				t.Fatal(err)
			}
			if bad := been.matchesShape(m.Shape, told(t, body), ""); bad != "" {
				t.Fatalf("%s: %s\n%s", m.Name, bad, body)
			}
		}
		if loose := been.loose(m.Shape); len(loose) > 0 {
			t.Errorf("%s: %s", m.Name, strings.Join(loose, ", "))
		}
	}
}

func TestTheJSONOfAProtobufMessageIsWhatTheContractSays(t *testing.T) {
	t.Parallel()
	c, all, err := everything()
	if err != nil {
		t.Fatal(err)
	}
	for number, msgs := range map[uint32][]any{
		110: {&descriptorpb.UninterpretedOption{}, &descriptorpb.UninterpretedOption{
			Name: []*descriptorpb.UninterpretedOption_NamePart{
				{NamePart: proto.String(""), IsExtension: proto.Bool(false)}},
			PositiveIntValue: proto.Uint64(1 << 63), NegativeIntValue: proto.Int64(-1 << 63),
			StringValue: []byte{255}}},
		111: {&typepb.Field{}, &typepb.Field{Kind: typepb.Field_TYPE_BOOL, Number: 7, Packed: true,
			Options: []*typepb.Option{{Name: "n"}}}},
	} {
		for _, msg := range msgs {
			body, err := all.ByNumber(number).Encode(wire.JSON, msg)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(c.Messages, func(m *Message) bool { return m.Number == number })
			if bad := (seen{}).matchesShape(c.Messages[i].Shape, told(t, body), ""); bad != "" {
				t.Errorf("%s\n%s", bad, body)
			}
		}
	}
}
