// Package node is the composition root: of an App, a Config and the parts that differ between production and the test
// kit (clock, scheduler, registry, carrier, database) it makes one running node.
//
// It promises that parts come up from the lowest and end in the opposite order, so that nothing is accepted that cannot
// be finished; and that production and the test kit run the same code.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/hotreload"
	"github.com/fireflyrt/firefly/persist"
)

// Parts are what production and the test kit supply differently.
type Parts struct {
	Incarnation uint64        // of this process, in its first life; never used again
	Seed        uint64        // of all luck
	Draw        func() uint64 // luck for what must be unique in the cluster
	Clock       actors.Clock
	Scheduler   actors.Scheduler
	Registry    func() (cluster.Registry, error) // makes the way to the registry, one for each life
	Carrier     cluster.Carrier
	Database    persist.Database // on nodes with the role persist
	Level       string           // what it said of itself when it was opened
	Tables      *hotreload.Set
	Shown       *gate.Certificate // to clients in TLS; nil: none come so
	Tap         actors.Tap        // hears what entities do; nil: nobody listens
	Log         *slog.Logger
	Ground      *actors.Ground // that actors stand on; nil: one of the node's own
	Condemned   func()         // the others believe this process dead: it must end
	// Reborn hears of each incarnation after the first, before it joins; nil: nobody does. The registry had forgotten
	// the cluster.
	Reborn func(incarnation uint64)
}

// A Node is one process's share of the cluster: its actors, and by its roles a gate, keepers, or more.
type Node struct {
	blueprint *Blueprint
	config    *Config
	self      NodeConfig
	parts     Parts
	started   time.Time
	roles     []string // whose shards must have owners before anything works

	lives   *lives
	store   *persist.Client
	System  *actors.System
	Gate    *gate.Gate       // nil without the role
	archive *persist.Archive // nil without the role
}

// Assemble makes the node and joins its parts; nothing runs before Start.
func Assemble(b *Blueprint, c *Config, name string, parts Parts) (*Node, error) {
	self, ok := c.Node(name)
	if !ok {
		return nil, fmt.Errorf("node: %s has no node %s", c.Path, name)
	}
	n := &Node{blueprint: b, config: c, self: self, parts: parts, started: parts.Clock.Now(),
		roles: neededRoles(b)}
	for _, make := range []func() error{n.makeCluster, n.makeSystem, n.makeGate} {
		if err := make(); err != nil {
			return nil, fmt.Errorf("node: assembling %s: %w", name, err)
		}
	}
	return n, nil
}

