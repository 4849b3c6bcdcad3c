package cluster

import (
	"maps"
	"slices"
	"time"
)

// A Report is how the cluster does, seen from this node: for metrics, the admin page and tests.
type Report struct {
	Coordinator bool           // this node decides assignments
	Held        bool           // the lease is sure
	Peers       []PeerReport   // by name
	Parked      map[string]int // envelopes that wait for an owner, by role
	Lost        uint64         // one-way envelopes that could not go, or were not confirmed when their peer was gone
	Refused     uint64         // requests answered here because they could not go
	Strangers   uint64         // batches from nobody known, or for another incarnation
	Malformed   uint64         // batches that cost a connection
}

// A PeerReport is how the link to one other node does.
type PeerReport struct {
	Name        string
	Incarnation uint64
	Up          bool
	Heard       time.Duration // since the last batch
	Queued      int           // bytes that wait or are not acknowledged
	Batches     int           // not acknowledged
	Sent        uint64        // batches, each counted once
	Received    uint64        // batches
	Resent      uint64        // batches handed over again
	Doubled     uint64        // batches dropped because they had come before
	Early       uint64        // batches dropped because one before was missing
	Open        int           // requests without an answer
	Missed      uint64        // envelopes refused or lost
}

// Report says how the cluster does.
func (c *Cluster) Report() Report {
	now := c.o.Clock.Now()
	r := Report{Held: c.elapsed(now) < c.until.Load(), Parked: map[string]int{}, Lost: c.lost.Load(),
		Refused: c.refused.Load(), Strangers: c.strangers.Load(), Malformed: c.malformed.Load()}
	c.turn.Lock()
	r.Coordinator = c.record.Coordinator == c.self.Incarnation
	c.turn.Unlock()
	for _, role := range c.parked() {
		r.Parked[role] = c.parking(role).len()
	}
	peers := c.picture.Load().byName
	for _, name := range slices.Sorted(maps.Keys(peers)) {
		r.Peers = append(r.Peers, peers[name].report(now))
	}
	return r
}

func (p *peer) report(now time.Time) PeerReport {
	at := p.in.position()
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return PeerReport{Name: p.member.Name, Incarnation: p.member.Incarnation, Up: !p.down.Load(),
		Heard: time.Duration(p.c.elapsed(now) - p.heard.Load()), Queued: p.out.bytes, Batches: len(p.out.queue),
		Sent: p.out.seq, Received: at.arrived, Resent: p.out.resent, Doubled: p.in.doubled.Load(),
		Early: p.in.early.Load(), Open: len(p.asked.open), Missed: p.missed.Load()}
}
