package wire_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/fireflyrt/firefly/actors/wire"
)

type visit struct {
	Name   string            `json:"name"`
	Secret string            `json:"secret" firefly:"sensitive"`
	Pin    int               `json:"pin" firefly:"sensitive"`
	Key    []byte            `json:"key,omitempty" firefly:"sensitive"`
	Home   *address          `json:"home,omitempty"`
	Also   []address         `json:"also,omitempty"`
	ByName map[string]street `json:"by_name,omitempty"`
	Next   *visit            `json:"next,omitempty"`
	place
}

type address struct {
	Town   string `json:"town"`
	Street street `json:"street"`
}

type street struct {
	Line string `json:"line" firefly:"sensitive"`
}

type place struct {
	Room string `json:"room" firefly:"sensitive"`
}

func stars(contents string) string {
	if strings.HasPrefix(contents, "*") {
		return contents
	}
	return "*" + strings.Repeat("x", len(contents))
}

func TestWhatIsSensitiveIsMaskedAtAnyDepth(t *testing.T) {
	t.Parallel()
	l := line[*visit](t)
	if !l.Sensitive() {
		t.Fatal("nothing in it counts as sensitive")
	}
	body, err := l.Encode(wire.JSON, &visit{Name: "Ann", Secret: "abc", Pin: 7, Key: []byte("k"),
		Home: &address{"Rome", street{"here"}}, Also: []address{{"Oslo", street{"there"}}},
		ByName: map[string]street{"a": {"Low"}}, Next: &visit{Name: "Bob", Secret: "de"}, place: place{"attic"}})
	if err != nil {
		t.Fatal(err)
	}
	got := l.RedactBody(wire.JSON, body, stars)
	want := `{"name":"Ann","secret":"*xxx","pin":0,"key":"Kng=","home":{"town":"Rome","street":{"line":"*xxxx"}},` +
		`"also":[{"town":"Oslo","street":{"line":"*xxxxx"}}],"by_name":{"a":{"line":"*xxx"}},` +
		`"next":{"name":"Bob","secret":"*xx","pin":0,"room":""},"room":"*xxxxx"}`
	if string(got) != want {
		t.Errorf("masked:\n%s\nwant:\n%s", got, want)
	}
	if again := l.RedactBody(wire.JSON, got, stars); string(again) != want {
		t.Errorf("masked twice:\n%s", again)
	}
}

func TestABodyThatCannotBeReadIsReplacedByOneThatCannotEither(t *testing.T) {
	t.Parallel()
	l := line[*visit](t)
	got := l.RedactBody(wire.JSON, []byte(`{"secret":"abc"`), stars)
	if strings.Contains(string(got), "abc") {
		t.Fatalf("the secret is still there: %s", got)
	}
	if _, err := l.Decode(wire.JSON, got); err == nil {
		t.Error("a body that was refused reads well once masked")
	}
	if body := l.RedactBody(wire.JSON, nil, stars); body != nil {
		t.Errorf("an empty body became %q", body)
	}
}

func TestTypesWithoutSecretsAreLeftAlone(t *testing.T) {
	t.Parallel()
	l := line[*bought](t)
	body := []byte(`{ "item" : "sword" }`)
	if got := l.RedactBody(wire.JSON, body, stars); &got[0] != &body[0] || l.Sensitive() {
		t.Error("a body without secrets was copied")
	}
	v := bought{"sword", 7}
	if r := wire.RedactorOf(reflect.TypeOf(v)); r != nil || r.Copy(v, stars) != v {
		t.Error("a value without secrets was changed")
	}
}

func TestACopyOfAFlatValueIsMaskedAndTheValueIsNot(t *testing.T) {
	t.Parallel()
	type lock struct {
		Sum   string `firefly:"sensitive"`
		Tries [2]street
		Wrong int
	}
	v := lock{Sum: "abc", Tries: [2]street{{"a"}, {}}, Wrong: 3}
	got := wire.RedactorOf(reflect.TypeOf(v)).Copy(v, stars).(lock)
	if want := (lock{Sum: "*xxx", Tries: [2]street{{"*x"}, {}}, Wrong: 3}); got != want {
		t.Errorf("masked: %+v", got)
	}
	if v.Sum != "abc" || v.Tries[0].Line != "a" {
		t.Errorf("the value itself was masked: %+v", v)
	}
}

func TestAMisspeltTagIsAnError(t *testing.T) {
	t.Parallel()
	type misspelt struct {
		Secret string `firefly:"sensitve"`
	}
	if err := wire.Messages(wire.In[*misspelt](100)).Err(); err == nil ||
		!strings.Contains(err.Error(), `misspelt.Secret: the tag firefly:"sensitve" is unknown`) {
		t.Errorf("error: %v", err)
	}
	type hidden struct {
		secret string `firefly:"sensitive"`
	}
	if err := wire.Messages(wire.In[*hidden](100)).Err(); err == nil || (hidden{}).secret != "" {
		t.Error("a tag that has no effect is taken")
	}
}
