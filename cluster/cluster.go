// Package cluster lets the actors of several processes find each other: it knows who is a member, who owns which shard,
// and carries envelopes between nodes.
//
// It promises: envelopes from one node to one shard arrive in the order they were routed, once, as long as both
// processes live, whatever their connection does; what cannot arrive is refused to the one who asked, or counted; a
// shard has one owner by the registry, and a node that cannot be sure of its lease is told to pause; no queue grows
// without bound; Route never blocks.
//
// It does not promise that only one owner writes: epochs here route, and the store fences. It encrypts
// only where the link has a credential (handshake.go).
//
// From below: a Registry (registry.go on etcd, memory.go for tests) tells the Record; a View is the record as routing
// sees it; the coordinator decides assignments; a peer is the ordered stream to one other process, carried by a
// Carrier (link.go on protoactor remote, network.go for tests); router.go joins them to actors.Router.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// Defaults of Options.
const (
	DefaultShards    = 256
	DefaultLease     = 5 * time.Second
	DefaultOutbound  = 8 << 20 // bytes per peer
	DefaultQuestions = 1 << 16 // open requests per peer
	DefaultParking   = 10_000  // envelopes per role
	DefaultHeld      = 20_000  // envelopes that wait while shards move
	DefaultHeldBytes = 64 << 20
	DefaultTenures   = 4096     // shards that are being moved, or were and are not forgotten
	DefaultStaged    = 64 << 20 // bytes of states that wait for their transaction
)

// Options is what a Cluster is made of. Zero limits mean the defaults.
type Options struct {
	Self      Member         // without Link, it is the address that the carrier listens at
	Shards    int            // per role; the same in all nodes and for ever
	Lease     time.Duration  // whole seconds; a node acts for a lease less a second after its last answered keep-alive
	Expected  map[string]int // how many nodes of a role are to come before it is first divided among them
	Registry  Registry
	Carrier   Carrier
	Clock     actors.Clock
	Scheduler actors.Scheduler
	Log       *slog.Logger
	Draw      func() uint64 // luck, for generations; NewIncarnation in production
	Outbound  int           // bytes per peer that wait or are unacknowledged; above it OVERLOADED
	Questions int           // requests per peer that may be open; above it OVERLOADED
	Parking   int           // envelopes per role that wait for an owner; above it OVERLOADED
	Held      int           // envelopes that wait while shards move; above it OVERLOADED
	HeldBytes int           // of their bodies; above it OVERLOADED
	Tenures   int           // that are moved or not forgotten; above it no move begins
	Staged    int           // bytes of states that wait here; above it a move is put off
	// Condemned is called once if this incarnation finds its own death certificate: the process must end. May be nil.
	Condemned func()
	// Reborn is called once if the registry has forgotten this cluster, or has another generation: nothing is known of
	// it any more, and nothing that lives by shards may act. Whoever goes on ends it (Abandon) and makes a new Cluster
	// with a new incarnation. It must return soon. If it is nil, Condemned is called instead.
	Reborn func()
}

// complete fills in defaults and says all that is missing or out of bounds.
func (o *Options) complete() error {
	o.Shards = cmp.Or(o.Shards, DefaultShards)
	o.Lease = cmp.Or(o.Lease, DefaultLease)
	o.Outbound = cmp.Or(o.Outbound, DefaultOutbound)
	o.Questions = cmp.Or(o.Questions, DefaultQuestions)
	o.Parking = cmp.Or(o.Parking, DefaultParking)
	o.Held, o.HeldBytes = cmp.Or(o.Held, DefaultHeld), cmp.Or(o.HeldBytes, DefaultHeldBytes)
	o.Tenures, o.Staged = cmp.Or(o.Tenures, DefaultTenures), cmp.Or(o.Staged, DefaultStaged)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	var wrong []error
	for _, w := range [...]struct {
		is   bool
		text string
	}{
		{o.Self.Name == "" || len(o.Self.Name) > 255 || strings.ContainsAny(o.Self.Name, "./"),
			"a node's name is 1 to 255 bytes without a dot or a slash"},
		{o.Self.Incarnation == 0, "an incarnation is not 0"},
		{o.Lease < time.Second, "a lease lasts a second at least"},
		{o.Registry == nil || o.Carrier == nil, "a registry and a carrier are needed"},
		{o.Clock == nil || o.Scheduler == nil || o.Draw == nil, "a clock, a scheduler and luck are needed"},
		{min(o.Shards, o.Outbound, o.Questions, o.Parking, o.Held, o.HeldBytes, o.Tenures, o.Staged) < 0,
			"limits are not negative"},
	} {
		if w.is {
			wrong = append(wrong, errors.New("cluster: options: "+w.text))
		}
	}
	return errors.Join(wrong...)
}

