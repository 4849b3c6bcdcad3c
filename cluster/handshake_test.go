package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/asynkron/protoactor-go/remote"

	"github.com/fireflyrt/firefly/cluster/identity"
)

// A journal is a log that a test reads.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

// line finds a line that holds all the texts.
func (j *journal) line(texts ...string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		found := true
		for _, text := range texts {
			found = found && strings.Contains(line, text)
		}
		if found {
			return true
		}
	}
	return false
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// An office issues certificates of one CA.
type office struct {
	t    *testing.T
	dir  string
	ca   *identity.Authority
	text []byte
}

func newOffice(t *testing.T, cluster string) *office {
	t.Helper()
	ca, pair, err := identity.NewAuthority(cluster, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &office{t, t.TempDir(), ca, pair.Cert}
}

func nodeOf(cluster, name string) identity.Identity {
	return identity.Identity{Cluster: cluster, Role: identity.Node, Name: name}
}

// issue makes a certificate that was valid from a moment on for a time.
func (o *office) issue(id identity.Identity, from time.Time, lasts time.Duration) identity.Pair {
	o.t.Helper()
	pair, err := o.ca.Issue(id, []string{"127.0.0.1"}, from, from.Add(lasts))
	if err != nil {
		o.t.Fatal(err)
	}
	return pair
}

// files puts a certificate where a node reads it.
func (o *office) files(name string, p identity.Pair) identity.Files {
	o.t.Helper()
	at := func(end string) string { return filepath.Join(o.dir, name+end) }
	f := identity.Files{CA: at(".ca"), Cert: at(".pem"), Key: at(".key")}
	for path, text := range map[string][]byte{f.CA: o.text, f.Cert: p.Cert, f.Key: p.Key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			o.t.Fatal(err)
		}
	}
	return f
}

// secured makes a node's link prove who it is, by a certificate of the office, and log into the journal.
func (o *office) secured(j *journal) func(*Options) {
	return func(n *Options) {
		o.t.Helper()
		f := o.files(n.Self.Name, o.issue(nodeOf("arena", n.Self.Name), time.Now(), time.Hour))
		log := slog.New(slog.NewTextHandler(j, nil)).With("node", n.Self.Name)
		who, err := identity.Open(f, nodeOf("arena", n.Self.Name), log)
		if err != nil {
			o.t.Fatal(err)
		}
		l := n.Carrier.(*Link)
		l.log, l.handshake.log = log, log
		l.handshake.who.Store(who)
	}
}

// held is how somebody with a certificate calls; without one he has none.
func (o *office) held(p identity.Pair) credentials.TransportCredentials {
	o.t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}
	c.RootCAs.AppendCertsFromPEM(o.text)
	if p.Cert != nil {
		own, err := tls.X509KeyPair(p.Cert, p.Key)
		if err != nil {
			o.t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return credentials.NewTLS(c)
}

// knocked calls a node, sends it one message, and says how that ended.
func knocked(t *testing.T, address string, as credentials.TransportCredentials, m *remote.RemoteMessage) error {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(as))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	within, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := remote.NewRemotingClient(conn).Receive(within)
	if err != nil {
		return err
	}
	if err := stream.Send(m); err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func greeting() *remote.RemoteMessage {
	of := &remote.ConnectRequest_ServerConnection{ServerConnection: &remote.ServerConnection{SystemId: "x",
		Address: "127.0.0.1:1"}}
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{
		ConnectRequest: &remote.ConnectRequest{ConnectionType: of}}}
}

// from is a batch in which a node says that it is of that name.
func from(name string, incarnation, to uint64) *remote.RemoteMessage {
	h := batch{from: incarnation, to: to, stream: 9, seq: 1, name: name}
	body := append(h.appendHead(nil), oneWay("ann", 0).Append(nil)...)
	return parcel(linkName, linkType, wrapperspb.Bytes(body), nil)
}

