package persist

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// A field is one column's place in a struct, and how it is read from there and written there. What it is was found out
// with reflection when the table was made; reading and writing need none.
type field struct {
	read  func(row unsafe.Pointer) (*string, error)
	write func(row unsafe.Pointer, text *string) error
}

// mappingOf makes the mapping of a struct; the error says everything that is wrong with it.
func mappingOf[R any](table string) (*Mapping, []field, error) {
	t := reflect.TypeFor[R]()
	m := &Mapping{Name: table, Key: -1, Shard: -1}
	if err := identifier(table); err != nil {
		return nil, nil, err
	}
	if t.Kind() != reflect.Struct {
		return nil, nil, fmt.Errorf("table %s: %s is no struct", table, t)
	}
	var fields []field
	var errs []error
	for i := range t.NumField() {
		f, err := m.add(t.Field(i))
		if err != nil {
			errs = append(errs, fmt.Errorf("table %s: field %s of %s: %w", table, t.Field(i).Name, t, err))
			continue
		}
		fields = append(fields, f)
	}
	if m.Key < 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("table %s: no field of %s is its key: tag one `db:\"column,key\"`", table, t))
	}
	if m.Shard < 0 {
		m.Shard = m.Key
	}
	return m, fields, errors.Join(errs...)
}

// add takes a struct's field into the mapping.
func (m *Mapping) add(f reflect.StructField) (field, error) {
	tag, ok := f.Tag.Lookup("db")
	if !ok || !f.IsExported() || f.Anonymous {
		return field{}, errors.New("every field of a row is a column: export it and tag it `db:\"column\"`")
	}
	name, options, _ := strings.Cut(tag, ",")
	if err := identifier(name); err != nil {
		return field{}, err
	}
	if slices.ContainsFunc(m.Columns, func(c Column) bool { return strings.EqualFold(c.Name, name) }) {
		return field{}, fmt.Errorf("column %s has a field already", name)
	}
	c := Column{Name: name, Sensitive: slices.Contains(strings.Split(f.Tag.Get("firefly"), ","), "sensitive")}
	isJSON, special := false, false
	for _, option := range strings.FieldsFunc(options, func(r rune) bool { return r == ',' }) {
		switch option {
		case "key":
			if special = true; m.Key >= 0 {
				return field{}, errors.New("the table has a key already; it is one column")
			}
			m.Key = len(m.Columns)
		case "shard":
			if special = true; m.Shard >= 0 {
				return field{}, errors.New("the table has a shard column already; it is one column")
			}
			m.Shard = len(m.Columns)
		case "json":
			isJSON = true
		default:
			return field{}, fmt.Errorf("option %q: there are key, shard and json", option)
		}
	}
	made, err := fieldOf(f, &c, isJSON)
	if err == nil && special && (c.Null || c.Type == Float || c.Type == JSON || c.Type == Time) {
		err = fmt.Errorf("%s, or NULL, neither names a row nor says where it is kept", c.Type)
	}
	if err == nil && c.Sensitive && (special || c.Type != Text) {
		err = fmt.Errorf("only a text can be masked that does not name the row, and this is %s", c.Type)
	}
	m.Columns = append(m.Columns, c)
	return made, err
}

// fieldOf finds out how a field is read and written, and completes its column.
func fieldOf(f reflect.StructField, c *Column, isJSON bool) (field, error) {
	if isJSON {
		c.Type = JSON
		return jsonField(f), nil
	}
	t := f.Type
	if c.Null = t.Kind() == reflect.Pointer; c.Null {
		t = t.Elem()
	}
	made, ok := plainField(t, f.Offset, c)
	if !ok {
		return field{}, fmt.Errorf("a column is a bool, an integer, a float, a string, []byte or time.Time, or a "+
			"pointer to one for NULL, and not %s; any type can be written as JSON: `db:%q`", f.Type, c.Name+",json")
	}
	return made, nil
}

func plainField(t reflect.Type, at uintptr, c *Column) (field, bool) {
	c.Bits = 0
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		c.Type, c.Bits = Int, t.Bits()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		c.Type, c.Bits = Uint, t.Bits()
	case reflect.Float32, reflect.Float64:
		c.Type, c.Bits = Float, t.Bits()
	}
	switch t.Kind() {
	case reflect.Bool:
		c.Type = Bool
		return place(at, c.Null, c, boolText,
			func(s string) (bool, error) { return s == "1", nil }), true
	case reflect.Int:
		return integer[int](at, c), true
	case reflect.Int8:
		return integer[int8](at, c), true
	case reflect.Int16:
		return integer[int16](at, c), true
	case reflect.Int32:
		return integer[int32](at, c), true
	case reflect.Int64:
		return integer[int64](at, c), true
	case reflect.Uint:
		return natural[uint](at, c), true
	case reflect.Uint8:
		return natural[uint8](at, c), true
	case reflect.Uint16:
		return natural[uint16](at, c), true
	case reflect.Uint32:
		return natural[uint32](at, c), true
	case reflect.Uint64:
		return natural[uint64](at, c), true
	case reflect.Float32:
		return float[float32](at, c), true
	case reflect.Float64:
		return float[float64](at, c), true
	case reflect.String:
		c.Type = Text
		return place(at, c.Null, c, strings.Clone, func(s string) (string, error) { return s, nil }), true
	}
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		c.Type = Bytes
		return place(at, c.Null, c, func(b []byte) string { return hex.EncodeToString(b) }, hex.DecodeString), true
	case t == reflect.TypeFor[time.Time]():
		c.Type = Time
		return place(at, c.Null, c, func(t time.Time) string { return t.UTC().Format(timeLayout) },
			func(s string) (time.Time, error) { return time.Parse(timeLayout, s) }), true
	}
	return field{}, false
}

