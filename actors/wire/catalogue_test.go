package wire_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fireflyrt/firefly/actors/wire"
)

type login struct{ Name string }
type moved struct{ Who string }
type tick struct{}

func TestANumberAndATypeStandForEachOther(t *testing.T) {
	t.Parallel()
	c := wire.Messages(
		wire.Out[*moved](202),
		wire.In[*login](101).Public().Within(time.Second).Rate(3, time.Minute),
		wire.Internal[*tick](900),
	)
	if err := c.Err(); err != nil {
		t.Fatal(err)
	}
	if all := c.All(); len(all) != 3 || all[0].Number != 101 || all[2].Number != 900 {
		t.Errorf("All is not by number: %v", all)
	}
	in := c.ByNumber(101)
	if in != c.Of(&login{}) || in != c.ByGoType(in.GoType()) || in.String() != "101 login" {
		t.Errorf("the three ways to a type lead to different lines: %v", in)
	}
	if _, ok := in.New().(*login); !ok {
		t.Errorf("New makes a %T", in.New())
	}
	if !in.Public || in.Within != time.Second ||
		in.RateN != 3 || in.RatePer != time.Minute {
		t.Errorf("what was said of 101 is lost: %+v", in)
	}
	if in.Direction != wire.DirIn || c.ByNumber(202).Direction != wire.DirOut ||
		c.ByNumber(900).Direction != wire.DirInternal {
		t.Error("a direction is lost")
	}
	if c.ByNumber(103) != nil || c.Of(nil) != nil || c.Of(login{}) != nil ||
		c.Of(&struct{}{}) != nil {
		t.Error("something was found that does not stand in the catalogue")
	}
}

func TestLatestNamesWhoseStateAMessageTells(t *testing.T) {
	t.Parallel()
	c := wire.Messages(wire.Out[*moved](202).Latest(func(m *moved) string { return m.Who }).Lossy())
	line := c.ByNumber(202)
	if !line.Lossy || line.Latest(&moved{Who: "ann"}) != "ann" {
		t.Errorf("the policy is lost: %+v", line)
	}
}

func TestEverythingWrongWithACatalogueIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	one := wire.Messages(wire.In[*login](101), wire.In[*tick](99), wire.In[login](102))
	two := wire.Messages(wire.Out[*moved](101), wire.Out[*wrapperspb.StringValue](103))
	three := wire.Messages(wire.Internal[*login](104))
	err := wire.Join(one, two, three).Err()
	if err == nil {
		t.Fatal("nothing was reported")
	}
	for _, want := range []string{
		"99 tick: numbers below 100 belong to the runtime",
		"number 102: wire_test.login must be a pointer to a struct",
		"number 101 stands for both wire_test.login and wire_test.moved",
		"wire_test.login has two numbers, 101 and 104",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the report lacks %q:\n%v", want, err)
		}
	}
	if got := strings.Count(err.Error(), "\n") + 1; got != 4 {
		t.Errorf("%d lines are reported, want 4:\n%v", got, err)
	}
}

func TestTheRuntimeMayUseLowNumbers(t *testing.T) {
	t.Parallel()
	if err := wire.Runtime(wire.Internal[*tick](12)).Err(); err != nil {
		t.Fatal(err)
	}
}