func TestNodesThatProveWhoTheyAreSpeakAndOthersAreRefusedWithTheReason(t *testing.T) {
	o, j := newOffice(t, "arena"), &journal{}
	gate, game := couple(t, newRealMemory(), "", o.secured(j))
	gate.Route(oneWay("ann", 0))
	until(t, "a node is heard", func() bool { return game.count() == 1 })
	game.take()

	now := time.Now()
	other := newOffice(t, "arena") // another CA of the same name
	fellow := o.held(o.issue(nodeOf("arena", "game-2"), now, time.Hour))
	stranger := o.held(other.issue(nodeOf("arena", "game-2"), now, time.Hour))
	client := o.held(o.issue(identity.Identity{Cluster: "arena", Role: identity.Client, Name: "ops"}, now, time.Hour))
	expired := o.held(o.issue(nodeOf("arena", "game-2"), now.Add(-2*time.Hour), time.Hour))
	early := o.held(o.issue(nodeOf("arena", "game-2"), now.Add(2*time.Hour), time.Hour))
	elsewhere := o.held(o.issue(nodeOf("other", "game-2"), now, time.Hour))
	nobody := o.held(o.issue(nodeOf("arena", ""), now, time.Hour))
	me := game.Self()
	cases := []struct {
		what   string
		as     credentials.TransportCredentials
		says   *remote.RemoteMessage
		reason identity.Reason
	}{
		{"plain", insecure.NewCredentials(), greeting(), identity.NoTLS},
		{"without a certificate", o.held(identity.Pair{}), greeting(), identity.NoCertificate},
		{"of another CA", stranger, greeting(), identity.OtherCA},
		{"expired", expired, greeting(), identity.Expired},
		{"too early", early, greeting(), identity.NotYet},
		{"a client", client, greeting(), identity.ClientsOwn},
		{"of another cluster", elsewhere, greeting(), identity.OtherCluster},
		{"of nobody", nobody, greeting(), identity.NoIdentity},
		{"with a stolen name", fellow, from("gate-1", gate.Self().Incarnation, me.Incarnation), identity.OtherName},
		{"with two batches in one", fellow, twofold(me.Incarnation), identity.OtherName},
	}
	for _, c := range cases {
		if err := knocked(t, me.Link, c.as, c.says); err == nil {
			t.Errorf("a peer %s was let in", c.what)
			continue
		}
		until(t, "a peer "+c.what+" stands in the log", func() bool {
			return j.line("a peer was refused", "node=game-1", "peer=127.0.0.1:", fmt.Sprintf("reason=%q", c.reason))
		})
	}
	if n := game.count(); n != 0 {
		t.Errorf("%d envelopes of strangers were taken", n)
	}
	if err := knocked(t, me.Link, fellow, greeting()); err != nil {
		t.Errorf("a node of the cluster was refused: %v", err)
	}
	gate.Route(oneWay("ann", 1))
	until(t, "the node still serves", func() bool { return game.count() == 1 })
}

// twofold is a message that holds two batches for one: the first says the right name, the second would count.
func twofold(to uint64) *remote.RemoteMessage {
	m := from("game-2", 42, to)
	e := m.GetMessageBatch().Envelopes[0]
	e.MessageData = append(e.MessageData, from("gate-1", 42, to).GetMessageBatch().Envelopes[0].MessageData...)
	return m
}

func TestANodeThatSaysItsOwnNameWithTheNumberOfAnotherIsAStranger(t *testing.T) {
	o, j := newOffice(t, "arena"), &journal{}
	gate, game := couple(t, newRealMemory(), "", o.secured(j))
	me := game.Self()
	fellow := o.held(o.issue(nodeOf("arena", "game-2"), time.Now(), time.Hour))
	conn, err := grpc.NewClient(me.Link, grpc.WithTransportCredentials(fellow))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := remote.NewRemotingClient(conn).Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(from("game-2", gate.Self().Incarnation, me.Incarnation)); err != nil {
		t.Fatal(err)
	}
	until(t, "it is counted", func() bool { return game.Report().Strangers > 0 })
	if n := game.count(); n != 0 {
		t.Errorf("%d envelopes were taken", n)
	}
}

func TestAServerThatIsNoNodeOfTheClusterIsNotBelieved(t *testing.T) {
	o, other := newOffice(t, "arena"), newOffice(t, "arena")
	now := time.Now()
	who, err := identity.Open(o.files("gate-1", o.issue(nodeOf("arena", "gate-1"), now, time.Hour)),
		nodeOf("arena", "gate-1"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := o.ca.Issue(nodeOf("arena", "game-1"), []string{"10.0.0.1"}, now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for reason, p := range map[identity.Reason]identity.Pair{
		"":                    o.issue(nodeOf("arena", "game-1"), now, time.Hour),
		identity.OtherCA:      other.issue(nodeOf("arena", "game-1"), now, time.Hour),
		identity.Expired:      o.issue(nodeOf("arena", "game-1"), now.Add(-2*time.Hour), time.Hour),
		identity.OtherAddress: elsewhere,
		identity.OtherCluster: o.issue(nodeOf("other", "game-1"), now, time.Hour),
		identity.Unfit: o.issue(identity.Identity{Cluster: "arena", Role: identity.Client, Name: "ops"}, now,
			time.Hour),
		identity.NoTLS: {},
	} {
		j := &journal{}
		h := newHandshake(who, slog.New(slog.NewTextHandler(j, nil)))
		address := serve(t, p)
		raw, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, _, err := h.ClientHandshake(t.Context(), address, raw)
		if reason == "" {
			if err != nil {
				t.Errorf("a node was not believed: %v", err)
				continue
			}
			conn.Close()
			continue
		}
		if err == nil || !j.line("a server was not believed", "peer="+address, fmt.Sprintf("reason=%q", reason)) {
			t.Errorf("want %q; got %v, and the log says %s", reason, err, j)
		}
	}
}

// serve answers one call with a certificate, or, without one, in plain text.
func serve(t *testing.T, p identity.Pair) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		raw, err := l.Accept()
		if err != nil {
			return
		}
		defer raw.Close()
		if p.Cert == nil {
			raw.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			raw.Read(make([]byte, 1024))
			return
		}
		own, err := tls.X509KeyPair(p.Cert, p.Key)
		if err != nil {
			t.Error(err)
			return
		}
		tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{own}, NextProtos: []string{"h2"}}).Handshake()
	})
	return l.Addr().String()
}

