// Package wire is the lowest floor: numbers and bytes. It knows the catalogue that says which
// number is which Go type, the codecs that turn such a type into bytes and back, and the frames
// that carry the bytes over a socket.
//
// It promises that a number means one thing on the client's socket, on the link between nodes and
// in a recording. It knows nothing of actors, sessions or nodes.
package wire

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// FirstGameNumber is the lowest number that a game may use; those below it belong to the runtime.
const FirstGameNumber = 100

// A Direction says between whom a message may travel.
type Direction uint8

// The directions. A client that sends anything but an In is answered UNKNOWN_NUMBER.
const (
	DirIn       Direction = iota + 1 // a client may send it; so may an actor
	DirOut                           // a client may receive it
	DirInternal                      // only between actors
)

func (d Direction) String() string {
	return [...]string{"none", "in", "out", "internal"}[d]
}

// A Type is one line of the catalogue: a number, the Go type it stands for, and what may be done
// with it. It is read-only once the catalogue is made.
type Type struct {
	Number    uint32
	Name      string // the Go type's name without its package, as clients know it
	Direction Direction
	Public    bool               // In: served before login
	Durable   bool               // Internal: stored with its sender, and takes effect once
	Lossy     bool               // Out: dropped for a client that does not keep up
	Latest    func(any) string   // Out: only the newest of each key waits for one client
	RateN     int                // In: at most RateN per RatePer; 0: the session's limit
	RatePer   time.Duration      // In: see RateN
	Within    time.Duration      // In: a request's deadline; 0: the gate's default
	Retry     bool               // In: sent again by the gate when nobody knows what became of it
	goType    reflect.Type       // the struct, not the pointer
	proto     bool               // the type is a protobuf message
	malformed error              // why this entry cannot stand in a catalogue
	fresh     func() any         // a new zero value, as a pointer
	decode    [codecs]decodeFunc // by codec
	encode    [codecs]encodeFunc // by codec
	redact    redactFunc         // nil: nothing in it is sensitive
}

type (
	decodeFunc func(body []byte, into any) error
	encodeFunc func(msg any) ([]byte, error)
	redactFunc func(msg any, mask func(contents string) string)
)

// New returns a new zero value of the type, as a pointer to its struct.
func (t *Type) New() any { return t.fresh() }

// Proto reports whether the type is a protobuf message; other types travel as JSON only.
func (t *Type) Proto() bool { return t.proto }

// GoType returns the struct type that the number stands for.
func (t *Type) GoType() reflect.Type { return t.goType }

func (t *Type) String() string { return fmt.Sprintf("%d %s", t.Number, t.Name) }

// An Entry is one line on its way into a catalogue: what In, Out and Internal return.
type Entry interface{ line() *Type }

// InEntry is a message that clients may send.
type InEntry[M any] struct{ t *Type }

// OutEntry is a message that clients may receive.
type OutEntry[M any] struct{ t *Type }

// InternalEntry is a message between actors only.
type InternalEntry[M any] struct{ t *Type }

// In declares a message that clients may send. M is a pointer to a struct. An In may also be sent
// between actors.
func In[M any](number uint32) InEntry[M] { return InEntry[M]{newType[M](number, DirIn)} }

// Out declares a message that clients receive, as a reply or as a push. M is a pointer to a struct.
func Out[M any](number uint32) OutEntry[M] { return OutEntry[M]{newType[M](number, DirOut)} }

// Internal declares a message between actors; a client that sends its number is answered
// UNKNOWN_NUMBER.
func Internal[M any](number uint32) InternalEntry[M] {
	return InternalEntry[M]{newType[M](number, DirInternal)}
}

func (e InEntry[M]) line() *Type       { return e.t }
func (e OutEntry[M]) line() *Type      { return e.t }
func (e InternalEntry[M]) line() *Type { return e.t }

// Public lets a session send it before it is logged in.
func (e InEntry[M]) Public() InEntry[M] { e.t.Public = true; return e }

// Durable makes it a message that is stored with its sender's cells, leaves when they are durable,
// is sent until its receiver has confirmed it, and takes effect once. It may be sent to entities
// with stored cells only, by such.
func (e InternalEntry[M]) Durable() InternalEntry[M] { e.t.Durable = true; return e }

// Rate bounds how many of it one session may send: n each per, beside the session's own limit.
func (e InEntry[M]) Rate(n int, per time.Duration) InEntry[M] {
	e.t.RateN, e.t.RatePer = n, per
	return e
}

// Within sets the deadline of a request with this number, counted from its arrival at the gate.
func (e InEntry[M]) Within(d time.Duration) InEntry[M] { e.t.Within = d; return e }

