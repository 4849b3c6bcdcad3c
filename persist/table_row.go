package persist

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/fireflyrt/firefly/actors"
)

// A tableRow is what a keeper holds of a row of a Table that somebody asks about: who waits, and what is being
// written. It is forgotten when nobody does; what it knew is in the cache then.
//
// Questions are done in rounds. A round takes all that waits, as far as it can go together: its reads are answered,
// and its writes merged into one, in the order in which they came. Nothing of the row is answered while a round is
// under way, so nobody sees what may still not last, nor an old row after somebody has seen the new one in the
// store.
type tableRow struct {
	rows  *rowKeeper
	table *Mapping
	name  string     // among the keeper's rows
	ref   actors.Ref // in the cache
	key   string
	shard string
	queue []*rowQuestion // not begun, oldest first
	round []*rowQuestion // under way
	going *rowParcel     // what the round writes
	alone int            // how many writes are rounds of their own, because the store has refused them together
	busy  bool           // being read or written

	known bool   // what follows holds
	fence Fence  // under which it was learned
	now   Values // as it is in the store; nil: it is not there
}

// A rowQuestion is a RowAsk that is not answered.
type rowQuestion struct {
	envelope *actors.Envelope
	ask      *RowAsk
	values   Values
	has      []bool
	bytes    int           // 0: it does not write
	age      *list.Element // of one that writes, in its keeper
}

func (q *rowQuestion) writes() bool { return q.bytes > 0 }

// step goes on with a row as far as that is possible now.
func (w *tableRow) step() {
	k := w.rows.k
	for !w.busy && k.fence.Epoch != 0 && w.rows.all[w.name] == w {
		switch {
		case len(w.round) == 0 && len(w.queue) == 0:
			delete(w.rows.all, w.name)
		case (!w.known || w.fence != k.fence) && !w.recall():
			w.read()
		case len(w.round) > 0:
			w.again()
		default:
			w.begin()
		}
	}
	k.mayStop()
}

// recall finds the row in the cache. What became of a round only the store knows.
func (w *tableRow) recall() bool {
	if len(w.round) > 0 {
		return false
	}
	a := w.rows.k.archive
	m, ok := a.cache.get(cacheKey(w.ref, w.rows.k.fence.Epoch))
	if !ok {
		a.counters.misses.Add(1)
		return false
	}
	a.counters.hits.Add(1)
	w.now = nil
	if len(m.cells) > 0 && json.Unmarshal(m.cells, &w.now) != nil {
		return false
	}
	w.known, w.fence = true, w.rows.k.fence
	return true
}

// learn takes notice of what the store has.
func (w *tableRow) learn(v Values) {
	k := w.rows.k
	w.known, w.fence, w.now = true, k.fence, v
	var cells json.RawMessage
	if v != nil {
		cells, _ = json.Marshal(v) // texts
	}
	key, part := cacheKey(w.ref, k.fence.Epoch), []Part{{Data: cells}}
	m, ok := k.archive.cache.get(key)
	if ok {
		m.apply(part)
	} else {
		m = newImage(part)
	}
	k.archive.cache.put(key, m)
}

// read reads the row from the store.
func (w *tableRow) read() {
	k := w.rows.k
	if k.archive.health.down() {
		w.unread(k.archive.health.outage())
		return
	}
	fence := k.fence
	w.busy, w.known = true, false
	k.archive.counters.loads.Add(1)
	q := RowQuery{Table: w.table, Limit: 1, Bytes: 2 * maxRow,
		Where: []RowTerm{{w.table.Key, Equal, &w.key}, {w.table.Shard, Equal, &w.shard}}}
	k.archive.work.offload(func() {
		found, err := k.archive.o.Database.Rows(context.Background(), q)
		k.runner.Post(func() {
			if w.rows.all[w.name] != w {
				return
			}
			w.busy = false
			switch {
			case fence != k.fence: // another keeper may have written since
			case err != nil:
				w.unread(err)
			default:
				w.learn(w.own(found))
			}
			w.step()
		})
	})
}

// own is the row that was found, if it is the one that was looked for: some collations take a key for another.
func (w *tableRow) own(found []Values) Values {
	if len(found) == 0 || *found[0][w.table.Key] != w.key {
		return nil
	}
	return found[0]
}

// unread: the store did not say what the row is.
func (w *tableRow) unread(err error) {
	k := w.rows.k
	k.archive.health.told(err)
	for _, q := range w.queue {
		w.rows.refuse(q, codeOf(err), err.Error())
	}
	w.queue = nil
	if len(w.round) == 0 {
		return
	}
	if errors.Is(err, ErrRejected) {
		w.fail(codeOf(err), err.Error())
		return
	}
	w.busy = true // until it is known what became of the round
	k.after(retryAfter, func() {
		w.busy = false
		w.step()
	})
}

// begin takes the next round from what waits.
func (w *tableRow) begin() {
	p := &rowParcel{table: w.table}
	want, writes := w.now, 0
	for len(w.queue) > 0 {
		q := w.queue[0]
		code, text := w.refusal(q, want)
		if writes > 0 && (code != "" || q.ask.Do == DoDelete || q.writes() && w.alone > 0) {
			break // what it is to be told, what comes before it decides
		}
		w.queue = w.queue[1:]
		if code != "" {
			w.rows.refuse(q, code, text)
			continue
		}
		w.round = append(w.round, q)
		if q.writes() {
			want = w.merge(p, q, want)
			writes++
			w.alone = max(w.alone-1, 0)
		}
		if q.ask.Do == DoDelete {
			break
		}
	}
	if writes == 0 {
		w.answer(w.now)
		return
	}
	slices.Sort(p.names)
	p.write.Values = want
	w.write(p)
}

