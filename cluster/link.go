package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fireflyrt/firefly/cluster/identity"
)

// How protoactor remote is used. Its queues have no back-pressure: the streams above bound what they hand over.
const (
	linkName     = "link"                       // of the one process that others may address
	linkType     = "google.protobuf.BytesValue" // the one type that travels
	linkQueue    = 1024                         // slots that a queue begins with; it begins with a million by itself
	linkGather   = 4                            // batches in one message of remote's
	linkMessage  = 64 << 20                     // bytes of such a message, above linkGather * (maxEnvelope + batchSize)
	linkWindow   = 4 << 20                      // bytes under way per connection
	linkDialFor  = 1500 * time.Millisecond      // how long a dial is tried again before remote takes its pause of 2 s
	linkDialWait = 50 * time.Millisecond
	linkAlive    = 10 * time.Second // without any traffic, after which grpc asks for a sign of life; its least
	linkAnswer   = 3 * time.Second
)

// A Link carries batches over protoactor remote, one message type to one process.
//
// Remote trusts everybody and says nothing about what it loses. So nothing but a batch for our process gets past the
// guard of a connection, a panic behind it costs that connection, and the streams above number, acknowledge and repeat.
//
// With a credential both ends of a connection prove who they are before anything is read, and batches say the name that
// the certificate says.
type Link struct {
	host      string
	port      int
	from      net.Dialer // of connections: they come from where it listens, if that is one address of several
	log       *slog.Logger
	handshake *handshake
	receiver  Receiver
	listens   chan struct{} // closed by Listen
	system    *actor.ActorSystem
	remote    *remote.Remote
	news      *eventstream.Subscription
	readers   sync.WaitGroup

	mu      sync.RWMutex // read by Send, so that Close waits for it
	closed  bool
	targets map[string]*linkTarget
	lives   uint64 // targets so far
}

// linkTarget is an address that batches are sent to, from Connect to Disconnect. Its process has a name of its own for
// that time, address/life: what remote says late of the connection before, which it knows by nothing else, would end
// this one, with all that was sent by it.
type linkTarget struct {
	pid    *actor.PID
	ctx    context.Context // ends with Disconnect
	cancel context.CancelFunc
}

// NewLink makes a carrier that listens at host:port; port 0 finds a free one. It listens at once, because remote then
// sets grpc's global logger, without a lock: make it before anything else in the process speaks grpc. Connections that
// come before Listen wait for it.
//
// Without a credential connections are plain, and anybody who reaches the address is believed: so it must be one of the
// loopback's then, or the error is ErrOpen.
func NewLink(listen string, who *identity.Credential, log *slog.Logger) (*Link, error) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("cluster: link address %q: %w", listen, err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("cluster: link address %q: the port is no number", listen)
	}
	if who == nil && !Loopback(host) {
		return nil, fmt.Errorf("%w: %s", ErrOpen, listen)
	}
	l := &Link{host: host, port: port, log: log, handshake: newHandshake(who, log), listens: make(chan struct{}),
		targets: map[string]*linkTarget{}}
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() && host != "127.0.0.1" && host != "::1" {
		l.from.LocalAddr = &net.TCPAddr{IP: ip}
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

// Listen begins to receive, as Carrier says.
func (l *Link) Listen(r Receiver) (address string, err error) {
	l.mu.Lock()
	l.receiver = r
	l.mu.Unlock()
	close(l.listens)
	l.news = l.system.EventStream.Subscribe(func(event any) {
		if e, ok := event.(*remote.EndpointConnectedEvent); ok {
			if address, is := l.present(e.Address); is != nil {
				r.Connected(address)
			}
		}
	})
	return l.address(), nil
}

// address is where others reach the link: by the name that it was given, for its certificate says that too.
func (l *Link) address() string {
	_, port, err := net.SplitHostPort(l.system.Address())
	if err != nil || net.ParseIP(l.host) != nil {
		return l.system.Address()
	}
	return net.JoinHostPort(l.host, port)
}

// Loopback says whether only this machine reaches a host.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// open begins to listen.
func (l *Link) open() (err error) {
	if err := free(net.JoinHostPort(l.host, strconv.Itoa(l.port))); err != nil {
		return fmt.Errorf("cluster: link: %w", err)
	}
	quiet := func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }
	l.system = actor.NewActorSystem(actor.WithLoggerFactory(quiet))
	l.system.ProcessRegistry.Add(inbox{l}, linkName)
	l.remote = remote.NewRemote(l.system, remote.Configure(l.host, l.port,
		remote.WithServerOptions(l.serverOptions()...), remote.WithDialOptions(l.dialOptions()...),
		remote.WithEndpointWriterBatchSize(linkGather), remote.WithEndpointWriterQueueSize(linkQueue),
		remote.WithEndpointManagerQueueSize(linkQueue), withOneTry))
	defer func() {
		if reason := recover(); reason != nil { // how Start says that it cannot listen
			err = fmt.Errorf("cluster: link at %s:%d: %v", l.host, l.port, reason)
		}
	}()
	l.remote.Start()
	return nil
}

