package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/fireflyrt/firefly/actors/wire"
)

// Limits bounds what one actor may use. Zero fields take the defaults of DefaultLimits.
type Limits struct {
	Mailbox     int           // messages that wait in one mailbox; beyond, the sender is told MAILBOX_FULL
	MailboxWarn int           // a mailbox that grows to this depth is logged
	Timers      int           // timers of one entity
	Box         int           // of one entity: durable messages under way, senders of such, reminders, who retries
	FlushEvery  time.Duration // changes that were not committed are sent to the store within half of it
	Slow        time.Duration // handlers that take longer are logged
	Profile     bool          // label CPU profiles with kind and number
}

// DefaultLimits are the limits of a node whose configuration says nothing.
func DefaultLimits() Limits {
	return Limits{Mailbox: 10_000, MailboxWarn: 1_000, Timers: 1_000, Box: 1_000,
		FlushEvery: time.Second, Slow: 100 * time.Millisecond}
}

// Options is what a System is made of.
type Options struct {
	Node        string
	Incarnation uint64
	Seed        uint64
	Kinds       []Kind
	Catalogue   wire.Catalogue
	Clock       Clock
	Scheduler   Scheduler
	Store       Store
	Tables      func() any             // the node's hot tables; see Tables
	Tap         Tap                    // hears all that entities do; nil: nobody listens
	Ended       func(session Ref) bool // whether its gate is known to be gone for good; nil: none ever is
	Limits      Limits
	Log         *slog.Logger
	Ground      *Ground // what its actors stand on; nil: one of its own, from Start on
}

// A System runs the actors of one node. Its methods may be called from any goroutine, and never block.
type System struct {
	o        Options
	messages wire.Catalogue // the game's and the runtime's
	kinds    map[KindName]*kind
	handles  map[uint32]KindName
	router   Router
	ground   *Ground
	number   uint64 // of the systems on this ground
	stripes  [64]stripe
	meter    *meter

	cluster  atomic.Uint64 // how many this node was in before; see Resume
	serials  atomic.Uint64
	mu       sync.Mutex // guards what follows
	pending  map[uint64]*pendingRequest
	served   map[uint32]func(*Envelope)
	stopping bool     // no entity comes up any more
	closing  bool     // nor an actor of the runtime's own
	retired  int      // which of those that live by shards do not; see Retire
	sessions sync.Map // of *attached, by Ref

	counters
}

// A stripe holds some of the node's processes. Looking one up and putting a message into its mailbox is one critical
// section, so that none is put into a mailbox that has been given up.
type stripe struct {
	mu        sync.Mutex
	processes map[Ref]*process
	farewells map[Ref]farewell // of actors that are not here
}

// NewSystem probes every constructor; what is wrong with any of them comes back in one error.
func NewSystem(o Options) (*System, error) {
	o.Limits = o.Limits.orDefault()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Ended == nil {
		o.Ended = func(Ref) bool { return false }
	}
	s := &System{o: o, messages: wire.Join(runtimeMessages, o.Catalogue), kinds: map[KindName]*kind{},
		handles: map[uint32]KindName{}, pending: map[uint64]*pendingRequest{},
		served: map[uint32]func(*Envelope){}}
	s.serials.Store(mixed(o.Incarnation) >> 8) // an answer to the process before this one must find no question here
	errs := []error{o.Catalogue.Err()}
	for _, k := range o.Kinds {
		made, err := probe(k, s.messages)
		errs = append(errs, err)
		if made == nil || made.table == nil && made.Receiver == nil {
			continue
		}
		if s.kinds[k.Name] != nil {
			errs = append(errs, fmt.Errorf("actors: kind %s stands twice", k.Name))
		}
		s.kinds[k.Name] = made
		errs = append(errs, s.claim(made))
	}
	for i := range s.stripes {
		s.stripes[i].processes, s.stripes[i].farewells = map[Ref]*process{}, map[Ref]farewell{}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.meter = newMeter(s.kinds)
	return s, nil
}

// A Ground is what protoactor needs once in a process. Making one takes milliseconds and megabytes, so the many systems
// of a test may stand on one.
type Ground struct {
	proto   *actor.ActorSystem
	systems atomic.Uint64
}

// NewGround makes a ground; what protoactor has to complain about goes to log.
func NewGround(log *slog.Logger) *Ground {
	quiet := slog.New(warnings{log.Handler()})
	return &Ground{proto: actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))}
}

