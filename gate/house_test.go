package gate_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/gate/client"
)

// This file is what the tests through real sockets stand on: a gate that listens, and a small game
// behind it whose answers are what the client asks for.

// anyPort is a free one of this machine.
const anyPort = "127.0.0.1:0"

// patient is how long a test waits for what must happen.
const patient = 30 * time.Second

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

// workers runs each job in a goroutine and can wait for them.
type workers struct{ sync.WaitGroup }

func (w *workers) Run(f func())     { w.Go(f) }
func (w *workers) Offload(f func()) { w.Go(f) }

// A house is a gate with real sockets.
type house struct {
	t       *testing.T
	gate    *gate.Gate
	server  *gate.Server
	cluster *cluster
	workers workers
	shows   *gate.Certificate
	paper   paper // its files
	log     notes
	stop    func()
}

func newHouse(t *testing.T, change func(*gate.Options), sockets ...func(*gate.Sockets)) *house {
	t.Helper()
	h := &house{t: t, cluster: newCluster(), paper: paper{t, filepath.Join(t.TempDir(), "gate.pem"), ""}}
	h.paper.key = h.paper.cert + ".key"
	h.cluster.then = h.game
	o := gate.Options{Node: "gate-1", Incarnation: uint64(time.Now().UnixNano()),
		Catalogue: messages, Backend: h.cluster, Clock: realClock{}, Scheduler: &h.workers,
		Limits: gate.DefaultLimits(), Draw: rand.Uint64, Log: slog.New(slog.NewTextHandler(&h.log, nil))}
	o.Limits.Rate, o.Limits.Burst = 1_000_000, 1_000_000 // its own test lowers it
	if change != nil {
		change(&o)
	}
	var err error
	if h.gate, err = gate.New(o); err != nil {
		t.Fatal(err)
	}
	h.certify()
	s := gate.Sockets{Origins: []string{"friend.example"}, Certificate: h.shows}
	for _, scheme := range transports {
		s.Listeners = append(s.Listeners, gate.Listener{Scheme: scheme, Address: anyPort})
	}
	for _, change := range sockets {
		change(&s)
	}
	if h.server, err = gate.Serve(h.gate, s); err != nil {
		t.Fatal(err)
	}
	h.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patient)
		defer cancel()
		if err := h.server.Stop(ctx); err != nil {
			t.Errorf("stopping: %v", err)
		}
		h.workers.Wait()
	})
	t.Cleanup(h.stop)
	return h
}

// transports are all ways to come to a gate. What a test says of sessions holds over each.
var transports = []gate.Scheme{gate.TCP, gate.WS, gate.TLS, gate.WSS}

// at is where the same session is to be had over another transport.
func (h *house) at(s gate.Scheme) string { return string(s) + "://" + h.server.Address(s) }

// onAll runs a test over all transports, each with a house of its own.
func onAll(t *testing.T, change func(*gate.Options),
	test func(t *testing.T, h *house, at string)) {
	t.Helper()
	over(t, transports, change, test)
}

// onWebSockets is onAll for what is said below frames.
func onWebSockets(t *testing.T, change func(*gate.Options),
	test func(t *testing.T, h *house, at string)) {
	t.Helper()
	over(t, []gate.Scheme{gate.WS, gate.WSS}, change, test)
}

func over(t *testing.T, schemes []gate.Scheme, change func(*gate.Options),
	test func(t *testing.T, h *house, at string)) {
	t.Helper()
	for _, scheme := range schemes {
		t.Run(string(scheme), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, change)
			test(t, h, h.at(scheme))
		})
	}
}

// inTurn is onAll for what bears nothing beside it.
func inTurn(t *testing.T, test func(t *testing.T, h *house, at string)) {
	t.Helper()
	for _, scheme := range transports {
		t.Run(string(scheme), func(t *testing.T) {
			h := newHouse(t, nil)
			test(t, h, h.at(scheme))
		})
	}
}

// streams reports whether an address takes frames as they are, without WebSocket.
func streams(at string) bool { return strings.HasPrefix(at, "tcp:") || strings.HasPrefix(at, "tls:") }

// game is the cluster's part: what a client says decides what becomes of it.
func (h *house) game(e *actors.Envelope) {
	switch e.Number {
	case 101:
		var m enter
		if json.Unmarshal(e.Body, &m) != nil {
			return
		}
		h.cluster.deliver(actors.RuntimeMessage(door.Ref("1"), e.Session,
			&actors.BindOrder{To: player.Ref(m.Name), Login: true}))
		h.cluster.deliver(e.Answer(0, 0, nil))
	case 115:
		h.measure(e)
	case 110:
		var m say
		if json.Unmarshal(e.Body, &m) != nil {
			h.cluster.deliver(e.Refuse(&actors.Refusal{Code: actors.BadBody}))
			return
		}
		h.speak(e, m.Text)
	}
}

