package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/cluster/clustertest"
	"github.com/fireflyrt/firefly/gate/client"
)

// pace is the pause of a customer between two requests: the load must leave the machine time for what is tested.
const pace = 3 * time.Millisecond

// A customer acts as one entity after another, through a gate that may vanish, until it is told to stop.
type customer struct {
	name string
	door string
	conn *client.Client
	as   actors.Ref

	mu       sync.Mutex
	answered int                 // requests that were answered with a result
	asked    time.Time           // when the newest of them was sent
	last     time.Time           // when it was answered
	gap      time.Duration       // the longest time from one to the next
	sure     int                 // lines or transfers that were answered for certain
	abroad   int                 // of those, transfers that must come back
	slowest  time.Duration       // the longest time to an answer for certain since it was last looked at
	refused  map[actors.Code]int // by code; BROKEN: the connection was
	faults   []string
}

const broken actors.Code = "BROKEN"

func (b *branch) customer(name string) *customer {
	return &customer{name: name, door: "tcp://" + b.Config.With("gate")[0].TCP, last: time.Now(),
		refused: map[actors.Code]int{}}
}

// be makes the customer somebody else.
func (c *customer) be(who actors.Ref) {
	if c.as != who {
		c.leave()
		c.as = who
	}
}

func (c *customer) leave() {
	if c.conn != nil {
		c.conn.Close() //nolint:errcheck // the gate may have closed it
		c.conn = nil
	}
}

func (c *customer) fault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) < 10 {
		c.faults = append(c.faults, c.name+": "+fmt.Sprintf(format, args...))
	}
}

// request asks once, as soon as there is a connection; the first error is that of a customer who has stopped before.
// Whatever another error is, the request may have taken effect, unless it is a refusal of the game's own.
func request[R any](ctx context.Context, c *customer, msg any) (reply R, err error) {
	for !c.connected(ctx) {
		if !c.wait(ctx, 10*pace) {
			return reply, errStopped
		}
	}
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	asked := time.Now()
	reply, err = client.Call[R](within, c.conn, msg)
	c.note(asked, err)
	if refusal := (*actors.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			c.fault("no answer to %T within %v", msg, answerWithin)
		}
		c.leave()
	}
	return reply, err
}

// errStopped: nothing was asked.
var errStopped = errors.New("it is over")

// connected connects, if need be and possible.
func (c *customer) connected(ctx context.Context) bool {
	if c.conn != nil && c.conn.Err() == nil {
		return true
	}
	c.leave()
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	conn, err := client.Dial(within, c.door, client.Options{Catalogue: messages, Ticket: c.as.String(), Name: "test/1"})
	if err != nil {
		return false
	}
	c.conn = conn
	return true
}

func (c *customer) note(asked time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	refusal := (*actors.Refusal)(nil)
	switch {
	case err == nil:
		now := time.Now()
		c.gap = max(c.gap, now.Sub(c.last))
		c.answered, c.asked, c.last = c.answered+1, asked, now
	case errors.As(err, &refusal):
		c.refused[refusal.Code]++
	default:
		c.refused[broken]++
	}
}

// certain notes that by the newest answer so many lines or transfers more are there for certain.
func (c *customer) certain(more, abroad int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sure, c.abroad = c.sure+more, c.abroad+abroad
	c.slowest = max(c.slowest, c.last.Sub(c.asked))
}

// wait pauses; false: it is time to stop.
func (c *customer) wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// isOurs says whether an error is the game's own refusal: then nothing has happened, for certain.
func isOurs(err error) bool {
	for _, code := range []actors.Code{NotOpen, OpenTwice, BadAmount, Poor, Full} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// A crowd is customers who are busy until stop.
type crowd struct {
	*branch
	all  []*customer
	ctx  context.Context
	end  context.CancelFunc
	busy sync.WaitGroup

	wentOn  time.Time // after the newest death
	jotting []*jotter
	writing []*customer
	paying  []*customer
	oldest  time.Duration // how old what jotters have lost was at most
}

func (b *branch) crowd() *crowd {
	w := &crowd{branch: b}
	w.ctx, w.end = context.WithCancel(context.Background())
	b.t.Cleanup(w.stop)
	return w
}

// add lets a customer live a life in a goroutine of its own, which stop ends and waits for.
func (w *crowd) add(c *customer, life func(context.Context)) {
	w.all = append(w.all, c)
	w.busy.Add(1)
	go func() {
		defer w.busy.Done()
		defer c.leave()
		life(w.ctx)
	}()
}

func (w *crowd) stop() {
	w.end()
	w.busy.Wait()
}

// goesOn waits until everybody, or whoever is named, was answered with a result, in a request sent after since, and
// returns how long it took.
func (w *crowd) goesOn(what string, since time.Time, who ...*customer) time.Duration {
	w.t.Helper()
	if len(who) == 0 {
		who = w.all
	}
	for _, c := range who {
		clustertest.Await(w.t, goOnWithin, c.name+" to go on "+what, func() error {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.asked.After(since) {
				return nil
			}
			return fmt.Errorf("the last answer was %v ago; refused: %v", time.Since(c.last), c.refused)
		})
	}
	w.wentOn = time.Now()
	return time.Since(since)
}

// sum adds up what customers count.
func sum(all []*customer, count func(*customer) int) (n int) {
	for _, c := range all {
		c.mu.Lock()
		n += count(c)
		c.mu.Unlock()
	}
	return n
}

// busily waits until so many more requests were answered with a result.
func (w *crowd) busily(more int) {
	w.t.Helper()
	answered := func(c *customer) int { return c.answered }
	before := sum(w.all, answered)
	clustertest.Await(w.t, enoughWithin, fmt.Sprintf("%d more answers", more), func() error {
		if now := sum(w.all, answered); now < before+more {
			return fmt.Errorf("there were %d", now-before)
		}
		return nil
	})
}

// enough lets the crowd go on until there were so many lines and transfers for certain, and one that must come back.
// A slow machine works for longer.
func (w *crowd) enough(lines, transfers int) {
	w.t.Helper()
	sure := func(c *customer) int { return c.sure }
	clustertest.Await(w.t, enoughWithin, "enough to be tested", func() error {
		wrote, paid := sum(w.writing, sure), sum(w.paying, sure)
		back := sum(w.paying, func(c *customer) int { return c.abroad })
		if wrote < lines || paid < transfers || back == 0 {
			return fmt.Errorf("there were %d of %d lines and %d of %d transfers, of which %d come back", wrote, lines,
				paid, transfers, back)
		}
		return nil
	})
}

// slow is the longest that anybody has waited for what needs the store since slow was last asked.
func (w *crowd) slow() (longest time.Duration) {
	for _, c := range slices.Concat(w.writing, w.paying) {
		c.mu.Lock()
		longest, c.slowest = max(longest, c.slowest), 0
		c.mu.Unlock()
	}
	return longest
}

// report fails the test if anybody saw what must not be, and returns the sum of answers and the longest gap.
func (w *crowd) report(t *testing.T) (answered int, gap time.Duration) {
	t.Helper()
	refused := map[actors.Code]int{}
	for _, c := range w.all {
		c.mu.Lock()
		answered += c.answered
		gap = max(gap, c.gap)
		for code, n := range c.refused {
			refused[code] += n
		}
		for _, f := range c.faults {
			t.Error(f)
		}
		c.mu.Unlock()
	}
	t.Logf("%d answers, the longest gap of anybody %v, refused on the way: %v", answered, gap.Round(time.Millisecond),
		refused)
	return answered, gap
}
