package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type ask struct{ N int }
type told struct{ N int }
type deed struct{}

var messages = wire.Messages(wire.In[*ask](100), wire.Out[*told](200), wire.In[*deed](101))

const patient = 10 * time.Second

// A liar is a gate that says what the test wants, true or not.
type liar struct {
	t *testing.T
	net.Conn
}

// meet connects a client to a liar that has said Welcome.
func meet(t *testing.T, o client.Options) (*client.Client, *liar) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	came := make(chan *liar, 1)
	go func() {
		defer close(came)
		c, err := l.Accept()
		if err != nil {
			return
		}
		g := &liar{t, c}
		h, body := g.hears()
		if h.Number != wire.NumberHello || !strings.Contains(body, `"version":2`) {
			t.Errorf("the client began with %+v %s", h, body)
		}
		g.says(0, wire.NumberWelcome, 1, wire.Welcome{Session: "s", Codec: "json", Received: 0})
		came <- g
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	o.Catalogue = messages
	c, err := client.Dial(ctx, "tcp://"+l.Addr().String(), o)
	if err != nil {
		t.Fatal(err)
	}
	g := <-came
	t.Cleanup(func() { c.Close(); g.Close() })
	return c, g
}

func (g *liar) says(flags wire.Flags, number, seq uint32, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		g.t.Error(err)
	}
	if _, err := g.Write(wire.AppendFrame(nil, flags, number, seq, b)); err != nil {
		g.t.Error(err)
	}
}

func (g *liar) hears() (wire.Header, string) {
	head := make([]byte, wire.HeaderSize)
	_ = g.SetReadDeadline(time.Now().Add(patient))
	if _, err := io.ReadFull(g, head); err != nil {
		g.t.Errorf("the gate reads: %v", err)
		return wire.Header{}, ""
	}
	h, err := wire.ParseHeader(head, wire.MaxBody)
	body := make([]byte, h.Length)
	if _, err2 := io.ReadFull(g, body); err != nil || err2 != nil {
		g.t.Errorf("the gate reads: %v, %v", err, err2)
	}
	return h, string(body)
}

// calls asks in the background, and what came of it.
func calls(c *client.Client, msg any) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := within(c, msg)
		done <- err
	}()
	return done
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patient); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for: %s", patient, what)
		}
	}
}

func TestACallReturnsItsOwnAnswer(t *testing.T) {
	t.Parallel()
	var took time.Duration
	c, g := meet(t, client.Options{Answered: func(n uint32, d time.Duration) { took += d }})
	first := calls(c, &ask{1})
	h1, _ := g.hears()
	second := calls(c, &ask{2})
	h2, _ := g.hears()
	third := calls(c, &deed{})
	h3, _ := g.hears()
	if h1.Seq == 0 || h2.Seq <= h1.Seq || h3.Seq <= h2.Seq {
		t.Errorf("seqs do not rise: %d %d %d", h1.Seq, h2.Seq, h3.Seq)
	}
	g.says(wire.FlagError, 100, h2.Seq, wire.Error{Code: "POOR", Text: "no gold", RetryAfter: 5})
	g.says(0, 200, h1.Seq, told{1})
	if _, err := g.Write(wire.AppendFrame(nil, 0, 101, h3.Seq, nil)); err != nil {
		t.Fatal(err)
	}
	if err := <-second; !errors.Is(err, actors.Code("POOR")) {
		t.Errorf("the second: %v", err)
	}
	if err := <-first; err != nil {
		t.Errorf("the first: %v", err)
	}
	if err := <-third; err != nil {
		t.Errorf("an empty result: %v", err)
	}
	if n := c.Counts(); n.Crossed != 0 || n.Replies != 2 || n.Refusals != 1 || c.Open() != 0 {
		t.Errorf("%+v", n)
	}
	if took <= 0 {
		t.Error("nobody was told how long it took")
	}
}

func TestATypedCallWantsItsType(t *testing.T) {
	t.Parallel()
	c, g := meet(t, client.Options{})
	go func() {
		for range 2 {
			h, _ := g.hears()
			g.says(0, 200, h.Seq, told{7})
		}
	}()
	if r, err := client.Call[*told](t.Context(), c, &ask{}); err != nil || r.N != 7 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := client.Call[*ask](t.Context(), c, &ask{}); err == nil {
		t.Error("a reply of another type was taken")
	}
	if _, err := c.Call(t.Context(), &struct{}{}); err == nil {
		t.Error("a message without a number was sent")
	}
}

