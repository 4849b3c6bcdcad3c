package prompt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/fireflyrt/firefly/actors/wire"
)

// body reads a message's JSON, which begins at this offset of the line. It is stricter than a gate: a field that the
// message does not have is a mistake.
func (l line) body(t *wire.Type, text string, at int) (any, error) {
	msg := t.New()
	if text == "" {
		return msg, nil
	}
	if text[0] != '{' {
		return nil, l.wrong(at, fmt.Sprintf("write %s {...}", t.Name), "a body is a JSON object")
	}
	var whole json.RawMessage
	if err := json.Unmarshal([]byte(text), &whole); err != nil {
		return nil, l.malformed(err, text, at)
	}
	if m, ok := msg.(proto.Message); ok {
		if err := protojson.Unmarshal([]byte(text), m); err != nil {
			return nil, l.strange(err, t, text, at)
		}
		return msg, nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(msg); err != nil {
		return nil, l.unfit(err, t, text, at)
	}
	return msg, nil
}

// malformed is for what is no JSON.
func (l line) malformed(err error, text string, at int) error {
	syntax := (*json.SyntaxError)(nil)
	switch {
	case errors.As(err, &syntax) && int(syntax.Offset) >= len(text) && strings.HasPrefix(err.Error(), "unexpected end"):
		return l.wrong(at+len(text), "close what is open", "the JSON is not whole")
	case errors.As(err, &syntax):
		return l.wrong(at+max(0, int(syntax.Offset)-1), "mend the JSON", "%s", err)
	}
	return l.wrong(at, "mend the JSON", "%s", err)
}

// unknown is how encoding/json and protojson name a field that there is not.
var unknown = regexp.MustCompile(`unknown field "([^"]*)"`)

// unfit is for JSON that is not the message's.
func (l line) unfit(err error, t *wire.Type, text string, at int) error {
	wrongType := (*json.UnmarshalTypeError)(nil)
	if name := unknown.FindStringSubmatch(err.Error()); name != nil {
		return l.noField(name[1], t, text, at)
	}
	if errors.As(err, &wrongType) {
		end := min(max(0, int(wrongType.Offset)), len(text))
		return l.wrong(at+max(0, end-1), fmt.Sprintf("give it a value of type %s", wrongType.Type),
			"%s of %s cannot be a %s", wrongType.Field, t.Name, wrongType.Value)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return l.wrong(at+len(text), "close what is open", "the JSON is not whole")
	}
	return l.wrong(at, "mend the JSON", "%s", err)
}

// placed is protojson's own place; the space in front of it differs from build to build, on purpose.
var placed = regexp.MustCompile(`^proto:\s*(?:syntax error\s*)?\(line 1:(\d+)\):\s*(.*)$`)

// strange is unfit for a protobuf message.
func (l line) strange(err error, t *wire.Type, text string, at int) error {
	what := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	if name := unknown.FindStringSubmatch(what); name != nil {
		return l.noField(name[1], t, text, at)
	}
	if found := placed.FindStringSubmatch(what); found != nil {
		col, _ := strconv.Atoi(found[1])
		return l.wrong(at+col-1, "give it a value of its type", "%s: %s", t.Name, found[2])
	}
	return l.wrong(at, "mend the JSON", "%s: %s", t.Name, what)
}

// noField is for a field that the message does not have.
func (l line) noField(name string, t *wire.Type, text string, at int) error {
	quoted, _ := json.Marshal(name) // a string is always JSON
	place := max(0, strings.Index(text, string(quoted)))
	names := shapeAt(t, text[:place]).names()
	do := instead(name, names)
	if !strings.HasPrefix(do, "did") && len(names) > 0 {
		do = "there are " + strings.Join(names, ", ")
	}
	return l.wrong(at+place, do, "%s has no field %s there", t.Name, name)
}
