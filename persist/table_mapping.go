package persist

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// A Mapping says how the rows of an existing SQL table stand in a Go struct. NewTable makes it; names come from there
// and from nowhere else into statements.
type Mapping struct {
	Name    string
	Columns []Column
	Key     int // which column is the primary key
	Shard   int // which column says where a row is kept; it may be the key
}

// A Column is one of a table's columns, as far as a row's struct names it.
type Column struct {
	Name      string
	Type      ColumnType
	Bits      int  // of an Int, a Uint or a Float
	Null      bool // its Go type is a pointer
	Sensitive bool // masked in recordings
}

// A ColumnType is what a column's Go type comes down to.
type ColumnType uint8

// The types of columns, and how a value of each is written as a text.
const (
	Bool  ColumnType = iota + 1 // 0 or 1
	Int                         // decimal
	Uint                        // decimal
	Float                       // the shortest decimal that is exact
	Text                        // itself; UTF-8
	Bytes                       // hexadecimal
	Time                        // timeLayout, in UTC
	JSON                        // itself
)

func (t ColumnType) String() string {
	return [...]string{"nothing", "a bool", "an integer", "an integer without a sign", "a float", "a text", "bytes",
		"a time", "JSON"}[t]
}

// timeLayout is how a time is written: what DATETIME(6) holds, in an order that texts have, too.
const timeLayout = "2006-01-02 15:04:05.000000"

// Values are a row's columns in the order of its Mapping, each as a text that is exact; nil stands for NULL. Nil Values
// stand for no row.
type Values []*string

// column finds a column by its name; -1: there is none.
func (m *Mapping) column(name string) int {
	for i, c := range m.Columns {
		if c.Name == name {
			return i
		}
	}
	return -1
}

// at names a column in an error.
func (m *Mapping) at(i int) string { return m.Name + "." + m.Columns[i].Name }

// bytes is what a row weighs while it is held.
func (v Values) bytes() int {
	n := partOverhead
	for _, text := range v {
		if text != nil {
			n += len(*text)
		}
	}
	return n
}

// text makes the text of a value that a database gave.
func (c Column) text(v any) (*string, error) {
	if v == nil {
		if !c.Null {
			return nil, fmt.Errorf("it is NULL, which its Go type cannot hold; make the field a pointer")
		}
		return nil, nil
	}
	if b, ok := v.([]byte); ok && c.Type != Bytes {
		v = string(b)
	}
	var text string
	var err error
	switch c.Type {
	case Bool, Int, Uint:
		text, err = c.integer(v)
	case Float:
		text, err = c.float(v)
	case Time:
		text, err = timeText(v)
	case Bytes:
		text, err = bytesText(v)
	default:
		text = fmt.Sprint(v)
		if !utf8.ValidString(text) {
			err = fmt.Errorf("it is no UTF-8")
		}
	}
	if err != nil {
		return nil, err
	}
	return &text, nil
}

func (c Column) integer(v any) (string, error) {
	text := fmt.Sprint(v)
	switch v := v.(type) {
	case bool:
		text = "0"
		if v {
			text = "1"
		}
	case float32, float64:
		return "", fmt.Errorf("%v is no integer", v)
	}
	return text, c.fits(text)
}

// fits reports whether a text is a value that the column's Go type holds.
func (c Column) fits(text string) error {
	var err error
	switch c.Type {
	case Bool:
		if text != "0" && text != "1" {
			err = fmt.Errorf("%.40q is neither 0 nor 1", text)
		}
	case Int:
		_, err = strconv.ParseInt(text, 10, c.Bits)
	case Uint:
		_, err = strconv.ParseUint(text, 10, c.Bits)
	case Float:
		var f float64
		if f, err = strconv.ParseFloat(text, c.Bits); err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
			err = fmt.Errorf("%s is no number that a table holds", text)
		}
	case Bytes:
		_, err = hex.DecodeString(text)
	case Time:
		_, err = time.Parse(timeLayout, text)
	default:
		if !utf8.ValidString(text) {
			err = fmt.Errorf("the text is not UTF-8")
		}
	}
	return err
}

func (c Column) float(v any) (string, error) {
	switch v := v.(type) {
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, c.Bits), nil
	}
	text := fmt.Sprint(v)
	return text, c.fits(text)
}

func bytesText(v any) (string, error) {
	switch v := v.(type) {
	case []byte:
		return hex.EncodeToString(v), nil
	case string:
		return hex.EncodeToString([]byte(v)), nil
	}
	return "", fmt.Errorf("%T are no bytes", v)
}

func timeText(v any) (string, error) {
	if t, ok := v.(time.Time); ok {
		return t.UTC().Format(timeLayout), nil
	}
	text := fmt.Sprint(v)
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02", time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil { // fractions of seconds are read by all of them
			return t.UTC().Format(timeLayout), nil
		}
	}
	return "", fmt.Errorf("%.40q is no time", text)
}

// native is a text as a parameter of a statement.
func (c Column) native(text string) (any, error) {
	switch c.Type {
	case Bool, Int:
		return strconv.ParseInt(text, 10, 64)
	case Uint:
		return strconv.ParseUint(text, 10, 64)
	case Float:
		return strconv.ParseFloat(text, 64)
	case Bytes:
		return hex.DecodeString(text)
	}
	return text, nil
}

// Bounds of what a table's registration may say.
const (
	maxColumn = 64 // bytes of a name; MySQL's own bound
	maxRow    = 4 << 20
)

// identifier says what is wrong with a name that is to stand in statements. It is quoted there as well; what gets
// through here is what every database takes.
func identifier(name string) error {
	ok := name != "" && len(name) <= maxColumn
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		ok = ok && (letter || i > 0 && c >= '0' && c <= '9')
	}
	if !ok {
		return fmt.Errorf("%.80q is no name for a table or a column: 1 to %d of letters, digits and _, a digit not "+
			"first", name, maxColumn)
	}
	return nil
}
