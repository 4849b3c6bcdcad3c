package main

import (
	"os"
	"testing"

	"github.com/fireflyrt/firefly/cluster/contract"
)

// agreement is what Meadow and its clients have agreed on.
func agreement(t *testing.T) *contract.Contract {
	t.Helper()
	b, err := App.Build()
	if err != nil {
		t.Fatal(err)
	}
	c, err := contract.Of(App.Name, b.Catalogue, b.Replies)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheNumbersMeanWhatTheirLockSays(t *testing.T) {
	t.Parallel()
	program, err := agreement(t).Lock()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../messages.lock")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range contract.Check(text, program) {
		t.Errorf("messages.lock:%d: %s; %s", d.Line, d.What, d.Do)
	}
}

// scripted is how the browser's messages are written.
const scripted = "go run ./sample gen ts --client ../../gate/client/ts/src/message.js -o sample/web/message.js"

func TestTheBrowserKnowsTheMessagesAsTheyAre(t *testing.T) {
	t.Parallel()
	c := agreement(t)
	const client = "../../gate/client/ts/src/message.js"
	for file, want := range map[string][]byte{
		"web/message.js":   c.TypeScript(contract.JavaScript, client),
		"web/message.d.ts": c.TypeScript(contract.Declarations, client),
	} {
		if text, err := os.ReadFile(file); err != nil || string(text) != string(want) {
			t.Errorf("%s is not what the catalogue says (%v): %s", file, err, scripted)
		}
	}
}
