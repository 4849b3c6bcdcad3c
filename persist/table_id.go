package persist

import (
	"context"
	"sync"
)

// idBlock is how many ids a node takes at once. Those that it has not given when it ends are never given.
const idBlock = 1000

// ids gives new keys to rows, from blocks that the store has given to this node alone. So they are never given twice,
// whatever happens to whom; they rise on each node, but not over all nodes.
type ids struct {
	db       Database
	work     *backlog
	health   *health
	counters *counters

	mu     sync.Mutex // guards the blocks
	blocks map[string]*block
}

// A block is what is left of a table's ids.
type block struct {
	table   *Mapping
	next    uint64
	end     uint64
	waiting []func(id uint64, err error)
}

// take takes one id and hands it to done, from any goroutine.
func (d *ids) take(m *Mapping, done func(id uint64, err error)) {
	d.mu.Lock()
	b := d.blocks[m.Name]
	if b == nil {
		b = &block{table: m}
		d.blocks[m.Name] = b
	}
	if b.next < b.end {
		b.next++
		id := b.next - 1
		d.mu.Unlock()
		done(id, nil)
		return
	}
	b.waiting = append(b.waiting, done)
	if len(b.waiting) == 1 {
		d.work.offload(func() { d.fill(b) })
	}
	d.mu.Unlock()
}

// spoil forgets what is left of a block: rows with such keys have come into the table from elsewhere.
func (d *ids) spoil(m *Mapping) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.blocks[m.Name]; b != nil {
		b.next = b.end
	}
}

// fill takes the next block from the store. One whose answer is lost is lost itself.
func (d *ids) fill(b *block) {
	first, err := d.db.TakeIDs(context.Background(), b.table, idBlock)
	d.health.told(err)
	d.counters.statements.Add(1)
	d.mu.Lock()
	waiting := b.waiting
	b.waiting = nil
	var left []func(uint64, error)
	if err == nil {
		b.next, b.end = first, first+idBlock
		if len(waiting) > idBlock {
			waiting, left = waiting[:idBlock], waiting[idBlock:]
		}
		b.next += uint64(len(waiting))
	}
	d.mu.Unlock()
	for i, done := range waiting {
		done(first+uint64(i), err)
	}
	for _, done := range left {
		d.take(b.table, done)
	}
}
