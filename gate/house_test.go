package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/gate/client"
)

// This file is what the tests through real sockets stand on: a gate that listens, and a small game
// behind it whose answers are what the client asks for.

// patient is how long a test waits for what must happen.
const patient = 10 * time.Second

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
	stop    func()
}

func newHouse(t *testing.T, change func(*gate.Options)) *house {
	t.Helper()
	h := &house{t: t, cluster: newCluster()}
	h.cluster.then = h.game
	o := gate.Options{Node: "gate-1", Incarnation: uint64(time.Now().UnixNano()),
		Catalogue: messages, Backend: h.cluster, Clock: realClock{}, Scheduler: &h.workers,
		Limits: gate.DefaultLimits()}
	o.Limits.Rate, o.Limits.Burst = 1_000_000, 1_000_000 // its own test lowers it
	if change != nil {
		change(&o)
	}
	var err error
	if h.gate, err = gate.New(o); err != nil {
		t.Fatal(err)
	}
	h.server, err = gate.Serve(h.gate, gate.Sockets{TCP: "127.0.0.1:0", WS: "127.0.0.1:0",
		Origins: []string{"friend.example"}})
	if err != nil {
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

// addresses are where the same session is to be had.
func (h *house) addresses() map[string]string {
	return map[string]string{"tcp": "tcp://" + h.server.TCP(), "ws": "ws://" + h.server.WS()}
}

// onBoth runs a test over TCP and over WebSocket, each with a house of its own.
func onBoth(t *testing.T, change func(*gate.Options),
	test func(t *testing.T, h *house, at string)) {
	t.Helper()
	for _, transport := range []string{"tcp", "ws"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, change)
			test(t, h, h.addresses()[transport])
		})
	}
}

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
	case 110:
		var m say
		if json.Unmarshal(e.Body, &m) != nil {
			h.cluster.deliver(e.Refuse(&actors.Refusal{Code: actors.BadBody}))
			return
		}
		h.speak(e, m.Text)
	}
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
	c, err := client.Dial(ctx, at, client.Options{Catalogue: messages, Name: "test/1"})
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
	p, err := client.OpenPipe(ctx, at)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { p.Close() })
	h.within(p.Conn())
	return p
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
func until(t *testing.T, what string, done func() bool) {
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
