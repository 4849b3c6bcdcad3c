package ts_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// This file is the real gate that the TypeScript tests play at, and the small game behind it, which keeps an account
// of all that was said to it.

const (
	door   actors.KindName = "door"
	player actors.KindName = "player"
)

// The messages, as test/stage.js has them.
type (
	ask     struct{ N int }
	deed    struct{ N int }
	enter   struct{ Name string }
	recount struct{}
	fall    struct{ Code string }
	told    struct {
		N int `json:"n"`
	}
	account struct {
		Heard []int `json:"heard"` // the n of every ask and deed, in order
	}
)

var messages = wire.Messages(
	wire.In[*ask](100), wire.In[*deed](101), wire.In[*enter](102).Public(), wire.In[*recount](103), wire.In[*fall](104),
	wire.Out[*told](200), wire.Out[*told2](201), wire.Out[*account](203),
)

type told2 told // what a deed is answered with: a push

// poor refuses an ask below 0.
const poor actors.Code = "POOR"

// A house is a gate with real sockets, and the cluster behind it.
type house struct {
	t       *testing.T
	gate    *gate.Gate
	server  *gate.Server
	workers sync.WaitGroup

	mu       sync.Mutex
	sessions map[actors.Ref]func(*actors.Envelope)
	heard    map[actors.Ref][]int // by player
}

// newHouse opens one; the test's end closes it.
func newHouse(t *testing.T, change func(*gate.Limits)) *house {
	t.Helper()
	h := &house{t: t, sessions: map[actors.Ref]func(*actors.Envelope){}, heard: map[actors.Ref][]int{}}
	o := gate.Options{Node: "gate-1", Incarnation: uint64(time.Now().UnixNano()), Catalogue: messages, Backend: h,
		Clock: clock{}, Scheduler: h, Limits: gate.DefaultLimits(), Draw: rand.Uint64}
	change(&o.Limits)
	var err error
	if h.gate, err = gate.New(o); err != nil {
		t.Fatal(err)
	}
	any := gate.Sockets{Listeners: []gate.Listener{{Scheme: gate.TCP, Address: "127.0.0.1:0"},
		{Scheme: gate.WS, Address: "127.0.0.1:0"}}}
	if h.server, err = gate.Serve(h.gate, any); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.server.Stop(ctx); err != nil {
			t.Errorf("stopping the gate: %v", err)
		}
		h.workers.Wait()
	})
	return h
}

type clock struct{}

func (clock) Now() time.Time { return time.Now() }

func (clock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

func (h *house) Run(f func())     { h.workers.Go(f) }
func (h *house) Offload(f func()) { h.workers.Go(f) }

func (h *house) Attach(session actors.Ref, deliver func(*actors.Envelope)) (detach func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions[session] = deliver
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.sessions, session)
	}
}

func (h *house) Handles(number uint32) (actors.KindName, bool) {
	switch number {
	case 102:
		return door, true
	case 100, 101, 103, 104:
		return player, true
	}
	return "", false
}

// deliver is the way to a session; one that has ended hears nothing.
func (h *house) deliver(e *actors.Envelope) {
	h.mu.Lock()
	to := h.sessions[e.To]
	h.mu.Unlock()
	if to != nil {
		to(e)
	}
}

// Route is the game: what a client says is done here and now.
func (h *house) Route(e *actors.Envelope) {
	switch e.Number {
	case 100:
		var m ask
		h.read(e, &m)
		if m.N < 0 {
			h.deliver(e.Refuse(&actors.Refusal{Code: poor, Text: "no gold"}))
			return
		}
		h.note(e.To, m.N)
		h.answer(e, 200, told(m))
	case 101:
		var m deed
		h.read(e, &m)
		h.note(e.To, m.N)
		h.deliver(&actors.Envelope{Type: actors.Message, To: e.Session, From: e.To, Number: 201, Codec: wire.JSON,
			Body: h.body(told(m))})
		h.deliver(e.Answer(0, 0, nil))
	case 102:
		var m enter
		h.read(e, &m)
		h.deliver(actors.RuntimeMessage(door.Ref("1"), e.Session,
			&actors.BindOrder{To: player.Ref(m.Name), Login: true}))
		h.deliver(e.Answer(0, 0, nil))
	case 103:
		h.mu.Lock()
		all := account{h.heard[e.To]}
		h.mu.Unlock()
		h.answer(e, 203, all)
	case 104:
		var m fall
		h.read(e, &m)
		h.gate.Kick(e.Session, actors.Code(m.Code), "thrown out")
	}
}

func (h *house) note(who actors.Ref, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard[who] = append(h.heard[who], n)
}

func (h *house) answer(e *actors.Envelope, number uint32, m any) {
	h.deliver(e.Answer(number, wire.JSON, h.body(m)))
}

func (h *house) read(e *actors.Envelope, into any) {
	if err := json.Unmarshal(e.Body, into); err != nil {
		h.t.Errorf("number %d: %v", e.Number, err)
	}
}

func (h *house) body(m any) []byte {
	b, err := json.Marshal(m)
	if err != nil {
		h.t.Error(err)
	}
	return b
}
