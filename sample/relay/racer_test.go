package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/clustertest"
	"github.com/fireflyrt/firefly/gate/client"
)

// What all racers together ask of a machine: an open load, that does not wait for answers.
const (
	racersInCI = 100
	judges     = 40
	stepsInCI  = 200 // a second, of all racers together; FIREFLY_STEPS says more
	pingEach   = 5 * time.Second
	endWithin  = 2 * time.Minute // until the last step is answered and counted
)

// A racer is one client. It sends numbered steps at its pace, whatever comes back, and checks that what comes back is
// each step once and in order.
type racer struct {
	name  string
	pipe  *client.Pipe
	ended chan struct{} // its reading is over

	writing sync.Mutex
	seq     uint32
	steps   atomic.Uint64 // that it has sent

	mu      sync.Mutex
	sent    map[uint32]time.Time // steps that were not answered, by seq
	heard   uint64               // frames that the gate counts: it keeps them until it is told
	stepped uint64               // answers
	counted uint64               // pushes
	slowest time.Duration
	race    *Race // the answer to Look
	faults  []string
	leaving bool
}

// A field is all racers.
type field struct {
	t      *testing.T
	racers []*racer
	stop   context.CancelFunc
	over   sync.WaitGroup
}

// run lets so many racers begin.
func run(t *testing.T, door string, racers int) *field {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	each := time.Duration(racers) * time.Second / time.Duration(number(t, "FIREFLY_STEPS", stepsInCI))
	f := &field{t: t, stop: stop}
	t.Cleanup(f.end)
	for i := range racers {
		r := &racer{name: fmt.Sprint("r", i), ended: make(chan struct{}), sent: map[uint32]time.Time{}}
		if err := r.enter(t.Context(), door); err != nil {
			t.Fatal(err)
		}
		f.racers = append(f.racers, r)
		go r.read() // ends with its connection
		f.over.Go(func() { r.live(ctx, each, time.Duration(i)*each/time.Duration(racers), fmt.Sprint("j", i%judges)) })
	}
	return f
}

// end closes what is still open.
func (f *field) end() {
	f.stop()
	f.over.Wait()
	for _, r := range f.racers {
		r.mu.Lock()
		r.leaving = true
		r.mu.Unlock()
		r.pipe.Close() //nolint:errcheck // it may be broken
		<-r.ended
	}
}

func (r *racer) enter(ctx context.Context, door string) (err error) {
	if r.pipe, err = client.OpenPipe(ctx, door, client.Way{}); err != nil {
		return err
	}
	hello := wire.Hello{Version: wire.Version, Codec: wire.JSON.String(), Ticket: RunnerKind.Ref(r.name).String()}
	if err := r.frame(wire.NumberHello, 1, hello); err != nil {
		return err
	}
	if h, body, err := r.pipe.Read(); err != nil || h.Number != wire.NumberWelcome {
		return fmt.Errorf("%s is not welcome: %v %s", r.name, err, body)
	}
	return nil
}

func (r *racer) frame(number, seq uint32, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return r.pipe.Write(wire.AppendFrame(nil, 0, number, seq, b))
}

// ask sends a request.
func (r *racer) ask(number uint32, body any) (seq uint32, err error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.seq++
	r.mu.Lock()
	r.sent[r.seq] = time.Now()
	r.mu.Unlock()
	return r.seq, r.frame(number, r.seq, body)
}

// live steps until it is told to stop.
func (r *racer) live(ctx context.Context, each, late time.Duration, judge string) {
	next, ping := time.Now().Add(late), time.Now().Add(pingEach)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		next = next.Add(each)
		if _, err := r.ask(101, &Step{N: r.steps.Add(1), Judge: judge}); err != nil {
			r.fault("%v", err)
			return
		}
		if time.Now().After(ping) {
			ping = time.Now().Add(pingEach)
			r.mu.Lock()
			heard := wire.Ping{Received: r.heard}
			r.mu.Unlock()
			r.writing.Lock()
			r.frame(wire.NumberPing, 0, heard) //nolint:errcheck // the next step tells
			r.writing.Unlock()
		}
	}
}

func (r *racer) fault(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.leaving && len(r.faults) < 5 {
		r.faults = append(r.faults, fmt.Sprintf(format, args...))
	}
}

// read hears what the gate says until the connection ends.
func (r *racer) read() {
	defer close(r.ended)
	for {
		h, body, err := r.pipe.Read()
		if err != nil {
			r.fault("disconnected: %v", err)
			return
		}
		if why := r.hear(h, body); why != "" {
			r.fault("%s", why)
		}
	}
}

