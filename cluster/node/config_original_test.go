package node

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

const withOriginals = `[node.gate]
roles = ["gate"]
count = 2
original.dark = "127.0.0.1:11009+"
original.world = "127.0.0.1:11019+"

[node.game]
roles = ["game"]

[original.dark]
magic = [78, 37, 38, 0x30]
version = 9
errors = 999
first_within = "10s"

[original.world]
server_version = 4_294_967_295
codec = "proto"
`

func TestAGateTakesTheClientsOfSeveralOriginals(t *testing.T) {
	t.Parallel()
	c := parse(t, withOriginals)
	second, _ := c.Node("gate-2")
	want := []gate.Listener{
		{Scheme: gate.Firefly1, Address: "127.0.0.1:11010", Original: &gate.Original{Codec: wire.JSON, Errors: 999,
			First: 10 * time.Second, Original: wire.Original{Magic: [4]byte{78, 37, 38, 48}, Version: 9}}},
		{Scheme: gate.Firefly1, Address: "127.0.0.1:11020", Original: &gate.Original{Codec: wire.Proto,
			Original: wire.Original{ServerVersion: 1<<32 - 1}}},
	}
	if got := c.oldDoors(second); !reflect.DeepEqual(got, want) {
		t.Errorf("the second copy listens at %+v", got)
	}
	var listening []string
	for _, l := range c.Listeners(second) {
		listening = append(listening, l.Key+" "+l.Address)
	}
	if all := strings.Join(listening, ", "); all != "listen 127.0.0.1:0, original.dark 127.0.0.1:11010, "+
		"original.world 127.0.0.1:11020" {
		t.Errorf("check tells of %s", all)
	}
}

func TestOriginalsAreWrittenAndMovedAsEverythingElse(t *testing.T) {
	t.Parallel()
	c := parse(t, withOriginals)
	moved := c.Moved("/tmp/beside", 20000)
	var b bytes.Buffer
	if err := moved.Write(&b); err != nil {
		t.Fatal(err)
	}
	back := parse(t, b.String())
	if !reflect.DeepEqual(back.Originals, c.Originals) {
		t.Errorf("%+v reads back as %+v in\n%s", c.Originals, back.Originals, &b)
	}
	for i, n := range moved.Nodes {
		if !reflect.DeepEqual(n.Originals, back.Nodes[i].Originals) {
			t.Errorf("%+v reads back as %+v", n, back.Nodes[i])
		}
	}
	if strings.Contains(b.String(), ":110") {
		t.Errorf("not all ports were moved:\n%s", &b)
	}
	if first, _ := c.Node("gate-1"); first.Originals[0].Address != "127.0.0.1:11009" {
		t.Errorf("what was moved from is %+v now", first)
	}
}

func TestWhatOldClientsAreToldBelongsToAGatesFingerprint(t *testing.T) {
	t.Parallel()
	before, after := parse(t, withOriginals), parse(t, strings.Replace(withOriginals, "version = 9", "version = 8", 1))
	for i, n := range before.Nodes {
		if changed := before.Fingerprint(n) != after.Fingerprint(after.Nodes[i]); changed != n.Has(RoleGate) {
			t.Errorf("%s: changed %v", n.Name, changed)
		}
	}
}

func TestErrorsMustNotGoUnderAMessagesNumber(t *testing.T) {
	t.Parallel()
	c := parse(t, withOriginals)
	type greeting struct{}
	if err := c.CheckMessages(wire.Messages(wire.Out[*greeting](998))); err == nil ||
		err.Error() != "runtime.toml:18:9: original.world.codec is proto, and no message of the game's is a protobuf "+
			`one; write codec = "json"` {
		t.Errorf("of a game without protobuf messages: %v", err)
	}
	c.Originals = c.Originals[:1]
	if err := c.CheckMessages(wire.Messages(wire.Out[*greeting](999))); err == nil ||
		err.Error() != "runtime.toml:13:10: original.dark.errors is 999, and so is the game's greeting: clients tell "+
			"them apart by nothing else; take a number that no message has" {
		t.Errorf("of a number that is taken: %v", err)
	}
	if err := c.CheckMessages(wire.Messages(wire.Out[*greeting](998))); err != nil {
		t.Errorf("of a free number: %v", err)
	}
}