func TestRepliesThatNobodyAskedForAreCountedAsCrossed(t *testing.T) {
	t.Parallel()
	c, g := meet(t, client.Options{})
	done := calls(c, &ask{1})
	h, _ := g.hears()
	g.says(0, 200, h.Seq+5, told{1})                                         // never asked
	g.says(0, 200, h.Seq, told{1})                                           // right
	g.says(0, 200, h.Seq, told{1})                                           // twice
	g.says(0, 4711, 0, told{1})                                              // a push of no number
	g.says(wire.FlagError, wire.NumberError, 0, wire.Error{Code: "BAD_SEQ"}) // names no request
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	until(t, "the stray error", func() bool { return c.Stray() != nil })
	if n := c.Counts(); n.Crossed != 3 || n.Strays != 1 || c.Stray().Code != actors.BadSeq {
		t.Errorf("%+v", n)
	}
	other := calls(c, &ask{2})
	h, _ = g.hears()
	g.says(wire.FlagError, 101, h.Seq, wire.Error{Code: "POOR"}) // under another number
	until(t, "the crossed refusal", func() bool { return c.Counts().Crossed == 4 })
	c.Close()
	if err := <-other; !errors.Is(err, client.ErrClosed) {
		t.Errorf("a call at the end: %v", err)
	}
}

func TestAnAnswerAfterItsCallerHasGoneIsNotCrossed(t *testing.T) {
	t.Parallel()
	c, g := meet(t, client.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Call(ctx, &ask{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	h, _ := g.hears()
	g.says(0, 200, h.Seq, told{})
	until(t, "the late answer", func() bool { return c.Counts().Abandoned == 1 })
	if c.Counts().Crossed != 0 {
		t.Error("it was counted as crossed")
	}
}

func TestPushesComeInOrderAndWhatFindsNoRoomIsCounted(t *testing.T) {
	t.Parallel()
	c, g := meet(t, client.Options{Queue: 3})
	for i := range 5 {
		g.says(0, 200, 0, told{i})
	}
	until(t, "all of them", func() bool { return c.Counts().Pushes == 5 })
	for i := range 3 {
		if m := <-c.Pushes(); m.(*told).N != i {
			t.Errorf("push %d is %v", i, m)
		}
	}
	if n := c.Counts().Dropped; n != 2 {
		t.Errorf("%d were dropped", n)
	}
	got := make(chan any, 1)
	_, g2 := meet(t, client.Options{Push: func(m any) { got <- m }})
	g2.says(0, 200, 0, told{9})
	if m := <-got; m.(*told).N != 9 {
		t.Errorf("the handler got %v", m)
	}
}

func TestAPingIsAnsweredWithWhatWasReceived(t *testing.T) {
	t.Parallel()
	c, g := meet(t, client.Options{})
	g.says(0, 200, 0, told{})
	g.says(0, wire.NumberPing, 4, wire.Ping{})
	if h, body := g.hears(); h.Number != wire.NumberPong || h.Seq != 4 || body != `{"received":1}` {
		t.Errorf("%+v %s", h, body)
	}
	if err := c.Send(&ask{3}); err != nil {
		t.Fatal(err)
	}
	if h, body := g.hears(); h.Seq != 0 || body != `{"N":3}` {
		t.Errorf("%+v %s", h, body)
	}
}

func TestAClosedClientSaysWhy(t *testing.T) {
	t.Parallel()
	c, g := meet(t, client.Options{})
	waiting := calls(c, &ask{})
	g.hears()
	g.says(0, wire.NumberClose, 0, wire.Close{Code: "TAKEN_OVER", Number: wire.CloseTakenOver})
	var closed *client.Closed
	if err := <-waiting; !errors.As(err, &closed) || closed.Number != wire.CloseTakenOver {
		t.Errorf("the call: %v", err)
	}
	<-c.Done()
	if _, open := <-c.Pushes(); open {
		t.Error("pushes go on")
	}
	if _, err := c.Call(t.Context(), &ask{}); !errors.As(err, &closed) {
		t.Errorf("a later call: %v", err)
	}
}

func TestDialGivesUpWithItsContextAndNamesTheAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // accepts nothing, so Welcome never comes
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	deaf := "tcp://" + l.Addr().String()
	for _, address := range []string{deaf, "http://x", "::", "tcp://127.0.0.1:1"} {
		if _, err := client.Dial(ctx, address, client.Options{Catalogue: messages}); err == nil ||
			!strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestABotPausesUntilItsRunOrItsConnectionEnds(t *testing.T) {
	t.Parallel()
	c, g := meet(t, client.Options{})
	run, stop := context.WithCancel(t.Context())
	b := &client.Bot{Client: c, Rand: rand.New(rand.NewPCG(1, 2)), Until: run}
	if !b.Pause(time.Millisecond) {
		t.Error("a pause was cut short")
	}
	stop()
	if b.Pause(time.Hour) {
		t.Error("the run is over")
	}
	b.Until = t.Context()
	g.Close()
	if b.Pause(time.Hour) {
		t.Error("the connection is gone")
	}
}
