package client_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate/client"
)

// ends waits for a client's end.
func ends(t *testing.T, c *client.Client) {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(patient):
		t.Fatal("the client has not ended")
	}
}

func TestASessionOutlivesItsConnections(t *testing.T) {
	t.Parallel()
	h, l := newHost(t), &listener{}
	o := l.options(client.Resume)
	o.Ticket = "mine"
	c := dial(t, h.address(), o)
	for round := range 3 {
		if err := converse(c, 10*round, 10); err != nil {
			t.Fatal(err)
		}
		h.cut()
	}
	if err := converse(c, 30, 2); err != nil {
		t.Fatal(err)
	}
	l.counts(t, 32)
	h.asked(32)
	if c.Err() != nil || c.Counts().Resumes != 3 || c.Welcome().Session != "s1" {
		t.Errorf("%v, %+v, %+v", c.Err(), c.Counts(), c.Welcome())
	}
	want := []client.State{client.Connected, client.Lost, client.Resumed, client.Lost, client.Resumed, client.Lost,
		client.Resumed}
	if is := l.states(); !slices.Equal(is, want) {
		t.Errorf("the changes were %v", is)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, hello := range h.hellos {
		r := hello.Resume
		if i == 0 && (r != nil || hello.Ticket != "mine") {
			t.Errorf("the first Hello was %+v", hello)
		}
		if i > 0 && (r.Session != "s1" || r.Token != "t"+string(rune('0'+i)) || hello.Ticket != "") {
			t.Errorf("Hello %d was %+v, for %+v", i, hello, r)
		}
	}
}

func TestWhatIsSaidWithoutAConnectionWaitsForIt(t *testing.T) {
	t.Parallel()
	h, l := newHost(t), &listener{}
	o := l.options(client.Resume)
	o.Backlog = 20
	c := dial(t, h.address(), o)
	back := make(chan bool)
	h.mood = func(n int) bool { // under the host's lock
		h.mu.Unlock()
		defer h.mu.Lock()
		return <-back
	}
	h.cut()
	until(t, "the connection to be missed", func() bool { return len(l.states()) > 1 })
	for i := range 19 {
		if err := c.Send(&ask{i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	last := calls(c, &ask{20})
	until(t, "the call to be queued", func() bool { return c.Open() == 1 })
	if err := c.Send(&ask{21}); !errors.Is(err, client.ErrFull) {
		t.Errorf("beyond the bound: %v", err)
	}
	if _, err := c.Call(t.Context(), &ask{21}); !errors.Is(err, client.ErrFull) {
		t.Errorf("a call beyond the bound: %v", err)
	}
	for range 3 {
		back <- false
	}
	back <- true
	if err := <-last; err != nil {
		t.Error(err)
	}
	l.counts(t, 20)
	h.asked(20)
	lost := 0
	for _, change := range l.changes {
		if change.State == client.Lost {
			if change.Failed != lost || change.Err == nil {
				t.Errorf("attempt %d is told as %+v", lost, change)
			}
			lost++
		}
	}
	if lost != 4 {
		t.Errorf("%d attempts were told of", lost)
	}
}

// lose makes a client with one request that was sent and one that was not, and its gate forget it.
func lose(t *testing.T, p client.Policy) (h *host, l *listener, c *client.Client, sent, unsent <-chan error) {
	t.Helper()
	h, l = newHost(t), &listener{}
	back := make(chan bool)
	o := l.options(p)
	o.Ticket = "mine"
	c = dial(t, h.address(), o)
	h.mood = func(int) bool {
		h.mu.Unlock()
		defer h.mu.Lock()
		return <-back
	}
	sent = calls(c, &deed{}) // which no host answers
	until(t, "the deed to leave", func() bool { return c.Open() == 1 })
	if err := c.Send(&ask{1}); err != nil {
		t.Fatal(err)
	}
	until(t, "the deed to have left", func() bool { return len(l.heard()) > 0 })
	h.mu.Lock()
	h.gone = "SESSION_UNKNOWN: who are you?"
	h.mu.Unlock()
	h.cut()
	until(t, "the connection to be missed", func() bool { return slices.Contains(l.states(), client.Lost) })
	unsent = calls(c, &ask{2})
	until(t, "the call to be queued", func() bool { return c.Open() == 2 })
	back <- true
	h.mu.Lock()
	h.mood = func(int) bool { return true }
	h.mu.Unlock()
	return h, l, c, sent, unsent
}

func (l *listener) heard() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pushed
}

func TestCallsOfASessionThatIsGoneSayWhetherTheyWereSent(t *testing.T) {
	t.Parallel()
	for _, p := range []client.Policy{client.Resume, client.Return} {
		_, _, c, sent, unsent := lose(t, p)
		var gone *client.Gone
		if err := <-sent; !errors.As(err, &gone) || !gone.Sent || gone.Session != "s1" ||
			!strings.Contains(err.Error(), "who are you?; what became of the request is not known") {
			t.Errorf("what was sent: %v", err)
		}
		if err := <-unsent; !errors.As(err, &gone) || gone.Sent {
			t.Errorf("what was not sent: %v", err)
		}
		if c.Open() != 0 {
			t.Errorf("%d calls wait", c.Open())
		}
	}
}

func TestAClientThatResumesEndsWithItsSession(t *testing.T) {
	t.Parallel()
	_, _, c, _, _ := lose(t, client.Resume)
	ends(t, c)
	var gone *client.Gone
	if err := c.Err(); !errors.As(err, &gone) {
		t.Errorf("it ended with %v", err)
	}
	if err := c.Send(&ask{3}); !errors.As(err, &gone) {
		t.Errorf("and then: %v", err)
	}
}

func TestAClientThatReturnsBeginsASessionOfItsOwn(t *testing.T) {
	t.Parallel()
	h, l, c, sent, unsent := lose(t, client.Return)
	<-sent
	<-unsent
	l.mu.Lock()
	l.pushed = nil
	l.mu.Unlock()
	if err := converse(c, 0, 5); err != nil {
		t.Fatal(err)
	}
	l.counts(t, 5)
	h.asked(5)
	h.cut()
	if err := converse(c, 5, 2); err != nil {
		t.Fatal(err)
	}
	l.counts(t, 7)
	h.asked(7)
	var gone *client.Gone
	last := l.changes[2]
	if is := l.states(); !slices.Equal(is, []client.State{client.Connected, client.Lost, client.Anew, client.Lost,
		client.Resumed}) || last.Session != "s2" || !errors.As(last.Err, &gone) || gone.Session != "s1" {
		t.Errorf("the changes were %v", l.changes)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if hello := h.hellos[1]; hello.Ticket != "mine" || hello.Resume == nil || hello.Resume.Received != 1 {
		t.Errorf("it came back with %+v", hello)
	}
}

func TestTheGatesAdviceIsFollowed(t *testing.T) {
	t.Parallel()
	for number, want := range map[wire.CloseNumber]struct {
		returns bool
		least   time.Duration
	}{
		wire.CloseRestarting: {true, 0},
		wire.CloseSlowClient: {true, 500 * time.Millisecond},
		wire.CloseTakenOver:  {false, 0},
		4711:                 {false, 0},
	} {
		t.Run(number.String(), func(t *testing.T) {
			t.Parallel()
			h, l := newHost(t), &listener{}
			c := dial(t, h.address(), l.options(client.Return))
			h.says(wire.NumberClose, 0, wire.Close{Code: number.String(), Number: number})
			if !want.returns {
				ends(t, c)
				closed := (*client.Closed)(nil)
				if err := c.Err(); !errors.As(err, &closed) || closed.Number != number {
					t.Errorf("it ended with %v", err)
				}
				return
			}
			h.cut()
			if err := converse(c, 0, 1); err != nil {
				t.Error(err)
			}
			if lost := l.changes[1]; lost.State != client.Lost || lost.Wait < want.least || lost.Wait > time.Second {
				t.Errorf("it was told %v", lost)
			}
		})
	}
}

func TestNoMoreIsUnderWayThanTheWindowHolds(t *testing.T) {
	t.Parallel()
	h, l := newHost(t), &listener{}
	h.silent = true
	c := dial(t, h.address(), l.options(client.Resume))
	for i := range 300 {
		if err := c.Send(&ask{i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the window", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.pings == 4 })
	h.asked(256)
	h.says(wire.NumberPong, 1, wire.Pong{Received: 200})
	l.counts(t, 300)
	h.asked(300)
	h.cut()
	if err := converse(c, 300, 1); err != nil {
		t.Fatal(err)
	}
	l.counts(t, 301)
	h.asked(301)
}

func TestAClientWithoutAPolicyAcknowledgesTooAndIsNotHeldUp(t *testing.T) {
	t.Parallel()
	h, l := newHost(t), &listener{}
	h.silent = true
	c := dial(t, h.address(), l.options(client.Once))
	for i := range 300 {
		if err := c.Send(&ask{i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	l.counts(t, 300)
	h.mu.Lock()
	pings := h.pings
	h.mu.Unlock()
	if pings != 4 {
		t.Errorf("%d pings after 300 frames", pings)
	}
	h.cut()
	ends(t, c)
	if err := c.Send(&ask{1}); err == nil {
		t.Error("it has not ended with its connection")
	}
}

func TestAClientGivesUpAndSaysWhatItMet(t *testing.T) {
	t.Parallel()
	h, l := newHost(t), &listener{}
	o := l.options(client.Return)
	o.GiveUp, o.Luck = 300*time.Millisecond, func() float64 { return 0.9 }
	c := dial(t, h.address(), o)
	waiting := calls(c, &deed{})
	h.Close()
	h.cut()
	if err := <-waiting; err == nil || !strings.Contains(err.Error(), "gave up after") ||
		!strings.Contains(err.Error(), "connection refused") {
		t.Errorf("it ended with %v", err)
	}
}

func TestCloseEndsAClientThatTriesToComeBack(t *testing.T) {
	t.Parallel()
	h, l := newHost(t), &listener{}
	o := l.options(client.Return)
	o.Luck = func() float64 { return 0.99 }
	c := dial(t, h.address(), o)
	waiting := calls(c, &deed{})
	until(t, "the call", func() bool { return c.Open() == 1 })
	h.Close()
	h.cut()
	until(t, "some attempts", func() bool { return len(l.states()) > 3 })
	c.Close()
	if err := <-waiting; !errors.Is(err, client.ErrClosed) {
		t.Errorf("the call ended with %v", err)
	}
}

// A gate that says what cannot be is left alone: another connection would not help.
func TestAGateThatContradictsItselfIsLeft(t *testing.T) {
	t.Parallel()
	h, l := newHost(t), &listener{}
	c := dial(t, h.address(), l.options(client.Return))
	if err := converse(c, 0, 1); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	h.received = 7
	h.mu.Unlock()
	h.cut()
	ends(t, c)
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "it has 7 frames, and was sent 1") {
		t.Errorf("it ended with %v", err)
	}
}

func TestACallerWhoGoesAwayIsNotAnsweredAfterAResume(t *testing.T) {
	t.Parallel()
	h, l := newHost(t), &listener{}
	c := dial(t, h.address(), l.options(client.Resume))
	h.cut()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Call(ctx, &ask{1}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	until(t, "the late answer", func() bool { return c.Counts().Abandoned == 1 })
	if c.Counts().Crossed != 0 || c.Open() != 0 {
		t.Errorf("%+v", c.Counts())
	}
}