func boolText(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func integer[T int | int8 | int16 | int32 | int64](at uintptr, c *Column) field {
	bits := c.Bits
	return place(at, c.Null, c, func(n T) string { return strconv.FormatInt(int64(n), 10) },
		func(s string) (T, error) { n, err := strconv.ParseInt(s, 10, bits); return T(n), err })
}

func natural[T uint | uint8 | uint16 | uint32 | uint64](at uintptr, c *Column) field {
	bits := c.Bits
	return place(at, c.Null, c, func(n T) string { return strconv.FormatUint(uint64(n), 10) },
		func(s string) (T, error) { n, err := strconv.ParseUint(s, 10, bits); return T(n), err })
}

func float[T float32 | float64](at uintptr, c *Column) field {
	bits := c.Bits
	return place(at, c.Null, c, func(f T) string { return strconv.FormatFloat(float64(f), 'g', -1, bits) },
		func(s string) (T, error) { f, err := strconv.ParseFloat(s, bits); return T(f), err })
}

// place is a field of type T, or *T if it may be NULL. A named type is laid out as the one that it is made of.
func place[T any](at uintptr, null bool, c *Column, write func(T) string, read func(string) (T, error)) field {
	column := *c
	text := func(v *T) (*string, error) {
		s := write(*v)
		return &s, column.fits(s)
	}
	if null {
		return field{
			read: func(row unsafe.Pointer) (*string, error) {
				if v := *(**T)(unsafe.Add(row, at)); v != nil {
					return text(v)
				}
				return nil, nil
			},
			write: func(row unsafe.Pointer, s *string) error {
				if s == nil {
					return nil
				}
				v, err := read(*s)
				*(**T)(unsafe.Add(row, at)) = &v
				return err
			},
		}
	}
	return field{
		read: func(row unsafe.Pointer) (*string, error) { return text((*T)(unsafe.Add(row, at))) },
		write: func(row unsafe.Pointer, s *string) (err error) {
			if s == nil {
				return errors.New("it is NULL, which its Go type cannot hold")
			}
			*(*T)(unsafe.Add(row, at)), err = read(*s)
			return err
		},
	}
}

// jsonField is a field of any type, written as JSON.
func jsonField(f reflect.StructField) field {
	at := func(row unsafe.Pointer) any { return reflect.NewAt(f.Type, unsafe.Add(row, f.Offset)).Interface() }
	return field{
		read: func(row unsafe.Pointer) (*string, error) {
			text, err := json.Marshal(at(row))
			s := string(text)
			return &s, err
		},
		write: func(row unsafe.Pointer, s *string) error {
			if s == nil {
				return errors.New("it is NULL, which is no JSON")
			}
			return json.Unmarshal([]byte(*s), at(row))
		},
	}
}

// given is the text of a value that a game's source compares a column with. Types of the game's own that are made of
// plain ones will do.
func (c Column) given(v any) (string, error) {
	x := reflect.ValueOf(v)
	text := ""
	switch {
	case c.Type == JSON:
		return "", errors.New("JSON is not compared")
	case c.Type == Bool && x.Kind() == reflect.Bool:
		text = boolText(x.Bool())
	case (c.Type == Int || c.Type == Uint) && x.CanInt():
		text = strconv.FormatInt(x.Int(), 10)
	case (c.Type == Int || c.Type == Uint) && x.CanUint():
		text = strconv.FormatUint(x.Uint(), 10)
	case c.Type == Float && x.CanFloat():
		text = strconv.FormatFloat(x.Float(), 'g', -1, c.Bits)
	case c.Type == Text && x.Kind() == reflect.String:
		text = x.String()
	case c.Type == Float && x.CanInt():
		text = strconv.FormatInt(x.Int(), 10)
	case c.Type == Bytes || c.Type == Time:
		return bytesOrTime(c.Type, v)
	default:
		return "", fmt.Errorf("it is %s, and compared with %T", c.Type, v)
	}
	return text, c.fits(text)
}

func bytesOrTime(t ColumnType, v any) (string, error) {
	text, err := bytesText(v)
	if t == Time {
		text, err = timeText(v)
	}
	return text, err
}
