package hotreload

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

type price struct {
	Item string
	Gold int32
	Rare bool          `csv:"is_rare,omitempty"`
	Wait time.Duration `csv:"wait,omitempty"`
}

func byItem(p price) string { return p.Item }

func prices() *Table[string, price] {
	return CSV("prices.csv", byItem).Check(func(p price) error {
		if p.Gold < 0 {
			return fmt.Errorf("%s costs %d gold: no price is below zero", p.Item, p.Gold)
		}
		return nil
	})
}

type drop struct {
	Monster string   `json:"monster" toml:"monster"`
	Items   []string `json:"items" toml:"items"`
	Luck    float64  `json:"luck,omitempty" toml:"luck,omitempty"`
	At      *spot    `json:"-" toml:"-"`
	Spot    spot     `json:"spot,omitempty" toml:"spot,omitempty"`
}

type spot struct{ X, Y uint8 }

func byMonster(d drop) string { return d.Monster }

func opened(files map[string]string, tables ...Declared) (*Set, error) {
	fsys := fstest.MapFS{}
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return Open(Options{Tables: tables, Fallback: fsys})
}

const (
	noRows = `write at least one row, or take the table out of the game`
	comma  = `put a cell that holds a comma in "quotes"`
)

// Every wrong file says where, what and what to do; all of it at once.
func TestABrokenFileIsReportedWithPlaceAndRemedy(t *testing.T) {
	wants := `a whole number from -2147483648 to 2147483647`
	for _, c := range []struct{ name, content, want string }{
		{"nothing at all", "", `1:1: the file is empty; save it again`},
		{"blanks only", "\n \n", `1:1: the file is empty; save it again`},
		{"a header only", "item,gold\n",
			`1:1: the table has no rows; ` + noRows},
		{"bad UTF-8", "item,gold\nl\u00e4mp\xff,3\n",
			`2:5: byte 0xff is not UTF-8; save the file as UTF-8`},
		{"an unknown column", "item,gold,colour\nlamp,3,red\n",
			`1:11: column "colour" is unknown; the columns are item, gold, is_rare, wait`},
		{"a missing column", "item\nlamp\n",
			`1:1: column "gold" is missing; add it to the header and to every row`},
		{"a column twice", "item,gold,gold\nlamp,3,4\n",
			"1:11: column \"gold\" stands here twice; keep one\n" +
				"2:8: column \"gold\" stands here twice; keep one"},
		{"semicolons", "item;gold\nlamp;3\n",
			`1:1: column "item;gold" is unknown; separate columns by commas; ` +
				"the columns are item, gold, is_rare, wait\n" +
				"1:1: column \"item\" is missing; add it to the header and to every row\n" +
				`1:1: column "gold" is missing; add it to the header and to every row`},
		{"wrong types", "item,gold,is_rare,wait\nlamp,three,yes,soon\n",
			`2:6: gold is "three"; write ` + wants + "\n" +
				`2:12: is_rare is "yes"; write true or false` + "\n" +
				`2:16: wait is "soon"; write a duration such as "1m30s"`},
		{"too large a number", "item,gold\nlamp,3000000000\n",
			`2:6: gold is "3000000000"; write ` + wants},
		{"an empty number", "item,gold\nlamp,\n", `2:6: gold is ""; write ` + wants},
		{"a key twice", "item,gold\nlamp,3\nmoon,9\nlamp,4\n",
			`4:1: key "lamp" is taken by line 2; keep one of the two rows`},
		{"ragged rows", "item,gold\nlamp\nmoon,9,9\n",
			"2:1: the row has 1 cell, the header has 2; " + comma + "\n" +
				"3:1: the row has 3 cells, the header has 2; " + comma},
		{"an open quote", "item,gold\n\"lamp,3\n",
			"2:8: extraneous or missing \" in quoted-field; " +
				`close every "quote", and write a quote inside quotes twice`},
		{"a broken rule", "item,gold\nlamp,-3\n",
			`2:1: lamp costs -3 gold: no price is below zero`},
		{"columns are characters", "item,gold\näöü,x\n", `2:5: gold is "x"; write ` + wants},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := opened(map[string]string{"prices.csv": c.content}, prices())
			expectFaults(t, err, "(built in)/prices.csv:", c.want)
		})
	}
}

