package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// A Codec is how a body is written. Its value travels on the link and must never change.
type Codec uint8

// The codecs. JSON is understood by every type; Proto only by protobuf messages.
const (
	JSON   Codec = 1
	Proto  Codec = 2
	codecs       = 3 // one past the last
)

func (c Codec) String() string {
	switch c {
	case JSON:
		return "json"
	case Proto:
		return "proto"
	}
	return fmt.Sprintf("codec(%d)", uint8(c))
}

// ParseCodec reads a codec's name as a client says it in Hello; the empty name is JSON.
func ParseCodec(name string) (Codec, error) {
	switch name {
	case "", "json":
		return JSON, nil
	case "proto":
		return Proto, nil
	}
	return 0, fmt.Errorf("wire: no codec %q; there are json and proto", name)
}

// ErrNoCodec means that a type cannot travel in the codec asked for: a plain struct in a protobuf
// session.
var ErrNoCodec = errors.New("wire: a plain struct travels as JSON only")

// Encode writes a message of this type. The result belongs to the caller. JSON is canonical: the
// same message gives the same bytes in every build.
func (t *Type) Encode(c Codec, msg any) ([]byte, error) {
	if c == 0 || c >= codecs || t.encode[c] == nil {
		return nil, fmt.Errorf("%s in %s: %w", t, c, ErrNoCodec)
	}
	return t.encode[c](msg)
}

// Decode reads a message of this type; an empty JSON body is the zero message. The result keeps
// nothing of body.
func (t *Type) Decode(c Codec, body []byte) (any, error) {
	if c == 0 || c >= codecs || t.decode[c] == nil {
		return nil, fmt.Errorf("%s in %s: %w", t, c, ErrNoCodec)
	}
	msg := t.fresh()
	if len(body) == 0 {
		return msg, nil
	}
	if err := t.decode[c](body, msg); err != nil {
		// protobuf's errors have a space in them that differs from build to build, on purpose
		return nil, fmt.Errorf("%s in %s: %s", t, c, strings.ReplaceAll(err.Error(), "\u00a0", " "))
	}
	return msg, nil
}

// Native is the codec in which actors send the type to each other: protobuf where it can.
func (t *Type) Native() Codec {
	if t.proto {
		return Proto
	}
	return JSON
}

func (t *Type) bindCodecs() {
	_, t.proto = reflect.New(t.goType).Interface().(proto.Message)
	if !t.proto {
		t.encode[JSON] = json.Marshal
		t.decode[JSON] = json.Unmarshal
		return
	}
	t.encode[JSON] = encodeProtoJSON
	t.decode[JSON] = func(b []byte, into any) error {
		return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, into.(proto.Message))
	}
	t.encode[Proto] = func(msg any) ([]byte, error) {
		return proto.MarshalOptions{Deterministic: true}.Marshal(msg.(proto.Message))
	}
	t.decode[Proto] = func(b []byte, into any) error {
		return proto.Unmarshal(b, into.(proto.Message))
	}
}

// encodeProtoJSON compacts, because protojson puts in spaces that differ from build to build on
// purpose.
func encodeProtoJSON(msg any) ([]byte, error) {
	loose, err := protojson.Marshal(msg.(proto.Message))
	if err != nil {
		return nil, err
	}
	var tight bytes.Buffer
	tight.Grow(len(loose))
	if err := json.Compact(&tight, loose); err != nil {
		return nil, err
	}
	return tight.Bytes(), nil
}
