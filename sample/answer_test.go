package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/clustertest"
	"github.com/fireflyrt/firefly/gate/client"
	"github.com/fireflyrt/firefly/modules/account"
	"github.com/fireflyrt/firefly/modules/scene"
	"github.com/fireflyrt/firefly/modules/wallet"
)

// A speaker says frames as they are, true or not.
type speaker struct {
	t    *testing.T
	pipe *client.Pipe
	seq  uint32
}

// speak connects and says Hello.
func speak(t *testing.T, door string) *speaker {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	pipe, err := client.OpenPipe(ctx, door, client.Way{})
	if err != nil {
		t.Fatal(err)
	}
	s := &speaker{t: t, pipe: pipe}
	t.Cleanup(s.hangUp)
	s.write(wire.NumberHello, 0, `{"version":2,"codec":"json"}`)
	if h, body := s.read(); h.Number != wire.NumberWelcome {
		t.Fatalf("Hello is answered with %d %s", h.Number, body)
	}
	return s
}

func (s *speaker) hangUp() {
	s.pipe.Close() //nolint:errcheck // the gate may have closed it
}

func (s *speaker) write(number, seq uint32, body string) {
	s.t.Helper()
	if err := s.pipe.Write(wire.AppendFrame(nil, 0, number, seq, []byte(body))); err != nil {
		s.t.Fatal(err)
	}
}

func (s *speaker) read() (wire.Header, []byte) {
	s.t.Helper()
	if err := s.pipe.Conn().SetReadDeadline(time.Now().Add(answerWithin)); err != nil {
		s.t.Fatal(err)
	}
	h, body, err := s.pipe.Read()
	if err != nil {
		s.t.Fatal(err)
	}
	return h, body
}

// answer reads on until something is no push.
func (s *speaker) answer() (wire.Header, []byte) {
	s.t.Helper()
	for {
		if h, body := s.read(); h.Seq != 0 || h.Number < wire.FirstGameNumber {
			return h, body
		}
	}
}

// asks sends a request and returns its answer's number and body; a refusal if it is one.
func (s *speaker) asks(number uint32, body string) (wire.Header, *actors.Refusal) {
	s.t.Helper()
	s.seq++
	s.write(number, s.seq, body)
	h, text := s.answer()
	if h.Seq != s.seq {
		s.t.Fatalf("seq %d of number %d is answered with seq %d, number %d: %s", s.seq, number, h.Seq, h.Number, text)
	}
	if h.Flags&wire.FlagError == 0 {
		return h, nil
	}
	r := new(actors.Refusal)
	if err := json.Unmarshal(text, r); err != nil || h.Number != number {
		s.t.Fatalf("number %d is refused under %d with %s: %v", number, h.Number, text, err)
	}
	return h, r
}

// refused asks what must be answered with a code.
func (s *speaker) refused(number uint32, body string, want actors.Code) *actors.Refusal {
	s.t.Helper()
	h, r := s.asks(number, body)
	if r == nil || r.Code != want {
		s.t.Fatalf("number %d with %.60q is answered with %d %v, want %s", number, body, h.Number, r, want)
	}
	return r
}

// answered asks what must be answered with a number.
func (s *speaker) answered(number uint32, body string, want uint32) {
	s.t.Helper()
	if h, r := s.asks(number, body); r != nil || h.Number != want {
		s.t.Fatalf("number %d with %.60q is answered with %d %v, want %d", number, body, h.Number, r, want)
	}
}

// doors are the addresses of the cluster's gate.
func (c *realCluster) doors() []string {
	gate := c.Config.With("gate")[0]
	return []string{"tcp://" + gate.TCP, "ws://" + gate.WS}
}