// neededRoles are the roles that own shards: those of entities, and the keepers' if anything is kept.
func neededRoles(b *Blueprint) []string {
	var roles []string
	for _, k := range b.Kinds {
		if k.Workers == 0 && !k.PerNode && !k.PerSession {
			roles = append(roles, b.Roles[k.Name])
		}
	}
	if len(b.Stored) > 0 || len(b.SQLTables) > 0 {
		roles = append(roles, persist.KeeperRole)
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

func (n *Node) makeCluster() error {
	n.lives = newLives(n.parts.Carrier)
	c, err := n.newCluster(n.parts.Incarnation)
	n.lives.now.Store(c)
	return err
}

// newCluster makes the node's part of the cluster for one life.
func (n *Node) newCluster(incarnation uint64) (*cluster.Cluster, error) {
	expected := map[string]int{}
	for _, other := range n.config.Nodes {
		for _, role := range other.Roles {
			expected[role]++
		}
	}
	registry, err := n.parts.Registry()
	if err != nil {
		return nil, err
	}
	c, err := cluster.New(cluster.Options{
		Self: cluster.Member{Name: n.self.Name, Incarnation: incarnation, Roles: n.self.Roles,
			Link: n.self.Advertise, TCP: n.self.TCP, WS: n.self.WS, TLS: n.self.TLS, WSS: n.self.WSS, HTTP: n.self.HTTP,
			Weight: n.self.Weight, Process: n.parts.Incarnation},
		Shards: n.config.Cluster.Shards, Lease: n.config.Cluster.Lease, Expected: expected,
		Registry: registry, Carrier: n.lives.berth.Tenant(),
		Clock: n.parts.Clock, Scheduler: n.parts.Scheduler, Log: n.parts.Log, Draw: n.parts.Draw,
		Condemned: n.parts.Condemned, Reborn: n.reborn,
	})
	if err == nil {
		c.OnOwners(n.ownersChanged)
		c.OnGone(func() { n.System.Expel() })
	}
	return c, err
}

func (n *Node) makeSystem() (err error) {
	keepers := actors.Kind{Name: persist.KeeperKind, Role: persist.KeeperRole, ByShard: true,
		Receiver: func(actors.Runner) actors.Receiver {
			panic("node: a keeper came up on a node without the role " + persist.KeeperRole)
		}}
	if n.self.Has(RolePersist) {
		n.archive, err = persist.NewArchive(persist.Options{Database: n.parts.Database, Level: n.parts.Level,
			Incarnation: n.parts.Incarnation, Kinds: n.blueprint.Stored, Tables: n.blueprint.SQLTables,
			Newest: n.newest, Clock: n.parts.Clock, Scheduler: n.parts.Scheduler, Log: n.parts.Log,
			Limits: n.config.Persist.Limits})
		if err != nil {
			return err
		}
		keepers = n.archive.Kind()
	}
	n.store = persist.NewClient(n.parts.Incarnation, n.parts.Clock)
	n.System, err = actors.NewSystem(actors.Options{
		Node: n.self.Name, Incarnation: n.parts.Incarnation, Seed: n.parts.Seed,
		Kinds: append(slices.Clone(n.blueprint.Kinds), keepers), Catalogue: n.blueprint.Catalogue,
		Clock: n.parts.Clock, Scheduler: n.parts.Scheduler, Store: n.store, Log: n.parts.Log,
		Ground: n.parts.Ground, Ended: n.ended,
		Tables: func() any { return n.parts.Tables.Current() }, Tap: n.parts.Tap, Limits: n.config.Actors.Limits,
	})
	if err != nil {
		return err
	}
	n.store.Start(n.System)
	n.System.Start(ward{n.lives})
	if n.archive != nil {
		n.archive.Start(n.lives, n.served)
	}
	n.serveReports()
	return nil
}

func (n *Node) makeGate() (err error) {
	if !n.self.Has(RoleGate) {
		return nil
	}
	n.Gate, err = gate.New(gate.Options{Node: n.self.Name, Incarnation: n.parts.Incarnation,
		Catalogue: n.blueprint.Catalogue, Backend: n.System, Clock: n.parts.Clock, Scheduler: n.parts.Scheduler,
		Limits: n.config.Gate.Limits, Draw: n.parts.Draw, Log: n.parts.Log, Authenticate: n.blueprint.Authenticate,
		Plays: n.plays, Listens: n.listens})
	return err
}

// plays reports whether a kind's actors are entities, so that clients can be logged in as them.
func (n *Node) plays(kind actors.KindName) bool {
	at, ok := n.System.Placement(kind)
	return ok && at.How == actors.OnePerID
}

// listens reports whether a kind's actors want to know when a client is away or back.
func (n *Node) listens(kind actors.KindName) bool {
	return n.System.Listens(kind, &actors.Away{}) || n.System.Listens(kind, &actors.Back{})
}

// ownersChanged hears that shards of a role have other owners: what this node lost ends, and sessions are announced to
// entities that come up elsewhere.
func (n *Node) ownersChanged(role string, lost, moved []int, told func()) {
	if len(lost) > 0 {
		n.System.Release(role, lost)
	}
	if n.Gate == nil || len(moved) == 0 {
		told()
		return
	}
	n.Gate.Announce(func(entity actors.Ref) bool {
		at, ok := n.System.Placement(entity.Kind)
		return ok && at.How == actors.OnePerID && at.Role == role &&
			slices.Contains(moved, actors.ShardOf(entity, at, n.lives.Shards()))
	}, told)
}

// ended reports whether a session has ended with its gate's process, which is a member no more and will not come back.
func (n *Node) ended(session actors.Ref) bool {
	gate, _, ok := session.SessionPlace()
	process, named := session.SessionProcess()
	return ok && named && !n.Cluster().Knows(gate, process)
}

// Start joins the cluster. The gate's sockets are not its business: see Process.
func (n *Node) Start(ctx context.Context) error {
	err := n.Cluster().Start(ctx, mover{n.System})
	n.lives.there.Store(err == nil)
	return err
}

// Stop ends what Start began: actors are flushed, then the node leaves the cluster, then the archive closes. Clients
// must be gone.
func (n *Node) Stop(ctx context.Context) error {
	n.lives.end()
	still := make(chan struct{})
	n.Cluster().Stay(func() { close(still) })
	select { // actors that are at rest for a move would not end
	case <-still:
	case <-ctx.Done():
	}
	err := n.System.Stop(ctx)
	err = errors.Join(err, n.lives.leave(ctx))
	if n.archive != nil {
		err = errors.Join(err, n.archive.Close())
	}
	return err
}

// newest is the newest tenure of a shard that this node has heard of.
func (n *Node) newest(role string, shard int) uint64 {
	return n.Cluster().View().Owner(role, shard).Epoch
}

// Leave does what Stop does, but does not wait, and closes nothing: done is called once, from any goroutine, when the
// node has left the cluster. Close follows.
func (n *Node) Leave(done func(error)) {
	n.lives.end()
	n.Cluster().Stay(func() {
		n.System.Leave(func() {
			if n.lives.isNobody() {
				done(nil)
				return
			}
			n.Cluster().Leave(done)
		})
	})
}

// served reports whether a shard has a living owner, as far as this node knows.
func (n *Node) served(role string, shard int) bool { return served(n.Cluster().View(), role, shard) }

func served(view *cluster.View, role string, shard int) bool {
	owner := view.Owner(role, shard)
	member, alive := view.Member(owner.Name)
	return alive && member.Incarnation == owner.Incarnation
}

// Ready returns nil when the node can do its work: it is a member, and every shard has a living owner.
func (n *Node) Ready() error {
	if !n.Cluster().Report().Held {
		return errors.New("not registered")
	}
	view := n.Cluster().View()
	for _, role := range n.roles {
		for shard := range n.lives.Shards() {
			if !served(view, role, shard) {
				return fmt.Errorf("shard %d of role %s has no owner yet", shard, role)
			}
		}
	}
	if len(view.With(RoleGate)) == 0 && n.self.Has(RoleAdmin) {
		return errors.New("no gate is up yet")
	}
	return nil
}
