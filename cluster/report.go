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
	Moves       MoveReport
}

// A MoveReport is how planned moves do, seen from this node.
type MoveReport struct {
	Tenures  int           // shards that are being moved, were moved here, or away and are not forgotten
	Held     int           // envelopes that wait for a move
	Staged   int           // bytes of states from elsewhere that wait for their transaction
	Open     int           // moves that are under way from here, and states that wait here
	Due      int           // envelopes and batches that came here, and that are not known to be where they were to go
	Overflow uint64        // envelopes refused because too many waited
	Astray   uint64        // envelopes routed anew because the owner they were for had died
	Late     uint64        // envelopes refused because they would have come after what was sent later
	Given    uint64        // shards handed over
	Taken    uint64        // shards taken over
	PutOff   uint64        // moves that could not be made then
	Longest  time.Duration // the longest silence of a shard that was handed over
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
	r.Moves = c.tenancy.report()
	for _, role := range c.parked() {
		r.Parked[role] = c.parking(role).len()
	}
	peers := c.picture.Load().byName
	for _, name := range slices.Sorted(maps.Keys(peers)) {
		r.Peers = append(r.Peers, peers[name].report(now))
	}
	return r
}

func (n *tenancy) report() MoveReport {
	n.mu.Lock()
	defer n.mu.Unlock()
	due := int(n.own.count.Load())
	for _, p := range n.c.picture.Load().known {
		due += p.due()
	}
	return MoveReport{Tenures: len(n.at), Held: int(n.count.Load()), Staged: n.staged,
		Open: len(n.moves) + len(n.stages), Due: due, Overflow: n.overflow.Load(), Astray: n.strays.Load(),
		Late: n.overdue.Load(), Given: n.moved, Taken: n.taken, PutOff: n.putOff, Longest: n.longest}
}

// due counts what came from the peer, or was passed on to it, and is not known to be where it was to go.
func (p *peer) due() int {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return int(p.in.book.count.Load()) + len(p.out.passed)
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
