package node

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/identity"
	"github.com/fireflyrt/firefly/gate"
)

// fourDoors is a gate that takes clients over every transport, and stands behind a proxy of its own machine.
const fourDoors = `[node.gate]
roles = ["gate"]
count = 2
tcp = "127.0.0.1:9400+"
ws  = "127.0.0.1:9405+"
tls = "0.0.0.0:9443+"
wss = "0.0.0.0:9543+"
[gate]
certificate = "tls/play.pem"
key = "tls/play.key"
proxies = ["127.0.0.0/8", "10.1.0.0/16"]
`

func TestAGateListensOverEveryTransportItsTableNames(t *testing.T) {
	t.Parallel()
	c := parse(t, fourDoors)
	n, _ := c.Node("gate-2")
	want := []gate.Listener{{Scheme: gate.TCP, Address: "127.0.0.1:9401"}, {Scheme: gate.WS, Address: "127.0.0.1:9406"},
		{Scheme: gate.TLS, Address: "0.0.0.0:9444"}, {Scheme: gate.WSS, Address: "0.0.0.0:9544"}}
	if got := n.doors(); !slices.Equal(got, want) {
		t.Errorf("it listens at %v", got)
	}
	if c.Gate.Certificate != "/game/tls/play.pem" || c.Gate.Key != "/game/tls/play.key" {
		t.Errorf("it shows %s", c.Gate.Certificate)
	}
	for address, want := range map[string]bool{"127.0.0.1:9400": true, "localhost:9400": true, "0.0.0.0:9443": true,
		":9443": true, "10.1.2.3:9400": true, "10.2.2.3:9400": false, "[::1]:9400": false, "x": false} {
		if c.Proxied(address) != want {
			t.Errorf("from %s a header is wanted: %v", address, !want)
		}
	}
	if m := c.Moved(t.TempDir(), 20000); m.Proxied("127.0.0.1:1") || m.Gate.Certificate != c.Gate.Certificate {
		t.Errorf("beside itself its gate has %+v", m.Gate)
	}
}

func TestTheCertificateOfAGateIsCheckedWhereItMayBe(t *testing.T) {
	t.Parallel()
	laidOut := func(file, text string) *Config {
		c, err := Parse(filepath.Join(t.TempDir(), file), []byte(text), noEnv, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := laidOut("runtime.toml", fourDoors)
	refused := func(want string) {
		t.Helper()
		err := c.CheckCertificates(time.Now())
		if err == nil || !strings.HasPrefix(err.Error(), "runtime.toml:9:15: clients cannot come in TLS: ") ||
			!strings.Contains(err.Error(), want) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("want %q, got: %v", want, err)
		}
	}
	refused("play.pem: no such file or directory")
	a, _, err := identity.NewAuthority("x", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	issue := func(until time.Time) identity.Pair {
		p, err := a.Issue(identity.Identity{Cluster: "x", Role: identity.Node, Name: "play"}, []string{"127.0.0.1"},
			time.Now().Add(-2*time.Hour), until)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	old, good := issue(time.Now().Add(-time.Hour)), issue(time.Now().Add(time.Hour))
	laid(t, c.Gate.Certificate, good.Cert)
	refused("play.key: no such file or directory")
	laid(t, c.Gate.Key, old.Key)
	refused("private key does not match public key")
	laid(t, c.Gate.Certificate, old.Cert)
	refused("play.pem expired on 20")
	laid(t, c.Gate.Certificate, good.Cert)
	laid(t, c.Gate.Key, good.Key)
	if err := c.CheckCertificates(time.Now()); err != nil {
		t.Error(err)
	}

	far := laidOut("runtime.toml", strings.Replace(fourDoors, "count = 2", `host = "b"`, 1))
	if err := far.CheckCertificates(time.Now()); err != nil {
		t.Errorf("its files may be on its own machine: %v", err)
	}
	laid(t, far.Gate.Certificate, []byte("nonsense"))
	if err := far.CheckCertificates(time.Now()); err == nil {
		t.Error("files that are here are not looked at")
	}
}
