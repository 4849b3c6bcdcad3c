package persist

import (
	"sync/atomic"
	"time"
)

// counters are what a node's persistence has done. Everything that happens in it adds here.
type counters struct {
	rows, bytes                     atomic.Int64 // pending now
	admittedRows, admittedBytes     atomic.Int64 // about to be pending
	sent                            atomic.Int64 // rows of statements under way
	saves, coalesced, behind        atomic.Uint64
	statements, written, fenced     atomic.Uint64
	retries, unclear, aside, raises atomic.Uint64
	late                            atomic.Uint64
	loads, hits, misses             atomic.Uint64
	wakes, purged, crowded          atomic.Uint64
	kept, dropped, rejected, evicts atomic.Uint64
}

// A Report is what a persist node's keepers hold now and have done since it started.
type Report struct {
	Rows       int64         // not yet durable
	Sent       int64         // of them, those in statements that are under way
	Bytes      int64         // of them
	Oldest     time.Duration // how long the oldest of them has waited
	Down       bool          // the store is not to be had at present
	Level      string        // what being written means there, as Database.Level says when it comes up
	Saves      uint64        // changes that senders asked for
	Coalesced  uint64        // of them, those that went along with another of the same entity
	Behind     uint64        // requests refused because too much is pending (STORE_BEHIND)
	Statements uint64        // that wrote
	Written    uint64        // rows that they wrote
	Fenced     uint64        // entities not written because another owner or keeper has them
	Retries    uint64        // statements sent again after a deadlock or a lock wait
	Unclear    uint64        // statements whose answer was lost
	Late       uint64        // changes that came with an old term, and were not taken
	Aside      uint64        // changes that the store refuses, dropped here and still dirty there
	Raises     uint64        // fences taken over
	Wakes      uint64        // entities woken because they were due
	Purged     uint64        // tombstones
	Crowded    uint64        // searches for what is due that found all they may; more was left
	Loads      uint64        // reads from the store
	Hits       uint64        // loads answered from the cache
	Misses     uint64        // loads that the cache could not answer
	Kept       uint64        // copies that were given to the cache
	Dropped    uint64        // copies that it would not take: its buffer was full
	Rejected   uint64        // copies that it did not admit
	Evicted    uint64        // copies that made room for others
}

func (c *counters) report() Report {
	return Report{
		Rows: c.rows.Load(), Bytes: c.bytes.Load(), Sent: min(c.sent.Load(), c.rows.Load()),
		Saves: c.saves.Load(), Coalesced: c.coalesced.Load(), Behind: c.behind.Load(),
		Statements: c.statements.Load(), Written: c.written.Load(), Fenced: c.fenced.Load(),
		Retries: c.retries.Load(), Unclear: c.unclear.Load(), Late: c.late.Load(), Aside: c.aside.Load(),
		Raises: c.raises.Load(), Wakes: c.wakes.Load(), Purged: c.purged.Load(),
		Crowded: c.crowded.Load(), Loads: c.loads.Load(),
		Hits: c.hits.Load(), Misses: c.misses.Load(), Kept: c.kept.Load(),
		Dropped: c.dropped.Load(), Rejected: c.rejected.Load(), Evicted: c.evicts.Load(),
	}
}
