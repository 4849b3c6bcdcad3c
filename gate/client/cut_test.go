package client_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/fireflyrt/firefly/gate/client"
)

// A scissors is a network that cuts connections after so many bytes.
type scissors struct {
	net.Listener
	target string
	// after says what connection n, from 0, carries up and down before it is cut; less than 0 is
	// for ever.
	after   func(n int) (up, down int64)
	carries sync.WaitGroup

	mu   sync.Mutex
	over bool
	open map[net.Conn]bool
}

func newScissors(t *testing.T, target string, after func(n int) (up, down int64)) *scissors {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scissors{Listener: l, target: target, after: after, open: map[net.Conn]bool{}}
	s.carries.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

func (s *scissors) address() string { return "tcp://" + s.Addr().String() }

func (s *scissors) accept() {
	for n := 0; ; n++ {
		c, err := s.Accept()
		if err != nil {
			return
		}
		g, err := net.Dial("tcp", s.target)
		if err != nil {
			c.Close()
			continue
		}
		if !s.enter(c, g) {
			return
		}
		up, down := s.after(n)
		s.carries.Go(func() { s.carry(g, c, up) })
		s.carries.Go(func() { s.carry(c, g, down) })
	}
}

// enter notes two ends that stop is to close; once it has come they are closed here.
func (s *scissors) enter(c, g net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		c.Close()
		g.Close()
		return false
	}
	s.open[c], s.open[g] = true, true
	return true
}

// carry carries n bytes, and cuts both directions then.
func (s *scissors) carry(to, from net.Conn, n int64) {
	if n < 0 {
		io.Copy(to, from) //nolint:errcheck // whatever ends it
	} else {
		io.CopyN(to, from, n) //nolint:errcheck // whatever ends it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range []net.Conn{to, from} {
		c.Close()
		delete(s.open, c)
	}
}

func (s *scissors) stop() {
	s.Close()
	s.mu.Lock()
	s.over = true
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.carries.Wait()
}

// converse asks n times, every other time without wanting an answer.
func converse(c *client.Client, from, n int) error {
	for i := from + 1; i <= from+n; i++ {
		if i%2 == 0 {
			if err := c.Send(&ask{i}); err != nil {
				return err
			}
			continue
		}
		reply, err := within(c, &ask{i})
		if err != nil {
			return fmt.Errorf("ask %d: %w", i, err)
		}
		if reply.(*told).N != i {
			return fmt.Errorf("ask %d was answered %d", i, reply.(*told).N)
		}
	}
	return nil
}

// within asks and does not wait for ever.
func within(c *client.Client, msg any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	return c.Call(ctx, msg)
}

// asks is how many times a client asks in a conversation that is cut.
const asks = 7

// The first connection is cut after each number of bytes in turn, first of those that go up, then of
// those that come down, until the whole conversation fits.
func TestAConversationThatIsCutAtAnyByteLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, up := range []bool{true, false} {
		t.Run(map[bool]string{true: "up", false: "down"}[up], func(t *testing.T) {
			t.Parallel()
			cuts := 0
			for at := int64(0); ; at++ {
				if !cutAt(t, up, at) {
					break
				}
				cuts++
			}
			if cuts < 100 {
				t.Errorf("only %d cuts: nothing was tested", cuts)
			}
			t.Logf("%d cuts", cuts)
		})
	}
}

// cutAt has a conversation whose first connection is cut after so many bytes, and says whether it was.
func cutAt(t *testing.T, up bool, at int64) (cut bool) {
	t.Helper()
	h, l := newHost(t), &listener{}
	s := newScissors(t, h.Addr().String(), func(n int) (int64, int64) {
		switch {
		case n > 0:
			return -1, -1
		case up:
			return at, -1
		}
		return -1, at
	})
	c, err := client.Dial(t.Context(), s.address(), l.options(client.Resume))
	if err != nil {
		return true // in Hello or Welcome: there was no session
	}
	defer c.Close()
	if err := converse(c, 0, asks); err != nil {
		t.Errorf("cut after %d bytes: %v", at, err)
	}
	l.counts(t, asks)
	h.asked(asks)
	if n := c.Counts(); n.Crossed != 0 || n.Replies != (asks+1)/2 || c.Open() != 0 {
		t.Errorf("cut after %d bytes: %+v", at, n)
	}
	return c.Counts().Resumes > 0
}

// Every connection is cut, somewhere, while four goroutines talk and are talked to.
func TestConnectionsThatAreCutAllTheTimeLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	const each = 400
	h, l := newHost(t), &listener{}
	luck := rand.New(rand.NewPCG(1, 2))
	s := newScissors(t, h.Addr().String(), func(n int) (int64, int64) {
		if n == 0 {
			return 2000, -1
		}
		return 100 + luck.Int64N(8000), 100 + luck.Int64N(8000)
	})
	c := dial(t, s.address(), l.options(client.Resume))
	var talking sync.WaitGroup
	for i := range 4 {
		talking.Go(func() {
			if err := converse(c, i*each, each); err != nil {
				t.Error(err)
			}
		})
	}
	talking.Wait()
	l.counts(t, 4*each)
	h.mu.Lock()
	defer h.mu.Unlock()
	next := map[int]int{}
	for _, n := range h.heard {
		if who := (n - 1) / each; n != who*each+next[who]+1 {
			t.Fatalf("goroutine %d asked %d, and after it %d", who, next[who], n-who*each)
		} else {
			next[who]++
		}
	}
	n := c.Counts()
	if len(h.heard) != 4*each || n.Crossed != 0 || n.Resumes < 5 {
		t.Errorf("%d asks were heard; %+v", len(h.heard), n)
	}
	t.Logf("%d connections were cut", n.Resumes)
}
