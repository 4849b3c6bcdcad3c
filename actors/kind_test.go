package actors

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/actors/wire"
)

type (
	deep    struct{ Inner struct{ List []int } }
	oldCoat struct{ Colour string }
	newCoat struct {
		Colour string
		Size   int
	}
	unknownMessage struct{}
)

func TestEverythingWrongWithAKindIsSaidAtOnce(t *testing.T) {
	messages := wire.Messages(wire.In[*buy](200).Public(), wire.Out[*bought](201))
	_, err := NewSystem(Options{Catalogue: messages, Kinds: []Kind{
		{Name: "bad", New: func(p *Props) {
			State[deep](p, "deep")
			State[int](p, "twice")
			State[int](p, "twice")
			Answer(p, func(Context, *unknownMessage) (*bought, error) { return nil, nil })
			Answer(p, func(Context, *buy) (*bought, error) { return nil, nil })
			Handle(p, func(Context, *buy) error { return nil })
			Handle(p, func(Context, *Bound) error { return nil })
			State[newCoat](p, "coat", From(2, func(o oldCoat) (newCoat, error) { return newCoat{}, nil }))
		}},
		{Name: "a/b", New: func(*Props) {}},
		{Name: "touchy", New: func(p *Props) { State[int](p, "n").View() }},
		{Name: "worker", Workers: 2, New: func(p *Props) { State[int](p, "n") }},
		{Name: "rival", New: func(p *Props) { Answer(p, func(Context, *buy) (*bought, error) { return nil, nil }) }},
	}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"deep.Inner.List (slice) is not flat", `cell "twice" is declared twice`,
		"unknownMessage, which is not in the catalogue", "*actors.buy has two handlers", "migrates from version 2",
		"cell n of kind touchy is used outside of a turn", "kind worker is no entity", "is Public",
		"listen to it with On", `the name of kind "a/b"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

func TestAnOlderCellIsBroughtUpToDateWhenItIsLoaded(t *testing.T) {
	const kind KindName = "wardrobe"
	seen := newCoat{}
	w := newWorld(t, testMessages, Kind{Name: kind, New: func(p *Props) {
		coat := State[newCoat](p, "coat", From(1, func(o oldCoat) (newCoat, error) {
			return newCoat{o.Colour, 42}, nil
		}))
		rows := Rows[int, newCoat](p, "coats", From(1, func(o oldCoat) (newCoat, error) {
			return newCoat{o.Colour, 43}, nil
		}))
		Answer(p, func(Context, *look) (*bought, error) {
			seen = coat.View()
			return &bought{rows.At(-7).Size}, nil
		})
	}})
	w.store.entities[kind.Ref("ann")] = Snapshot{Version: 1, Cells: []byte(`{"coat":{"v":1,"d":{"Colour":"red"}}}`),
		Parts: map[string]json.RawMessage{"coats/-7": json.RawMessage(`{"v":1,"d":{"Colour":"blue"}}`)}}
	if g := w.gold(kind.Ref("ann")); g != 43 || seen != (newCoat{"red", 42}) {
		t.Errorf("got %d, %+v", g, seen)
	}
}

func TestACellOfALaterBuildIsNotLoaded(t *testing.T) {
	w := shop(t)
	w.store.entities[shopperKind.Ref("ann")] = Snapshot{Version: 1, Cells: []byte(`{"purse":{"v":2,"d":{}}}`)}
	_, err := w.call(shopperKind.Ref("ann"), &look{})
	if err == nil || !strings.Contains(err.Error(), "older than the data") {
		t.Errorf("got %v", err)
	}
}

func TestRowsRunInKeyOrderAsTheyWereWhenItBegan(t *testing.T) {
	const kind KindName = "list"
	var order []int
	w := newWorld(t, testMessages, Kind{Name: kind, New: func(p *Props) {
		rows := Rows[int, int](p, "n")
		Answer(p, func(Context, *look) (*bought, error) {
			for _, k := range []int{10, 9, 2, -1} {
				rows.Set(k, k)
			}
			for k := range rows.All() {
				order = append(order, k)
				rows.Delete(k)
				rows.Set(k+100, 0)
			}
			return &bought{rows.Len()}, nil
		})
	}})
	if g := w.gold(kind.Ref("a")); g != 4 || len(order) != 4 || order[0] != -1 || order[3] != 10 {
		t.Errorf("%d rows, order %v", g, order)
	}
}

func TestWhoeverIsAddressedAsAnyOfAKindIsFound(t *testing.T) {
	var served []Ref
	serve := func(p *Props) {
		Answer(p, func(ctx Context, _ *look) (*bought, error) {
			served = append(served, ctx.Self())
			return &bought{}, nil
		})
	}
	for _, c := range []struct {
		kind Kind
		want []string
	}{
		{Kind{Name: "a", New: serve, Workers: 2}, []string{"game-1.1", "game-1.0", "game-1.1"}},
		{Kind{Name: "b", New: serve, PerNode: true}, []string{"game-1", "game-1", "game-1"}},
		{Kind{Name: "c", New: serve, PerSession: true}, slices.Repeat([]string{
			SessionRef("game-1", wire.JSON, 7, 1).ID}, 3)},
	} {
		w, before := newWorld(t, testMessages, c.kind), len(served)
		for i, want := range c.want {
			w.gold(Ref{Kind: c.kind.Name})
			if got := served[before+i]; got.ID != want {
				t.Errorf("%s: served by %s, want %s", c.kind.Name, got, want)
			}
		}
	}
}
