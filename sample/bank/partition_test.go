package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster/clustertest"
	"github.com/fireflyrt/firefly/cluster/node"
)

// partitionConfig gives every node an address of its own, so that what it sends can be told apart, and a proxy before
// that.
const partitionConfig = `[cluster]
name = "bank"
lease = "2s"
etcd_port = 9470
[node.gate-1]
roles = ["gate"]
listen = "127.0.0.11:9410"
advertise = "127.0.0.1:9480"
tcp = "127.0.0.1:9400"
[node.game-1]
roles = ["game"]
listen = "127.0.0.12:9421"
advertise = "127.0.0.1:9481"
[node.game-2]
roles = ["game"]
listen = "127.0.0.13:9422"
advertise = "127.0.0.1:9482"
[node.persist-1]
roles = ["persist"]
listen = "127.0.0.14:9431"
advertise = "127.0.0.1:9483"
[node.persist-2]
roles = ["persist"]
listen = "127.0.0.15:9432"
advertise = "127.0.0.1:9484"
[gate]
rate = 1000
burst = 1000
[persist]
flush_every = "1s"
`

// A divided is a crowd whose branch can be cut in two.
type divided struct {
	*crowd
	proxies map[string]*clustertest.Proxy // by the node that it stands before
}

// cut holds back all that one node sends to another.
func (d *divided) cut(from, to string) {
	host, _, _ := net.SplitHostPort(d.named(from).Listen)
	// what a node sends goes out over the connection that it has opened, and what it is sent comes over the other's
	d.proxies[to].Cut(host, true, false)
}

func (d *divided) named(name string) node.NodeConfig {
	n, ok := d.Config.Node(name)
	if !ok {
		d.t.Fatalf("there is no node %s", name)
	}
	return n
}

// TestWhoIsCutOffLosesNothing cuts nodes of a busy bank off from each other, one way or both, for longer than a lease.
// At most one owner writes; when it is healed everybody is answered.
func TestWhoIsCutOffLosesNothing(t *testing.T) {
	t.Parallel()
	b := build(t, inMariaDB, partitionConfig)
	d := &divided{proxies: map[string]*clustertest.Proxy{}}
	for _, n := range b.Config.Nodes {
		if n.Advertise != "" {
			d.proxies[n.Name] = clustertest.Stand(t, n.Advertise, n.Listen)
		}
	}
	b.up = b.Up()
	d.crowd = b.crowd()
	payers := d.payers(4)
	notes := d.writers(4)
	d.goesOn("at the beginning", time.Now())
	rounds := number(t, "FIREFLY_PARTITIONS", 4)
	for n := range rounds {
		d.divide(ways[n%len(ways)])
	}
	d.enough(linesPerKill*rounds, transfersPerKill*rounds)
	d.stop()
	d.report(t)
	t.Run("bank", func(t *testing.T) { payers.audit(t, d.arrived(t), int64(transfersPerKill*rounds)) })
	d.forget()
	t.Run("ack ledger", func(t *testing.T) { d.compareNotes(t, notes, linesPerKill*rounds) })
	b.up.Stop()
}

// ways are what is cut, from>to: CI takes the first of them.
var ways = [...]string{"gate-1>game-1 game-1>gate-1", "game-1>persist-1", "persist-2>game-2", "game-1>game-2",
	"gate-1>game-1", "game-1>gate-1", "game-2>persist-2 persist-2>game-2", "game-1>game-2 game-2>game-1"}

// divide cuts ways under load for FIREFLY_CUT seconds, and heals them: a silent peer is taken for gone after two.
func (d *divided) divide(ways string) {
	d.t.Helper()
	d.busily(answersPerKill)
	began, kept := time.Now(), d.kept()
	for _, way := range strings.Fields(ways) {
		from, to, _ := strings.Cut(way, ">")
		d.cut(from, to)
	}
	time.Sleep(time.Duration(number(d.t, "FIREFLY_CUT", 3)) * time.Second)
	if kept = d.kept() - kept; kept == 0 {
		d.t.Errorf("%s: nothing was held back: nothing was tested", ways)
	}
	healed := time.Now()
	for _, p := range d.proxies {
		p.Heal()
	}
	d.goesOn("after "+ways+" was healed", healed)
	d.t.Logf("%s: cut for %v, which held back %d; everybody went on within %v", ways, short(healed.Sub(began)), kept,
		short(time.Since(healed)))
	if _, err := d.vault.balanced(); err != nil {
		d.t.Errorf("after %s: %v", ways, err)
	}
}

func (d *divided) kept() (n int) {
	for _, p := range d.proxies {
		n += p.Kept()
	}
	return n
}