// Retry makes requests with this number be sent again by the gate, until their deadline, when their
// receiver's node has died. The receiver handles none of them twice: it keeps its newest replies in
// its own row and answers from there, or with OUTCOME_UNKNOWN. Only entities may handle it.
func (e InEntry[M]) Retry() InEntry[M] { e.t.Retry = true; return e }

// Latest keeps, of several pushes that wait for one client, only the newest of each key. The key
// must name whose state the message tells, or different players' states are merged.
func (e OutEntry[M]) Latest(key func(M) string) OutEntry[M] {
	e.t.Latest = func(msg any) string { return key(msg.(M)) }
	return e
}

// Lossy lets the gate drop it for a client that does not keep up, instead of closing the session.
func (e OutEntry[M]) Lossy() OutEntry[M] { e.t.Lossy = true; return e }

func newType[M any](number uint32, d Direction) *Type {
	pointer := reflect.TypeFor[M]()
	t := &Type{Number: number, Direction: d, Name: pointer.String()}
	if pointer.Kind() != reflect.Pointer || pointer.Elem().Kind() != reflect.Struct {
		t.malformed = fmt.Errorf("wire: number %d: %s must be a pointer to a struct",
			number, pointer)
		return t
	}
	t.goType = pointer.Elem()
	t.Name = t.goType.Name()
	t.fresh = func() any { return reflect.New(t.goType).Interface() }
	t.bindCodecs()
	t.bindRedaction()
	t.malformed = checkRedaction(t.goType)
	return t
}

// A Catalogue says which number is which Go type. It is made once and never changes.
type Catalogue struct {
	byNumber map[uint32]*Type
	byType   map[reflect.Type]*Type
	all      []*Type // by number
	errs     []error
}

// Messages makes a catalogue. A number or a type that stands twice, a number below FirstGameNumber
// and a type that is not a pointer to a struct are kept for Err to report, all of them.
func Messages(entries ...Entry) Catalogue {
	c := Catalogue{byNumber: map[uint32]*Type{}, byType: map[reflect.Type]*Type{}}
	for _, e := range entries {
		if t := e.line(); t.Number < FirstGameNumber {
			c.errs = append(c.errs, fmt.Errorf("wire: %s: numbers below %d belong to the runtime",
				t, FirstGameNumber))
		}
		c.add(e.line())
	}
	return c
}

// Runtime makes the catalogue of the runtime's own messages, whose numbers lie below
// FirstGameNumber.
func Runtime(entries ...Entry) Catalogue {
	c := Catalogue{byNumber: map[uint32]*Type{}, byType: map[reflect.Type]*Type{}}
	for _, e := range entries {
		c.add(e.line())
	}
	return c
}

// Join makes one catalogue of several; what stands in two of them is an error, as within one.
func Join(parts ...Catalogue) Catalogue {
	c := Catalogue{byNumber: map[uint32]*Type{}, byType: map[reflect.Type]*Type{}}
	for _, p := range parts {
		c.errs = append(c.errs, p.errs...)
		for _, t := range p.all {
			c.add(t)
		}
	}
	return c
}

func (c *Catalogue) add(t *Type) {
	if t.malformed != nil {
		c.errs = append(c.errs, t.malformed)
		return
	}
	if other := c.byNumber[t.Number]; other != nil {
		c.errs = append(c.errs, fmt.Errorf(
			"wire: number %d stands for both %s and %s; give one of them another",
			t.Number, other.goType, t.goType))
		return
	}
	if other := c.byType[t.goType]; other != nil {
		c.errs = append(c.errs, fmt.Errorf(
			"wire: %s has two numbers, %d and %d; a type stands once",
			t.goType, other.Number, t.Number))
		return
	}
	c.byNumber[t.Number] = t
	c.byType[t.goType] = t
	at, _ := slices.BinarySearchFunc(c.all, t, func(a, b *Type) int {
		return cmp.Compare(a.Number, b.Number)
	})
	c.all = slices.Insert(c.all, at, t)
}

// Err returns everything that is wrong with the catalogue, joined, or nil.
func (c Catalogue) Err() error { return errors.Join(c.errs...) }

// ByNumber returns the type that a number stands for, or nil.
func (c Catalogue) ByNumber(n uint32) *Type { return c.byNumber[n] }

// ByGoType returns the line of a struct type (not of the pointer to it), or nil.
func (c Catalogue) ByGoType(t reflect.Type) *Type { return c.byType[t] }

// Of returns the line of a message, which is a pointer to a struct, or nil when it has none.
func (c Catalogue) Of(msg any) *Type {
	t := reflect.TypeOf(msg)
	if t == nil || t.Kind() != reflect.Pointer {
		return nil
	}
	return c.byType[t.Elem()]
}

// All returns every line, by number. The slice is the catalogue's own: do not change it.
func (c Catalogue) All() []*Type { return c.all }
