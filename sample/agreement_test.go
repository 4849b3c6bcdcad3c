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

func TestTheBrowserKnowsTheMessagesAsTheyAre(t *testing.T) {
	t.Parallel()
	c := agreement(t)
	for file, want := range map[string][]byte{
		"web/message.js":   c.TypeScript(contract.JavaScript, "./firefly.js"),
		"web/message.d.ts": c.TypeScript(contract.Declarations, "./firefly.js"),
	} {
		if text, err := os.ReadFile(file); err != nil || string(text) != string(want) {
			t.Errorf("%s is not what the catalogue says (%v): go run ./sample gen ts -o sample/web/message.js", file,
				err)
		}
	}
}
