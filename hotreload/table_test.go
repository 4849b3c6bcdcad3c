package hotreload

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, files map[string]string, tables ...Declared) *Set {
	t.Helper()
	s, err := opened(files, tables...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRowsAreReadAsTheirTypesAndInTheFilesOrder(t *testing.T) {
	t.Parallel()
	p := prices()
	e := open(t, map[string]string{"prices.csv": "\xef\xbb\xbfwait,item,gold,is_rare\r\n" +
		"1m30s,lamp,3,TRUE\r\n,\"moon, \"\"full\"\"\",9,\r\n,ant,-0,false"}, p).Current()
	if got, ok := p.Find(e, "lamp"); !ok || got != (price{"lamp", 3, true, 90 * time.Second}) {
		t.Errorf("lamp: %+v %v", got, ok)
	}
	var order []string
	for k, row := range p.Rows(e) {
		if k != row.Item {
			t.Errorf("%q is under %q", row.Item, k)
		}
		order = append(order, k)
	}
	if want := []string{"lamp", `moon, "full"`, "ant"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
	for k := range p.Rows(e) {
		if k == "lamp" {
			break
		}
	}
	if _, ok := p.Find(e, "sun"); ok {
		t.Error("a row that is not there was found")
	}
}

func TestJSONAndTOMLSayTheSame(t *testing.T) {
	t.Parallel()
	j, o := JSON("drops.json", byMonster), TOML("drops.toml", byMonster)
	e := open(t, map[string]string{
		"drops.json": `[{"monster":"rat","items":["tail","eye"],"luck":0.5,"spot":{"x":1,"y":255}},
			{"monster":"cat","items":[]}]`,
		"drops.toml": "# what falls\n[[drop]]\nmonster = 'rat'\n" +
			"items = [\n  \"tail\", # long\n  \"eye\",\n]\n" +
			"luck = 0.5\nspot = {x = 1, y = 2_5_5}\n\n[[drop]]\nmonster = \"cat\"\nitems = []\n",
	}, j, o).Current()
	one, other := maps.Collect(j.Rows(e)), maps.Collect(o.Rows(e))
	want := drop{Monster: "rat", Items: []string{"tail", "eye"}, Luck: 0.5, Spot: spot{1, 255}}
	if !reflect.DeepEqual(one["rat"], want) {
		t.Errorf("rat: %+v", one["rat"])
	}
	if len(one) != 2 || !reflect.DeepEqual(one, other) {
		t.Errorf("JSON %+v\nTOML %+v", one, other)
	}
}

func TestWhatCannotBeDeclaredIsRefusedAllAtOnce(t *testing.T) {
	t.Parallel()
	type odd struct{ Where *spot }
	type twice struct {
		A int `csv:"a"`
		B int `csv:"a"`
	}
	type typo struct {
		A int `csv:"a,optionel"`
	}
	type ring struct{ Rings []ring }
	_, err := opened(nil,
		CSV("a.csv", func(odd) int { return 0 }),
		CSV("b.csv", func(twice) int { return 0 }),
		CSV("c.csv", func(int) int { return 0 }),
		CSV("../d.csv", byItem),
		CSV("e.csv", byItem),
		CSV("e.csv", byItem),
		CSV("f.csv", func(typo) int { return 0 }),
		CSV("g.csv", func(struct{}) int { return 0 }),
		CSV("h.csv", byMonster),
		JSON("i.json", func(ring) int { return 0 }))
	want := `hotreload: table a.csv: field Where: csv cannot hold a *hotreload.spot
hotreload: table b.csv: field B: column "a" is another field's already
hotreload: table c.csv: a row is a struct, not int
hotreload: "../d.csv" is no file; write it as dir/name.csv
hotreload: table e.csv is declared twice; use one variable
hotreload: table f.csv: field A: option "optionel" is unknown, the only one is omitempty
hotreload: table g.csv: struct {} has no field for a column
hotreload: table h.csv: field Items: csv cannot hold a []string
hotreload: table i.json: field Rings: `
	if err == nil || !strings.HasPrefix(err.Error(), want) ||
		!strings.HasSuffix(err.Error(), "nests deeper than 8") {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

func TestARowMayReferToAnotherTable(t *testing.T) {
	t.Parallel()
	p := prices()
	d := JSON("drops.json", byMonster).CheckAcross(func(e *Edition, d drop) error {
		for _, item := range d.Items {
			if _, ok := p.Find(e, item); !ok {
				return fmt.Errorf("%s drops %q, which has no price", d.Monster, item)
			}
		}
		return nil
	})
	rat := `{"monster":"rat","items":["lamp"]}`
	files := map[string]string{"prices.csv": lampFor3, "drops.json": "[" + rat + "]"}
	open(t, files, d, p)
	files["drops.json"] = "[" + rat + ",\n " + `{"monster":"cat","items":["moon"]}]`
	_, err := opened(files, d, p)
	expectFaults(t, err, "(built in)/drops.json:", `2:2: cat drops "moon", which has no price`)
}

func TestAPanicOfTheGamesOwnRuleIsAFault(t *testing.T) {
	t.Parallel()
	files := map[string]string{"prices.csv": lampFor3}
	_, err := opened(files, CSV("prices.csv", byItem).Check(func(price) error { panic("ouch") }))
	expectFaults(t, err, "(built in)/prices.csv:", "2:1: the game's rule panicked: ouch")
	_, err = opened(files, CSV("prices.csv", func(price) string { panic("ouch") }))
	expectFaults(t, err, "(built in)/prices.csv:",
		"2:1: the game's rule panicked: ouch; mend the table's key function")
}

func TestATableThatWasNotLoadedIsAProgrammersError(t *testing.T) {
	t.Parallel()
	defer func() {
		got := recover()
		if got != "hotreload: table prices.csv is read but not loaded; list it in Module.Tables" {
			t.Errorf("got %v", got)
		}
	}()
	prices().Find(open(t, nil).Current(), "lamp")
}

func TestAFileThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	_, err := opened(nil, prices())
	expectFaults(t, err, "(built in)/prices.csv:",
		"1:1: file does not exist; put a readable file there")
	_, err = Open(Options{Tables: []Declared{prices()}, Dir: "nowhere"})
	want := `hotreload: no directory "nowhere" and no tables built in; start where it is`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// Two tables always hold the same number; readers must never find two different ones.
func TestReadsUnderSwapsAreNeverTorn(t *testing.T) {
	t.Parallel()
	one, other := CSV("one.csv", byItem), CSV("other.csv", byItem)
	content := func(n int) string { return fmt.Sprintf("item,gold\nlamp,%d\n", n) }
	dir := newDir(t, map[string]string{"one.csv": content(0), "other.csv": content(0)})
	s := dir.open(one, other)
	stop, readers := make(chan struct{}), sync.WaitGroup{}
	for range 4 {
		readers.Go(func() {
			last := int32(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				e := s.Current()
				a, _ := one.Find(e, "lamp")
				b, _ := other.Find(e, "lamp")
				if a != b || a.Gold < last {
					t.Errorf("torn or turned back: %d and %d after %d", a.Gold, b.Gold, last)
					return
				}
				last = a.Gold
			}
		})
	}
	for n := range 200 {
		dir.write("one.csv", content(n))
		dir.write("other.csv", content(n))
		if err := s.Reload(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	readers.Wait()
}

func TestABrokenTableKeepsAllTablesAsTheyWere(t *testing.T) {
	t.Parallel()
	one, other := CSV("one.csv", byItem), CSV("other.csv", byItem)
	dir := newDir(t, map[string]string{"one.csv": lampFor3, "other.csv": lampFor3})
	s := dir.open(one, other)
	before := s.Status()
	dir.write("one.csv", "item,gold\nlamp,2\n")
	dir.write("other.csv", "item,gold\nlamp,two\n")
	err := s.Reload()
	faults := (*Faults)(nil)
	if !errors.As(err, &faults) || faults.List[0].At() != dir.path+"/other.csv:2:6" {
		t.Errorf("got %v", err)
	}
	if got, _ := one.Find(s.Current(), "lamp"); got.Gold != 3 {
		t.Errorf("one table changed without the other: %d", got.Gold)
	}
	after := s.Status()
	if after.Version != before.Version || after.LastError != err.Error() {
		t.Errorf("status %+v", after)
	}
	dir.write("other.csv", "item,gold\nlamp,2\n")
	err, after = s.Reload(), s.Status()
	if err != nil || after.LastError != "" || after.Version == before.Version {
		t.Errorf("after the mend: %v %+v", err, after)
	}
}

func TestTheVersionIsTheContents(t *testing.T) {
	t.Parallel()
	a := open(t, map[string]string{"prices.csv": lampFor3}, prices()).Status().Version
	b := open(t, map[string]string{"prices.csv": lampFor3}, prices()).Status().Version
	c := open(t, map[string]string{"prices.csv": "item,gold\nlamp,4\n"}, prices()).Status().Version
	if a != b || a == c || len(a) != 12 {
		t.Errorf("versions %s %s %s", a, b, c)
	}
}
