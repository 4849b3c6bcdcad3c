package prompt

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/apipb"

	"github.com/fireflyrt/firefly/actors/wire"
)

type spot struct{ X, Y float64 }

type item struct {
	Name  string `json:"name"`
	Count int    `json:"count,omitempty"`
}

// pack has all that JSON can hold.
type pack struct {
	spot
	Spot    `json:"at"`
	Items   []item          `json:"items"`
	ByOwner map[string]item `json:"by_owner"`
	Owner   *item           `json:"owner"`
	When    time.Time       `json:"when"`
	Secret  string          `json:"-"`
}

// Spot is embedded under a name of its own.
type Spot struct{ Room string }

type (
	enter  struct{ Name, Secret string }
	nod    struct{}
	nudge  struct{ Whom string }
	heard  struct{ Text string }
	hidden struct{}
)

var messages = wire.Messages(wire.In[*enter](101), wire.In[*nod](110), wire.In[*nudge](111), wire.In[*pack](120),
	wire.In[*apipb.Api](130), wire.Out[*heard](201), wire.Internal[*hidden](301))

func TestTabWritesWhatCanOnlyFollowAndListsWhatCouldBe(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"en":                               "enter {",
		"EN":                               "enter {",
		"!en":                              "!enter {",
		"nod":                              "nod",
		"n":                                "n ? nod nudge",
		"nu":                               "nudge {",
		"10":                               "101 {",
		"1":                                "1 ? 101 110 111 120 130",
		"hea":                              "hea",
		":w":                               ":wait",
		":":                                ": ? help hide list quit show wait",
		":hi":                              ":hide",
		":hide h":                          ":hide heard",
		":list n":                          ":list n ? nod nudge",
		":wait h":                          ":wait h",
		"nobody {":                         "nobody {",
		"enter {":                          "enter { ? Name Secret",
		"enter {N":                         `enter {"Name":`,
		`enter {"se`:                       `enter {"Secret":`,
		`enter {"Name":"ann",`:             `enter {"Name":"ann","Secret":`,
		`enter {"Name":"`:                  `enter {"Name":"`,
		`enter {"Name":"{\"Se`:             `enter {"Name":"{\"Se`,
		`pack {"`:                          `pack {" ? X Y at items by_owner owner when`,
		`pack {"at":{`:                     `pack {"at":{"Room":`,
		`pack {"items":[{"name":"x"},{"c`:  `pack {"items":[{"name":"x"},{"count":`,
		`pack {"by_owner":{"ann":{"n`:      `pack {"by_owner":{"ann":{"name":`,
		`pack {"owner":{"count":1,`:        `pack {"owner":{"count":1,"name":`,
		`pack {"when":{`:                   `pack {"when":{`,
		`pack {"at":{"Room":"x"},"X":1,"o`: `pack {"at":{"Room":"x"},"X":1,"owner":`,
		`Api {"so`:                         `Api {"sourceContext":`,
		`Api {"methods":[{"requestT`:       `Api {"methods":[{"requestTypeUrl":`,
		`Api {"methods":[{"re`: `Api {"methods":[{"re ? requestTypeUrl requestStreaming responseTypeUrl ` +
			`responseStreaming`,
		`Api {"methods":[{"opt`:   `Api {"methods":[{"options":`,
		`Api {"sourceContext":{"`: `Api {"sourceContext":{"fileName":`,
		"":                        " ? Api enter nod nudge pack",
	} {
		line, at, could := completer{messages}.complete(written, len(written))
		if len(could) > 0 {
			line += " ? " + strings.Join(could, " ")
		} else if at != len(line) {
			t.Errorf("%q: the cursor stands at %d of %q", written, at, line)
		}
		if line != want {
			t.Errorf("Tab makes %q of %q, not %q", line, written, want)
		}
	}
	line, at, _ := completer{messages}.complete(`enter {"N", "Secret":1}`, 9)
	if line != `enter {"Name":, "Secret":1}` || at != 14 {
		t.Errorf("within a line: %q, %d", line, at)
	}
}

func TestALineThatIsWrongIsToldWhatWhereAndWhatToDo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"entr {}":                    "7:1: there is no message entr; did you mean enter?",
		"!  xyzzy":                   "7:2: there is no message ; :help explains, :list shows what may be sent",
		"  999 {}":                   "7:3: there is no message 999; :list shows those that there are",
		"heard {}":                   "7:1: 201 heard is what a client receives; :list shows what may be sent",
		"301":                        "7:1: 301 hidden is between actors only; :list shows what may be sent",
		":hlep":                      "7:2: there is no command :hlep; did you mean help?",
		":wait soon":                 `7:7: "soon" is no time; write it like :wait 500ms`,
		"enter 5":                    "7:7: a body is a JSON object; write enter {...}",
		`enter {"Name":}`:            "7:15: invalid character '}' looking for beginning of value; mend the JSON",
		`enter {"Name":"x"`:          "7:18: the JSON is not whole; close what is open",
		`enter {} {}`:                "7:10: invalid character '{' after top-level value; mend the JSON",
		`enter {"Nmae":"x"}`:         "7:8: enter has no field Nmae there; did you mean Name?",
		`enter {"Name":5}`:           "7:15: Name of enter cannot be a number; give it a value of type string",
		`pack {"items":[{"nme":1}]}`: "7:17: pack has no field nme there; did you mean name?",
		`pack {"at":{"zzz":1}}`:      "7:13: pack has no field zzz there; there are Room",
		`Api {"nmae":"x"}`:           "7:6: Api has no field nmae there; did you mean name?",
		`Api {"name":5}`:             "7:13: Api: invalid value for string field name: 5; give it a value of its type",
	} {
		_, err := line{7, text}.read(messages)
		if err == nil || err.Error() != "line "+want {
			t.Errorf("%s\n is told: %v\nand not: line %s", text, err, want)
		}
	}
}

func TestALineIsReadAsItIsMeant(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]func(o order) bool{
		"":                  func(o order) bool { return o.command == "" },
		" # enter {}":       func(o order) bool { return o.command == "" },
		":quit":             func(o order) bool { return o.command == "quit" },
		":wait":             func(o order) bool { return o.wait == time.Second },
		":wait 20ms":        func(o order) bool { return o.wait == 20*time.Millisecond },
		":hide Heard":       func(o order) bool { return o.command == "hide" && o.word == "Heard" },
		":list en":          func(o order) bool { return o.command == "list" && o.word == "en" },
		"nod":               func(o order) bool { return o.of.Number == 110 && !o.oneWay && o.msg != nil },
		"!110":              func(o order) bool { return o.of.Number == 110 && o.oneWay },
		`ENTER{"Name":"a"}`: func(o order) bool { return o.msg.(*enter).Name == "a" },
		`Api {"name":"a"}`:  func(o order) bool { return o.msg.(*apipb.Api).Name == "a" },
	} {
		if o, err := (line{1, text}).read(messages); err != nil || !want(o) {
			t.Errorf("%q is read as %+v, %v", text, o, err)
		}
	}
	twice := wire.Messages(wire.In[*enter](101), wire.In[*other](102))
	if _, err := (line{1, "enter"}).read(twice); err != nil {
		t.Error(err)
	}
	names := shapeOf(messages.ByNumber(120)).names()
	if slices.Contains(names, "Secret") {
		t.Errorf("what has no name in JSON is offered: %v", names)
	}
}

type other struct{}
