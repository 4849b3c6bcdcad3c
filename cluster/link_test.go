package cluster

import (
	"context"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fireflyrt/firefly/actors"
)

// until polls for something to become true, and says what it waited for when it did not.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute until %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// linked starts a node on real connections; its record stands in a registry in memory. With via, others reach it by
// that address. One game node is a role: none waits a lease for others.
func linked(t *testing.T, registry *Memory, name, role, via string, change func(*Options)) *node {
	t.Helper()
	o := Options{
		Self:   Member{Name: name, Incarnation: NewIncarnation(), Roles: []string{role}, Link: via},
		Shards: 16, Expected: map[string]int{"game": 1}, Registry: registry.Node(), Carrier: lend(t),
		Clock: real{}, Scheduler: real{}, Log: slog.New(slog.NewTextHandler(logTo(), nil)), Draw: NewIncarnation,
	}
	if change != nil {
		change(&o)
	}
	n, err := &node{actorsHere: &actorsHere{}, name: name}, error(nil)
	if n.Cluster, err = New(o); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context(), n.actorsHere); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func newRealMemory() *Memory { return NewMemory(real{}, real{}, DefaultLease) }

// couple is a gate and one game node that owns everything, linked for real, and seen by each other.
func couple(t *testing.T, registry *Memory, via string, change func(*Options)) (gate, game *node) {
	t.Helper()
	gate = linked(t, registry, "gate-1", "gate", "", change)
	game = linked(t, registry, "game-1", "game", via, change)
	until(t, "both see who owns what", func() bool { return ready(gate, game) })
	return gate, game
}

func ready(nodes ...*node) bool {
	for _, n := range nodes {
		a := n.View().Roles["game"]
		if a == nil || len(n.Report().Peers) != len(nodes)-1 || !n.View().lives(a.Owners[0].Incarnation) {
			return false
		}
	}
	return true
}

func TestFiftyThousandEnvelopesArriveInOrderOverARealLink(t *testing.T) {
	gate, game := couple(t, newRealMemory(), "", nil)
	const n = 50_000
	var got atomic.Int64
	game.hear = func(e *actors.Envelope) {
		if want := got.Add(1) + 99; e.Number != uint32(want) {
			t.Errorf("place %d holds number %d", want, e.Number)
		}
	}
	for i := range n {
		until(t, "the peer has room", func() bool { return gate.Report().Peers[0].Queued <= 4<<20 })
		gate.Route(oneWay("ann", i))
	}
	until(t, "all have arrived", func() bool { return got.Load() == n })
	until(t, "all are acknowledged", func() bool { return gate.Report().Peers[0].Queued == 0 })
	p := gate.Report().Peers[0]
	t.Logf("%d batches of %d envelopes on average, %d sent again", p.Sent, n/int(p.Sent), p.Resent)
}

// A proxy stands between a node and its peer; a test can cut what goes through it.
type proxy struct {
	listener net.Listener
	to       atomic.Pointer[string]
	mu       sync.Mutex
	open     []net.Conn
	pumps    sync.WaitGroup
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &proxy{listener: l}
	x.pumps.Go(x.accept)
	t.Cleanup(func() {
		l.Close()
		x.cut()
		x.pumps.Wait()
	})
	return x
}

func (x *proxy) accept() {
	for {
		in, err := x.listener.Accept()
		if err != nil {
			return
		}
		to := x.to.Load()
		if to == nil {
			in.Close()
			continue
		}
		out, err := net.Dial("tcp", *to)
		if err != nil {
			in.Close()
			continue
		}
		x.mu.Lock()
		x.open = append(x.open, in, out)
		x.mu.Unlock()
		for _, way := range [...][2]net.Conn{{in, out}, {out, in}} {
			x.pumps.Go(func() {
				io.Copy(way[0], way[1])
				way[0].Close()
			})
		}
	}
}

// cut ends every connection that goes through.
func (x *proxy) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.open {
		c.Close()
	}
	x.open = nil
}

