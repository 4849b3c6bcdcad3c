package node_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/freeport"
	"github.com/fireflyrt/firefly/cluster/identity"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/gate/client"
)

type (
	count   struct{ Name string }
	counted struct{ N int }
	bump    struct{}
)

// tally is a game of one number for each name, with roles of its own.
var tally = node.App{Name: "tally", Game: node.Module{
	Name: "tally",
	Messages: wire.Messages(wire.In[*count](101).Public(), wire.Out[*counted](102),
		wire.Internal[*bump](103)),
	Kinds: []actors.Kind{
		{Name: "desk", Workers: 1, Role: "front", New: func(p *actors.Props) {
			actors.Answer(p, func(ctx actors.Context, m *count) (*counted, error) {
				return actors.Reply(ctx, actors.Ask[*counted](actors.KindName("number").Ref(m.Name), &bump{}),
					func(_ actors.Context, c *counted, err error) (*counted, error) { return c, err })
			})
		}},
		{Name: "number", Role: "vault", New: func(p *actors.Props) {
			n := actors.State[int](p, "n")
			actors.Answer(p, func(ctx actors.Context, _ *bump) (*counted, error) {
				*n.Edit()++
				ctx.Commit()
				return &counted{n.View()}, nil
			})
		}},
	},
}}

// alone writes the configuration of a node that plays every role, in a process of the test's own.
func alone(t *testing.T) (*node.Blueprint, *node.Config) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ff")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ports, err := freeport.Take(8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ports.Release)
	text := fmt.Sprintf("[cluster]\nname = \"t\"\netcd = \"embedded\"\netcd_port = %d\ndata = %q\n"+
		"[node.all-1]\nroles = [\"gate\", \"front\", \"vault\", \"persist\", \"admin\", \"registry\"]\n"+
		"listen = \"127.0.0.1:%d\"\ntcp = \"127.0.0.1:%d\"\nws = \"127.0.0.1:%d\"\nhttp = \"127.0.0.1:%d\"\n"+
		"tls = \"127.0.0.1:%d\"\nwss = \"127.0.0.1:%d\"\n"+
		"[gate]\ncertificate = \"play.pem\"\nkey = \"play.key\"\nproxies = [\"127.0.0.0/8\"]\n",
		ports.First, filepath.Join(dir, "data"), ports.First+2, ports.First+3, ports.First+4, ports.First+5,
		ports.First+6, ports.First+7)
	b, err := tally.Build()
	if err != nil {
		t.Fatal(err)
	}
	c, err := node.Parse(filepath.Join(dir, "runtime.toml"), []byte(text), os.LookupEnv, b.KindRoles())
	if err != nil {
		t.Fatal(err)
	}
	certified(t, dir, c.Cluster.Name)
	return b, c
}

// certified makes a certificate for clients, of a CA that stands beside it.
func certified(t *testing.T, dir, name string) {
	t.Helper()
	now := time.Now()
	a, ca, err := identity.NewAuthority(name, now)
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Issue(identity.Identity{Cluster: name, Role: identity.Node, Name: "all-1"}, []string{"127.0.0.1"}, now,
		now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{"ca.pem": ca.Cert, "play.pem": p.Cert, "play.key": p.Key} {
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// play runs the node, counts a name up once, ends the node and returns the count.
func play(t *testing.T, b *node.Blueprint, c *node.Config) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- node.Run(running, b, c, "all-1", slog.New(slog.DiscardHandler)) }()
	defer stop()
	for waiting := fmt.Errorf("no run file yet"); waiting != nil; {
		select {
		case err := <-ended:
			t.Fatalf("the node ended by itself: %v", err)
		case <-ctx.Done():
			t.Fatalf("the node is not ready: %v", waiting)
		case <-time.After(10 * time.Millisecond):
		}
		if there, err := node.ReadRunning(c.RunDir()); err == nil && len(there) == 1 {
			waiting = there[0].Ready(ctx)
		}
	}
	there, err := node.ReadRunning(c.RunDir())
	if err != nil || len(there) != 1 || len(there[0].Doors()) != 4 {
		t.Fatalf("%+v, %v", there, err)
	}
	last := 0
	for _, door := range there[0].Doors() {
		last = countAt(t, b, c, door)
	}
	url := "http://" + c.Nodes[0].HTTP
	checkStoreMetrics(t, url+"/metrics", len(there[0].Doors()))
	for path, want := range map[string]string{"/metrics": "\nfirefly_gate_certificate_seconds 35",
		"/play.json": `"tls":"` + c.Nodes[0].TLS + `"`} {
		if text := get(t, url+path); !strings.Contains(text, want) {
			t.Errorf("%s has no %q:\n%s", path, want, text)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatalf("the node did not end in order: %v", err)
	}
	return last
}

// countAt counts the name up through one door of the gate.
func countAt(t *testing.T, b *node.Blueprint, c *node.Config, door string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ca, err := os.ReadFile(filepath.Join(filepath.Dir(c.Path), "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	w := client.Way{TLS: &tls.Config{RootCAs: x509.NewCertPool()}}
	w.TLS.RootCAs.AppendCertsFromPEM(ca)
	if _, address, _ := strings.Cut(door, "://"); c.Proxied(address) {
		w.Head = []byte(gate.ProxyLocal)
	}
	p, err := client.Dial(ctx, door, client.Options{Catalogue: b.Catalogue, Way: w})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	answer, err := client.Call[*counted](ctx, p, &count{"ann"})
	if err != nil {
		t.Fatal(err)
	}
	return answer.N
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkStoreMetrics: what happens between entities and the store can be seen from outside.
func checkStoreMetrics(t *testing.T, url string, saves int) {
	t.Helper()
	text := get(t, url)
	for _, name := range []string{"pending", "pending_bytes", "oldest_seconds", "saves_total", "coalesced_total",
		"behind_total", "statements_total", "rows_total", "fenced_total", "retries_total", "unclear_total",
		"aside_total", "raises_total", "loads_total", "wakes_total", "purged_total", "crowded_total",
		"cache_hits_total", "cache_misses_total", "cache_kept_total", "cache_dropped_total",
		"cache_rejected_total", "cache_evicted_total"} {
		if !strings.Contains(text, "\nfirefly_persist_"+name+" ") {
			t.Errorf("%s has no firefly_persist_%s", url, name)
		}
	}
	if !strings.Contains(text, fmt.Sprintf("\nfirefly_persist_saves_total %d\n", saves)) {
		t.Errorf("%d saves were made, but the metrics say otherwise:\n%s", saves, text)
	}
}

func TestANodeOfEveryRoleKeepsWhatItCommittedAndLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	b, c := alone(t)
	for want := 4; want <= 8; want += 4 { // one at each of its doors
		if got := play(t, b, c); got != want {
			t.Fatalf("counted %d, want %d", got, want)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := goleak.Find(before) // protoactor's writers pause for 2 s after a failed dial
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for _, l := range c.Listeners(c.Nodes[0]) {
		free, err := net.Listen("tcp", l.Address)
		if err != nil {
			t.Errorf("%s is still taken: %v", l.Key, err)
			continue
		}
		free.Close()
	}
	if left, err := filepath.Glob(filepath.Join(c.RunDir(), "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