// margin is how much earlier than its lease a node stops to act.
func (o *Options) margin() time.Duration { return margin(o.Lease) }

func margin(lease time.Duration) time.Duration { return min(time.Second, lease/4) }

// A Cluster is one node's part of the cluster. It fulfils actors.Router.
//
// What changes the picture (records, renewals, time) is handled one at a time, in a turn; envelopes read the picture
// and never wait for a turn.
type Cluster struct {
	o         Options
	self      Member
	began     time.Time
	local     Local
	mover     Mover // local, if it can move actors; else nil
	tenancy   *tenancy
	picture   atomic.Pointer[picture]
	until     atomic.Int64 // time of the cluster's own, in ns, until which the lease surely runs
	closed    atomic.Bool
	forgotten atomic.Bool   // by the registry: what is not known of it now never will be
	lost      atomic.Uint64 // one-way envelopes that could not go, or were not confirmed by a peer that is gone
	refused   atomic.Uint64
	turnstile atomic.Uint64 // whose turn it is among workers
	strangers atomic.Uint64 // batches from nobody I know, or for another incarnation
	malformed atomic.Uint64
	lots      sync.Map // role -> *parking

	turn        sync.Mutex // guards what follows
	record      *Record
	coordinator coordinator
	writing     map[string]int64 // roles whose decree is under way, and the revision it was made from
	onOwners    []func(role string, lost, moved []int, told func())
	onView      []func(old, now *View)
	onHeld      []func()
	onGone      []func()
	lapsed      bool
	lapsedAt    time.Time // when it was noticed; zero: it has never been held
	condemned   bool      // or forgotten by the registry
	mourned     []loss
	stopTick    func() bool
}

// New makes a node's part of the cluster. Nothing happens before Start.
func New(o Options) (*Cluster, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	c := &Cluster{o: o, self: o.Self, began: o.Clock.Now(), record: &Record{}, writing: map[string]int64{},
		lapsed: true}
	c.coordinator = coordinator{me: o.Self.Incarnation, shards: o.Shards, lease: o.Lease, expected: o.Expected,
		draw: o.Draw}
	c.tenancy = newTenancy(c)
	c.picture.Store(&picture{view: c.record.view(), joined: map[uint64]int64{}})
	return c, nil
}

// OnOwners asks for news about ownership: per role, the shards that this node lost, and those that have a new owner
// anywhere. Calls come in order. fn calls told once, then or later and from any goroutine, when it has routed all
// announcements that the new owners must hear first: until then whatever else this node has for them waits. Ask before
// Start; fn must return soon and may call Route.
func (c *Cluster) OnOwners(fn func(role string, lost, moved []int, told func())) {
	c.onOwners = append(c.onOwners, fn)
}

// OnView asks for every change of the view, in order. Ask before Start; fn must return soon and may call Route.
func (c *Cluster) OnView(fn func(old, now *View)) { c.onView = append(c.onView, fn) }

// OnHeld asks to be told when the lease is sure again after it was not: whoever paused may go on. Ask before Start.
func (c *Cluster) OnHeld(fn func()) { c.onHeld = append(c.onHeld, fn) }

// OnGone asks to be told when processes are members no more and will not come back: Knows says which. Ask before Start;
// fn must return soon.
func (c *Cluster) OnGone(fn func()) { c.onGone = append(c.onGone, fn) }

// Knows reports whether a process of this name, which began with this incarnation, is a member, or was one until
// shortly and may come back. While nothing is known at all, it may be.
func (c *Cluster) Knows(name string, process uint64) bool {
	seen := c.picture.Load()
	if len(seen.view.Members) == 0 || name == c.self.Name && process == c.self.process() {
		return true
	}
	for _, p := range seen.known {
		if p.member.Name == name && p.member.process() == process && !p.tired.Load() {
			return true
		}
	}
	return false
}

