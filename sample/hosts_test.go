package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fireflyrt/firefly/cluster/clustertest"
)

// provenNodes is the table that makes nodes prove who they are.
const provenNodes = "[tls]\nca = \"tls/ca.pem\"\ncert = \"tls/{node}.pem\"\nkey = \"tls/{node}.key\"\n"

func TestACallerWithoutACertificateIsRefusedAndTheMeadowPlaysOn(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{config: shippedConfig(t) + provenNodes})
	if text, code := c.Run("cert", "init"); code != 0 {
		t.Fatalf("cert init ended with %d:\n%s", code, text)
	}
	up := c.Up()
	p := c.join("fern", "1,1", false)
	dead := c.Kill("game-1")
	c.Restarted(dead)
	game, _ := c.Config.Node("game-1")
	babble(t, game.Listen)
	c.refuses("game-1", "it speaks without TLS")
	await(t, patience, "fern to play on", func() error {
		_, err := p.login(t.Context())
		return err
	})
	for _, n := range c.Config.Nodes {
		if log := c.Log(n.Name); strings.Contains(log, "was not believed") || n.Name != "game-1" &&
			strings.Contains(log, "was refused") {
			t.Errorf("%s refused one of its own:\n%s", n.Name, clustertest.LastLines(log, 20))
		}
	}
	up.Stop()
}

// babble says something to an address that is no handshake.
func babble(t *testing.T, address string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: firefly\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
}

// refuses waits until a node logs that it refused somebody, and why.
func (c *realCluster) refuses(name string, texts ...string) {
	c.t.Helper()
	await(c.t, patience, name+" to log whom it refused", func() error {
		for line := range strings.Lines(c.Log(name)) {
			found := strings.Contains(line, "a peer was refused")
			for _, text := range texts {
				found = found && strings.Contains(line, text)
			}
			if found {
				return nil
			}
		}
		return errors.New(clustertest.LastLines(c.Log(name), 5))
	})
}

// Two machines, as nodes know them.
const (
	hostA = "10.251.7.1"
	hostB = "10.251.7.2"
)

const overTwoHosts = `[cluster]
name = "arena"
etcd = "embedded"
etcd_port = 9470
` + provenNodes + `[node.registry-1]
roles  = ["registry"]
host   = "a"
listen = "` + hostA + `:9405"
[node.gate-1]
roles  = ["gate"]
host   = "a"
listen = "` + hostA + `:9410"
tcp    = "` + hostA + `:9400"
ws     = "` + hostA + `:9401"
[node.persist-1]
roles  = ["persist"]
host   = "a"
listen = "` + hostA + `:9430"
[node.game-1]
roles  = ["game"]
host   = "b"
listen = "` + hostB + `:9420"
`

// A place is a network namespace: what runs in it has addresses of its own, as on another machine.
type place struct {
	t    *testing.T
	name string
}

// twoPlaces makes two machines with a wire between them. Whoever may not do that skips the test, but not in CI.
func twoPlaces(t *testing.T) (a, b place) {
	t.Helper()
	a, b = place{t, fmt.Sprintf("ffa%d", os.Getpid())}, place{t, fmt.Sprintf("ffb%d", os.Getpid())}
	t.Cleanup(func() {
		for _, p := range [...]place{a, b} {
			exec.Command("ip", "netns", "del", p.name).Run() //nolint:errcheck // it may not have come to be
		}
	})
	for _, line := range [...]string{
		"netns add " + a.name, "netns add " + b.name,
		"-n " + a.name + " link add wire type veth peer name wire netns " + b.name,
		"-n " + a.name + " addr add " + hostA + "/24 dev wire", "-n " + b.name + " addr add " + hostB + "/24 dev wire",
		"-n " + a.name + " link set wire up", "-n " + b.name + " link set wire up",
		"-n " + a.name + " link set lo up", "-n " + b.name + " link set lo up",
	} {
		if text, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			what := fmt.Sprintf("needs network namespaces: ip %s: %v\n%s", line, err, text)
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s; CI must have them: root, and iproute2", what)
			}
			t.Skip(what)
		}
	}
	return a, b
}

