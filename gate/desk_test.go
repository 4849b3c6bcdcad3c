package gate_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// This file is what the tests of sessions stand on: a gate without sockets, a clock that the test
// moves, a cluster that notes what reaches it.

type enter struct {
	Name string `json:"name"`
}
type say struct {
	Text string `json:"text"`
}
type hurry struct{}
type knock struct{}
type orphan struct{}
type pay struct {
	Text string `json:"text"`
}
type said struct {
	Text string `json:"text"`
}
type moved struct {
	X int `json:"x"`
}
type secret struct{}

var messages = wire.Messages(
	wire.In[*enter](101).Public(),
	wire.In[*say](110),
	wire.In[*hurry](111).Within(300*time.Millisecond),
	wire.In[*knock](112).Rate(2, time.Minute),
	wire.In[*orphan](113),
	wire.In[*pay](114).Retry(),
	wire.In[*wrapperspb.StringValue](115),
	wire.Out[*said](201),
	wire.Out[*moved](202).Lossy(),
	wire.Out[*wrapperspb.Int64Value](203),
	wire.Internal[*secret](300),
)

const (
	door   actors.KindName = "door"
	player actors.KindName = "player"
	room   actors.KindName = "room"
)

// A cluster notes what is routed. If then is set it may answer at once, as a real one may.
type cluster struct {
	mu       sync.Mutex
	routed   []*actors.Envelope
	sessions map[actors.Ref]func(*actors.Envelope)
	then     func(e *actors.Envelope)
}

func newCluster() *cluster {
	return &cluster{sessions: map[actors.Ref]func(*actors.Envelope){}}
}

func (c *cluster) Route(e *actors.Envelope) {
	c.mu.Lock()
	c.routed = append(c.routed, e)
	then := c.then
	c.mu.Unlock()
	if then != nil {
		then(e)
	}
}

func (c *cluster) Attach(ref actors.Ref, deliver func(*actors.Envelope)) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[ref] = deliver
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.sessions, ref)
	}
}

func (c *cluster) Handles(number uint32) (actors.KindName, bool) {
	switch number {
	case 101:
		return door, true
	case 110, 111, 112, 114, 115, 201, 300: // actors may send each other what clients may not
		return player, true
	}
	return "", false
}

// deliver hands an envelope to its session or sessions; false if one is not there.
func (c *cluster) deliver(e *actors.Envelope) bool {
	to := e.Fan
	if len(to) == 0 {
		to = []actors.Ref{e.To}
	}
	all := true
	for _, ref := range to {
		c.mu.Lock()
		f := c.sessions[ref]
		c.mu.Unlock()
		if f == nil {
			all = false
			continue
		}
		f(e)
	}
	return all
}

// take returns what was routed since the last call.
func (c *cluster) take() []*actors.Envelope {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.routed
	c.routed = nil
	return all
}

// A clock stands still until the test moves it.
type clock struct {
	now    time.Time
	timers []*alarm
}

type alarm struct {
	at time.Time
	f  func()
}

func (c *clock) Now() time.Time { return c.now }

func (c *clock) AfterFunc(d time.Duration, f func()) func() bool {
	a := &alarm{c.now.Add(d), f}
	c.timers = append(c.timers, a)
	return func() bool {
		i := slices.Index(c.timers, a)
		if i >= 0 {
			c.timers = slices.Delete(c.timers, i, i+1)
		}
		return i >= 0
	}
}

func (c *clock) advance(d time.Duration) {
	for end := c.now.Add(d); ; {
		next := -1
		for i, a := range c.timers {
			if !a.at.After(end) && (next < 0 || a.at.Before(c.timers[next].at)) {
				next = i
			}
		}
		if next < 0 {
			c.now = end
			return
		}
		a := c.timers[next]
		c.timers = slices.Delete(c.timers, next, next+1)
		if a.at.After(c.now) {
			c.now = a.at
		}
		a.f()
	}
}

// inline runs everything at once.
type inline struct{ held []func() }

func (i *inline) Run(f func())     { f() }
func (i *inline) Offload(f func()) { i.held = append(i.held, f) }

func (i *inline) work() {
	for len(i.held) > 0 {
		f := i.held[0]
		i.held = i.held[1:]
		f()
	}
}

// A desk is a gate on a test's table.
type desk struct {
	t       *testing.T
	gate    *gate.Gate
	cluster *cluster
	clock   *clock
	offload *inline
	drawn   uint64
}

