package contract

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/typepb"

	"github.com/fireflyrt/firefly/actors/wire"
)

func TestANameIsAnIdentifier(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"Buy":                                       "Buy",
		"Page[main.Item]":                           "PageOfItem",
		"Page[[]github.com/x-y/z.v1.Item]":          "PageOfListOfItem",
		"Pair[int,map[string]*main.Item]":           "PairOfIntAndMapOfStringItem",
		"Page[struct { X int \"json:\\\"x\\\"\" }]": "PageOfStructXIntJsonX",
		"meadow":       "meadow",
		"meadow-two 2": "meadowTwo2",
		"3d":           "_3d",
		"":             "_",
		"花火":           "花火",
	} {
		if got := identifier(word); got != want {
			t.Errorf("%q is called %s, not %s", word, got, want)
		}
	}
}

// Two packages may have types of one name. Whoever adds the second changes the name of the first in the languages, but
// not in the lock.
func TestMessagesOfOneNameAreCalledAfterTheirPackages(t *testing.T) {
	t.Parallel()
	type Field struct {
		Spot Spot `json:"spot"`
	}
	type spot struct{ At struct{ X, Y int } }
	type Holder struct {
		Field *descriptorpb.FieldDescriptorProto `json:"-"`
		Spot  spot                               `json:"spot"`
	}
	c, err := Of("a", wire.Messages(wire.Out[*typepb.Field](100), wire.Out[*Field](101), wire.Out[*Holder](102)), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range c.Messages {
		names = append(names, m.Name)
	}
	for _, s := range c.Parts {
		names = append(names, s.Name)
	}
	const want = "ProtobufField ContractField Holder ContractSpot1 ContractSpot2 Option spotAt"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("they are called %s and should be %s", got, want)
	}
	l, err := c.Lock()
	if err != nil || l.Entries[0].Name != "Field" || l.Entries[1].Name != "Field" {
		t.Errorf("%v, %v", l.Entries, err)
	}
}

func TestWhatCannotTravelIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	type bad struct {
		Call  func()                `json:"call"`
		Wait  []chan int            `json:"wait"`
		Where map[Spot]complex128   `json:"where"`
		Fine  map[string]func() int `json:"-"`
		never func()
	}
	_, err := Of("a", wire.Messages(wire.Internal[*bad](100)), nil)
	const leave = ` which cannot travel: leave it out (json:"-") or give it another type`
	want := "contract: contract.bad.Call is a func()," + leave +
		"\ncontract: contract.bad.Wait is a chan int," + leave +
		"\ncontract: contract.bad.Where is a map by contract.Spot, which JSON does not have: let the keys be strings " +
		"or integers\ncontract: contract.bad.Where is a complex128," + leave
	if fmt.Sprint(err) != want || (&bad{}).never != nil {
		t.Errorf("said\n%v", err)
	}
}
