package contract

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/typepb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is a catalogue with a field of every kind there is.

type (
	name  string
	level int8

	// grade writes itself as a text, secret as whatever it likes.
	grade  struct{ n int }
	secret struct{ N int }
	hush   struct{ N int }

	Spot struct {
		X float64 `json:"x"`
		Y float64 `json:"y"`
	}
	Depth struct {
		Z    float32 `json:"z,omitempty"`
		Left string  `json:"Same"` // is as deep as left's and right's Same, but tagged
	}
	left  struct{ Same, Left string }
	right struct{ Same, Right string }

	page[T any] struct {
		Items []T  `json:"items"`
		Next  *int `json:"next"`
	}
	Tree struct {
		Name string           `json:"name"`
		Kids []Tree           `json:"kids"`
		By   map[string]*Tree `json:"by,omitempty"`
	}
	nest []nest

	// Every has a field of every kind.
	Every struct {
		Bool  bool    `json:"bool"`
		I8    int8    `json:"i8"`
		I16   int16   `json:"i16"`
		I32   int32   `json:"i32"`
		I64   int64   `json:"i64"`
		Int   int     `json:"int"`
		U8    uint8   `json:"u8"`
		U16   uint16  `json:"u16"`
		U32   uint32  `json:"u32"`
		U64   uint64  `json:"u64"`
		Uint  uint    `json:"uint"`
		F32   float32 `json:"f32"`
		F64   float64 `json:"f64"`
		Text  string
		Name  name  `json:"name"`
		Level level `json:"level"`

		Bytes   []byte            `json:"bytes"`
		Hash    [4]byte           `json:"hash"`
		Raw     json.RawMessage   `json:"raw"`
		Number  json.Number       `json:"number"`
		At      time.Time         `json:"at"`
		For     time.Duration     `json:"for"`
		Grade   grade             `json:"grade"`
		Secret  secret            `json:"secret"`
		Hush    *hush             `json:"hush"`
		Huge    *big.Int          `json:"huge"`
		Any     any               `json:"any"`
		List    []string          `json:"list"`
		Lists   [][]*int32        `json:"lists"`
		Pair    [2]Spot           `json:"pair"`
		Names   map[name]int      `json:"names"`
		ByLevel map[level][]Spot  `json:"by_level"`
		ByGrade map[grade]string  `json:"by_grade"`
		Where   Spot              `json:"where"`
		Maybe   *Spot             `json:"maybe"`
		Twice   **string          `json:"twice"`
		Page    page[Spot]        `json:"page"`
		Pages   []page[[]string]  `json:"pages"`
		Nest    nest              `json:"nest"`
		Loose   struct{ N int }   `json:"loose"`
		Odd     map[string]string `json:"odd name-1"`

		OText  string         `json:"o_text,omitempty"`
		OInt   int            `json:"o_int,omitempty"`
		OPtr   *int           `json:"o_ptr,omitempty"`
		OList  []Spot         `json:"o_list,omitempty"`
		OMap   map[string]int `json:"o_map,omitempty"`
		OSpot  Spot           `json:"o_spot,omitempty"` // is never left out
		OZero  Spot           `json:"o_zero,omitzero"`
		OTime  time.Time      `json:"o_time,omitzero"`
		OBytes []byte         `json:"o_bytes,omitempty"`

		Quoted int64   `json:"quoted,string"`
		QBool  bool    `json:"q_bool,string"`
		QFloat float64 `json:"q_float,string"`
		QText  string  `json:"q_text,string"`
		QMaybe *uint64 `json:"q_maybe,string"`
		//lint:ignore SA5008 encoding/json overlooks it
		QGrade grade `json:"q_grade,string"`
		Left   left  `json:"-"`
		//lint:ignore SA5008 encoding/json takes it
		Dash    int    `json:"-,"`
		Default string `json:"default"`
		hidden  int

		*Depth
		left
		right
	}

	// class and Nothing are called as languages call something else; Own writes itself.
	class   struct{ Equals, Class, GetType int }
	Nothing struct{}
	Own     struct{ N int }
	Echo    struct {
		Tree *Tree `json:"tree"`
	}
	aside struct{ Spot }
)

func (g grade) MarshalText() ([]byte, error)     { return []byte(strings.Repeat("*", g.n)), nil }
func (g *grade) UnmarshalText(text []byte) error { g.n = len(text); return nil }
func (s secret) MarshalJSON() ([]byte, error)    { return []byte(`["secret"]`), nil }
func (h *hush) MarshalJSON() ([]byte, error)     { return []byte(`false`), nil }
func (o *Own) MarshalJSON() ([]byte, error)      { return []byte(`7`), nil }
func (e *Every) String() string                  { return strconv.Itoa(e.hidden) }

func answers(pairs map[uint32]*wire.Type) func(uint32) (*wire.Type, bool) {
	return func(n uint32) (*wire.Type, bool) {
		t, ok := pairs[n]
		return t, ok
	}
}

// everything is the contract of the catalogue above.
func everything() (*Contract, wire.Catalogue, error) {
	all := wire.Messages(
		wire.Out[*Every](100),
		wire.In[*Tree](101).Public(),
		wire.In[*Echo](102),
		wire.In[*class](103),
		wire.In[*Nothing](104),
		wire.Out[*Own](105),
		wire.Internal[*aside](106),
		wire.Out[*descriptorpb.UninterpretedOption](110),
		wire.In[*typepb.Field](111),
		wire.Out[*structpb.Struct](112),
		wire.Out[*wrapperspb.Int64Value](113),
	)
	c, err := Of("every game", all, answers(map[uint32]*wire.Type{
		101: all.ByNumber(100), 102: all.ByNumber(102), 103: nil, 111: all.ByNumber(106)}))
	return c, all, err
}
