package actors_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

type (
	purse struct {
		Gold  int64 `json:"gold" firefly:"index"`
		Notes string
		bound
		Home place `json:"home"`
	}
	bound struct {
		Locked bool `json:"locked" firefly:"index"`
	}
	place struct {
		X    float32 `firefly:"index"`
		Room string  `json:"room" firefly:"index"`
	}
	lot struct {
		Price uint64 `json:"price" firefly:"index"`
	}
	stubborn  int
	unindexed struct {
		Secret  string           `firefly:"sensitive,index"`
		Hidden  struct{ A int8 } `firefly:"index"`
		When    time.Time        `firefly:"index"`
		Maybe   int              `json:",omitempty" firefly:"index"`
		Quoted  int              `json:",string" firefly:"index"`
		Own     stubborn         `firefly:"index"`
		Many    [3]place
		Masked  place `firefly:"sensitive"`
		Misspel int   `firefly:"indx"`
		bound
		Shadow int `json:"locked"`
	}
	oddly struct {
		Long  int `json:"a_name_that_goes_on_for_longer_than_a_database_takes_for_a_column" firefly:"index"`
		Ä     int `firefly:"index"`
		At    int `json:"at" firefly:"index"`
		AT    int `json:"AT" firefly:"index"`
		Plain int `json:"plain" firefly:"index"`
	}
	outer struct {
		Plain int `json:"y_plain" firefly:"index"`
	}
)

func (stubborn) MarshalText() ([]byte, error) { return []byte("no"), nil }

const vault actors.KindName = "vault"

func system(t *testing.T, build func(p *actors.Props)) (*actors.System, error) {
	t.Helper()
	return actors.NewSystem(actors.Options{Kinds: []actors.Kind{{Name: vault, New: build}}})
}

func TestTaggedFieldsOfStoredCellsAreIndexes(t *testing.T) {
	t.Parallel()
	s, err := system(t, func(p *actors.Props) {
		actors.State[purse](p, "Purse")
		actors.Rows[string, lot](p, "lot")
		actors.Carry[unindexed](p, "elsewhere") // is no matter of a store
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range s.Indexes(vault) {
		got = append(got, fmt.Sprint(x.Column, " ", x.Cell, " ", x.Path, " ", x.Type, " ", x.InRows))
	}
	want := []string{"purse_gold Purse [gold] 1 false", "purse_locked Purse [locked] 4 false",
		"purse_home_x Purse [home X] 3 false", "purse_home_room Purse [home room] 5 false",
		"lot_price lot [price] 2 true"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("indexes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFieldsThatCannotHaveAnIndexAreRefusedAtStart(t *testing.T) {
	t.Parallel()
	_, err := system(t, func(p *actors.Props) {
		actors.State[unindexed](p, "cell")
		actors.State[oddly](p, "due")
		actors.State[oddly](p, "x")
		actors.State[outer](p, "x_y")
		actors.State[struct {
			Plain int `json:"y_y_plain" firefly:"index"`
		}](p, "x")
		actors.Rows[int, lot](p, "Ärger")
	})
	for _, want := range []string{
		"unindexed.Secret: is sensitive: a column would show it",
		"unindexed.Hidden: has an index, and is no integer, float, bool or string but struct",
		"unindexed.When: has an index, and is no integer",
		"unindexed.Maybe: has an index, and is left out of JSON when empty",
		"unindexed.Quoted: has an index, but does not stand in the JSON",
		"unindexed.Own: has an index, but does not stand in the JSON",
		"unindexed.X: is one of many", "unindexed.X: is sensitive",
		`unindexed.Misspel: the tag firefly:"indx" is unknown`,
		"unindexed.Locked: has an index, but does not stand in the JSON",
		"cell due: the index of a_name_that", "is longer than 64 bytes",
		`its column would be "due_ä"`, "its column due_at is the runtime's own",
		"its column x_at is that of cell x, at, too", "its column x_y_y_plain is that of cell x_y, y_plain, too",
		`its column would be "ärger_price"`,
	} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

type (
	coatV1 struct{ Colour string }
	coatV2 struct {
		Colour string
		Size   int
	}
)

// wardrobe has a cell and rows of version 2; steps refuse blue and panic at black.
func wardrobe(t *testing.T) *actors.System {
	t.Helper()
	step := actors.From(1, func(o coatV1) (coatV2, error) {
		switch o.Colour {
		case "blue":
			return coatV2{}, errors.New("blue is out")
		case "black":
			panic("oh no")
		}
		return coatV2{o.Colour, 42}, nil
	})
	s, err := system(t, func(p *actors.Props) {
		actors.State[coatV2](p, "coat", step)
		actors.State[int](p, "n")
		actors.Rows[string, coatV2](p, "coats", step)
		actors.Rows[int, int](p, "numbers")
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStoredContentsAreBroughtUpToDateWithoutTheirActor(t *testing.T) {
	t.Parallel()
	s := wardrobe(t)
	for _, c := range []struct{ part, stored, want, fails string }{
		{"", `{"coat":{"v":1,"d":{"Colour":"red"}},"n":{"v":1,"d":3},"gone":{"v":9,"d":1}}`,
			`{"coat":{"v":2,"d":{"Colour":"red","Size":42}},"gone":{"v":9,"d":1},"n":{"v":1,"d":3}}`, ""},
		{"", `{"coat":{"v":2,"d":{"Colour":"red","Size":1}}, "n":{"v":1,"d":3}}`, "", ""},
		{"", `{}`, "", ""},
		{"coats/a/b", `{"v":1,"d":{"Colour":"red"}}`, `{"v":2,"d":{"Colour":"red","Size":42}}`, ""},
		{"coats/a", `{"v":2,"d":{"Colour":"red","Size":1}}`, "", ""},
		{"numbers/1", `{"v":1,"d":7}`, "", ""},
		{"gone/1", `{"v":1,"d":7}`, "", ""},
		{"coat/1", `{"v":1,"d":7}`, "", ""}, // was rows once
		{"", `{"coat":{"v":1,"d":{"Colour":"blue"}}}`, "", "cell coat: migrate from version 1: blue is out"},
		{"", `{"coat":{"v":1,"d":{"Colour":"black"}}}`, "", "cell coat: panic: oh no"},
		{"", `{"coat":{"v":1,"d":[]}}`, "", "cell coat"},
		{"coats/a", `{"v":3,"d":{}}`, "", "row coats/a: stored version 3, this build knows 1 to 2"},
		{"", `[]`, "", "migrate the cells"},
	} {
		got, changed, err := s.UpToDate(vault, c.part, json.RawMessage(c.stored))
		switch {
		case c.fails != "":
			if err == nil || !strings.Contains(err.Error(), c.fails) || got != nil || changed {
				t.Errorf("%q %s: %s, %v, %v; want the error %q", c.part, c.stored, got, changed, err, c.fails)
			}
		case c.want == "" && (err != nil || changed || string(got) != c.stored),
			c.want != "" && (err != nil || !changed || string(got) != c.want):
			t.Errorf("%q %s: %s, %v, %v", c.part, c.stored, got, changed, err)
		}
	}
	if !s.Migrates(vault) {
		t.Error("a kind with steps is said to have none")
	}
	if _, _, err := s.UpToDate("other", "", nil); err == nil {
		t.Error("a kind that is not there was migrated")
	}
}
