package cluster

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// faults is what goes wrong between the nodes of a simulation and on their way to the registry. Until calm it does.
type faults struct {
	clock   actors.Clock
	luck    *rand.Rand
	lost    int           // of 1,000 batches
	doubled int           // of 1,000
	hasty   int           // of 1,000 batches, which may overtake others
	delay   time.Duration // at most, of a batch
	lag     time.Duration // at most, of what a watch brings: so it skips what was overtaken
	unknown int           // of 1,000 transactions, whose outcome is not told
	late    time.Duration // until the outcome of the others is told, at least
	decreed func(Decree)  // is called before a transaction is written
	calm    bool
	nodes   map[string]*shakyCarrier
	cut     map[[2]string]bool
	slow    map[[2]string]time.Duration // what it takes between two beside that, at most
	last    map[[2]string]time.Time     // when the newest batch between two will be there
}

// some reports whether luck has it so, n times in 1,000.
func (f *faults) some(n int) bool { return !f.calm && f.luck.IntN(1000) < n }

// upTo draws a time.
func (f *faults) upTo(most time.Duration) time.Duration {
	if f.calm || most == 0 {
		return 0
	}
	return time.Duration(f.luck.Int64N(int64(most)))
}

// A shakyCarrier carries batches late, twice, in another order, or not at all.
type shakyCarrier struct {
	*faults
	address  string
	receiver Receiver
	closed   bool
}

func (s *shakyCarrier) Listen(r Receiver) (string, error) {
	s.receiver, s.nodes[s.address] = r, s
	return s.address, nil
}

func (s *shakyCarrier) Connect(string)    {}
func (s *shakyCarrier) Disconnect(string) {}
func (s *shakyCarrier) Close()            { s.closed = true }

func (s *shakyCarrier) Send(address string, b []byte) {
	times := 1
	if s.some(s.doubled) {
		times++
	}
	for range times {
		if s.some(s.lost) || s.cut[[2]string{s.address, address}] {
			continue
		}
		pair, now := [2]string{s.address, address}, s.clock.Now()
		wait := s.upTo(s.delay) + s.upTo(s.slow[pair])
		if !s.some(s.hasty) {
			wait = max(wait, s.last[pair].Sub(now))
			s.last[pair] = now.Add(wait)
		}
		s.clock.AfterFunc(wait, func() {
			to := s.nodes[address]
			if to != nil && !to.closed && !s.closed && !s.cut[[2]string{s.address, address}] {
				if err := to.receiver.Receive(b); err != nil {
					panic(err)
				}
			}
		})
	}
}

// A slowRegistry brings what it hears late, and only the newest of it; and it may not tell what became of a write.
type slowRegistry struct {
	Registry
	*faults
	lag     time.Duration // of this node
	witness Witness
	newest  *Record
	told    bool
	waiting bool
}

func (y *slowRegistry) Join(ctx context.Context, m Member, w Witness) error {
	y.witness = w
	return y.Registry.Join(ctx, m, y)
}

func (y *slowRegistry) Changed(r *Record) {
	y.newest = r
	if !y.told {
		y.told = true
		y.witness.Changed(r) // a member's first picture is that of its joining
		return
	}
	if !y.waiting {
		y.waiting = true
		y.clock.AfterFunc(y.upTo(y.lag), func() {
			y.waiting = false
			y.witness.Changed(y.newest)
		})
	}
}

func (y *slowRegistry) Forgotten() { y.witness.Forgotten() }

func (y *slowRegistry) Renewed(sent time.Time) {
	y.witness.Changed(y.newest)
	y.witness.Renewed(sent)
}

func (y *slowRegistry) Assign(d Decree, done func(error)) {
	if y.some(y.unknown) { // it never came there
		y.clock.AfterFunc(y.upTo(100*time.Millisecond), func() { done(errCutOff) })
		return
	}
	if y.decreed != nil {
		y.decreed(d)
	}
	y.Registry.Assign(d, func(err error) {
		if y.some(y.unknown) { // it came there, but nobody knows
			err = errCutOff
		}
		y.clock.AfterFunc(y.late+y.upTo(y.delay), func() { done(err) })
	})
}