// Serve gives the cluster the actors of this node before Start does: from then on Route may be called, and what is for
// shards waits for an owner.
func (c *Cluster) Serve(l Local) {
	c.local = l
	c.mover, c.self.Moves = l.(Mover)
}

// Start listens, joins and begins to route. It blocks until the node is registered, as long as ctx lives. After an
// error the cluster is closed.
func (c *Cluster) Start(ctx context.Context, l Local) error {
	if c.local == nil {
		c.Serve(l)
	}
	address, err := c.o.Carrier.Listen(c)
	if err != nil {
		return fmt.Errorf("cluster: listen for other nodes: %w", err)
	}
	if c.self.Link == "" {
		c.self.Link = address
	}
	c.turn.Lock()
	c.stopTick = c.o.Clock.AfterFunc(pingEvery, c.tick)
	c.turn.Unlock()
	if err := c.o.Registry.Join(ctx, c.self, c); err != nil {
		c.Close()
		return fmt.Errorf("cluster: join as %s: %w", c.self.Name, err)
	}
	return nil
}

// View is the cluster as this node sees it now.
func (c *Cluster) View() *View { return c.picture.Load().view }

// Self is this node, with the address it listens at. Valid after Start.
func (c *Cluster) Self() Member { return c.self }

// Incarnation is this node's own.
func (c *Cluster) Incarnation() uint64 { return c.self.Incarnation }

// Shards is how many shards each role has.
func (c *Cluster) Shards() int { return c.o.Shards }

// Tenure says how this node stands to a shard of a role, as actors.Router says.
func (c *Cluster) Tenure(role string, shard int) (epoch uint64, hold actors.Hold) {
	until := c.until.Load() // first: a lease that came later says nothing of an owner who was before
	owner := c.picture.Load().view.Owner(role, shard)
	switch {
	case owner.Incarnation != c.self.Incarnation:
		return owner.Epoch, actors.Lost
	case c.elapsed(c.o.Clock.Now()) >= until:
		return owner.Epoch, actors.Paused
	}
	return owner.Epoch, actors.Held
}

// elapsed is the cluster's own time: it follows the monotonic clock, whatever is done to the wall's.
func (c *Cluster) elapsed(now time.Time) int64 { return int64(now.Sub(c.began)) }

// Close ends this node's part at once, as a death would: its record stays until the lease is over. It waits until
// nothing more is received.
func (c *Cluster) Close() {
	if c.closed.Swap(true) {
		return
	}
	c.turn.Lock()
	if c.stopTick != nil {
		c.stopTick()
	}
	c.turn.Unlock()
	c.o.Registry.Close()
	c.o.Carrier.Close()
}

// carry hands a batch to the carrier, unless all is over.
func (c *Cluster) carry(address string, batch []byte) {
	if !c.closed.Load() {
		c.o.Carrier.Send(address, batch)
	}
}

// Receive takes a batch from another node, as Receiver says.
func (c *Cluster) Receive(b []byte) error {
	h, err := readBatch(b)
	if err != nil {
		c.malformed.Add(1)
		return err
	}
	p := c.picture.Load().known[h.from]
	if p == nil || p.member.Name != h.name || h.to != c.self.Incarnation {
		c.strangers.Add(1) // it will send again when it sees me, and I will greet it when I see it
		return nil
	}
	if err := p.receive(&h); err != nil {
		c.malformed.Add(1)
		return err
	}
	return nil
}

// Connected sends again what a new connection may have lost.
func (c *Cluster) Connected(address string) {
	for _, p := range c.picture.Load().peers {
		if p.member.Link == address {
			p.again()
			p.ping()
		}
	}
}

// settling is called when something that this node sent, or that waited here, has settled.
func (c *Cluster) settling() { c.tenancy.settling() }

// parking is where envelopes for shards of a role wait.
func (c *Cluster) parking(role string) *parking {
	if k, ok := c.lots.Load(role); ok {
		return k.(*parking)
	}
	k, _ := c.lots.LoadOrStore(role, newParking(c.o.Shards, c.o.Parking))
	return k.(*parking)
}

// parked lists the roles that envelopes may wait for, in order.
func (c *Cluster) parked() []string {
	var roles []string
	c.lots.Range(func(role, _ any) bool {
		roles = append(roles, role.(string))
		return true
	})
	slices.Sort(roles)
	return roles
}
