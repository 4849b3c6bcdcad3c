package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster"
	"github.com/fireflyrt/firefly/cluster/admin"
	"github.com/fireflyrt/firefly/cluster/identity"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/hotreload"
	"github.com/fireflyrt/firefly/persist"
	"github.com/fireflyrt/firefly/record"
)

const (
	startWithin = 30 * time.Second // for the registry's own start, and for a database to be opened
	blocking    = 32               // pieces of blocking work under way at once
)

// Run runs one node as this process until ctx ends or somebody stops it over its control endpoint, and then ends it in
// order. An error says what did not come up, or what was not finished.
func Run(ctx context.Context, b *Blueprint, c *Config, name string, log *slog.Logger) error {
	self, ok := c.Node(name)
	if !ok {
		return fmt.Errorf("node: %s has no node %s", c.Path, name)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p := &process{blueprint: b, config: c, self: self, stop: stop, clock: WallClock(),
		pool: NewPool(blocking), incarnation: cluster.NewIncarnation(),
		log: log.With("node", name)}
	err := p.start(ctx)
	switch {
	case err == nil:
		p.log.Info("node runs", "roles", self.Roles, "incarnation", fmt.Sprintf("%x", p.incarnation))
		<-ctx.Done()
	case ctx.Err() != nil:
		err = nil // it was told to end before it had come up
	}
	p.log.Info("node stops")
	return p.end(err)
}

// A process is a Node with everything real around it: sockets, files, a database, a registry.
type process struct {
	blueprint   *Blueprint
	config      *Config
	self        NodeConfig
	stop        func()
	clock       actors.Clock
	pool        *Pool
	log         *slog.Logger
	incarnation uint64 // of its first life

	credential *identity.Credential // nil: connections are plain, and on the loopback
	shown      *gate.Certificate    // to clients; nil: none come in TLS

	link     *cluster.Link
	node     *Node
	control  *Control
	recorder *record.Recorder
	sockets  *gate.Server
	ends     []func(ctx context.Context) error // what has come up, in order
	began    atomic.Bool                       // node is there
	drain    drain

	mu        sync.Mutex
	condemned error
}

// start brings everything up from the lowest; what came up stands in ends, also when the next did not.
func (p *process) start(ctx context.Context) error {
	steps := []func(context.Context) error{p.startControl, p.startLink, p.startEtcd, p.startNode, p.join, p.startGate,
		p.startHTTP, p.announce}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return fmt.Errorf("node: start %s: %w", p.self.Name, err)
		}
	}
	return nil
}

// end ends everything in the opposite order, and the control endpoint last, so that an `up` can ask until the end. A
// run file that is left says that not all went well; failed is what did not before.
func (p *process) end(failed error) error {
	ctx, cancel := context.WithTimeout(context.Background(), p.config.Cluster.DrainTimeout)
	defer cancel()
	var errs []error
	for i := len(p.ends) - 1; i >= 0; i-- {
		errs = append(errs, p.ends[i](ctx))
	}
	p.pool.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	err := errors.Join(append(errs, failed, p.condemned)...)
	switch {
	case p.control == nil:
		return err
	case err != nil:
		return errors.Join(err, p.control.Abandon())
	default:
		return p.control.Close()
	}
}

func (p *process) ending(f func(ctx context.Context) error) { p.ends = append(p.ends, f) }

// startLink listens for other nodes before anything else speaks grpc; see cluster.NewLink.
func (p *process) startLink(context.Context) (err error) {
	if p.credential, err = OpenCredential(p.config, p.self, p.log); err != nil {
		return err
	}
	if p.shown, err = OpenDoorCertificate(p.config, p.self, p.log); err != nil {
		return err
	}
	if p.link, err = cluster.NewLink(p.self.Listen, p.credential, p.log); err != nil {
		return err
	}
	p.ending(func(context.Context) error { p.link.Close(); return nil })
	return nil
}