// answersOfTheMeadow holds the meadow to its codes, over both kinds of sockets.
func answersOfTheMeadow(t *testing.T, c *realCluster) {
	for i, door := range c.doors() {
		s := speak(t, door)
		login := fmt.Sprintf(`{"name":"asker%d","secret":"a secret of nobody else"}`, i)
		s.refused(5001, `{"x":1,"y":1}`, actors.NotBound) // before login
		s.refused(777, `{}`, actors.UnknownNumber)        // nobody's
		s.refused(5002, `{}`, actors.UnknownNumber)       // one that clients receive
		s.refused(5901, `{}`, actors.UnknownNumber)       // one between actors
		s.refused(302, `{"currency":"spark","amount":1000000}`, actors.UnknownNumber)
		s.refused(10, `{}`, actors.UnknownNumber) // one of the runtime
		s.refused(101, `{"name":`, actors.BadBody)
		s.refused(101, `{"name":"a b","secret":"a secret of nobody else"}`, account.BadName)
		s.answered(101, login, 102)
		s.refused(5103, `[`, actors.BadBody)
		s.refused(5103, `{"item":"moon"}`, NotSold)
		s.refused(5103, `{"item":"ember"}`, wallet.Poor)
		s.untilBound()
		s.refused(5001, `{"x":-1,"y":5}`, scene.OffTheMap)
		s.doesNotRise()
		s.isTooFast()
		s.answered(5101, `{}`, 5102)
		s.hangUp()
	}
}

// untilBound waits until the meadow has bound the session to a room, which takes a moment after login.
func (s *speaker) untilBound() {
	s.t.Helper()
	awaitEach(s.t, pilotPace, patience, "a room to be bound", func() error {
		if _, r := s.asks(5001, `{"x":1,"y":1}`); r != nil {
			return r
		}
		return nil
	})
}

// doesNotRise says an old seq: that is refused under no seq at all, because it could be another's.
func (s *speaker) doesNotRise() {
	s.t.Helper()
	s.write(5101, s.seq, `{}`)
	h, body := s.answer()
	r := new(actors.Refusal)
	if err := json.Unmarshal(body, r); err != nil || h.Number != wire.NumberError || h.Seq != 0 ||
		r.Code != actors.BadSeq {
		s.t.Fatalf("an old seq is answered with %+v %s", h, body)
	}
}

// isTooFast asks for the leaderboard more often than its rate allows: it does not wait for answers, which may be slow.
func (s *speaker) isTooFast() {
	s.t.Helper()
	const asked = 20
	for range asked {
		s.seq++
		s.write(5201, s.seq, `{}`)
	}
	refused := 0
	for range asked {
		h, text := s.answer()
		if h.Flags&wire.FlagError == 0 {
			continue
		}
		r := new(actors.Refusal)
		if err := json.Unmarshal(text, r); err != nil || h.Number != 5201 || r.Code != actors.RateLimited ||
			r.RetryAfter < 1 || r.RetryAfter > 1000 {
			s.t.Fatalf("too many requests are answered with %+v %s", h, text)
		}
		refused++
	}
	if refused == 0 {
		s.t.Fatalf("%d requests at once are not too many", asked)
	}
}

func TestWhateverAGameDoesItsClientIsAnswered(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{rude: true, config: `[cluster]
etcd_port = 9470
[node.all]
roles = ["gate", "game", "battle", "persist", "admin", "registry"]
tcp = "127.0.0.1:9400"
ws = "127.0.0.1:9401"
http = "127.0.0.1:9480"
[gate]
requests = 4
`})
	up := c.Up()
	for i, door := range c.doors() {
		s := speak(t, door)
		s.answered(200, fmt.Sprintf(`{"name":"imp%d"}`, i), 201)
		s.answered(220, `{}`, 221)
		failed := s.refused(210, `{}`, actors.Internal)
		fell := s.refused(211, `{}`, actors.Panicked)
		for _, r := range []*actors.Refusal{failed, fell} {
			if strings.Contains(r.Text, "secret") || r.Incident == "" || !strings.Contains(c.Log("all"), r.Incident) {
				t.Errorf("%+v tells a stranger too much, or the operator too little", r)
			}
		}
		s.refused(212, `{}`, actors.NoReply)
		s.refused(213, `{}`, actors.DeadlinePassed)
		s.refused(214, `{}`, actors.TooBig)
		s.overloads()
		s.answered(220, `{}`, 221)
		s.rests()
	}
	if text := c.Log("all"); !strings.Contains(text, "a secret of the server") {
		t.Errorf("the log does not say what failed:\n%s", clustertest.LastLines(text, 20))
	}
	up.Stop()
}

