package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/node"
	"github.com/fireflyrt/firefly/gate/client"
)

type (
	call     struct{ N int }
	callBack struct{ N int }
	peek     struct{ Peg string }
	peeked   struct{}
	poke     struct{}
)

// echo is the smallest game: what is called comes back. Number 13 comes back as another, if a test
// wants a fault. What is asked is answered by the peg of that name, of which there is one.
var echo = node.App{
	Name: "echo",
	Game: node.Module{
		Name: "echo",
		Messages: wire.Messages(wire.In[*call](200).Public(), wire.Out[*callBack](201),
			wire.In[*peek](202).Public(), wire.Out[*peeked](203), wire.Internal[*poke](204)),
		Kinds: []actors.Kind{{Name: "hill", Workers: 2, New: func(p *actors.Props) {
			actors.Answer(p, func(_ actors.Context, m *call) (*callBack, error) {
				if m.N == 13 && os.Getenv("FIREFLY_TEST_FAULT") != "" {
					return &callBack{14}, nil
				}
				return &callBack{m.N}, nil
			})
			actors.Answer(p, func(ctx actors.Context, m *peek) (*peeked, error) {
				return actors.Reply(ctx, actors.Ask[*peeked](actors.KindName("peg").Ref(m.Peg), &poke{}),
					func(_ actors.Context, a *peeked, err error) (*peeked, error) { return a, err })
			})
		}}, {Name: "peg", New: func(p *actors.Props) {
			actors.Answer(p, func(actors.Context, *poke) (*peeked, error) { return &peeked{}, nil })
		}}},
	},
	Bot: func(b *client.Bot) error {
		for n := 0; b.Pause(20 * time.Millisecond); n++ {
			back, err := client.Call[*callBack](b.Until, b.Client, &call{n})
			if b.Until.Err() != nil {
				return nil
			}
			if err != nil || back.N != n {
				return fmt.Errorf("called %d: %+v, %w", n, back, err)
			}
		}
		return b.Err()
	},
}

func TestBotsBringAClusterUpAndTakeItDownAgain(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.as = "echo"
	text, code := p.run("bots", "-n", "10", "-for", "1s")
	if code != exitOK || !strings.Contains(text, "errors 0, unanswered 0, crossed 0") ||
		!strings.Contains(text, "server CPU: ") || !strings.Contains(text, "all stopped") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	if _, err := os.Stat(p.config.Cluster.Data); err == nil {
		t.Error("the bots' own cluster used the files of the real one")
	}
}

func TestBotsPlayTheClusterThatIsUp(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.as = "echo"
	up := p.begin("up")
	up.prints("ready in")
	c := p.command("bots", "-n", "10", "-for", "1s", "--json")
	text, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var r botReport
	decode(t, string(text), &r)
	if r.Bots != 10 || r.Answers < 10 || r.Answers != r.Requests || r.P50 <= 0 || r.P99 < r.P50 ||
		r.Max < r.P99 || r.Processes != 6 {
		t.Errorf("%+v", r)
	}
	if code := up.ends(os.Interrupt); code != exitOK {
		t.Errorf("exit code %d:\n%s", code, up.text())
	}
}

func TestAnAnswerToSomethingElseFailsTheBots(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.as = "echo"
	c := p.command("bots", "-n", "2", "-for", "2s")
	c.Env = append(c.Env, "FIREFLY_TEST_FAULT=1")
	text, _ := c.CombinedOutput()
	if c.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(text), "errors 2") ||
		!strings.Contains(string(text), "called 13: &{N:14}") {
		t.Errorf("exit code %d:\n%s", c.ProcessState.ExitCode(), text)
	}
}

func TestTheReportKnowsGoodFromBad(t *testing.T) {
	t.Parallel()
	good := botReport{Answers: 1, Dropped: 1, Refused: 1}
	if good.bad() {
		t.Error("a bot that reads slowly or is refused something is no fault of the server's")
	}
	for what, r := range map[string]botReport{
		"an error": {Answers: 1, Errors: 1}, "no answer": {Answers: 1, Unanswered: 1},
		"a crossed one": {Answers: 1, Crossed: 1}, "nothing at all": {},
	} {
		if !r.bad() {
			t.Errorf("%s should fail the run", what)
		}
	}
}

func TestQuantilesAreWithinABucketOfTheTruth(t *testing.T) {
	t.Parallel()
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("nothing has no median")
	}
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500, 0.99: 990, 1: 1000} {
		got := h.quantile(q)
		if want *= time.Millisecond; got < want || float64(got) > 1.05*float64(want) {
			t.Errorf("quantile %g: %s, want %s", q, got, want)
		}
	}
	h.add(0)
	h.add(200 * 365 * 24 * time.Hour)
	if h.quantile(1) != 200*365*24*time.Hour {
		t.Error("the largest is not kept")
	}
}