func (p *process) startEtcd(ctx context.Context) error {
	if !p.self.Has(RoleRegistry) || !p.config.Cluster.Etcd.Embedded {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	e, err := cluster.StartEtcd(ctx, cluster.EtcdOptions{Client: p.config.Cluster.Etcd.Endpoints[0],
		Peer: loopback(p.config.Cluster.EtcdPort + 1), Dir: p.config.EtcdDir(),
		Certificate: p.config.Certificate(p.self.Name)})
	if err != nil {
		return err
	}
	p.ending(func(context.Context) error { e.Close(); return nil })
	return nil
}

func (p *process) startNode(ctx context.Context) error {
	tables, err := hotreload.Open(hotreload.Options{Tables: p.blueprint.Tables, Dir: p.blueprint.TableDir,
		Fallback: p.blueprint.TableFiles, Log: p.log})
	if err != nil {
		return err
	}
	tables.Start()
	p.ending(func(context.Context) error { tables.Stop(); return nil })
	if err := p.startRecorder(); err != nil {
		return err
	}
	parts := Parts{Incarnation: p.incarnation, Seed: cluster.NewIncarnation(), Draw: cluster.NewIncarnation,
		Clock: p.clock, Scheduler: p.pool, Carrier: p.link, Tables: tables, Tap: p.recorder, Log: p.log,
		Condemned: p.condemn, Reborn: p.reborn, Shown: p.shown}
	if p.self.Has(RolePersist) {
		within, cancel := context.WithTimeout(ctx, startWithin)
		defer cancel()
		if parts.Database, parts.Level, err = p.openDatabase(within); err != nil {
			return err
		}
	}
	registry := registryOptions(p.config, p.log)
	registry.Credential, registry.From = p.credential, p.self.Listen
	parts.Registry = func() (cluster.Registry, error) { return cluster.NewEtcdRegistry(registry) }
	if p.node, err = Assemble(p.blueprint, p.config, p.self.Name, parts); err != nil {
		return err
	}
	p.began.Store(true)
	return nil
}

// join waits for the registry as long as it takes: on several machines somebody has to be first. Who left the name's
// run file behind is dead, since this process holds its lock, and the others need not wait for its lease.
func (p *process) join(ctx context.Context) error {
	p.certifyEarlier(ctx)
	if err := p.node.Start(ctx); err != nil {
		return err
	}
	p.ending(p.node.Stop)
	return nil
}

// startRecorder lets the node's actors be heard. Rules that cannot be read are logged, and the game runs without them.
func (p *process) startRecorder() error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("drawing a key for masks: %w", err)
	}
	p.recorder = record.NewRecorder(record.Options{Dir: p.config.RecordDir(), App: p.blueprint.Name, Node: p.self.Name,
		Incarnation: p.incarnation, Catalogue: p.blueprint.Catalogue, Key: key, Clock: p.clock, Scheduler: p.pool,
		Log: p.log, Limits: p.config.Record.Limits})
	if err := p.recorder.FollowFile(); err != nil {
		p.log.Error("recording rules cannot be read; nobody is recorded by them", "error", err)
	}
	p.ending(func(context.Context) error { return p.recorder.Stop() })
	return nil
}

// RegistryOptions say where the configuration's registry is, and with whose certificate a tool calls it.
func RegistryOptions(c *Config, log *slog.Logger) cluster.RegistryOptions {
	o := registryOptions(c, log)
	o.Credential = c.anyCredential(log)
	return o
}

func registryOptions(c *Config, log *slog.Logger) cluster.RegistryOptions {
	return cluster.RegistryOptions{Endpoints: c.Cluster.Etcd.Endpoints, Cluster: c.Cluster.Name,
		Lease: c.Cluster.Lease, Log: log}
}

// openDatabase opens the store that the configuration names, sees to its schema, and says what a commit means there.
func (p *process) openDatabase(ctx context.Context) (db persist.Database, level string, err error) {
	if db, err = OpenStore(p.config); err != nil {
		return nil, "", err
	}
	if err = settle(ctx, p.blueprint, p.config, db); err == nil {
		level, err = db.Level(ctx)
	}
	if err != nil {
		return nil, "", errors.Join(err, db.Close())
	}
	persist.LogLevel(p.log.With("store", p.config.Persist.Store), "store opened", level)
	return db, level, nil
}

// condemn ends this process: the others were told that it is dead.
func (p *process) condemn() {
	p.mu.Lock()
	p.condemned = errors.New("node: this incarnation was declared dead; it ends")
	p.mu.Unlock()
	p.stop()
}

func (p *process) startGate(context.Context) (err error) {
	if p.node.Gate == nil {
		return nil
	}
	s, err := p.config.sockets(p.self, p.shown)
	if err != nil {
		return err
	}
	p.sockets, err = gate.Serve(p.node.Gate, s)
	if err != nil {
		return err
	}
	p.ending(p.sockets.Stop)
	return nil
}

func (p *process) startHTTP(context.Context) error {
	if p.self.HTTP == "" {
		return nil
	}
	o := admin.Options{Addr: p.self.HTTP, Report: p.node.Report, Ready: p.node.Ready, Log: p.log}
	if p.self.Has(RoleAdmin) {
		o.Console = &admin.Console{Web: p.blueprint.Web, Play: p.play, Reports: p.node.Reports, Reload: p.node.Reload,
			Login: func(url string) { p.log.Info("admin page", "login_once", url) }}
	}
	server, err := admin.Listen(o)
	if err != nil {
		return err
	}
	server.Start()
	p.ending(server.Stop)
	return nil
}

// dialled is an address as a client dials it.
func dialled(scheme, address string) string {
	if address == "" {
		return ""
	}
	return scheme + "://" + address
}

// play tells a page which gate is up.
func (p *process) play() admin.Play {
	at := admin.Play{Name: p.blueprint.Name}
	for _, m := range p.node.Cluster().View().Members {
		if !m.HasRole(RoleGate) {
			continue
		}
		at.TCP, at.TLS = cmp.Or(at.TCP, m.TCP), cmp.Or(at.TLS, m.TLS)
		at.WS = cmp.Or(at.WS, dialled("ws", m.WS), dialled("wss", m.WSS))
	}
	return at
}

// reborn notes this process's next incarnation where a supervisor looks for whom to certify if it dies.
func (p *process) reborn(incarnation uint64) {
	if err := p.control.Renew(incarnation); err != nil {
		p.log.Error("the run file is old: if this process dies, others wait for its lease", "error", err)
	}
}
