package main

import (
	"net"
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// theWords are what docs/protocol_client.py has to say when all went well.
var theWords = regexp.MustCompile(`^logged in as guest
heard one
the shop sells \d things
resumed True
answered 1 and heard 1 and then three
$`)

// aClientFromThePagePlays has a client play that was written in another language, from docs/protocol.md alone.
func aClientFromThePagePlays(t *testing.T, c *realCluster) {
	t.Helper()
	python, err := exec.LookPath("python3")
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Errorf("docs/protocol_client.py: %v", err)
		return
	case err != nil:
		t.Log("docs/protocol_client.py was not run: there is no python3")
		return
	}
	host, port, err := net.SplitHostPort(c.Node("gate-1").TCP)
	if err != nil {
		t.Fatal(err)
	}
	client := exec.CommandContext(t.Context(), python, "../docs/protocol_client.py", host, port, "guest",
		"the long secret of a guest")
	if said, err := client.CombinedOutput(); err != nil || !theWords.Match(said) {
		t.Errorf("the client from the page ended with %v, and said\n%s", err, said)
	}
}
