package actors

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A pay may come again. How says what its handler does beside noting it.
type pay struct {
	N    int
	How  string
	Size int // of the reply
}

type paid struct {
	N    int
	Text string
}

var payMessages = wire.Join(testMessages, wire.Messages(wire.In[*pay](230).Retry().Within(time.Minute),
	wire.Out[*paid](231)))

const tillKind KindName = "till"

// newTill counts in a stored row how often each payment has taken effect.
func newTill(p *Props) {
	done := Rows[int, int](p, "done")
	Answer(p, func(ctx Context, m *pay) (*paid, error) {
		answer := &paid{N: m.N, Text: strings.Repeat("x", m.Size)}
		done.Set(m.N, done.At(m.N)+1)
		switch m.How {
		case "commit":
			ctx.Commit()
		case "refuse":
			return nil, poor.Refuse("no")
		case "keep":
			ctx.Commit()
			return nil, Keep(poor.Refuse("no"))
		case "panic":
			panic("on purpose")
		case "nothing":
			return nil, nil
		case "ask":
			ctx.Commit()
			return Reply(ctx, Ask[*bought](KindName("host").Ref("h"), &look{}).Within(3*time.Second).Meanwhile(),
				func(ctx Context, _ *bought, err error) (*paid, error) {
					ctx.Commit()
					if err != nil {
						return nil, poor.Refuse("%v", err)
					}
					return answer, nil
				})
		}
		return answer, nil
	})
}

// A till is a world with one, and a client whose requests may come again.
type till struct {
	*world
	ref Ref
}

func newTills(t *testing.T, kinds ...Kind) *till {
	w := &till{world: newWorld(t, payMessages), ref: tillKind.Ref("1")}
	w.store.entities = map[Ref]Snapshot{}
	host := Kind{Name: "host", New: func(p *Props) {
		Answer(p, func(Context, *look) (*bought, error) { return &bought{1}, nil })
	}}
	w.boot(payMessages, append(kinds, host, Kind{Name: tillKind, New: newTill})...)
	return w
}

// pays sends an attempt of a request and returns its envelope.
func (w *till) pays(session Ref, seq uint64, attempt uint8, m *pay) *Envelope {
	body, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	e := &Envelope{Type: Message, To: w.ref, From: session, Session: session, Number: 230, Codec: wire.JSON, Body: body,
		Request: seq, Attempt: attempt, Deadline: w.Now().Add(5 * time.Second).UnixNano()}
	w.sys.Deliver(e)
	return e
}

// said is what the till has answered so far, and forgets it.
func (w *till) said() (all []string) {
	for _, e := range w.got {
		what := fmt.Sprintf("%d/%d ", e.Request, e.Attempt)
		if e.Type == Refused {
			what += string(e.Refusal().Code)
		} else {
			what += fmt.Sprint(e.Number)
		}
		if !e.Settles() {
			what += " open"
		}
		all = append(all, what)
	}
	w.got = nil
	return all
}

func (w *till) says(want ...string) {
	w.t.Helper()
	w.settle()
	if got := w.said(); fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("it said %q, want %q", got, want)
	}
}

// counted is how often a payment has taken effect, as the store has it.
func (w *till) counted(n int) (times int) {
	part := w.store.entities[w.ref].Parts[fmt.Sprintf("done/%d", n)]
	var stored struct {
		D int `json:"d"`
	}
	if part != nil && json.Unmarshal(part, &stored) != nil {
		w.t.Fatalf("row %d is %s", n, part)
	}
	return stored.D
}

func TestARequestThatComesAgainIsAnsweredAlikeAndNotHandledAgain(t *testing.T) {
	t.Parallel()
	for how, answer := range map[string]string{"commit": "231", "plain": "231", "refuse": string(poor),
		"keep": string(poor), "panic": string(Panicked), "nothing": string(NoReply), "ask": "231"} {
		w := newTills(t)
		w.pays(w.client, 5, 0, &pay{N: 1, How: how})
		w.says("5/0 " + answer)
		w.pays(w.client, 5, 1, &pay{N: 1, How: how})
		w.says("5/1 " + answer)
		w.advance(2 * time.Second) // flushed
		w.sys.Crash(w.ref)
		w.pays(w.client, 5, 2, &pay{N: 1, How: how})
		w.says("5/2 " + answer)
		want := 1
		if how == "refuse" || how == "panic" {
			want = 0
		}
		if n := w.counted(1); n != want {
			t.Errorf("%s took effect %d times", how, n)
		}
		if r := w.sys.Report(); r.Again != 2 || r.OutcomeUnknown != 0 {
			t.Errorf("%s: %d came again, %d unknown", how, r.Again, r.OutcomeUnknown)
		}
	}
}