func TestARealConnectionThatIsCutLosesAndDoublesNothing(t *testing.T) {
	x := newProxy(t)
	registry := newRealMemory()
	gate := linked(t, registry, "gate-1", "gate", "", nil)
	game := linked(t, registry, "game-1", "game", x.listener.Addr().String(), nil)
	address := game.o.Carrier.(*Link).system.Address()
	x.to.Store(&address)
	until(t, "both see who owns what", func() bool { return ready(gate, game) })
	const n = 3000
	for i := range n {
		gate.Route(oneWay("ann", i))
		if i%600 == 300 {
			until(t, "some arrive", func() bool { return game.count() > i/2 })
			x.cut()
		}
	}
	until(t, "all have arrived", func() bool { return game.count() >= n })
	wantInOrder(t, game.take(), n)
	p := gate.Report().Peers[0]
	t.Logf("%d batches sent again, %d came twice", p.Resent, game.Report().Peers[0].Doubled)
	if gate.Report().Lost != 0 {
		t.Errorf("%d counted as lost", gate.Report().Lost)
	}
}

func TestANewLifeOfAPeerGetsNothingOfTheOldAndRequestsAreAnswered(t *testing.T) {
	registry := newRealMemory()
	gate, game := couple(t, registry, "", nil)
	for i := range uint64(10) {
		gate.Route(request(gate, "ann", i+1))
	}
	until(t, "the requests arrive", func() bool { return game.count() == 10 })
	game.Close()
	for i := range 5 {
		gate.Route(oneWay("ann", i)) // into the void between two lives
	}
	again := linked(t, registry, "game-1", "game", "", nil)
	until(t, "every open request is answered", func() bool {
		gate.mu.Lock()
		defer gate.mu.Unlock()
		return len(gate.got) == 10
	})
	if got := refusals(gate.take()); got[actors.Unavailable] != 10 {
		t.Fatalf("open requests were answered %v", got)
	}
	if got := gate.Report().Lost; got != 5 {
		t.Errorf("%d one-way messages were counted as lost, want 5", got)
	}
	registry.Certify(game.Self().Incarnation)
	until(t, "the new life owns all", func() bool { return ready(gate, again) })
	gate.Route(request(gate, "ann", 11))
	until(t, "a new request arrives", func() bool { return again.count() > 0 })
	if got := again.take(); len(got) != 1 || got[0].Request != 11 {
		t.Errorf("the new life got %v", got)
	}
}

func TestAFullRealLinkAnswersOverloaded(t *testing.T) {
	gate, _ := couple(t, newRealMemory(), "", func(o *Options) { o.Outbound = 64 << 10 })
	stuck := &gate.o.Carrier.(*Link).mu // a connection that takes nothing
	stuck.Lock()
	defer stuck.Unlock()
	for i := range 100 {
		e := oneWay("ann", i)
		e.Body = make([]byte, 1<<10)
		gate.Route(e)
	}
	gate.Route(request(gate, "ann", 1))
	if got := refusals(gate.take()); got[actors.Overloaded] != 1 {
		t.Fatalf("answers: %v", got)
	}
}

func TestAPeerThatFallsSilentIsNoticedAndItsReturnToo(t *testing.T) {
	gate, game := couple(t, newRealMemory(), "", nil)
	began := time.Now()
	game.o.Carrier.(*Link).mu.Lock() // a frozen process: nothing is sent
	until(t, "the silence is noticed", func() bool { return !gate.Report().Peers[0].Up })
	took := time.Since(began)
	game.o.Carrier.(*Link).mu.Unlock()
	if took < silence-pingEvery || took > silence+2*pingEvery {
		t.Errorf("noticed after %v", took)
	}
	until(t, "its return is noticed", func() bool { return gate.Report().Peers[0].Up })
}

// intruder speaks remote's protocol by hand.
func intruder(t *testing.T, address string) (remote.RemotingClient, remote.Remoting_ReceiveClient) {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client := remote.NewRemotingClient(conn)
	stream, err := client.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return client, stream
}

