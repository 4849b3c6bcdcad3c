package cluster

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/etcdtest"
)

// A resident is a node's part of the cluster that joins anew when the registry has forgotten it, as a real node does.
type resident struct {
	t *testing.T
	o RegistryOptions
	w *Network

	name, role string

	mu   sync.Mutex
	now  *node
	ends []*node
}

func settled(t *testing.T, o RegistryOptions, w *Network, name, role string) *resident {
	r := &resident{t: t, o: o, w: w, name: name, role: role}
	r.begin()
	t.Cleanup(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, n := range r.ends {
			n.Close()
		}
	})
	return r
}

func (r *resident) begin() {
	registry, err := NewEtcdRegistry(r.o)
	if err != nil {
		r.t.Error(err)
		return
	}
	n := &node{actorsHere: &actorsHere{}, name: r.name}
	incarnation := NewIncarnation()
	n.Cluster, err = New(Options{
		Self: Member{Name: r.name, Incarnation: incarnation, Roles: []string{r.role}}, Shards: 16, Lease: r.o.Lease,
		Expected: map[string]int{"game": 2, "gate": 1}, Registry: registry,
		Carrier: r.w.Node(r.name + incarnationText(incarnation)), Clock: real{}, Scheduler: real{}, Log: r.o.Log,
		Draw: NewIncarnation, Reborn: func() { real{}.Run(r.begin) },
	})
	if err == nil {
		err = n.Start(r.t.Context(), n.actorsHere)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ends = append(r.ends, n); err != nil && r.t.Context().Err() == nil {
		r.t.Error(err)
	}
	r.now = n
}

func (r *resident) node() *node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// acts reports whether the node may act for all that it owns, and owns its half.
func (r *resident) acts() bool {
	n, owned := r.node(), 0
	for shard := range 16 {
		if _, hold := n.Tenure("game", shard); hold == actors.Held {
			owned++
		}
	}
	return owned == 8
}

// standstill is how long etcd stands still: longer than the lease.
func standstill() time.Duration {
	if os.Getenv("FIREFLY_LONG") != "" {
		return 10 * time.Second
	}
	return quickLease + time.Second
}

// owners is who owns what, as text; "" while nothing is owned.
func (r *resident) owners() string {
	if a := r.node().View().Roles["game"]; a != nil {
		return fmt.Sprint(a.Owners)
	}
	return ""
}

func TestWhateverBefallsAnEtcdOfThreeCostsAPauseAndMovesNothing(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		pauses bool // for longer than the lease
		wiped  bool
		within time.Duration // of its return, until everybody acts
		befall func(t *testing.T, c *etcdtest.Cluster, paused func())
	}{
		{"the leader is killed", false, false, 9 * time.Second, func(t *testing.T, c *etcdtest.Cluster, _ func()) {
			c.Kill(c.Leader())
			killed := time.Now() // whoever could not renew its lease has paused by then
			until(t, "a lease has passed", func() bool { return time.Since(killed) >= quickLease })
		}},
		{"all are frozen", true, false, 9 * time.Second, func(_ *testing.T, c *etcdtest.Cluster, paused func()) {
			thaw := c.Freeze()
			paused()
			thaw()
		}},
		{"all are killed and started", true, false, 9 * time.Second,
			func(_ *testing.T, c *etcdtest.Cluster, paused func()) {
				c.KillAll()
				paused()
				c.StartAll()
			}},
		{"all is wiped", false, true, 45 * time.Second,
			func(_ *testing.T, c *etcdtest.Cluster, _ func()) { c.Wipe() }},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			etcd := etcdtest.Start(t)
			o := RegistryOptions{Endpoints: etcd.Endpoints(), Cluster: "test", Lease: quickLease,
				Log: slog.New(slog.NewTextHandler(logTo(), nil))}
			w := NewNetwork(real{})
			gate, one := settled(t, o, w, "gate-1", "gate"), settled(t, o, w, "game-1", "game")
			two := settled(t, o, w, "game-2", "game")
			until(t, "both act", func() bool { return one.acts() && two.acts() })
			before, self := one.owners(), one.node().Incarnation()
			x.befall(t, etcd, func() {
				frozen := time.Now()
				until(t, "all pause", func() bool { return !one.acts() && !two.acts() })
				if took := time.Since(frozen); took > quickLease {
					t.Errorf("they paused after %v only: others could have taken over", took)
				}
				until(t, "the time is over", func() bool { return time.Since(frozen) >= standstill() })
			})
			back := time.Now()
			until(t, "both act again", func() bool {
				now := one.owners()
				anew := one.node().Incarnation() != self && now != "" && now != before
				return one.acts() && two.acts() && gate.node().View().Roles["game"] != nil && (!x.wiped || anew)
			})
			took := time.Since(back)
			if t.Logf("%s: everybody acted %v after its return", x.name, took); took > x.within {
				t.Errorf("everybody acted after %v only", took)
			}
			if now := one.owners(); (now == before) == x.wiped || gate.node().View().Roles["game"] == nil {
				t.Errorf("owners were %s, and are %s", before, now)
			}
		})
	}
}