func TestMarkReplyAndEffectAreWrittenTogether(t *testing.T) {
	t.Parallel()
	w := newTills(t)
	w.store.silent = true
	w.pays(w.client, 5, 0, &pay{N: 1, How: "commit"})
	w.settle()
	if len(w.store.waiting) != 1 {
		t.Fatalf("%d changes are sent", len(w.store.waiting))
	}
	w.routed = func(e *Envelope) bool { return e.To == w.client } // and the answer is lost
	w.store.waiting[0]()
	w.settle()
	w.sys.Crash(w.ref) // nothing more is written
	w.routed, w.store.silent = nil, false
	w.pays(w.client, 5, 1, &pay{N: 1, How: "commit"})
	w.says("5/1 231")
	if n := w.counted(1); n != 1 {
		t.Errorf("took effect %d times", n)
	}
}

func TestARequestOfWhichNothingLastedIsHandledAnew(t *testing.T) {
	t.Parallel()
	w := newTills(t)
	w.pays(w.client, 5, 0, &pay{N: 1, How: "plain"})
	w.says("5/0 231")
	w.sys.Crash(w.ref) // before it was flushed
	w.pays(w.client, 5, 1, &pay{N: 1, How: "plain"})
	w.says("5/1 231")
	w.advance(2 * time.Second)
	if n := w.counted(1); n != 1 {
		t.Errorf("took effect %d times", n)
	}
	w.store.fail = StoreRefused.Refuse("on purpose")
	w.pays(w.client, 6, 0, &pay{N: 2, How: "commit"})
	w.says("6/0 STORE_REFUSED")
	w.store.fail = nil
	w.pays(w.client, 6, 1, &pay{N: 2, How: "commit"}) // the client may have been told: it stays so
	w.says("6/1 STORE_REFUSED")
	w.advance(3 * time.Second)
	if n := w.counted(2); n != 0 {
		t.Errorf("what was refused took effect %d times", n)
	}
}

func TestACommitThatNobodyKnowsOfIsToldByTheRow(t *testing.T) {
	t.Parallel()
	for _, isWritten := range []bool{false, true} {
		w := newTills(t)
		w.store.fail = ErrUnknown.Refuse("on purpose")
		w.store.seen = func(c Change) {
			if isWritten {
				w.store.write(w.ref, c)
			}
		}
		w.pays(w.client, 5, 0, &pay{N: 1, How: "commit"})
		w.advance(4 * time.Second)
		w.says("5/0 COMMIT_UNKNOWN open")
		w.store.fail, w.store.seen = nil, nil
		w.pays(w.client, 5, 1, &pay{N: 1, How: "commit"})
		w.says("5/1 231")
		if n := w.counted(1); n != 1 {
			t.Errorf("took effect %d times", n)
		}
	}
}

func TestARequestThatDiedBetweenItsTurnsIsUnknownAndNotHandledAgain(t *testing.T) {
	t.Parallel()
	w := newTills(t)
	w.routed = func(e *Envelope) bool { return e.To.Kind == "host" }
	w.pays(w.client, 5, 0, &pay{N: 1, How: "ask"})
	w.says() // its first turn is durable
	w.sys.Crash(w.ref)
	w.settle()
	w.said()
	w.pays(w.client, 5, 1, &pay{N: 1, How: "ask"})
	w.says("5/1 OUTCOME_UNKNOWN")
	if n := w.counted(1); n != 1 {
		t.Errorf("took effect %d times", n)
	}
}

func TestARepeatTakesThePlaceOfARequestThatIsStillOpen(t *testing.T) {
	t.Parallel()
	w := newTills(t)
	var asked *Envelope
	w.routed = func(e *Envelope) bool {
		if e.To.Kind == "host" {
			asked = e
		}
		return e.To.Kind == "host"
	}
	w.pays(w.client, 5, 0, &pay{N: 1, How: "ask"})
	w.says()
	w.pays(w.client, 5, 2, &pay{N: 1, How: "ask"})
	w.pays(w.client, 5, 1, &pay{N: 1, How: "ask"}) // overtaken on its way
	w.says()
	w.routed = nil
	w.sys.Deliver(asked)
	w.says("5/2 231")
	if n := w.counted(1); n != 1 {
		t.Errorf("took effect %d times", n)
	}
}