// deaf is a witness that does nothing.
type deaf struct{}

func (deaf) Changed(*Record)   {}
func (deaf) Renewed(time.Time) {}
func (deaf) Forgotten()        {}

func parcel(target, typeName string, m proto.Message, change func(*remote.MessageBatch)) *remote.RemoteMessage {
	bytes, _ := proto.Marshal(m)
	b := &remote.MessageBatch{TypeNames: []string{typeName}, Targets: []*actor.PID{{Address: "x", Id: target}},
		Envelopes: []*remote.MessageEnvelope{{MessageData: bytes}}}
	if change != nil {
		change(b)
	}
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}
}

func TestBadBytesCostTheirConnectionAndNothingElse(t *testing.T) {
	registry := newRealMemory()
	gate, game := couple(t, registry, "", nil)
	if err := registry.Node().Join(t.Context(), Member{Name: "odd-1", Incarnation: 42}, deaf{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the odd one is known", func() bool { return game.View().lives(42) })
	torn := batch{from: 42, to: game.Self().Incarnation, stream: 1, seq: 1, name: "odd-1"}
	odd := func(change func(*remote.MessageBatch)) *remote.RemoteMessage {
		return parcel(linkName, linkType, wrapperspb.Bytes(nil), change)
	}
	cases := map[string]*remote.RemoteMessage{
		"no batch":             parcel(linkName, linkType, wrapperspb.Bytes([]byte("rubbish")), nil),
		"a torn envelope":      parcel(linkName, linkType, wrapperspb.Bytes(append(torn.appendHead(nil), 9, 9)), nil),
		"another process":      parcel("EndpointSupervisor", linkType, wrapperspb.Bytes(nil), nil),
		"an order to stop":     parcel(linkName, "actor.Stop", &actor.Stop{}, nil),
		"a target beyond":      odd(func(b *remote.MessageBatch) { b.Envelopes[0].Target = 7 }),
		"a negative type":      odd(func(b *remote.MessageBatch) { b.Envelopes[0].TypeId = -1 }),
		"a sender from beyond": odd(func(b *remote.MessageBatch) { b.Envelopes[0].Sender = 3 }),
		"a hole":               odd(func(b *remote.MessageBatch) { b.Targets[0] = nil }),
		"nothing":              {},
	}
	for what, m := range cases {
		_, stream := intruder(t, game.Self().Link)
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: the connection ended with %v", what, err)
		}
	}
	client, _ := intruder(t, game.Self().Link)
	_, err := client.ListProcesses(t.Context(), &remote.ListProcessesRequest{})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a unary call ended with %v", err)
	}
	gate.Route(oneWay("ann", 0))
	until(t, "the node still serves", func() bool { return game.count() == 1 })
}

func TestAPanicBehindTheLinkCostsTheConnectionOnly(t *testing.T) {
	gate, game := couple(t, newRealMemory(), "", nil)
	var calls atomic.Int64
	game.hear = func(*actors.Envelope) {
		if calls.Add(1) == 1 {
			panic("a bug of ours")
		}
	}
	gate.Route(oneWay("ann", 0))
	until(t, "the first envelope panics", func() bool { return calls.Load() > 0 })
	gate.Route(oneWay("ann", 1))
	until(t, "the next one arrives", func() bool { return calls.Load() == 2 })
}

func TestABatchFromAStrangerOrForAnotherLifeIsDropped(t *testing.T) {
	gate, game := couple(t, newRealMemory(), "", nil)
	e := oneWay("ann", 0).Append(nil)
	for _, h := range []batch{
		{from: 42, to: game.Self().Incarnation, stream: 1, seq: 1, name: "nobody"},
		{from: gate.Self().Incarnation, to: 42, stream: 1, seq: 1, name: "gate-1"},
	} {
		before := game.Report().Strangers
		if err := game.Receive(append(h.appendHead(nil), e...)); err != nil {
			t.Fatal(err)
		}
		if game.Report().Strangers != before+1 || len(game.take()) != 0 {
			t.Errorf("batch %+v was taken", h)
		}
	}
}