// overloads has more requests open than a session may: the one too many is refused at once, the others at their
// deadline, each once.
func (s *speaker) overloads() {
	s.t.Helper()
	codes := map[actors.Code]int{}
	first := s.seq + 1
	for range 5 {
		s.seq++
		s.write(213, s.seq, `{}`)
	}
	seen := map[uint32]bool{}
	for range 5 {
		h, body := s.answer()
		r := new(actors.Refusal)
		if err := json.Unmarshal(body, r); err != nil || h.Seq < first || h.Seq > s.seq || seen[h.Seq] {
			s.t.Fatalf("five requests: answered with %+v %s", h, body)
		}
		seen[h.Seq] = true
		codes[r.Code]++
	}
	if codes[actors.Overloaded] != 1 || codes[actors.DeadlinePassed] != 4 {
		s.t.Fatalf("five requests at once, four may be open: answered with %v", codes)
	}
}

// rests lets an actor fail until it rests; a while later it answers again.
func (s *speaker) rests() {
	s.t.Helper()
	await(s.t, patience, "an actor that fails and fails to rest", func() error {
		_, r := s.asks(210, `{}`)
		if r.Code == actors.Unavailable && r.RetryAfter > 0 {
			return nil
		}
		return r
	})
	awaitEach(s.t, pilotPace, patience, "it to answer again", func() error {
		if _, r := s.asks(220, `{}`); r != nil {
			return r
		}
		return nil
	})
}

func TestAGameMayHaveARoleOfItsOwn(t *testing.T) {
	t.Parallel()
	c := newRealCluster(t, realGame{rude: true, config: `[cluster]
etcd_port = 9470
[node.front]
roles = ["gate", "game"]
tcp = "127.0.0.1:9400"
ws = "127.0.0.1:9401"
[node.battle]
roles = ["battle"]
count = 2
[node.back]
roles = ["persist", "admin"]
http = "127.0.0.1:9480"
`})
	up := c.Up()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	p, err := client.Dial(ctx, c.doors()[0], client.Options{Catalogue: rudeNumbers})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close() //nolint:errcheck // the test is over
	if _, err := client.Call[*welcome](ctx, p, &knock{"puck"}); err != nil {
		t.Fatal(err)
	}
	sure, unsure := map[string]int{}, map[string]int{} // blows that were answered with yes, and those that were not
	hit := func(where string) error {
		s, err := client.Call[*struck](ctx, p, &strike{where})
		if err != nil {
			unsure[where]++
			return err
		}
		if sure[where]++; s.Blows < sure[where] || s.Blows > sure[where]+unsure[where] {
			t.Errorf("%s has taken %d blows; %d are sure, %d are not", where, s.Blows, sure[where], unsure[where])
		}
		return nil
	}
	rings := strings.Fields("a b c d e f g h")
	for range 2 {
		for _, where := range rings {
			if err := hit(where); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := time.Now()
	dead := c.Kill("battle-1")
	for _, where := range rings {
		await(t, goOnWithin-time.Since(at), "ring "+where+" to go on after the death of battle-1", func() error {
			err := hit(where)
			if errors.Is(err, actors.Unavailable) || errors.Is(err, actors.DeadlinePassed) {
				return err
			}
			if err != nil {
				t.Fatal(err)
			}
			return nil
		})
	}
	c.Restarted(dead)
	up.Stop()
}