func TestWhatIsKeptOfRequestsIsBounded(t *testing.T) {
	t.Parallel()
	w := newTills(t)
	for seq := range uint64(keptReplies + 1) {
		w.pays(w.client, seq+1, 0, &pay{N: int(seq), How: "commit"})
	}
	w.settle()
	w.said()
	w.pays(w.client, 1, 1, &pay{})
	w.pays(w.client, 2, 1, &pay{})
	w.says("1/1 OUTCOME_UNKNOWN", "2/1 231")
	w.pays(w.client, 20, 0, &pay{Size: keptBytes / 2})
	w.pays(w.client, 21, 0, &pay{Size: keptBytes / 2})
	w.settle()
	w.said()
	w.pays(w.client, 20, 1, &pay{})
	w.pays(w.client, 21, 1, &pay{})
	w.says("20/1 OUTCOME_UNKNOWN", "21/1 231")
	w.pays(w.client, 22, 0, &pay{Size: keptBytes}) // too long to be kept at all
	w.settle()
	w.said()
	w.pays(w.client, 22, 1, &pay{})
	w.says("22/1 OUTCOME_UNKNOWN")
	w.advance(keptFor / 2)
	w.pays(w.client, 23, 0, &pay{})
	w.advance(keptFor / 2)
	w.advance(time.Second)
	w.pays(w.client, 24, 0, &pay{})
	w.settle()
	w.said()
	w.pays(w.client, 22, 1, &pay{})
	w.pays(w.client, 23, 1, &pay{})
	w.says("22/1 OUTCOME_UNKNOWN", "23/1 231")
	w.advance(2 * keptFor) // nobody repeats any of them now
	w.pays(SessionRef("game-1", wire.JSON, 7, 2), 1, 0, &pay{})
	w.advance(time.Second)
	if kept := w.contents().Asked; len(kept) != 1 {
		t.Errorf("it remembers %v", kept)
	}
}