// do runs f as if on that machine: what it dials, it dials from there.
func (p place) do(f func() error) error {
	failed := make(chan error, 1)
	go func() { // ends with f; its thread is not used for anything else any more
		runtime.LockOSThread()
		ns, err := os.Open("/run/netns/" + p.name)
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		failed <- err
	}()
	return <-failed
}

// begin starts a node on that machine; it is told to end, and has to, when the test does.
func (p place) begin(c *realCluster, dir, name string) (end func()) {
	c.t.Helper()
	node := c.Command("node", name)
	node.Args = append([]string{"ip", "netns", "exec", p.name, node.Path}, node.Args[1:]...)
	node.Args[len(node.Args)-1] = c.Path(dir + "runtime.toml")
	var err error
	if node.Path, err = exec.LookPath("ip"); err != nil {
		c.t.Fatal(err)
	}
	log, err := os.Create(c.Path(".firefly/log/" + name + ".log")) // where the cluster's tests read it
	if err != nil {
		c.t.Fatal(err)
	}
	node.Dir, node.Stdout, node.Stderr = c.Path(dir), log, log
	if err := node.Start(); err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(node.Wait(), log.Close()) }() // ends with the process
	return func() {
		if err := node.Process.Signal(syscall.SIGTERM); err != nil {
			c.t.Errorf("%s has ended early: %v", name, err)
		}
		select {
		case err := <-ended:
			if err != nil {
				c.t.Errorf("%s ended with %v:\n%s", name, err, clustertest.LastLines(c.Log(name), 5))
			}
		case <-time.After(patience):
			c.t.Errorf("%s does not end:\n%s", name, clustertest.LastLines(c.Log(name), 20))
		}
	}
}

func TestTwoHostsStartedInTheWrongOrderPlayOverMutualTLS(t *testing.T) {
	t.Parallel()
	a, b := twoPlaces(t)
	c := newRealCluster(t, realGame{config: overTwoHosts})
	if text, code := c.Run("cert", "init"); code != 0 {
		t.Fatalf("cert init ended with %d:\n%s", code, text)
	}
	// host B has a directory of its own, with the file, the CA's certificate and those of its nodes
	for _, file := range []string{"runtime.toml", "tls/ca.pem", "tls/game-1.pem", "tls/game-1.key"} {
		c.Write("b/"+file, c.Read(c.Path(file)))
	}
	c.Write(".firefly/log/began", "")
	ends := []func(){b.begin(c, "b/", "game-1")}
	await(t, patience, "game-1 to run", func() error {
		if len(c.Processes()) == 0 {
			return errors.New("no process")
		}
		return nil
	})
	ends = append(ends, a.begin(c, "", "persist-1"), a.begin(c, "", "gate-1"), a.begin(c, "", "registry-1"))
	p := c.newPilot("fern", "1,1", false)
	await(t, patience, "fern to play on host B through host A", func() error {
		return a.do(func() error { _, err := p.login(t.Context()); return err })
	})
	p.await("to see itself", func() bool { _, ok := p.seen["fern"]; return ok && p.room != "" })

	gate, _ := c.Config.Node("gate-1")
	if err := b.do(func() error { babble(t, gate.Listen); return nil }); err != nil {
		t.Fatal(err)
	}
	c.refuses("gate-1", "peer="+hostB+":", "it speaks without TLS")
	etcd := c.Config.Cluster.Etcd.Endpoints[0]
	err := b.do(func() error { return unproven(etcd) })
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("etcd at %s let somebody in without a certificate: %v", etcd, err)
	}
	p.leave()
	for _, i := range []int{2, 0, 1, 3} { // gate, game, persist, registry
		ends[i]()
	}
}

// unproven speaks TLS without a certificate of one's own, and returns how that ended.
func unproven(address string) error {
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}