// refusal says why a question cannot be done if the row is as given.
func (w *tableRow) refusal(q *rowQuestion, now Values) (actors.Code, string) {
	switch {
	case w.rows.k.late(q.envelope):
		return actors.DeadlinePassed, "nobody waits for it any more"
	case now == nil && q.ask.Do != DoInsert && q.ask.Do != DoPut:
		return NoRow, w.table.Name + " has no row " + w.title()
	case now != nil && q.ask.Do == DoInsert:
		return RowTaken, w.table.Name + " has a row " + w.title()
	}
	return "", ""
}

func (w *tableRow) title() string {
	text := w.table.Columns[w.table.Key].Name + "=" + w.key
	if w.table.Shard != w.table.Key {
		text += " with " + w.table.Columns[w.table.Shard].Name + "=" + w.shard
	}
	return text
}

// merge takes a write into what the round writes, and returns what the row is to be.
func (w *tableRow) merge(p *rowParcel, q *rowQuestion, now Values) Values {
	p.bytes += q.bytes
	if q.ask.Do == DoDelete {
		p.verb = DeleteRows
		return now
	}
	if now == nil {
		p.verb = InsertRows
		return q.values
	}
	if p.verb != InsertRows {
		p.verb = UpdateRows
	}
	now = slices.Clone(now)
	for i, has := range q.has {
		if !has || i == w.table.Key || i == w.table.Shard {
			continue
		}
		if now[i] = q.values[i]; p.verb == UpdateRows && !slices.Contains(p.names, i) {
			p.names = append(p.names, i)
		}
	}
	return now
}

// write hands the round to the writers.
func (w *tableRow) write(p *rowParcel) {
	k := w.rows.k
	if p.verb == UpdateRows && len(p.names) == 0 { // a Put of a row that is nothing but its key
		w.answer(w.now)
		return
	}
	p.write.Shard, p.write.Keeper = k.shard, k.fence
	p.tell = func(o RowOutcome, err error) { k.runner.Post(func() { w.told(p, o, err) }) }
	w.going, w.busy = p, true
	k.archive.rowWriters.put(p)
}

// told takes notice of what became of the round.
func (w *tableRow) told(p *rowParcel, o RowOutcome, err error) {
	k := w.rows.k
	if w.rows.all[w.name] != w {
		return
	}
	w.busy = false
	switch {
	case err == nil && o.Outcome == Written:
		w.confirm(o.Stored)
	case err == nil && k.fence == p.write.Keeper:
		k.lost()
	case errors.Is(err, ErrUnclear):
		w.known = false
		if k.fence == p.write.Keeper {
			k.raise() // then it cannot be written any more, and reading tells whether it was
		}
	case errors.Is(err, ErrRejected):
		w.rejected(err)
	case err != nil:
		w.fail(actors.StoreUnavailable, err.Error())
	}
	w.step()
}

// again goes on with a round of which nobody knew whether it was written. The store was read since, under a number that
// lets nothing be written that was sent before.
func (w *tableRow) again() {
	before := w.going.write.Keeper
	switch {
	case w.going.verb == DeleteRows && w.now == nil:
		w.confirm(nil)
	case w.going.verb == InsertRows && w.now != nil && w.fence.Epoch == before.Epoch+1:
		w.confirm(w.now) // it was not there before, and no other keeper was since
	case w.going.verb == InsertRows && w.now != nil:
		w.fail(actors.Unavailable, "another keeper has had the shard; nobody knows whose row it is")
	case w.going.verb == UpdateRows && w.now == nil:
		w.fail(NoRow, w.table.Name+" has no row "+w.title()+" any more")
	default:
		p := *w.going
		w.write(&p)
	}
}

// confirm: the round is durable.
func (w *tableRow) confirm(stored Values) {
	p := w.going
	switch {
	case p.verb == DeleteRows:
		was := p.write.Values
		w.relearn(nil)
		w.answer(was)
	case stored == nil:
		w.relearn(nil)
		w.fail(NoRow, w.table.Name+" has no row "+w.title()+" any more")
	default:
		w.relearn(stored)
		w.answer(stored)
	}
}

// relearn takes notice of what was written, unless the fence is another by now: then it is to be read.
func (w *tableRow) relearn(stored Values) {
	if w.fence == w.rows.k.fence && w.fence.Epoch != 0 {
		w.learn(stored)
	}
}

// answer ends a round well.
func (w *tableRow) answer(v Values) {
	round := w.round
	w.round, w.going = nil, nil
	for _, q := range round {
		w.rows.answer(q, &RowAnswer{Rows: []Row{w.table.row(v, nil)}})
	}
}

// fail ends a round badly.
func (w *tableRow) fail(code actors.Code, text string) {
	round := w.round
	w.round, w.going = nil, nil
	for _, q := range round {
		w.rows.refuse(q, code, text)
	}
}

// rejected: the store will never take this round. If it holds several writes, each is tried alone; the one that is
// refused again is told so, and those that only read are done after it.
func (w *tableRow) rejected(err error) {
	writes := 0
	for _, q := range w.round {
		if q.writes() {
			writes++
		}
	}
	round := w.round
	w.round, w.going = nil, nil
	if writes > 1 {
		w.queue, w.alone = append(round, w.queue...), writes
		return
	}
	var reads []*rowQuestion
	for _, q := range round {
		if q.writes() {
			w.rows.rejected(q, w.table, err)
			continue
		}
		reads = append(reads, q)
	}
	w.queue = append(reads, w.queue...)
}
