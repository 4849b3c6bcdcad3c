package actors

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A shelf has books, each as long as it is said to be.
type (
	put struct {
		Book, Count, Bytes int
		How                string
	}
	parcel struct{ Book, Bytes int }
	novel  struct{ Text string }
)

const shelfKind KindName = "shelf"

var shelfMessages = wire.Messages(wire.In[*put](200), wire.Out[*bought](201),
	wire.Internal[*parcel](202).Durable(), wire.In[*look](203))

func newShelf(p *Props) {
	books, count := Rows[int, novel](p, "books"), State[purse](p, "count")
	set := func(book, bytes int) {
		books.Set(book, novel{strings.Repeat("x", bytes)})
		count.Edit().Gold = books.Len()
	}
	Answer(p, func(ctx Context, m *put) (*bought, error) {
		for i := range m.Count {
			set(m.Book+i, m.Bytes)
		}
		switch m.How {
		case "commit":
			ctx.Commit()
		case "keep":
			return nil, Keep(poor)
		case "send":
			ctx.Send(shelfKind.Ref("away"), &parcel{m.Book, m.Bytes})
		case "remind":
			ctx.Remind(ctx.Now().Add(time.Second), &parcel{m.Book, m.Bytes})
		}
		return &bought{books.Len()}, nil
	})
	Answer(p, func(Context, *look) (*bought, error) { return &bought{books.Len()}, nil })
	Handle(p, func(_ Context, m *parcel) error { set(m.Book, m.Bytes); return nil })
}

// shelves is a world of shelves. It is run again only if it is to be: images of large entities take their time.
func shelves(t *testing.T, again bool) (*world, Ref) {
	w := newWorld(t, shelfMessages, Kind{Name: shelfKind, New: newShelf})
	w.impure = !again
	return w, shelfKind.Ref("home")
}

// books are how many the store has.
func (w *world) books(shelf Ref) int { return len(w.store.entities[shelf].Parts) }

// put is a turn that puts count books on a shelf.
func (w *world) put(shelf Ref, m *put) error {
	w.t.Helper()
	_, err := w.call(shelf, m)
	return err
}

func TestATurnThatIsTooBigForTheStoreIsUndoneAndTheRestIsStored(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"", "commit", "keep", "send"} {
		t.Run(how, func(t *testing.T) {
			w, home := shelves(t, false)
			if err := w.put(home, &put{Book: 1, Count: 1, Bytes: 10}); err != nil {
				t.Fatal(err)
			}
			if err := w.put(home, &put{Book: 1, Count: 9, Bytes: 1 << 20, How: how}); !errors.Is(err, TooBig) {
				t.Fatalf("nine books of 1 MiB: %v", err)
			}
			if err := w.put(home, &put{Book: 100, Count: 70_000, Bytes: 1, How: how}); !errors.Is(err, TooBig) {
				t.Fatalf("70,000 books, of each of which the statement says a hundred bytes: %v", err)
			}
			if err := w.put(home, &put{Book: 2, Count: 1, Bytes: 10}); err != nil {
				t.Fatal(err)
			}
			w.advance(time.Second)
			if r, err := w.call(home, &look{}); err != nil || r.(*bought).Gold != 2 || w.books(home) != 2 {
				t.Errorf("two small books were taken; there are %v, %v, and %d in the store", r, err, w.books(home))
			}
		})
	}
}

