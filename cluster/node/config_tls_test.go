package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/identity"
)

// twoHosts is a cluster over two machines, with its registry on one of them.
const twoHosts = `[cluster]
name = "arena"
[tls]
ca   = "tls/ca.pem"
cert = "tls/{node}.pem"
key  = "tls/{node}.key"
[node.registry-1]
roles  = ["registry"]
host   = "a"
listen = "10.0.0.1:9405"
[node.gate-1]
roles  = ["gate"]
host   = "a"
listen = "10.0.0.1:9410"
tcp    = "0.0.0.0:9400"
[node.game]
roles  = ["game"]
host   = "b"
count  = 2
listen = "10.0.0.2:9420+"
`

func TestAClusterOverTwoHostsNeedsCertificatesAndThenIsFine(t *testing.T) {
	t.Parallel()
	c := parse(t, twoHosts)
	if c.Cluster.Etcd.Endpoints[0] != "10.0.0.1:9470" {
		t.Errorf("etcd is called at %v", c.Cluster.Etcd.Endpoints)
	}
	at := c.Certificate("game-2")
	if at.CA != "/game/tls/ca.pem" || at.Cert != "/game/tls/game-2.pem" || at.Key != "/game/tls/game-2.key" {
		t.Errorf("game-2 has its certificate in %+v", at)
	}
	registry, _ := c.Node("registry-1")
	if l := c.Listeners(registry); l[1].Address != "10.0.0.1:9470" || l[2].Address != "127.0.0.1:9471" {
		t.Errorf("the registry listens at %v", l)
	}
	if m := c.Moved(t.TempDir(), 20000); m.TLS.On() || m.Cluster.Etcd.Endpoints[0] != "127.0.0.1:20000" {
		t.Errorf("beside itself, on the loopback, it has %+v and %v", m.TLS, m.Cluster.Etcd)
	}
	far := strings.Replace(twoHosts, `listen = "10.0.0.1:9410"`, `listen = "0.0.0.0:9410"
advertise = "gate.arena:9410"`, 1)
	if gate, _ := parse(t, far).Node("gate-1"); !slices.Equal(gate.LinkHosts(), []string{"gate.arena"}) {
		t.Errorf("a gate that is called elsewhere than it listens has a certificate for %v", gate.LinkHosts())
	}
	plain := strings.Replace(twoHosts, "[tls]\nca ", "[tls]\n#", 1)
	if _, err := Parse("x.toml", []byte(plain), noEnv, nil); err == nil {
		t.Error("without a CA it is fine too")
	}
}

// certified is a configuration in a directory of its own, with a CA.
func certified(t *testing.T, text string) (*Config, *identity.Authority) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runtime.toml")
	c, err := Parse(path, []byte(text), noEnv, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, pair, err := identity.NewAuthority(c.Cluster.Name, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	laid(t, c.TLS.CA, pair.Cert)
	return c, a
}

func laid(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func certify(t *testing.T, c *Config, a *identity.Authority, file string, id identity.Identity, until time.Time,
	hosts ...string) {
	t.Helper()
	p, err := a.Issue(id, hosts, time.Now(), until)
	if err != nil {
		t.Fatal(err)
	}
	at := c.Certificate(file)
	laid(t, at.Cert, p.Cert)
	laid(t, at.Key, p.Key)
}

func TestCertificatesThatAreHereAreCheckedAndThoseOfOtherHostsNeedNotBe(t *testing.T) {
	t.Parallel()
	c, a := certified(t, twoHosts)
	year := time.Now().AddDate(1, 0, 0)
	certify(t, c, a, "gate-1", c.Identity("gate-1"), year, "10.0.0.1")
	if err := c.CheckCertificates(time.Now()); err != nil {
		t.Fatalf("one good certificate of four: %v", err)
	}
	certify(t, c, a, "game-1", c.Identity("game-2"), year, "10.0.0.2")
	certify(t, c, a, "game-2", c.Identity("game-2"), year, "10.0.0.9")
	certify(t, c, a, "registry-1", c.Identity("registry-1"), time.Now().Add(time.Hour), "10.0.0.1")
	err := c.CheckCertificates(time.Now().Add(2 * time.Hour))
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, want := range []string{
		"runtime.toml:5:8: node game-1 cannot prove who it is: ",
		"game-1.pem is for firefly://arena/node/game-2, and should be for firefly://arena/node/game-1",
		"game-2.pem is for 10.0.0.9, and the node is called at 10.0.0.2",
		"registry-1.pem: its certificate has expired",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q:\n%v", want, err)
		}
	}
}

func TestANodeWithoutItsCertificateDoesNotStart(t *testing.T) {
	t.Parallel()
	c, a := certified(t, twoHosts)
	gate, _ := c.Node("gate-1")
	_, err := OpenCredential(c, gate, slog.New(slog.DiscardHandler))
	missing := "there is no " + c.Certificate("gate-1").Cert
	if p, ok := err.(Problems); !ok || p[0].Line != 5 || !strings.Contains(err.Error(), missing) {
		t.Errorf("without a file: %v", err)
	}
	certify(t, c, a, "gate-1", c.Identity("gate-1"), time.Now().AddDate(1, 0, 0), "10.0.0.1")
	if _, err := OpenCredential(c, gate, slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("with it: %v", err)
	}
	plain := parse(t, "[node.all]\nroles = [\"game\"]")
	if who, err := OpenCredential(plain, plain.Nodes[0], slog.New(slog.DiscardHandler)); who != nil || err != nil {
		t.Errorf("on the loopback: %v, %v", who, err)
	}
}

func TestAToolCallsEtcdWithACertificateThatIsHere(t *testing.T) {
	t.Parallel()
	c, a := certified(t, twoHosts)
	log := slog.New(slog.DiscardHandler)
	if o := RegistryOptions(c, log); o.Credential != nil {
		t.Fatal("there is none, and it has one")
	}
	ops := identity.Identity{Cluster: "arena", Role: identity.Client, Name: "ops"}
	p, err := a.Issue(ops, nil, time.Now(), time.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	laid(t, c.ClientCertificate("ops").Cert, p.Cert)
	laid(t, c.ClientCertificate("ops").Key, p.Key)
	if o := RegistryOptions(c, log); o.Credential == nil || o.Credential.Proof().Self != ops {
		t.Error("the tool's own is not found")
	}
	certify(t, c, a, "game-2", c.Identity("game-2"), time.Now().AddDate(1, 0, 0), "10.0.0.2")
	if o := RegistryOptions(c, log); o.Credential == nil || o.Credential.Proof().Self.Name != "game-2" {
		t.Error("a node's is not found")
	}
}