func (r *racer) hear(h wire.Header, body []byte) (fault string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.Number >= wire.FirstGameNumber {
		r.heard++
	}
	switch {
	case h.Number < wire.FirstGameNumber && h.Flags == 0:
		return "" // a Pong
	case h.Number == 103:
		m := read[Counted](body)
		if r.counted++; m.Fault != "" || m.N != r.counted {
			fault = fmt.Sprintf("the %dth count is of step %d: %s", r.counted, m.N, m.Fault)
			r.counted = m.N
		}
		return fault
	}
	at, open := r.sent[h.Seq]
	delete(r.sent, h.Seq)
	r.slowest = max(r.slowest, time.Since(at))
	switch {
	case !open:
		return fmt.Sprintf("seq %d is answered, but not open: %s", h.Seq, body)
	case h.Flags != 0:
		r.stepped++
		return fmt.Sprintf("seq %d is refused after %v: %s", h.Seq, time.Since(at).Round(time.Millisecond), body)
	case h.Number == 105:
		r.race = read[Race](body)
		return ""
	}
	if m := read[Stepped](body); m.N != r.stepped+1 {
		fault = fmt.Sprintf("step %d is answered after %d", m.N, r.stepped)
	}
	r.stepped++
	return fault
}

func read[M any](body []byte) *M {
	m := new(M)
	if err := json.Unmarshal(body, m); err != nil {
		return new(M) // whose number is wrong
	}
	return m
}

// done says what a racer still waits for.
func (r *racer) done() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch steps := r.steps.Load(); {
	case len(r.faults) > 0:
		return nil
	case len(r.sent) > 0:
		return fmt.Errorf("%s: %d requests are not answered", r.name, len(r.sent))
	case r.counted < steps:
		return fmt.Errorf("%s: %d of %d steps are counted", r.name, r.counted, steps)
	}
	return nil
}

// pauses are the longest that each racer has waited for an answer since it was asked last, or waits now, in order.
func (f *field) pauses() []time.Duration {
	all := make([]time.Duration, 0, len(f.racers))
	for _, r := range f.racers {
		r.mu.Lock()
		longest := r.slowest
		for _, at := range r.sent {
			longest = max(longest, time.Since(at))
		}
		r.slowest = 0
		r.mu.Unlock()
		all = append(all, longest)
	}
	slices.Sort(all)
	return all
}

// during does something under load, goes on until nobody has to wait any more, and prints the longest pause.
func (f *field) during(what string, do func()) {
	f.t.Helper()
	f.pauses()
	began := time.Now()
	do()
	took := time.Since(began)
	clustertest.Await(f.t, endWithin, "steps to be answered at once after "+what, func() error {
		f.checks()
		if open := f.open(); open > len(f.racers)/4 {
			return fmt.Errorf("%d requests are open", open)
		}
		return nil
	})
	all, ms := f.pauses(), time.Millisecond
	n := len(all)
	f.t.Logf("%s: took %v; the longest pause of a racer: p50 %v, p99 %v, max %v", what, took.Round(ms),
		all[n/2].Round(ms), all[n*99/100].Round(ms), all[n-1].Round(ms))
}

// open is how many requests are not answered.
func (f *field) open() (n int) {
	for _, r := range f.racers {
		r.mu.Lock()
		n += len(r.sent)
		r.mu.Unlock()
	}
	return n
}

// checks ends the test at the first fault.
func (f *field) checks() {
	f.t.Helper()
	for _, r := range f.racers {
		r.mu.Lock()
		faults := r.faults
		r.mu.Unlock()
		for _, fault := range faults {
			f.t.Errorf("%s: %s", r.name, fault)
		}
	}
	if f.t.Failed() {
		f.t.FailNow()
	}
}

// finish ends the load, waits until every step is answered and counted, and looks whether every runner has lived all
// the time: whoever came up without a past has lost it on the way.
func (f *field) finish(atLeast int) {
	f.t.Helper()
	f.stop()
	f.over.Wait()
	for _, r := range f.racers {
		clustertest.Await(f.t, endWithin, "the last steps", r.done)
	}
	f.checks()
	steps := uint64(0)
	for _, r := range f.racers {
		if _, err := r.ask(104, &Look{}); err != nil {
			f.t.Fatal(err)
		}
		clustertest.Await(f.t, endWithin, "the answer to Look", r.done)
		n := r.steps.Load()
		if r.race == nil || r.race.Starts != 1 || r.race.Steps != n || r.race.Counted != n || r.race.Beats == 0 {
			f.t.Errorf("%s took %d steps, and its runner says %+v", r.name, n, r.race)
		}
		steps += n
	}
	if steps < uint64(atLeast) {
		f.t.Errorf("%d steps are too few to say anything, %d were to be", steps, atLeast)
	}
	f.end()
	f.t.Logf("%d steps of %d racers: each answered, counted and told once and in order", steps, len(f.racers))
}