// warnings lets pass what protoactor says when something is wrong, and not its chatter.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}

// claim notes which kind handles which of the clients' numbers.
func (s *System) claim(k *kind) error {
	if k.table == nil {
		return nil
	}
	var errs []error
	for _, number := range sortedKeys(k.table.byNumber) {
		line := k.table.byNumber[number].line
		if line.Direction != wire.DirIn {
			continue
		}
		if other, taken := s.handles[number]; taken {
			errs = append(errs, fmt.Errorf("actors: %s comes from clients and is handled by kinds %s and %s; one only",
				line, other, k.Name))
		}
		if line.Public && k.placement.How == OnePerID {
			errs = append(errs, fmt.Errorf(
				"actors: %s is Public, so Workers, PerSession or PerNode must handle it, not kind %s", line, k.Name))
		}
		s.handles[number] = k.Name
	}
	return errors.Join(errs...)
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	l.Mailbox = cmp.Or(l.Mailbox, d.Mailbox)
	l.MailboxWarn = cmp.Or(l.MailboxWarn, d.MailboxWarn)
	l.Timers = cmp.Or(l.Timers, d.Timers)
	l.Box = cmp.Or(l.Box, d.Box)
	l.FlushEvery = cmp.Or(l.FlushEvery, d.FlushEvery)
	l.Slow = cmp.Or(l.Slow, d.Slow)
	return l
}

// Start gives the system its router; before it, nothing may be delivered. From now on handlers that hang are named.
func (s *System) Start(r Router) {
	s.router, s.ground = r, s.o.Ground
	if s.ground == nil {
		s.ground = NewGround(s.o.Log)
	}
	s.number = s.ground.systems.Add(1)
	s.o.Clock.AfterFunc(watchEvery, s.watch)
}

// Handles names the one kind that handles a number of the clients.
func (s *System) Handles(number uint32) (KindName, bool) {
	k, ok := s.handles[number]
	return k, ok
}

// Listens reports whether behaviours of a kind listen to an event, such as &Away{}.
func (s *System) Listens(k KindName, event any) bool {
	known := s.kinds[k]
	return known != nil && known.listensTo(event)
}

// Messages is the game's catalogue joined with the runtime's.
func (s *System) Messages() wire.Catalogue { return s.messages }

// Placement says where actors of a kind live.
func (s *System) Placement(k KindName) (Placement, bool) {
	made := s.kinds[k]
	if made == nil {
		return Placement{}, false
	}
	return made.placement, true
}

// Route hands an envelope to whatever node its receiver lives on.
func (s *System) Route(e *Envelope) { s.router.Route(e) }

func (s *System) serial() uint64 { return s.serials.Add(1) }

// line is the catalogue's line of a message; one that has none is a programmer's error.
func (s *System) line(msg any) *wire.Type {
	t := s.messages.Of(msg)
	if t == nil {
		panic(fmt.Sprintf("actors: %T has no number: put it into the catalogue", msg))
	}
	return t
}

// spawn makes the process of a ref. The caller holds the stripe's lock.
func (s *System) spawn(ref Ref, k *kind, tenure Tenure) *process {
	p := &process{sys: s, ref: ref, kind: k, tenure: tenure, cluster: s.cluster.Load(),
		box: newMailbox(s.o.Limits.Mailbox)}
	if k.Receiver != nil {
		p.body = &resident{process: p}
	} else {
		p.body = newEntity(p)
	}
	st := s.stripe(ref)
	st.processes[ref] = p
	p.cell.spawn(s, p)
	if f, ok := st.farewells[ref]; ok && f.tenure == tenure {
		for _, item := range f.items {
			if !s.isOfEnded(item) {
				p.box.tick(item)
			}
		}
	}
	delete(st.farewells, ref)
	return p
}

// cellProcess is protoactor's part of a process.
type cellProcess struct{ pid *actor.PID }