func TestAllThatIsAcceptedWhileTheStoreIsAwayFitsIntoOneChange(t *testing.T) {
	t.Parallel()
	for bytes, least := range map[int]int{1 << 20: 7, 1 << 16: 119} {
		t.Run(fmt.Sprint(bytes), func(t *testing.T) {
			w, home := shelves(t, false)
			w.store.fail = StoreUnavailable.Refuse("away")
			accepted := map[int]bool{}
			for book := range least + 10 {
				switch err := w.put(home, &put{Book: book, Count: 1, Bytes: bytes}); {
				case err == nil:
					accepted[book] = true
				case !errors.Is(err, TooBig):
					t.Fatal(err)
				}
				w.advance(time.Duration(min(book, 5)*100) * time.Millisecond)
			}
			if len(accepted) != least {
				t.Errorf("of books of %d bytes %d were accepted, want %d in 7.5 MiB", bytes, len(accepted), least)
			}
			for range 50 { // what is there may change
				if err := w.put(home, &put{Book: 3, Count: 1, Bytes: bytes}); err != nil {
					t.Fatalf("a book that waits already: %v", err)
				}
			}
			if err := w.put(home, &put{Book: 3, Count: 1, Bytes: 3 << 20, How: "commit"}); !errors.Is(err, TooBig) {
				t.Errorf("a commit with all that waits: %v", err)
			}
			w.store.fail = nil
			w.advance(5 * time.Second)
			if w.books(home) != len(accepted) {
				t.Errorf("%d books were accepted, the store has %d", len(accepted), w.books(home))
			}
			if err := w.put(home, &put{Book: 1000, Count: 1, Bytes: 7 << 20}); err != nil {
				t.Errorf("when nothing waits any more: %v", err)
			}
			w.advance(5 * time.Second)
			if w.books(home) != len(accepted)+1 {
				t.Errorf("%d books were accepted, the store has %d", len(accepted)+1, w.books(home))
			}
		})
	}
}