// measure answers a text with its length, in the codec that it came in.
func (h *house) measure(e *actors.Envelope) {
	m, err := messages.ByNumber(115).Decode(e.Codec, e.Body)
	if err != nil {
		h.cluster.deliver(e.Refuse(&actors.Refusal{Code: actors.BadBody, Text: err.Error()}))
		return
	}
	length := wrapperspb.Int64(int64(len(m.(*wrapperspb.StringValue).Value)))
	body, err := messages.ByNumber(203).Encode(e.Codec, length)
	if err != nil {
		h.t.Error(err)
	}
	h.cluster.deliver(e.Answer(203, e.Codec, body))
}

func (h *house) speak(e *actors.Envelope, text string) {
	switch code := actors.Code(text); code {
	case actors.Internal, actors.Panicked, actors.NoReply:
		h.cluster.deliver(e.Refuse(&actors.Refusal{Code: code, Incident: "i-1"}))
	case "silence":
	default:
		body, err := json.Marshal(said{text})
		if err != nil {
			h.t.Error(err)
		}
		if e.Request == 0 {
			h.cluster.deliver(&actors.Envelope{Type: actors.Message, To: e.Session, From: e.To,
				Number: 201, Codec: wire.JSON, Body: body})
			return
		}
		h.cluster.deliver(e.Answer(201, wire.JSON, body))
	}
}

// dial is a client at the address, not logged in.
func (h *house) dial(at string) *client.Client {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	c, err := client.Dial(ctx, at, client.Options{Catalogue: messages, Name: "test/1", Way: trust()})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c
}

// login is a client at the address who plays player/name.
func (h *house) login(at, name string) *client.Client {
	h.t.Helper()
	c := h.dial(at)
	if _, err := h.call(c, &enter{name}); err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *house) call(c *client.Client, msg any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	return c.Call(ctx, msg)
}

// pipe is a connection without a session.
func (h *house) pipe(at string) *client.Pipe {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	p, err := client.OpenPipe(ctx, at, trust())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { p.Close() })
	h.within(p.Conn())
	return p
}

// raw is a connection of bytes, TLS taken off.
func (h *house) raw(at string) net.Conn {
	h.t.Helper()
	scheme, address, _ := strings.Cut(at, "://")
	c, err := net.DialTimeout("tcp", address, patient)
	if err != nil {
		h.t.Fatal(err)
	}
	if scheme == "tls" || scheme == "wss" {
		config := believing()
		config.ServerName = "127.0.0.1"
		c = tls.Client(c, config)
	}
	h.t.Cleanup(func() { c.Close() })
	h.within(c)
	return c
}

// within ends waiting for a connection that says nothing.
func (h *house) within(c net.Conn) {
	h.t.Helper()
	if err := c.SetDeadline(time.Now().Add(patient)); err != nil {
		h.t.Fatal(err)
	}
}

// greet says Hello over a pipe and logs in as player/name.
func (h *house) greet(p *client.Pipe, name string) {
	h.t.Helper()
	h.write(p, wire.AppendFrame(nil, 0, wire.NumberHello, 1, []byte(`{"version":2}`)))
	h.write(p, wire.AppendFrame(nil, 0, 101, 1, []byte(`{"name":"`+name+`"}`)))
	for range 2 {
		if f, _, err := p.Read(); err != nil || f.Flags != 0 {
			h.t.Fatalf("logging in: %+v, %v", f, err)
		}
	}
}

func (h *house) write(p *client.Pipe, b []byte) {
	h.t.Helper()
	if err := p.Write(b); err != nil {
		h.t.Fatal(err)
	}
}

// lastWords reads a pipe to its end and returns the Close that came last.
func lastWords(t *testing.T, p *client.Pipe) (last wire.Close) {
	t.Helper()
	for {
		f, body, err := p.Read()
		if err != nil {
			if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
				t.Error("the connection was not closed")
			}
			if errors.Is(err, syscall.ECONNRESET) {
				t.Error("the connection was reset: last words may get lost")
			}
			return last
		}
		if f.Number == wire.NumberClose {
			if err := json.Unmarshal(body, &last); err != nil {
				t.Error(err)
			}
		}
	}
}

// until polls.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patient); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for: %s", patient, what)
		}
	}
}

func readAll(t *testing.T, c net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("reading to the end: %v", err)
	}
	return string(b)
}