// contents are those of the till's box, as the store has them.
func (w *till) contents() (c Contents) {
	if err := json.Unmarshal(w.store.entities[w.ref].Box, &c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestNoSessionIsForgottenForAnotherOne(t *testing.T) {
	t.Parallel()
	w := newTills(t)
	w.impure, w.sys.o.Limits.Box = true, 2
	session := func(serial uint64) Ref {
		ref := SessionRef("game-1", wire.JSON, 7, serial)
		w.sys.Attach(ref, func(e *Envelope) { w.got = append(w.got, e) })
		return ref
	}
	for serial := range uint64(2) {
		w.pays(session(serial+2), 1, 0, &pay{How: "commit"})
	}
	w.pays(session(4), 1, 0, &pay{N: 7, How: "commit"})
	w.settle()
	if got := w.said(); got[2] != "1/0 OVERLOADED open" {
		t.Errorf("it said %q", got)
	}
	w.advance(keptFor + time.Second)
	w.pays(session(4), 1, 1, &pay{N: 7, How: "commit"})
	w.says("1/1 231")
}

func TestOnlyEntitiesHandleWhatMayComeAgain(t *testing.T) {
	t.Parallel()
	for _, k := range []Kind{{Workers: 1}, {PerNode: true}, {PerSession: true}} {
		k.Name, k.New = "desk", func(p *Props) {
			Handle(p, func(Context, *pay) error { return nil })
		}
		_, err := NewSystem(Options{Kinds: []Kind{k}, Catalogue: payMessages})
		if err == nil || !strings.Contains(err.Error(), "Retry") {
			t.Errorf("it may: %v", err)
		}
	}
}

func TestAnEntityThatStoresNothingRemembersWhileItLives(t *testing.T) {
	t.Parallel()
	times := 0
	w := &till{world: newWorld(t, payMessages), ref: tillKind.Ref("1")}
	w.impure = true
	w.boot(payMessages, Kind{Name: tillKind, New: func(p *Props) {
		Carry[int](p, "mood")
		Handle(p, func(ctx Context, m *pay) error {
			if times++; m.How == "panic" {
				panic("on purpose")
			}
			return nil
		})
	}})
	w.pays(w.client, 1, 0, &pay{})
	w.pays(w.client, 1, 1, &pay{})
	w.pays(w.client, 2, 0, &pay{How: "panic"})
	w.pays(w.client, 1, 2, &pay{}) // the instance is another, the entity the same
	w.says("1/0 0", "1/1 0", "2/0 PANIC", "1/2 0")
	if times != 2 || w.store.saves != 0 {
		t.Errorf("handled %d times, and saved %d times", times, w.store.saves)
	}
	w.sys.Crash(w.ref)
	w.pays(w.client, 1, 3, &pay{})
	if w.says("1/3 0"); times != 3 {
		t.Errorf("of an entity of which nothing lasts a request lasted")
	}
}

// Whatever happens to entity and store, each payment takes effect once or, if nothing of it lasted, not at all; and
// what was settled is told alike for ever.
func TestAPaymentThatComesAgainAndAgainTakesEffectOnceWhateverHappens(t *testing.T) {
	t.Parallel()
	for seed := range seeds(30) {
		w := newTills(t)
		w.limits.FlushEvery = 200 * time.Millisecond
		r := rand.New(rand.NewPCG(seed, 3))
		hows := []string{"commit", "commit", "plain", "refuse", "keep", "panic", "ask", "nothing"}
		settled, attempts, how := map[uint64]string{}, map[uint64]uint8{}, map[uint64]string{}
		look := func() {
			for _, e := range w.got {
				if !e.Settles() {
					continue
				}
				what := fmt.Sprint(e.Type, e.Number, string(e.Body))
				if e.Type == Refused {
					what = string(e.Refusal().Code)
				}
				before, known := settled[e.Request]
				isOlder := what == string(OutcomeUnknown) || before == string(OutcomeUnknown)
				isDurable := how[e.Request] == "commit" || how[e.Request] == "keep"
				if known && before != what && !isOlder && isDurable && before != string(StoreRefused) {
					t.Fatalf("seed %d: %d (%s) was %s and is %s", seed, e.Request, how[e.Request], before, what)
				}
				settled[e.Request] = what
			}
			w.got = nil
		}
		for seq := uint64(1); seq < 40; {
			switch r.IntN(8) {
			case 0, 1, 2:
				how[seq] = hows[r.IntN(len(hows))]
				w.pays(w.client, seq, 0, &pay{N: int(seq), How: how[seq]})
				seq++
			case 3, 4:
				if again := seq - 1 - r.Uint64N(min(seq, 4)); again > 0 && again < seq {
					attempts[again]++
					w.pays(w.client, again, attempts[again], &pay{N: int(again), How: how[again]})
				}
			case 5:
				w.store.fail = []error{nil, nil, ErrUnknown.Refuse("x"), StoreRefused.Refuse("y")}[r.IntN(4)]
			case 6:
				if r.IntN(3) == 0 {
					w.sys.Crash(w.ref)
				}
			case 7:
				w.advance(time.Duration(r.IntN(3000)) * time.Millisecond)
			}
			if r.IntN(2) == 0 {
				w.settle()
			}
			look()
		}
		w.store.fail = nil
		w.advance(10 * time.Second)
		look()
		for seq, h := range how {
			n, was := w.counted(int(seq)), settled[seq]
			if n > 1 || (h == "refuse" || h == "panic") && n > 0 {
				t.Fatalf("seed %d: %d (%s) took effect %d times", seed, seq, h, n)
			}
			if n == 0 && h == "commit" && strings.HasPrefix(was, "2 231") {
				t.Fatalf("seed %d: %d was answered %s, and did not last", seed, seq, was)
			}
		}
	}
}

func TestWhatAnEntityHasAnsweredMovesWithIt(t *testing.T) {
	t.Parallel()
	carries := func(p *Props) {
		times := Carry[int](p, "times")
		Answer(p, func(ctx Context, m *pay) (*paid, error) {
			*times.Edit()++
			return &paid{N: times.View()}, nil
		})
	}
	for name, build := range map[string]func(*Props){"stored": newTill, "carried": carries} {
		w := newTwin(t, payMessages, Kind{Name: tillKind, New: build})
		var asked *Envelope
		w.taken = func(e *Envelope) bool {
			if e.Number == 230 {
				asked = e
			}
			return false
		}
		till := tillKind.Ref("1")
		w.send(till, &pay{N: 1}, true)
		w.Settle()
		w.moves(till)
		again := *asked
		again.Attempt = 1
		w.route(&again)
		w.Settle()
		if len(w.got) != 2 || w.got[1].Attempt != 1 || string(w.got[1].Body) != string(w.got[0].Body) ||
			w.home(till).Report().Again != 1 {
			t.Errorf("%s: answered %+v", name, w.got)
		}
	}
}