func TestWhatIsUnderWayCountsForItMayComeBack(t *testing.T) {
	t.Parallel()
	w, home := shelves(t, true)
	w.store.silent = true
	if err := w.put(home, &put{Count: 5, Bytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Second)
	if len(w.store.waiting) != 1 {
		t.Fatalf("%d changes are under way", len(w.store.waiting))
	}
	if err := w.put(home, &put{Book: 5, Count: 3, Bytes: 1 << 20}); !errors.Is(err, TooBig) {
		t.Errorf("three more books of 1 MiB: %v", err)
	}
	if err := w.put(home, &put{Book: 2, Count: 5, Bytes: 1 << 20}); err != nil {
		t.Errorf("three of the same books and two more: %v", err)
	}
	w.store.silent, w.store.fail = false, StoreUnavailable.Refuse("away")
	w.store.waiting[0]()
	w.advance(time.Second)
	w.store.fail = nil
	w.advance(5 * time.Second)
	if w.books(home) != 7 {
		t.Errorf("the store has %d of 7 books", w.books(home))
	}
}

func TestADurableMessageThatFindsNoRoomComesAgainAndATooBigOneIsRefused(t *testing.T) {
	w, home := shelves(t, false)
	away := shelfKind.Ref("away")
	w.store.silent = true
	if err := w.put(away, &put{Count: 6, Bytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Second)
	w.store.silent = false
	for book, bytes := range map[int]int{100: 2 << 20, 101: 8 << 20} {
		if err := w.put(home, &put{Book: book, Bytes: bytes, How: "send"}); err != nil {
			t.Fatal(err)
		}
		w.advance(5 * time.Second) // so that one does not wait for the other
	}
	if r, err := w.call(away, &look{}); err != nil || r.(*bought).Gold != 6 {
		t.Errorf("there is no room for more than 6 books: %v, %v", r, err)
	}
	w.store.waiting[0]()
	w.advance(time.Minute)
	if w.books(away) != 7 {
		t.Errorf("the store has %d of 7 books", w.books(away))
	}
	if n := w.sys.Report().Undelivered; n != 1 {
		t.Errorf("%d messages were refused for good, want the one that is too big by itself", n)
	}
	if box := w.store.entities[home].Box; strings.Contains(string(box), `"out"`) {
		t.Errorf("the sender still has %s", box)
	}
}

// shout is longer as JSON than it is.
type shout string

func (s shout) MarshalText() ([]byte, error) { return []byte(strings.Repeat(string(s), 3)), nil }

type odd struct {
	Shout  shout
	Quoted string `json:"quoted_as_a_text,string"`
	Number int64  `json:",string"`
	When   time.Time
	Many   [3]struct {
		Text string
		Tiny [4]uint8
	}
	Float  float64
	Float4 float32
	Yes    bool
	Int8   int8
	Uint64 uint64
	purse
}

func TestAnEstimateIsNeverTooLow(t *testing.T) {
	numbers := []float64{0, -1.2345678901234567e-300, math.MaxFloat64, 1.2345678901234567e-7, 123456789.123}
	texts := []string{"", "a", "<&>\"\\\n\x00\x01\u2028", strings.Repeat("\xff", 100),
		strings.Repeat("\"", 100), "ü€😀"}
	for _, text := range texts {
		for _, number := range numbers {
			o := odd{Shout: shout(text), Quoted: text, Number: math.MinInt64, When: time.Now(), Float: number,
				Float4: float32(math.Mod(number, 1e30)), Int8: -128, Uint64: math.MaxUint64, purse: purse{-1 << 63, 5}}
			for i := range o.Many {
				o.Many[i].Text, o.Many[i].Tiny = text, [4]uint8{255, 255, 255, 255}
			}
			raw, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			if most := scaleOf(reflect.TypeFor[odd]()).most(unsafe.Pointer(&o)); most < len(raw) || most > 20*len(raw) {
				t.Errorf("%d bytes are estimated to be %d: %s", len(raw), most, raw)
			}
		}
	}
}

// A turn that shrinks what waits, and is undone, must leave the estimate at what waits again: else the next turn is
// accepted, and the change of all is one that no store takes.
func TestAnUndoneTurnLeavesTheEstimateAtWhatWaits(t *testing.T) {
	t.Parallel()
	w, home := shelves(t, false)
	most := 0
	w.store.seen = func(c Change) { most = max(most, c.Size(home.ID)) }
	w.store.fail = StoreUnavailable.Refuse("away")
	for book := range 7 {
		if err := w.put(home, &put{Book: book, Count: 1, Bytes: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		w.advance(time.Second)
	}
	if err := w.put(home, &put{Book: 7, Count: 1, Bytes: 450 << 10}); err != nil { // 7.44 MiB wait
		t.Fatal(err)
	}
	w.advance(5 * time.Second)
	if err := w.put(home, &put{Book: 0, Count: 8, Bytes: 10, How: "commit"}); !errors.Is(err, StoreUnavailable) {
		t.Fatalf("commit: %v", err)
	}
	if err := w.put(home, &put{Book: 8, Count: 1, Bytes: 900 << 10}); !errors.Is(err, TooBig) {
		t.Errorf("900 KiB beside 7.44 MiB that wait: %v", err)
	}
	w.advance(50 * time.Second)
	if most > MaxChange {
		t.Errorf("a change of %d bytes was sent, the bound is %d", most, MaxChange)
	}
	w.store.fail = nil
	w.advance(10 * time.Minute)
	if w.books(home) < 8 {
		t.Errorf("the store is back for ten minutes, and has %d of 8 books", w.books(home))
	}
}

// A handler's refusal is final, also while much waits for the store.
func TestARefusalIsFinalThoughMuchWaits(t *testing.T) {
	ran := 0
	w := newWorld(t, shelfMessages, Kind{Name: shelfKind, New: func(p *Props) {
		books := Rows[int, novel](p, "books")
		Answer(p, func(ctx Context, m *put) (*bought, error) {
			if m.How == "send" {
				ctx.Send(shelfKind.Ref("away"), &parcel{m.Book, m.Bytes})
				return &bought{}, nil
			}
			for i := range m.Count {
				books.Set(m.Book+i, novel{strings.Repeat("x", m.Bytes)})
			}
			return &bought{}, nil
		})
		Handle(p, func(_ Context, m *parcel) error {
			ran++
			books.Set(m.Book, novel{strings.Repeat("x", m.Bytes)})
			return poor.Refuse("no")
		})
		Answer(p, func(Context, *look) (*bought, error) { return &bought{}, nil })
	}})
	w.impure = true
	away, home := shelfKind.Ref("away"), shelfKind.Ref("home")
	w.store.silent = true
	if err := w.put(away, &put{Count: 6, Bytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Second)
	w.store.silent = false
	if err := w.put(home, &put{Book: 100, Bytes: 2 << 20, How: "send"}); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Minute)
	if ran != 1 {
		t.Errorf("the message was refused %d times", ran)
	}
}
