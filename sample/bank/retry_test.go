package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/clustertest"
	"github.com/fireflyrt/firefly/gate/client"
)

// What those who pay without waiting for answers ask of a machine.
const (
	hurried     = 20                     // accounts that do
	hurryEach   = 200 * time.Millisecond // between two payments of one
	repliedBy   = 10 * time.Second       // whatever dies
	hurryBefore = 150                    // payments that are answered before each kill, and after the last
)

// A hurrier pays at its pace, whatever comes back, and counts what does.
type hurrier struct {
	*customer
	waiting sync.WaitGroup

	mu      sync.Mutex
	paid    int64               // answered with the book
	unknown map[actors.Code]int // refusals that do not say whether it has paid
	longest time.Duration
}

// A rush is all of them.
type rush []*hurrier

// paidMore waits until so many more payments are answered.
func (all rush) paidMore(t *testing.T, more int64) {
	t.Helper()
	paid := func() (sum int64) {
		for _, h := range all {
			h.mu.Lock()
			sum += h.paid
			h.mu.Unlock()
		}
		return sum
	}
	before := paid()
	clustertest.Await(t, enoughWithin, fmt.Sprintf("%d more payments", more), func() error {
		if now := paid(); now < before+more {
			return fmt.Errorf("there were %d", now-before)
		}
		return nil
	})
}

// TestEveryPaymentIsAnsweredAndMadeOnceWhateverOwnerIsKilled kills the game nodes under an open load, FIREFLY_KILLS
// times, each while it coordinates: every payment is answered within ten seconds, by its book or by a code, none is
// made twice, and none that was answered is missing.
func TestEveryPaymentIsAnsweredAndMadeOnceWhateverOwnerIsKilled(t *testing.T) {
	t.Parallel()
	b := open(t, inSQLite, 5*time.Second)
	ctx, stop := context.WithCancel(t.Context())
	var all rush
	var over sync.WaitGroup
	for i := range hurried {
		h := &hurrier{customer: b.customer(fmt.Sprint("hurrier", i)), unknown: map[actors.Code]int{}}
		h.be(AccountKind.Ref(fmt.Sprint("hurried", i)))
		if _, err := request[*Book](ctx, h.customer, &Open{Coins: MostCoins}); err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
		over.Go(func() { h.hurry(ctx, fmt.Sprint("hurried", (i+1)%hurried)) })
	}
	t.Cleanup(func() { stop(); over.Wait() })
	for n := range number(t, "FIREFLY_KILLS", 2) {
		all.paidMore(t, hurryBefore)
		name := []string{"game-1", "game-2"}[n%2]
		b.Appoint(name)
		b.Restarted(b.Kill(name))
	}
	all.paidMore(t, hurryBefore)
	stop()
	over.Wait()
	paid, unknown, longest := int64(0), 0, time.Duration(0)
	for _, h := range all {
		more, took := h.audit(t)
		paid, unknown, longest = paid+h.paid, unknown+more, max(longest, took)
	}
	t.Logf("%d payments, made once each; of %d more nobody knows; the longest answer took %v", paid, unknown,
		short(longest))
	b.up.Stop()
}

// hurry pays until it is told to stop, and then waits for the last answers.
func (h *hurrier) hurry(ctx context.Context, to string) {
	for h.wait(ctx, hurryEach) {
		h.waiting.Go(func() { h.pay(to) })
	}
	h.waiting.Wait()
}

func (h *hurrier) pay(to string) {
	ctx, cancel := context.WithTimeout(context.Background(), repliedBy)
	defer cancel()
	began := time.Now()
	_, err := client.Call[*Book](ctx, h.conn, &Transfer{To: to, Coins: 1, Sure: true})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.longest = max(h.longest, time.Since(began))
	refusal := (*actors.Refusal)(nil)
	switch {
	case err == nil:
		h.paid++
	case !errors.As(err, &refusal):
		h.fault("after %v: %v", time.Since(began), err)
	default:
		switch refusal.Code {
		case actors.Unavailable, actors.DeadlinePassed, actors.OutcomeUnknown, actors.CommitUnknown:
			h.unknown[refusal.Code]++
		}
	}
}

// audit compares what a hurrier was told with its book.
func (h *hurrier) audit(t *testing.T) (unknown int, longest time.Duration) {
	t.Helper()
	for _, n := range h.unknown {
		unknown += n
	}
	var book *Book
	clustertest.Await(t, goOnWithin, "the book of "+h.as.String(), func() (err error) {
		book, err = request[*Book](t.Context(), h.customer, &Look{})
		return err
	})
	h.leave()
	if book.Paid < h.paid || book.Paid > h.paid+int64(unknown) {
		t.Errorf("%s was told of %d payments, of %v nobody knows, and its book has %d", h.as, h.paid, h.unknown,
			book.Paid)
	}
	for _, fault := range h.faults {
		t.Error(fault)
	}
	return unknown, h.longest
}
