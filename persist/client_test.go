package persist_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/persist"
)

func TestALoadWaitsFiveSecondsForAKeeper(t *testing.T) {
	w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: -1})
	g := w.game(gameA, 1)
	w.away = actors.Unavailable
	found, missed := g.begin("ann"), w.game(gameB, 1).begin("ann")
	w.advance(3 * time.Second)
	found.is(t, "")
	w.away = ""
	w.advance(time.Second)
	found.is(t, "ok")
	missed.is(t, "ok")
	w.away = actors.Unavailable
	missed = w.game(gameB+1, 9).begin("ann")
	w.advance(5 * time.Second)
	missed.is(t, "STORE_UNAVAILABLE")
}

func TestARefusalAfterAnUnknownOutcomeOfTheSameVersionIsUnknown(t *testing.T) {
	w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: -1})
	g := w.game(gameA, 1)
	g.load("ann")
	w.moods.write = func(_ persist.Batch, write func() ([]persist.Outcome, error)) (
		[]persist.Outcome, error) {
		return nil, fmt.Errorf("reset: %w", persist.ErrUnclear)
	}
	first := g.save("ann", 1, true, `{}`)
	w.advance(2 * time.Second)
	first.is(t, "STORE_UNKNOWN")
	w.away = actors.Overloaded
	again, fresh := g.save("ann", 1, true, `{}`), g.save("bob", 1, true, `{}`)
	w.settle()
	again.is(t, "STORE_UNKNOWN") // this request was not handled, but the one before may have been
	fresh.is(t, "OVERLOADED")
	w.away, w.moods.write = "", nil
	w.advance(5 * time.Second)
	last := g.save("ann", 1, true, `{}`)
	w.settle()
	last.is(t, "ok")
}

func TestWhatNoStoreTakesIsRefusedBeforeItIsSent(t *testing.T) {
	w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: -1})
	g := w.game(gameA, 1)
	g.load("ann")
	big := g.save("ann", 1, true, `"`+strings.Repeat("x", persist.MaxChange)+`"`)
	big.is(t, "TOO_BIG")
	g.save("ann", 2, true, `{}`, strings.Repeat("k", persist.MaxPart+1)+"=1").is(t, "STORE_REFUSED")
	edge := g.save("ann", 3, true, `{}`, strings.Repeat("k", persist.MaxPart)+"=1")
	w.settle()
	edge.is(t, "ok")
}

func TestUnknownKindsAndNumbersAreRefused(t *testing.T) {
	w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: -1})
	g := w.game(gameA, 1)
	var err error
	dragon := actors.KindName("dragon").Ref("x")
	g.Load(dragon, g.tenure, func(_ actors.Snapshot, e error) { err = e })
	w.settle()
	is(t, strings.Contains(fmt.Sprint(err), "STORE_REFUSED"), true)
	var codes []actors.Code
	for _, e := range []*actors.Envelope{
		{Type: actors.Message, To: persist.KeeperKind.Ref("1"), Number: 29},
		{Type: actors.Message, To: persist.KeeperKind.Ref("1"), Number: persist.NumberSave,
			Body: []byte("{")},
	} {
		w.sys.Request(e, time.Second, func(answer *actors.Envelope) {
			codes = append(codes, answer.Refusal().Code)
		})
	}
	w.settle()
	is(t, fmt.Sprint(codes), "[UNKNOWN_NUMBER BAD_BODY]")
}

func TestWhatAnActivationHadUnderWayWhenItEndedIsNotTakenAfterTheNextOneHasLoaded(t *testing.T) {
	w := newWorld(t, persist.NewMemory(), persist.Limits{CacheBytes: -1})
	g := w.game(gameA, 1)
	g.load("ann")
	var late []*actors.Envelope
	w.hold = func(e *actors.Envelope) bool {
		held := e.Number == persist.NumberSave && e.Type == actors.Message
		if held {
			late = append(late, e)
		}
		return held
	}
	before := g.save("ann", 1, true, `{"a":1}`)
	w.settle()
	next := g.begin("ann") // its own next one has number 2
	w.settle()
	next.is(t, "ok")
	is(t, next.text(), "@1")
	w.hold = nil
	for _, e := range late {
		w.sys.Route(e)
	}
	w.settle()
	before.is(t, "STORE_UNKNOWN")
	after := g.save("ann", 2, true, `{"b":2}`)
	w.settle()
	after.is(t, "ok")
	is(t, w.stored("ann"), `={"b":2}@2`)
}