// free says, better than those that will use it, that an address is taken.
func free(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// withOneTry keeps remote from blocking its queue for 10 s on a dead address.
func withOneTry(c *remote.Config) { c.MaxRetryCount = 1 }

func (l *Link) serverOptions() []grpc.ServerOption {
	refuse := func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
		return nil, status.Error(codes.PermissionDenied, "this node answers batches only")
	}
	return []grpc.ServerOption{
		grpc.Creds(l.handshake), grpc.ConnectionTimeout(handshakeWithin),
		grpc.StreamInterceptor(l.guard), grpc.UnaryInterceptor(refuse),
		grpc.MaxRecvMsgSize(linkMessage), grpc.InitialWindowSize(linkWindow), grpc.InitialConnWindowSize(linkWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: linkAlive, Timeout: linkAnswer}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: linkAlive / 2, PermitWithoutStream: true}),
	}
}

func (l *Link) dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(l.handshake), grpc.WithContextDialer(l.dial),
		grpc.WithInitialWindowSize(linkWindow), grpc.WithInitialConnWindowSize(linkWindow),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: linkAlive, Timeout: linkAnswer}),
	}
}

// reconnectSoon makes grpc try a lost server again at least every second; by itself it waits for up to two minutes.
func reconnectSoon() []grpc.DialOption {
	pauses := backoff.Config{BaseDelay: linkDialWait, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}
	return []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{Backoff: pauses, MinConnectTimeout: linkAnswer})}
}

// dial tries for a moment, because a peer that restarts is back soon and remote's own pause is long. The connection
// ends with Disconnect even while grpc is stuck in it.
func (l *Link) dial(ctx context.Context, name string) (net.Conn, error) {
	address, t := l.present(name)
	if t == nil {
		return nil, net.ErrClosed
	}
	within, cancel := context.WithTimeout(t.ctx, linkDialFor)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	for {
		conn, err := l.from.DialContext(within, "tcp", address)
		if err == nil {
			return &linkConn{Conn: conn, release: context.AfterFunc(t.ctx, func() { conn.Close() })}, nil
		}
		select {
		case <-within.Done():
			return nil, err
		case <-time.After(linkDialWait):
		}
	}
}

// present finds the target whose process has this name, if it is not over.
func (l *Link) present(name string) (address string, t *linkTarget) {
	address, _, _ = strings.Cut(name, "/")
	l.mu.RLock()
	defer l.mu.RUnlock()
	if t = l.targets[address]; t == nil || t.pid.Address != name {
		return address, nil
	}
	return address, t
}

// linkConn is a connection that ends when its target does.
type linkConn struct {
	net.Conn
	release func() bool
}

// Close ends the connection.
func (c *linkConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// Connect says that batches for this address will come, as Carrier says. The first of them makes the connection.
func (l *Link) Connect(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.targets[address] != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.lives++
	name := fmt.Sprintf("%s/%d", address, l.lives)
	l.targets[address] = &linkTarget{actor.NewPID(name, linkName), ctx, cancel}
}

// Disconnect ends the connection to an address, as Carrier says.
func (l *Link) Disconnect(address string) {
	l.mu.Lock()
	t := l.targets[address]
	delete(l.targets, address)
	l.mu.Unlock()
	if t != nil {
		t.cancel()
		l.system.EventStream.Publish(&remote.EndpointTerminatedEvent{Address: t.pid.Address})
	}
}

// Send begins to carry a batch, as Carrier says.
func (l *Link) Send(address string, batch []byte) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if t := l.targets[address]; t != nil && !l.closed {
		l.system.Root.Send(t.pid, wrapperspb.Bytes(batch))
	}
}

// Close ends all connections, as Carrier says. Remote's own orderly shutdown is not used: it changes without locks
// what its readers look at, and waits 10 s for peers that do not hang up. A writer that is in its pause after a failed
// dial cannot be woken; it ends by itself within 2 s and can do nothing until then.
func (l *Link) Close() {
	l.mu.Lock()
	was, targets := l.closed, l.targets
	l.closed, l.targets = true, nil
	l.mu.Unlock()
	if was {
		return
	}
	if l.news != nil {
		l.system.EventStream.Unsubscribe(l.news)
	}
	l.remote.Shutdown(false)
	l.readers.Wait()
	for _, t := range targets {
		t.cancel()
	}
	for _, name := range [...]string{"EndpointSupervisor", "activator"} { // takes the writers along
		l.system.Root.Stop(l.system.NewLocalPID(name))
	}
	l.system.Shutdown()
}
