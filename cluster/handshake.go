package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	grpcpeer "google.golang.org/grpc/peer"

	"github.com/fireflyrt/firefly/cluster/identity"
)

// Bounds of what strangers can cost.
const (
	handshakeWithin = 5 * time.Second  // a connection that has not proved by then who it is ends
	refusalsEach    = 10 * time.Second // each complaint of each address is logged once in that time
	refusalsMost    = 50               // such lines in that time; the rest is only counted
)

// A handshake is how connections between nodes, and to etcd, begin: with a credential by proving to each other who one
// is, without one by nothing. Whoever is refused is logged with the reason.
type handshake struct {
	who      atomic.Pointer[identity.Credential] // nil: plain
	call     func(p *identity.Proof, host string) *tls.Config
	log      *slog.Logger
	refusals *complaints
}

// newHandshake makes one between nodes.
func newHandshake(who *identity.Credential, log *slog.Logger) *handshake {
	h := &handshake{call: (*identity.Proof).Call, log: log, refusals: &complaints{}}
	h.who.Store(who)
	return h
}

// calls is how etcd is called: plainly on the loopback, and otherwise by proving who one is. All endpoints are alike.
func (o *RegistryOptions) calls() ([]grpc.DialOption, error) {
	calls := reconnectSoon()
	if from := o.source(); from != nil {
		d := net.Dialer{LocalAddr: from}
		calls = append(calls, grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", to)
		}))
	}
	if !slices.ContainsFunc(o.Endpoints, open) {
		return calls, nil
	}
	if o.Credential == nil {
		return nil, fmt.Errorf("%w: etcd at %s", ErrOpen, strings.Join(o.Endpoints, ", "))
	}
	h := newHandshake(o.Credential, o.Log)
	h.call = (*identity.Proof).CallServer
	return append(calls, grpc.WithTransportCredentials(h)), nil
}

// source is the address that etcd is called from; nil: whichever the system chooses.
func (o *RegistryOptions) source() net.Addr {
	host, _, err := net.SplitHostPort(o.From)
	ip := net.ParseIP(host)
	if err != nil || ip == nil || !ip.IsLoopback() || host == "127.0.0.1" || host == "::1" ||
		slices.ContainsFunc(o.Endpoints, open) {
		return nil
	}
	return &net.TCPAddr{IP: ip}
}

// open says whether an address is reached by others than this machine.
func open(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err != nil || !Loopback(host)
}

// ServerHandshake asks a connection from another node who it is.
func (h *handshake) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	who := h.who.Load()
	if who == nil {
		return insecure.NewCredentials().ServerHandshake(raw)
	}
	within, cancel := context.WithTimeout(context.Background(), handshakeWithin)
	defer cancel()
	conn := tls.Server(raw, who.Proof().Serve())
	if err := conn.HandshakeContext(within); err != nil {
		raw.Close()
		h.warn(peerRefused, raw, identity.Because(err))
		return nil, nil, fmt.Errorf("cluster: refuse a peer: %w", err)
	}
	return conn, proved(conn), nil
}

// ClientHandshake asks a server that was called who it is, and tells it who this is.
func (h *handshake) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn,
	credentials.AuthInfo, error) {
	who := h.who.Load()
	if who == nil {
		return insecure.NewCredentials().ClientHandshake(ctx, authority, raw)
	}
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		host = authority
	}
	within, cancel := context.WithTimeout(ctx, handshakeWithin)
	defer cancel()
	conn := tls.Client(raw, h.call(who.Proof(), host))
	if err := conn.HandshakeContext(within); err != nil {
		raw.Close()
		h.warn("a server was not believed", raw, identity.Because(err))
		return nil, nil, fmt.Errorf("cluster: call %s: %w", authority, err)
	}
	return &called{conn, h}, proved(conn), nil
}

// proved is what grpc hands on about a connection that has shown who is at its other end.
func proved(c *tls.Conn) credentials.AuthInfo {
	return credentials.TLSInfo{State: c.ConnectionState(),
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
}

// peerRefused is what the log says of those who call and are not let in.
const peerRefused = "a peer was refused"

// warn logs why somebody was refused, unless that was just logged.
func (h *handshake) warn(what string, peer net.Conn, r *identity.Refusal) {
	address := "unknown"
	if a := peer.RemoteAddr(); a != nil {
		address = a.String()
	}
	h.warnOf(what, address, r)
}

// warnOf is warn of an address.
func (h *handshake) warnOf(what, address string, r *identity.Refusal) {
	if what == peerRefused {
		h.refusals.count(r.Reason)
	}
	if unsaid, ok := h.refusals.say(time.Now(), address, what+string(r.Reason)); ok {
		h.log.Warn(what, "peer", address, "reason", string(r.Reason), "detail", r.Detail, "unsaid", unsaid)
	}
}

// Info says what the handshake is, as grpc wants it.
func (h *handshake) Info() credentials.ProtocolInfo {
	if h.who.Load() == nil {
		return insecure.NewCredentials().Info()
	}
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone is the handshake itself: grpc changes nothing in it.
func (h *handshake) Clone() credentials.TransportCredentials { return h }

// OverrideServerName is grpc's, and out of use there.
func (h *handshake) OverrideServerName(string) error {
	return errors.New("cluster: a server's name is where it was called")
}

// nameOf is the name of the node at the other end of a connection, by its certificate; "" for a plain one.
func nameOf(ctx context.Context) string {
	p, ok := grpcpeer.FromContext(ctx)
	if !ok {
		return ""
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return ""
	}
	id, _ := identity.Of(info.State.PeerCertificates[0])
	return id.Name
}

// addressOf is where the other end of a connection is.
func addressOf(ctx context.Context) string {
	if p, ok := grpcpeer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return "unknown"
}

// called is a connection to a server that was believed. That the server does not believe this node shows only when it
// is read from.
type called struct {
	*tls.Conn
	h *handshake
}

// Read reads what the server says, and logs it if that is no.
func (c *called) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if alert := (*net.OpError)(nil); errors.As(err, &alert) && alert.Op == "remote error" { // as package tls says it
		c.h.warn("this node was refused; the other's log says why", c.Conn, &identity.Refusal{
			Reason: identity.Reason(alert.Err.Error())})
	}
	return n, err
}

// complaints bounds how often refusals are logged: whoever is refused tries again, and strangers cost no disk.
type complaints struct {
	mu     sync.Mutex
	began  time.Time
	said   map[string]bool
	unsaid int               // since the last line
	peers  map[string]uint64 // that were refused since the start, by reason
}

// count notes that a peer was refused.
func (r *complaints) count(why identity.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peers = with(r.peers, string(why), r.peers[string(why)]+1)
}

// counted is how many peers were refused, by reason.
func (r *complaints) counted() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.peers)
}

// say reports whether to log what is wrong with an address, and how many were not logged since the last that was.
func (r *complaints) say(now time.Time, address, what string) (unsaid int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.began) >= refusalsEach {
		r.began, r.said = now, map[string]bool{}
	}
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host // a port is another one each time
	}
	key := address + " " + what
	if r.said[key] || len(r.said) >= refusalsMost {
		r.unsaid++
		return 0, false
	}
	r.said[key], unsaid, r.unsaid = true, r.unsaid, 0
	return unsaid, true
}

// Refusals counts the peers that were not let in since the start, by the reason that the log gives.
func (l *Link) Refusals() map[string]uint64 { return l.handshake.refusals.counted() }

// Until is when this node's certificate ends; zero without one.
func (l *Link) Until() time.Time {
	who := l.handshake.who.Load()
	if who == nil {
		return time.Time{}
	}
	return who.Proof().Until
}
