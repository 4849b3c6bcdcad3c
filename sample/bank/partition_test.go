package main

import (
	"encoding/json"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/cluster"
	"github.com/fireflyrt/firefly/cluster/clustertest"
	"github.com/fireflyrt/firefly/cluster/etcdtest"
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
	proxies map[string]*clustertest.Proxy // by the node that it stands before, or by where it listens before etcd
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
	rounds := number(t, "FIREFLY_PARTITIONS", 2)
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
	time.Sleep(time.Duration(number(d.t, "FIREFLY_CUT", 3)) * time.Second) // so long is it cut, under load
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

var advertised = regexp.MustCompile(`advertise = .*\n`)

// TestWhoIsCutOffFromEtcdStopsBeforeOthersMayTakeOver cuts nodes of a busy bank off from an etcd of three, one way or
// both, until others have taken over from them. They stop before that, nothing that they write later is taken, and when
// it is healed everybody is answered.
func TestWhoIsCutOffFromEtcdStopsBeforeOthersMayTakeOver(t *testing.T) {
	t.Parallel()
	d := &divided{proxies: map[string]*clustertest.Proxy{}}
	var before []string
	for _, endpoint := range etcdtest.Start(t).Endpoints() {
		p := clustertest.Stand(t, "127.0.0.1:0", endpoint)
		d.proxies[p.Address] = p
		before = append(before, p.Address)
	}
	text := advertised.ReplaceAllString(partitionConfig, "")
	b := build(t, inMariaDB, strings.Replace(text, "etcd_port = 9470",
		"etcd = [\""+strings.Join(before, "\", \"")+"\"]", 1))
	b.up = b.Up()
	d.crowd = b.crowd()
	payers := d.payers(4)
	notes := d.writers(4)
	d.goesOn("at the beginning", time.Now())
	rounds := number(t, "FIREFLY_SEVERED", 1)
	for n := range rounds {
		d.sever(cuts[n%len(cuts)])
	}
	d.enough(linesPerKill*rounds, transfersPerKill*rounds)
	d.stop()
	d.report(t)
	t.Run("bank", func(t *testing.T) { payers.audit(t, d.arrived(t), int64(transfersPerKill*rounds)) })
	d.forget()
	t.Run("ack ledger", func(t *testing.T) { d.compareNotes(t, notes, linesPerKill*rounds) })
	b.up.Stop()
}

// A way is one node's to etcd and back.
type way struct {
	node    string
	in, out bool // what it sends is held back, what it is sent
}

// cuts are the ways that are cut at once. CI takes the first of them. Of the nodes of each the first coordinates.
var cuts = [...][]way{
	{{"game-1", true, true}, {"persist-1", true, false}},
	{{"game-2", true, false}, {"persist-2", false, true}},
	{{"persist-1", true, true}, {"game-1", false, true}},
}

// sever cuts nodes off from etcd until others have taken over from all of them, and heals that.
func (d *divided) sever(ways []way) {
	d.t.Helper()
	d.Appoint(ways[0].node)
	d.busily(answersPerKill)
	for _, w := range ways {
		d.awaitOwned(w.node, "to have what it is to have", func(n int) bool { return n > enoughShards })
	}
	began, kept := time.Now(), d.kept()
	for _, w := range ways {
		host, _, _ := net.SplitHostPort(d.named(w.node).Listen)
		for _, p := range d.proxies {
			p.Cut(host, w.in, w.out)
		}
	}
	stopped := map[string]uint64{}
	for _, w := range ways {
		stopped[w.node] = d.stops(d.Node(w.node), began)
	}
	for _, w := range ways {
		d.awaitOwned(w.node, "to have lost all", func(n int) bool { return n == 0 })
	}
	took := time.Since(began)
	d.goesOn(fmt.Sprint("while ", ways, " are cut"), time.Now())
	d.busily(answersPerKill)
	for _, w := range ways {
		if r := d.look(d.Node(w.node)); handled(&r) != stopped[w.node] {
			d.t.Errorf("%s has handled %d messages after its lease", w.node, handled(&r)-stopped[w.node])
		}
	}
	rows, fences := d.newest(), d.vault.fences("game")
	if kept = d.kept() - kept; kept == 0 {
		d.t.Errorf("%v: nothing was held back: nothing was tested", ways)
	}
	healed := time.Now()
	for _, p := range d.proxies {
		p.Heal()
	}
	d.goesOn(fmt.Sprint("after ", ways, " were healed"), healed)
	d.busily(answersPerKill)
	d.nothingStale(rows, fences)
	d.t.Logf("%v: others took over within %v; cut for %v, which held back %d; everybody went on within %v", ways,
		short(took), short(healed.Sub(began)), kept, short(d.wentOn.Sub(healed)))
}

// stops waits until a node says that it acts no more, and returns what it has handled by then. Nobody may own what it
// has had while it says that it acts.
func (d *divided) stops(z node.Running, cut time.Time) (done uint64) {
	d.t.Helper()
	clustertest.Await(d.t, goOnWithin, z.Name+" to stop", func() error {
		owned, _ := d.owned(z)
		r := d.look(z)
		if r.Reason != "not registered" {
			if owned == 0 {
				d.t.Fatalf("others own what %s has had, and it is %s %s", z.Name, r.State, r.Reason)
			}
			return fmt.Errorf("it is %s %s", r.State, r.Reason)
		}
		return nil
	})
	took := short(time.Since(cut))
	owned, _ := d.owned(z)
	d.t.Logf("%s had stopped %v after it was cut off, and owned %d shards", z.Name, took, owned)
	clustertest.AwaitEach(d.t, settling, goOnWithin, "what "+z.Name+" has begun to end", func() error {
		r, last := d.look(z), done
		if done = handled(&r); done != last {
			return fmt.Errorf("it has handled %d more", done-last)
		}
		return nil
	})
	return done
}

// settling is the pause between two looks at what a node has handled.
const settling = 100 * time.Millisecond

// owned is how many shards of its first role a node has in the registry, and how many of all are to move by a plan.
func (d *divided) owned(z node.Running) (n, moving int) {
	d.t.Helper()
	text, err := d.Registered("owners/" + z.Roles[0])
	var owners cluster.Assignment
	if err == nil {
		err = json.Unmarshal([]byte(text[""]), &owners)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	for _, o := range owners.Owners {
		if o.Incarnation == z.Incarnation {
			n++
		}
	}
	return n, len(owners.Intents)
}

// awaitOwned waits until a node owns as many shards as it should, and none is on its way by a plan.
func (d *divided) awaitOwned(name, what string, so func(owned int) bool) {
	d.t.Helper()
	z := d.Node(name)
	clustertest.Await(d.t, goOnWithin, name+" "+what, func() error {
		if n, moving := d.owned(z); !so(n) || moving > 0 {
			return fmt.Errorf("it owns %d shards, and %d are to move", n, moving)
		}
		return nil
	})
}