// A node that restarts can be dialled before it listens. Who comes so early is not turned away: remote would pause.
func TestAConnectionThatComesBeforeListenWaitsForIt(t *testing.T) {
	l := lend(t)
	t.Cleanup(l.Close)
	_, stream := intruder(t, l.system.Address())
	if err := stream.Send(greeting()); err != nil {
		t.Fatal(err)
	}
	heard := make(chan error, 1)
	go func() {
		_, err := stream.Recv()
		heard <- err
	}()
	until(t, "it waits", func() bool {
		select {
		case err := <-heard:
			t.Fatalf("before Listen it heard: %v", err)
		default:
		}
		all := make([]byte, 4<<20)
		return strings.Contains(string(all[:runtime.Stack(all, true)]), "(*Link).awaitListen")
	})
	if _, err := l.Listen(dull{}); err != nil {
		t.Fatal(err)
	}
	if err := <-heard; err != nil {
		t.Errorf("after Listen it heard: %v", err)
	}
}

// dull is a receiver that does nothing.
type dull struct{}

func (dull) Receive([]byte) error { return nil }
func (dull) Connected(string)     {}

// noting notes which connections are asked for.
type noting struct {
	*Link
	mu   sync.Mutex
	said []string
}

func (n *noting) Connect(address string) { n.note("connect", address); n.Link.Connect(address) }
func (n *noting) Disconnect(address string) {
	n.note("disconnect", address)
	n.Link.Disconnect(address)
}

func (n *noting) note(what, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, what+" "+address)
}

// Remote may be in its pause after trying to reach a life that has ended, when the next one joins at its address.
func TestANewLifeOfAPeerIsReachedByANewConnection(t *testing.T) {
	const at = "127.0.0.1:1" // where nobody listens
	registry, notes := newRealMemory(), &noting{}
	gate := linked(t, registry, "gate-1", "gate", "", func(o *Options) {
		notes.Link = o.Carrier.(*Link)
		o.Carrier = notes
	})
	for range 2 {
		game := linked(t, registry, "game-1", "game", at, nil)
		until(t, "the gate sees it", func() bool { return gate.View().lives(game.Self().Incarnation) })
		game.Close()
	}
	notes.mu.Lock()
	defer notes.mu.Unlock()
	last := notes.said[max(0, len(notes.said)-2):]
	if !slices.Contains(notes.said[:len(notes.said)-2], "connect "+at) ||
		!slices.Equal(last, []string{"disconnect " + at, "connect " + at}) {
		t.Errorf("it said %q", notes.said)
	}
}

// counting counts batches.
type counting struct {
	dull
	n atomic.Int32
}

func (r *counting) Receive([]byte) error {
	r.n.Add(1)
	return nil
}

// Remote tells the end of a connection late, and knows connections by where they lead to: without names of their own
// the end of one is the end of the next, and of what was sent by it until the next ping.
func TestTheEndOfAConnectionIsNotThatOfTheNext(t *testing.T) {
	from, to, heard := lend(t), lend(t), &counting{}
	t.Cleanup(from.Close)
	t.Cleanup(to.Close)
	at, err := to.Listen(heard)
	if err != nil {
		t.Fatal(err)
	}
	for n := range int32(50) {
		from.Disconnect(at)
		from.Connect(at)
		from.Send(at, []byte("x"))
		for end := time.Now().Add(10 * time.Second); heard.n.Load() <= n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("batch %d was lost with the connection before", n)
			}
		}
	}
}

func TestATakenPortIsAnErrorThatNamesIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = NewLink(l.Addr().String(), nil, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Fatalf("got %v, want an error that names %s", err, l.Addr())
	}
}

func TestStopFlushesWhatWasSent(t *testing.T) {
	gate, game := couple(t, newRealMemory(), "", nil)
	for i := range 1000 {
		gate.Route(oneWay("ann", i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := gate.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	wantInOrder(t, game.take(), 1000)
}