func TestABrokenJSONFileIsReportedWithPlaceAndRemedy(t *testing.T) {
	const one = `{"monster":"rat","items":["tail"]}`
	for _, c := range []struct{ name, content, want string }{
		{"no array", one, `1:1: the file is a record; write one array of objects`},
		{"cut off", `[` + one,
			`1:36: this is not JSON: unexpected EOF; mend it here or just before`},
		{"a comma too many", "[\n" + one + ",\n]",
			`3:1: this is not JSON: invalid character ']' looking for beginning of value; ` +
				`mend it here or just before`},
		{"two arrays", "[" + one + "] []",
			`1:38: something stands behind the array; a table is one array of objects`},
		{"no record", `[7]`, `1:2: the row is 7; write a record with monster, items, luck, spot`},
		{"an empty array", `[]`,
			`1:1: the table has no rows; ` + noRows},
		{"unknown, missing and twice",
			"[\n  {\"monstre\":\"rat\",\n   \"luck\":1, \"luck\":2, \"items\":[]}\n]",
			`2:4: column "monstre" is unknown; the columns are monster, items, luck, spot` + "\n" +
				"3:14: column \"luck\" stands here twice; keep one\n" +
				"2:3: column \"monster\" is missing; add it"},
		{"wrong types", `[{"monster":7,"items":["a",null],"luck":"high","spot":{"x":256,"y":1.5}}]`,
			"1:13: monster is 7; write a text in quotes\n" +
				"1:28: items[1] is null; write a text in quotes\n" +
				"1:41: luck is \"high\"; write a number\n" +
				"1:60: x is 256; write a whole number from 0 to 255\n" +
				"1:68: y is 1.5; write a whole number from 0 to 255"},
		{"a record for a list", `[{"monster":"rat","items":{}}]`,
			`1:27: items is a record; write a list`},
		{"too deep", `[` + strings.Repeat(`[`, 40),
			`1:18: this is not JSON: it nests too deep; mend it here or just before`},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"drops.json": c.content}
			_, err := opened(files, JSON("drops.json", byMonster))
			expectFaults(t, err, "(built in)/drops.json:", c.want)
		})
	}
}

func TestABrokenTOMLFileIsReportedWithPlaceAndRemedy(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"no TOML", "[[drop]]\nmonster = rat\n",
			`2:11: this is not TOML: unexpected character U+0072 'r' at start of value; ` +
				`mend it here or just before`},
		{"a field of no row", "monster = \"rat\"\n",
			`1:1: "monster" belongs to no row; ` + tomlShape},
		{"two arrays",
			"[[drop]]\nmonster=\"rat\"\nitems=[]\n[[other]]\nmonster=\"cat\"\nitems=[]\n",
			`4:3: "other" belongs to no row; ` + tomlShape},
		{"unknown, missing, wrong", "[[drop]]\nmonstre = \"rat\"\nluck = true\nitems = [1]\n",
			`2:1: column "monstre" is unknown; the columns are monster, items, luck, spot` + "\n" +
				"3:8: luck is true; write a number\n" +
				"4:10: items[0] is 1; write a text in quotes\n" +
				"1:3: column \"monster\" is missing; add it"},
		{"a key twice", "[[d]]\nmonster=\"a\"\nitems=[]\n[[d]]\nmonster=\"a\"\nitems=[]\n",
			`4:3: key "a" is taken by line 1; keep one of the two rows`},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"drops.toml": c.content}
			_, err := opened(files, TOML("drops.toml", byMonster))
			expectFaults(t, err, "(built in)/drops.toml:", c.want)
		})
	}
}

func expectFaults(t *testing.T, err error, file, want string) {
	t.Helper()
	if err == nil {
		t.Fatal("the file was taken")
	}
	want = file + strings.ReplaceAll(want, "\n", "\n"+file)
	if got := err.Error(); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestWhatIsWrongBeyondTheBoundIsCounted(t *testing.T) {
	content := "item,gold\n" + strings.Repeat("lamp,x\n", MaxFaults+7)
	_, err := opened(map[string]string{"prices.csv": content}, prices())
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != MaxFaults+1 || lines[MaxFaults] != "and 7 more" {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}

func TestAFileOverTheBoundIsRefused(t *testing.T) {
	content := "item,gold\n" + strings.Repeat(" ", MaxFile)
	_, err := opened(map[string]string{"prices.csv": content}, prices())
	want := `1:1: the file is larger than 16 MiB; split it`
	expectFaults(t, err, "(built in)/prices.csv:", want)
}
