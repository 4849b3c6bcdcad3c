package gate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
	"github.com/fireflyrt/firefly/gate/client"
)

// This file cuts conversations of the Go client with a real gate wherever they can be cut.

// What is said in a conversation: after the login so much in one breath, so that frames are under way in both
// directions wherever a connection dies, and the rest one by one. Every other word wants an answer.
const (
	breath = 8
	words  = breath + 2
)

// A salon is a house whose game notes what each session has said, answers who wants an answer, and pushes how much
// it has heard.
type salon struct {
	*house
	names atomic.Int64
	mu    sync.Mutex
	heard map[actors.Ref][]string
}

func newSalon(t *testing.T) *salon {
	t.Helper()
	s := &salon{heard: map[actors.Ref][]string{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.house = newHouse(t, func(o *gate.Options) {
		o.Limits.UnackedFrames = 5 // so that the client is asked now and then what it has
		o.Backend.(*cluster).then = s.play
	})
	return s
}

func (s *salon) play(e *actors.Envelope) {
	if e.Number != 101 && e.Number != 110 {
		return
	}
	s.mu.Lock()
	s.heard[e.Session] = append(s.heard[e.Session], string(e.Body))
	n, h := len(s.heard[e.Session]), s.house
	s.mu.Unlock()
	if e.Number == 101 {
		h.game(e)
		return
	}
	if e.Request != 0 {
		h.cluster.deliver(e.Answer(201, wire.JSON, e.Body))
	}
	h.cluster.deliver(&actors.Envelope{Type: actors.Message, To: e.Session, From: e.To, Number: 201, Codec: wire.JSON,
		Body: fmt.Appendf(nil, `{"text":"%d heard"}`, n-1)})
}

// A tale is what became of a conversation.
type tale struct {
	up, down []int // bytes that each connection carried
	died     int   // connections that did
}

// converse has a client say all that there is to say over connections of these fates, and one that lives, and looks
// for what is lost or doubled in either direction.
func (s *salon) converse(at string, fates []fate) (told tale, err error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patient)
	defer cancel()
	line, end := s.lay(&cable{fate: func(n int) fate {
		if n < len(fates) {
			return fates[n]
		}
		return spared(n)
	}}, at)
	defer func() {
		line.dry()
		for _, o := range line.cores {
			told.up, told.down = append(told.up, int(o.above.Load())), append(told.down, int(o.below.Load()))
			if o.dead.Load() {
				told.died++
			}
		}
	}()
	o := client.Options{Catalogue: messages, Way: trust(), Policy: client.Resume, Luck: func() float64 { return 0 }}
	c, err := client.Dial(ctx, end, o)
	for tries := 1; err != nil && tries < 3; tries++ { // there was no Welcome, hence no session
		c, err = client.Dial(ctx, end, o)
	}
	if err != nil {
		return told, err
	}
	defer c.Close()
	name := fmt.Sprint("ann", s.names.Add(1))
	if _, err := c.Call(ctx, &enter{name}); err != nil {
		return told, err
	}
	if err := speak(ctx, c); err != nil {
		return told, err
	}
	if err := listen(ctx, c); err != nil {
		return told, err
	}
	return told, s.agrees(c, name)
}

// speak says all words, and wants the right answers.
func speak(ctx context.Context, c *client.Client) error {
	answers := make(chan error, words)
	for i := 1; i <= words; i++ {
		word := &say{strconv.Itoa(i)}
		if i%2 == 0 {
			if err := c.Send(word); err != nil {
				return err
			}
			continue
		}
		err := c.Ask(word, func(reply any, err error) {
			if is, ok := reply.(*said); err == nil && (!ok || is.Text != word.Text) {
				err = fmt.Errorf("%v was answered to %s", reply, word.Text)
			}
			answers <- err
		})
		if err != nil {
			return err
		}
		if i > breath {
			if err := answered(ctx, answers); err != nil {
				return err
			}
		}
	}
	for range breath / 2 {
		if err := answered(ctx, answers); err != nil {
			return err
		}
	}
	return nil
}

func answered(ctx context.Context, answers <-chan error) error {
	select {
	case err := <-answers:
		return err
	case <-ctx.Done():
		return errors.New("an answer is missing")
	}
}

// listen waits for all pushes, in order, and for no more.
func listen(ctx context.Context, c *client.Client) error {
	for i := 1; i <= words; i++ {
		select {
		case m, open := <-c.Pushes():
			if want := fmt.Sprint(i, " heard"); !open || m.(*said).Text != want {
				return fmt.Errorf("pushed %v, not %s", m, want)
			}
		case <-ctx.Done():
			return fmt.Errorf("%d of %d pushes are missing", words-i+1, words)
		}
	}
	c.Close()
	if m, open := <-c.Pushes(); open {
		return fmt.Errorf("pushed once more: %v", m)
	}
	return nil
}

// agrees says whether the client's account of a conversation is the game's.
func (s *salon) agrees(c *client.Client, name string) error {
	n := c.Counts()
	if n.Replies != words/2+1 || n.Crossed+n.Refusals+n.Strays+n.Dropped != 0 || c.Open() != 0 {
		return fmt.Errorf("the client counts %+v", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	want := []string{fmt.Sprintf(`{"name":%q}`, name)}
	for i := range words {
		want = append(want, fmt.Sprintf(`{"text":"%d"}`, i+1))
	}
	if heard := s.heard[actors.SessionKind.Ref(c.Welcome().Session)]; !slices.Equal(heard, want) {
		return fmt.Errorf("the game heard %v", heard)
	}
	return nil
}

// TestAConversationThatIsCutAfterAnyByteLosesAndDoublesNothing: a connection dies after each number of bytes in turn,
// of those towards the gate and of those from it, from its first to its last; and so does the connection over which
// the client comes back from that, whose first one died half-way. Over TCP each number of the first is tried
// always, and all else with FIREFLY_EVERY_BYTE.
func TestAConversationThatIsCutAfterAnyByteLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, scheme := range transports {
		t.Run(string(scheme), func(t *testing.T) {
			t.Parallel()
			s := newSalon(t)
			at := s.at(scheme)
			whole, half := s.uncut(at), fate{up: -1}
			half.down = whole.down[0] / 2
			back := s.uncut(at, half)
			first, second := 1, 1
			switch {
			case os.Getenv("FIREFLY_EVERY_BYTE") != "":
			case scheme == gate.TCP:
				second = 5
			case scheme == gate.WS:
				first, second = 11, 11
			default:
				first, second = 101, 101
			}
			all := slices.Concat(cuts(whole.up[0], whole.down[0], first), cuts(back.up[1], back.down[1], second, half))
			s.cut(at, all)
			t.Logf("%d conversations of %v and %v bytes towards the gate, %v and %v from it", len(all),
				whole.up, back.up, whole.down, back.down)
		})
	}
}

// uncut is a conversation whose last connection lives.
func (s *salon) uncut(at string, before ...fate) tale {
	s.t.Helper()
	told, err := s.converse(at, before)
	if err != nil {
		s.t.Fatal(err)
	}
	return told
}

// cuts are the fates of a connection that would have carried so many bytes. It comes after others.
func cuts(up, down, step int, before ...fate) (all [][]fate) {
	for k := 0; k <= up; k += step {
		all = append(all, append(slices.Clip(before), fate{up: k, down: -1, how: death(k % 3)}))
	}
	for k := 0; k <= down; k += step {
		all = append(all, append(slices.Clip(before), fate{up: -1, down: k, how: death(k % 3)}))
	}
	return all
}

// talkers is how many conversations are held at a time.
const talkers = 8

// cut has conversations of all these fates.
func (s *salon) cut(at string, all [][]fate) {
	s.t.Helper()
	var next, missed, wrong atomic.Int64
	var talking sync.WaitGroup
	for range talkers {
		talking.Go(func() {
			for n := next.Add(1); int(n) <= len(all) && wrong.Load() < 10; n = next.Add(1) {
				fates := all[n-1]
				told, err := s.converse(at, fates)
				if told.died < len(fates) {
					missed.Add(1)
				}
				if err != nil {
					wrong.Add(1)
					s.t.Errorf("connections that die like %+v: %v", fates, err)
				}
			}
		})
	}
	talking.Wait()
	if n := missed.Load(); int(n) > len(all)/20 {
		s.t.Errorf("%d of %d conversations were not cut", n, len(all))
	}
}