func TestANodeThatIsRefusedSaysSoToo(t *testing.T) {
	o, j := newOffice(t, "arena"), &journal{}
	registry := newRealMemory()
	linked(t, registry, "gate-1", "gate", "", o.secured(j))
	other := newOffice(t, "arena")
	linked(t, registry, "game-1", "game", "", func(n *Options) {
		o.secured(j)(n)
		// it trusts the right CA, but its own certificate is of another
		f := o.files("game-1", other.issue(nodeOf("arena", "game-1"), time.Now(), time.Hour))
		f.CA = other.files("other", identity.Pair{}).CA
		both := append(append([]byte{}, o.text...), other.text...)
		if err := os.WriteFile(f.CA, both, 0o600); err != nil {
			t.Fatal(err)
		}
		who, err := identity.Open(f, nodeOf("arena", "game-1"), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		n.Carrier.(*Link).handshake.who.Store(who)
	})
	until(t, "the gate says whom it refuses, and why", func() bool {
		return j.line("a peer was refused", "node=gate-1", fmt.Sprintf("reason=%q", identity.OtherCA))
	})
	until(t, "the refused says that it is", func() bool {
		return j.line("this node was refused", "node=game-1")
	})
}

func TestACertificateThatIsReplacedIsUsedByTheNextConnection(t *testing.T) {
	o, j := newOffice(t, "arena"), &journal{}
	registry := newRealMemory()
	gate := linked(t, registry, "gate-1", "gate", "", o.secured(j))
	game := linked(t, registry, "game-1", "game", "", func(n *Options) {
		o.secured(j)(n)
		other := newOffice(t, "arena")
		f := other.files("game-1", other.issue(nodeOf("arena", "game-1"), time.Now(), time.Hour))
		who, err := identity.Open(f, nodeOf("arena", "game-1"), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		n.Carrier.(*Link).handshake.who.Store(who)
		o.dir = other.dir // what is renewed below
	})
	until(t, "the wrong one is refused", func() bool {
		return j.line("node=gate-1", fmt.Sprintf("reason=%q", identity.OtherCA))
	})
	o.files("game-1", o.issue(nodeOf("arena", "game-1"), time.Now(), time.Hour))
	until(t, "the nodes see each other", func() bool {
		return ready(gate, game) && gate.Report().Peers[0].Up && game.Report().Peers[0].Up
	})
	gate.Route(oneWay("ann", 0))
	until(t, "the envelope arrives", func() bool { return game.count() == 1 })
}

func TestALinkOffTheLoopbackNeedsACertificate(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:9420", "game.internal:9420"} {
		l, err := NewLink(listen, nil, slog.New(slog.DiscardHandler))
		if !errors.Is(err, ErrOpen) || !strings.Contains(err.Error(), listen) {
			t.Errorf("%s: %v", listen, err)
		}
		if l != nil {
			l.Close()
		}
	}
}

func TestRefusalsThatComeInMassesAreCountedNotLogged(t *testing.T) {
	r, now, said := &complaints{}, time.Unix(1_000_000, 0), 0
	for i := range 1000 {
		if _, ok := r.say(now, fmt.Sprintf("10.0.%d.%d:%d", i/200, i%200, i), "plain"); ok {
			said++
		}
	}
	if said != refusalsMost {
		t.Errorf("%d lines in one moment, want %d", said, refusalsMost)
	}
	now = now.Add(refusalsEach)
	unsaid, ok := r.say(now, "10.0.0.1:1", "plain")
	if !ok || unsaid != 1000-refusalsMost {
		t.Errorf("the next line counts %d (%v)", unsaid, ok)
	}
	if _, ok := r.say(now, "10.0.0.1:2", "plain"); ok {
		t.Error("the same of the same address is told at once again")
	}
	if _, ok := r.say(now, "10.0.0.1:2", "other"); !ok {
		t.Error("another reason is not told")
	}
}