func (c *cellProcess) spawn(s *System, p *process) {
	props := actor.PropsFromProducer(func() actor.Actor { return p },
		actor.WithMailbox(func() actor.Mailbox { return p.box }), actor.WithDispatcher(dispatcher{s.o.Scheduler}))
	name := p.ref.String() + "#" + strconv.FormatUint(s.serial(), 36) + "@" + strconv.FormatUint(s.number, 36)
	pid, err := s.ground.proto.Root.SpawnNamed(props, name)
	if err != nil {
		panic("actors: names end in a serial and are never used twice: " + err.Error())
	}
	c.pid = pid
}

// Receive is protoactor's call with one item of the mailbox. protoactor never sees a panic: it would start the actor
// again over what is left of it.
func (p *process) Receive(c actor.Context) {
	defer func() {
		if reason := recover(); reason != nil {
			p.crashed(reason, c.Message())
		}
	}()
	switch item := c.Message().(type) {
	case *actor.Started:
		p.body.start()
	case *Envelope, *timer, *Unbound, *reminded, func():
		p.handle(item)
	}
}

type dispatcher struct{ s Scheduler }

func (d dispatcher) Schedule(f func()) { d.s.Run(f) }
func (d dispatcher) Throughput() int   { return turnsPerRun }

func (s *System) stripe(ref Ref) *stripe { return &s.stripes[ref.Shard(len(s.stripes))] }

// remove takes an ended process out. What waited in its mailbox goes back to the router, in order and before anything
// newer can overtake it here.
func (s *System) remove(p *process) {
	st := s.stripe(p.ref)
	st.mu.Lock()
	if st.processes[p.ref] == p {
		delete(st.processes, p.ref)
	}
	left, wakes := p.left()
	if p.hold() == Held && !s.isClosedTo(p.kind) {
		if len(left) > 0 {
			st.farewells[p.ref] = farewell{p.tenure, left}
		}
		if wakes {
			s.spawn(p.ref, p.kind, p.tenure)
		}
		left = nil
	}
	st.mu.Unlock()
	for _, item := range left {
		s.bounce(item.(*Envelope))
	}
	if p.cell.pid != nil { // that of a Rerun has none
		s.ground.proto.Root.Stop(p.cell.pid)
	}
}

// bounce sends a message on that reached an actor which is not here any more.
func (s *System) bounce(e *Envelope) {
	again := *e
	again.Hops++
	s.Route(&again)
}

func (s *System) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// isClosedTo reports whether no actor of the kind may come up any more: entities may need keepers until their end.
func (s *System) isClosedTo(k *kind) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.placement.How == OnePerID && s.retired > 0 && (k.Receiver == nil || s.retired == retiredResidents) {
		return true
	}
	return s.stopping && k.Receiver == nil || s.closing
}

// all lists the processes in canonical order.
func (s *System) all() []*process {
	var all []*process
	for i := range s.stripes {
		st := &s.stripes[i]
		st.mu.Lock()
		for _, p := range st.processes {
			all = append(all, p)
		}
		st.mu.Unlock()
	}
	return sortedProcesses(all)
}

// stopPoll is how often Stop looks whether the actors have ended.
const stopPoll = 5 * time.Millisecond

// Stop ends all actors in order: entities first, flushed, then the runtime's own. From its call on, messages that
// would bring an actor up are refused. An error names what was not finished when ctx ended.
func (s *System) Stop(ctx context.Context) error {
	for _, residents := range []bool{false, true} {
		s.dismiss(residents)
		if err := s.awaitEnd(ctx, residents); err != nil {
			return err
		}
	}
	if s.o.Ground == nil {
		s.ground.proto.Shutdown()
	}
	return nil
}

// Abandon takes all actors off the ground, as the end of a process does: nothing of them runs any more.
func (s *System) Abandon() {
	for _, p := range s.all() {
		s.ground.proto.ProcessRegistry.Remove(p.cell.pid)
	}
}

func (s *System) awaitEnd(ctx context.Context, residents bool) error {
	for {
		left := s.living(residents)
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("actors: stop %s: %d actors have not finished, %s among them: %w",
				s.o.Node, len(left), left[0].ref, ctx.Err())
		case <-time.After(stopPoll):
		}
	}
}

func (s *System) living(residents bool) []*process {
	return slices.DeleteFunc(s.all(), func(p *process) bool { return (p.kind.Receiver != nil) != residents })
}

// Keeps reports whether actors of a kind have stored cells.
func (s *System) Keeps(k KindName) bool { return s.kinds[k] != nil && s.kinds[k].stored() }
