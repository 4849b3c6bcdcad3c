package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// links are carriers that listen already. Remote sets grpc's global logger, without a lock, whenever one begins to
// listen; so all do before any of them speaks, and the race detector has nothing to see.
var links = make(chan *Link, 80)

// lend takes a link that nobody has used.
func lend(t *testing.T) *Link {
	t.Helper()
	select {
	case l := <-links:
		return l
	default:
		t.Fatal("all links are used up: TestMain must make more")
		return nil
	}
}

// preface is how a client of HTTP/2 begins, with settings that set nothing.
var preface = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")

func TestMain(m *testing.M) {
	var greetings []net.Conn
	for range cap(links) {
		l, err := NewLink("127.0.0.1:0", nil, slog.New(slog.DiscardHandler))
		if err != nil {
			panic(err)
		}
		links <- l
		greeted, err := net.Dial("tcp", l.system.Address()) // once it greets, it looks at the logger no more
		if err != nil {
			panic(err)
		}
		if _, err := greeted.Read(make([]byte, 1)); err != nil {
			panic(err)
		}
		if _, err := greeted.Write(preface); err != nil { // else the node turns away who says nothing for 5 s, and logs
			panic(err)
		}
		greetings = append(greetings, greeted)
	}
	for _, c := range greetings { // what they write comes after all that was set, and is read before the next look
		if _, err := c.Write(make([]byte, 64)); err != nil {
			panic(err)
		}
		c.Close()
	}
	code := m.Run()
	for range len(links) {
		(<-links).Close()
	}
	for deadline := time.Now().Add(time.Minute); ; { // remote's pause after a failed dial is 2 s
		err := goleak.Find()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(code)
}

// virtual is a clock and a scheduler in one goroutine: time passes only by advance, and what is ready runs in an order
// that its seed decides.
type virtual struct {
	now    time.Time
	luck   *rand.Rand
	ready  []func()
	timers []*virtualTimer
}

type virtualTimer struct {
	at   time.Time
	f    func()
	done bool
}

func newVirtual(seed uint64) *virtual {
	return &virtual{now: time.Unix(1_700_000_000, 0), luck: rand.New(rand.NewPCG(seed, 1))}
}

func (v *virtual) Now() time.Time   { return v.now }
func (v *virtual) Run(f func())     { v.ready = append(v.ready, f) }
func (v *virtual) Offload(f func()) { v.Run(f) }

func (v *virtual) AfterFunc(d time.Duration, f func()) func() bool {
	t := &virtualTimer{at: v.now.Add(d), f: f}
	v.timers = append(v.timers, t)
	return func() bool {
		was := t.done
		t.done = true
		return !was
	}
}

// settle runs everything that is ready.
func (v *virtual) settle() {
	for len(v.ready) > 0 {
		i := v.luck.IntN(len(v.ready))
		f := v.ready[i]
		v.ready = slices.Delete(v.ready, i, i+1)
		f()
	}
}

// advance lets time pass, timer by timer.
func (v *virtual) advance(d time.Duration) {
	end := v.now.Add(d)
	for {
		v.settle()
		v.timers = slices.DeleteFunc(v.timers, func(t *virtualTimer) bool { return t.done })
		var next *virtualTimer
		for _, t := range v.timers {
			if !t.at.After(end) && (next == nil || t.at.Before(next.at)) {
				next = t
			}
		}
		if next == nil {
			break
		}
		next.done = true
		if next.at.After(v.now) {
			v.now = next.at
		}
		next.f()
	}
	v.now = end
}

// real is the process's own clock and scheduler.
type real struct{}

func (real) Now() time.Time   { return time.Now() }
func (real) Run(f func())     { go f() }
func (real) Offload(f func()) { go f() }
func (real) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

// actorsHere stands for the actors of a node: it keeps what it is given, and echoes if told to.
type actorsHere struct {
	mu   sync.Mutex
	got  []*actors.Envelope
	hear func(*actors.Envelope) // instead of keeping
}

func (h *actorsHere) Deliver(e *actors.Envelope) {
	if h.hear != nil {
		h.hear(e)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, e)
}

func (h *actorsHere) Placement(k actors.KindName) (actors.Placement, bool) {
	switch k {
	case "player":
		return actors.Placement{Role: "game"}, true
	case "login":
		return actors.Placement{Role: "game", How: actors.Workers}, true
	case "host":
		return actors.Placement{Role: "game", How: actors.PerNode}, true
	case "whisper":
		return actors.Placement{Role: "gate", How: actors.PerSession}, true
	case "keeper":
		return actors.Placement{Role: "persist", ByShard: true}, true
	}
	return actors.Placement{}, false
}

// count is how many were delivered since the last take.
func (h *actorsHere) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.got)
}

// take returns what was delivered, and forgets it.
func (h *actorsHere) take() []*actors.Envelope {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := h.got
	h.got = nil
	return got
}

// node is one node of a test's cluster.
type node struct {
	*Cluster
	*actorsHere
	name string
}

// town is a whole cluster in one goroutine.
type town struct {
	*virtual
	t        *testing.T
	registry *Memory
	network  *Network
	lives    uint64
}

func newTown(t *testing.T, seed uint64) *town {
	v := newVirtual(seed)
	return &town{virtual: v, t: t, registry: NewMemory(v, v, DefaultLease), network: NewNetwork(v)}
}

// join starts a node. Its address is its name.
func (w *town) join(name string, roles ...string) *node {
	w.t.Helper()
	w.lives++
	n := &node{actorsHere: &actorsHere{}, name: name}
	incarnation := w.lives
	var err error
	n.Cluster, err = New(Options{
		Self:     Member{Name: name, Incarnation: incarnation, Roles: roles},
		Shards:   16,
		Expected: map[string]int{"game": 2},
		Registry: w.registry.Node(), Carrier: w.network.Node(name),
		Clock: w, Scheduler: w, Log: slog.New(slog.NewTextHandler(logTo(), nil)).With("node", name),
		Draw:     func() uint64 { return 7 },
		Outbound: 64 << 10, Questions: 50, Parking: 50,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := n.Start(context.Background(), n.actorsHere); err != nil {
		w.t.Fatal(err)
	}
	w.settle()
	return n
}

func logTo() io.Writer {
	if os.Getenv("CLUSTER_LOG") != "" {
		return os.Stderr
	}
	return io.Discard
}

// owned is an id of a player that the node owns, by what the node itself sees.
func owned(t *testing.T, n *node) string {
	t.Helper()
	for i := range 1000 {
		id := fmt.Sprint(i)
		epoch, hold := n.Tenure("game", actors.KindName("player").Ref(id).Shard(n.Shards()))
		if hold == actors.Held && epoch > 0 {
			return id
		}
	}
	t.Fatalf("%s owns nothing", n.name)
	return ""
}

// request is a client's request to a player, from a session at the node.
func request(at *node, id string, n uint64) *actors.Envelope {
	session := actors.SessionRef(at.name, wire.JSON, at.Self().Incarnation, 1)
	return &actors.Envelope{Type: actors.Message, To: actors.KindName("player").Ref(id), From: session,
		Session: session, Number: 100, Request: n, Body: []byte(`{}`)}
}

// shares counts the shards of a role by owner.
func shares(v *View, role string) map[string]int {
	s := map[string]int{}
	for _, o := range v.Roles[role].Owners {
		s[o.Name]++
	}
	return s
}

// lives reports whether this incarnation stands in the view.
func (v *View) lives(incarnation uint64) bool {
	return slices.ContainsFunc(v.Members, func(m Member) bool { return m.Incarnation == incarnation })
}