// draw is luck that a test can foresee.
func (d *desk) draw() uint64 {
	d.drawn++
	return d.drawn
}

func newDesk(t *testing.T, change func(*gate.Options)) *desk {
	t.Helper()
	d := &desk{t: t, cluster: newCluster(), offload: new(inline),
		clock: &clock{now: time.UnixMilli(1_700_000_000_000)}}
	o := gate.Options{Node: "gate-1", Incarnation: 7, Catalogue: messages, Backend: d.cluster,
		Clock: d.clock, Scheduler: d.offload, Limits: gate.DefaultLimits(), Draw: d.draw,
		Listens: func(actors.KindName) bool { return false }}
	if change != nil {
		change(&o)
	}
	g, err := gate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	d.gate = g
	return d
}

// A guest is a client on the desk: a Conn that keeps what it is given.
type guest struct {
	d     *desk
	visit *gate.Visit
	ref   actors.Ref
	wakes int
	cut   bool
	last  *wire.Close
}

func (g *guest) Wake() { g.wakes++ }
func (g *guest) Cut()  { g.cut = true; g.visit.Lost() }

func (d *desk) connect() *guest {
	g := &guest{d: d}
	g.visit = d.gate.Open(g, "10.0.0.1:1")
	return g
}

// enters says Hello and reads Welcome.
func (d *desk) enters() *guest {
	d.t.Helper()
	g := d.connect()
	g.send(wire.NumberHello, 1, wire.Hello{Version: 2})
	got := g.frames()
	if len(got) != 1 || got[0].Number != wire.NumberWelcome {
		d.t.Fatalf("Hello was answered by %v", got)
	}
	var w wire.Welcome
	if err := json.Unmarshal(got[0].body, &w); err != nil {
		d.t.Fatal(err)
	}
	g.ref = actors.SessionKind.Ref(w.Session)
	return g
}

// plays is a guest logged in as player/name.
func (d *desk) plays(name string) *guest {
	d.t.Helper()
	g := d.enters()
	g.order(&actors.BindOrder{To: player.Ref(name), Login: true})
	d.cluster.take()
	return g
}

func (g *guest) send(number, seq uint32, body any) {
	g.d.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		g.d.t.Fatal(err)
	}
	g.visit.Receive(wire.AppendFrame(nil, 0, number, seq, b))
}

func (g *guest) order(msg any) {
	g.visit.Session().Deliver(actors.RuntimeMessage(door.Ref("1"), g.ref, msg))
}

type frame struct {
	wire.Header
	body []byte
}

func (f frame) code() string {
	var e wire.Error
	if f.Flags&wire.FlagError == 0 || json.Unmarshal(f.body, &e) != nil {
		return ""
	}
	return e.Code
}

// frames reads what waits for the client.
func (g *guest) frames() []frame {
	g.d.t.Helper()
	raw, last := g.visit.Take(nil, 1<<30)
	g.last = last
	var all []frame
	for _, b := range raw {
		h, body, rest, err := wire.CutFrame(b, wire.MaxBody)
		if err != nil || len(rest) > 0 {
			g.d.t.Fatalf("the gate wrote no frame: % x (%v)", b, err)
		}
		all = append(all, frame{h, body})
	}
	return all
}

// one reads the one frame that waits.
func (g *guest) one() frame {
	g.d.t.Helper()
	all := g.frames()
	if len(all) != 1 {
		g.d.t.Fatalf("%d frames wait, want one: %v", len(all), all)
	}
	return all[0]
}

// closedWith fails unless the last thing said was this close number.
func (g *guest) closedWith(n wire.CloseNumber) {
	g.d.t.Helper()
	all := g.frames()
	var c wire.Close
	if len(all) > 0 {
		_ = json.Unmarshal(all[len(all)-1].body, &c)
	}
	if g.last == nil || g.last.Number != n || c.Number != n || c.Code != n.String() {
		g.d.t.Fatalf("closed with %+v after %v, want %s", g.last, all, n)
	}
}

func authenticates(who map[string]actors.Ref) func(context.Context, string) (actors.Ref, error) {
	return func(_ context.Context, ticket string) (actors.Ref, error) {
		if ref, ok := who[ticket]; ok {
			return ref, nil
		}
		return actors.Ref{}, actors.Code("NO_SUCH_TICKET").Refuse("%s", ticket)
	}
}
