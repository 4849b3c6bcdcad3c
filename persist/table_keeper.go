package persist

import (
	"cmp"
	"container/list"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// ownTries is how often a row gets another id because its own is taken: rows with ids of their own have come in
// between.
const ownTries = 3

// A rowKeeper is the part of a keeper that keeps rows of Tables. It belongs to the keeper's turns.
type rowKeeper struct {
	k     *keeper
	all   map[string]*tableRow // by table and key
	asked int                  // questions that are not answered
	other int                  // of them, those that stand in no row: they wait for an id, or for the store's answer
	ages  list.List            // since when each question that writes has waited, in Unix nanoseconds, oldest first

	oldestAt atomic.Int64 // the first of the ages; 0: none waits
}

func newRowKeeper(k *keeper) *rowKeeper {
	return &rowKeeper{k: k, all: make(map[string]*tableRow)}
}

// busy reports whether somebody waits for an answer.
func (r *rowKeeper) busy() bool { return r.asked > 0 || len(r.all) > 0 }

// resume goes on after the keeper's fence was raised.
func (r *rowKeeper) resume() {
	for _, w := range r.sorted() {
		w.step()
	}
}

// lost: the shard may be another keeper's. Whoever waits is told that nobody knows.
func (r *rowKeeper) lost() {
	for _, w := range r.sorted() {
		delete(r.all, w.name)
		for _, q := range append(w.round, w.queue...) {
			r.refuse(q, actors.Unavailable, "another keeper has the shard")
		}
	}
}

func (r *rowKeeper) sorted() []*tableRow {
	all := make([]*tableRow, 0, len(r.all))
	for _, w := range r.all {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *tableRow) int { return strings.Compare(a.name, b.name) })
	return all
}

// late reports whether nobody waits for an answer any more.
func (k *keeper) late(e *actors.Envelope) bool {
	return e.Deadline != 0 && e.Deadline < k.archive.o.Clock.Now().UnixNano()
}

// ask takes a question about one row.
func (r *rowKeeper) ask(e *actors.Envelope, m *RowAsk) error {
	t := r.k.archive.o.Tables[m.Table]
	if t == nil {
		return actors.StoreRefused.Refuse("there is no table %.80q here", m.Table)
	}
	q := &rowQuestion{envelope: e, ask: m}
	var err error
	if q.values, q.has, err = t.values(m.Row); err != nil {
		return err
	}
	if err := t.complete(q); err != nil {
		return err
	}
	if m.Do != DoGet {
		q.bytes = q.values.bytes()
	}
	switch {
	case r.asked >= r.k.archive.o.Limits.Waiting:
		return actors.Overloaded.Refuse("too many questions wait for the store")
	case q.writes() && r.k.archive.health.down():
		return actors.StoreUnavailable.Refuse("%v", r.k.archive.health.outage())
	case q.writes() && !r.k.archive.admit(1, q.bytes):
		return actors.StoreBehind.Refuse("the store does not keep up")
	}
	r.take(q)
	if q.writes() { // and is counted now
		r.k.archive.release(1, q.bytes)
	}
	if m.Own && t.hasZeroKey(q.values) {
		r.own(q, t)
		return nil
	}
	r.put(q, t)
	return nil
}

// complete says what a question lacks: another build of the game may have asked it.
func (m *Mapping) complete(q *rowQuestion) error {
	for i := range m.Columns {
		named := i == m.Key || i == m.Shard
		if q.has[i] || !named && q.ask.Do != DoInsert && q.ask.Do != DoPut {
			continue
		}
		return BadValue.Refuse("%s: whoever asks does not know the column", m.at(i))
	}
	switch q.ask.Do {
	case DoGet, DoInsert, DoPut, DoDelete, DoUpdate:
		return nil
	}
	return actors.BadBody.Refuse("a row cannot be asked to %.40q", q.ask.Do)
}

// take counts a question among those that wait.
func (r *rowKeeper) take(q *rowQuestion) {
	r.asked++
	if q.writes() {
		r.k.archive.counters.saves.Add(1)
		r.count(1, q.bytes)
		q.age = r.ages.PushBack(r.k.archive.o.Clock.Now().UnixNano())
		r.oldest()
	}
}

// leave ends the counting.
func (r *rowKeeper) leave(q *rowQuestion) {
	r.asked--
	if q.writes() {
		r.count(-1, -q.bytes)
		r.ages.Remove(q.age)
		r.oldest()
	}
}

// oldest tells others since when the oldest write has waited.
func (r *rowKeeper) oldest() {
	at := int64(0)
	if first := r.ages.Front(); first != nil {
		at = first.Value.(int64)
	}
	r.oldestAt.Store(at)
}

func (r *rowKeeper) count(rows, bytes int) {
	r.k.held.rows.Add(int64(rows))
	r.k.held.bytes.Add(int64(bytes))
	r.k.archive.counters.rows.Add(int64(rows))
	r.k.archive.counters.bytes.Add(int64(bytes))
}

// put lets a question wait for its row.
func (r *rowKeeper) put(q *rowQuestion, t *Mapping) {
	key, shard := *q.values[t.Key], *q.values[t.Shard]
	name := t.Name + "/" + strconv.Itoa(len(shard)) + "/" + shard + key
	w := r.all[name]
	if w == nil {
		w = &tableRow{rows: r, table: t, name: name, ref: KeeperKind.Ref(name), key: key, shard: shard}
		r.all[name] = w
	} else if q.writes() {
		r.k.archive.counters.coalesced.Add(1)
	}
	w.queue = append(w.queue, q)
	w.step()
}

// own gives a row a key of its own. If that is its shard value too, it decides who keeps the row.
func (r *rowKeeper) own(q *rowQuestion, t *Mapping) {
	r.other++
	r.k.archive.ids.take(t, func(id uint64, err error) {
		r.k.runner.Post(func() {
			r.other--
			text := strconv.FormatUint(id, 10)
			if err == nil {
				if err = t.Columns[t.Key].fits(text); err != nil {
					err = flaw{fmt.Errorf("persist: %s: no id is left: %w", t.at(t.Key), err), BadValue}
				}
			}
			if err != nil {
				r.refuse(q, codeOf(err), err.Error())
				return
			}
			q.values[t.Key] = &text
			if t.Key != t.Shard {
				r.put(q, t)
				return
			}
			r.forward(q, t)
		})
	})
}

// forward hands a question to the keeper whose row it has turned out to be about; that one answers.
func (r *rowKeeper) forward(q *rowQuestion, t *Mapping) {
	ask := *q.ask
	ask.Row = t.row(q.values, nil)
	body, err := json.Marshal(&ask)
	if err != nil {
		r.refuse(q, actors.Internal, err.Error())
		return
	}
	e := *q.envelope
	e.To, e.Body = t.home(*q.values[t.Key]), body
	r.leave(q)
	r.k.runner.Send(&e)
	r.k.mayStop()
}

// rejected tells a question that the store refuses what it says; but a key of our own making that is taken is replaced.
func (r *rowKeeper) rejected(q *rowQuestion, t *Mapping, err error) {
	code := codeOf(err)
	if code == RowTaken && q.ask.Own && q.ask.Tries < ownTries {
		again := *q.ask
		again.Tries++
		q.ask = &again
		r.k.archive.ids.spoil(t)
		r.own(q, t)
		return
	}
	if code == actors.StoreRefused {
		r.k.archive.counters.aside.Add(1)
		r.k.archive.o.Log.Error("the store refuses a row", "table", t.Name, "error", err)
	}
	r.refuse(q, code, err.Error())
}

// find takes a question for many rows.
func (r *rowKeeper) find(e *actors.Envelope, m *RowsFind) error {
	t := r.k.archive.o.Tables[m.Table]
	if t == nil {
		return actors.StoreRefused.Refuse("there is no table %.80q here", m.Table)
	}
	most := r.k.archive.o.Limits.AnswerRows
	query, err := t.query(m, most, r.k.archive.o.Limits.AnswerBytes)
	switch {
	case err != nil:
		return err
	case r.asked >= r.k.archive.o.Limits.Waiting:
		return actors.Overloaded.Refuse("too many questions wait for the store")
	case r.k.archive.health.down():
		return actors.StoreUnavailable.Refuse("%v", r.k.archive.health.outage())
	}
	q := &rowQuestion{envelope: e}
	r.take(q)
	r.other++
	r.k.archive.counters.loads.Add(1)
	r.k.archive.work.offload(func() {
		found, err := r.k.archive.o.Database.Rows(context.Background(), query)
		r.k.runner.Post(func() {
			r.other--
			r.found(q, t, found, err)
		})
	})
	return nil
}

func (r *rowKeeper) found(q *rowQuestion, t *Mapping, found []Values, err error) {
	most := r.k.archive.o.Limits.AnswerRows
	switch {
	case err != nil:
		r.k.archive.health.told(err)
		r.refuse(q, codeOf(err), err.Error())
	case len(found) > most:
		r.refuse(q, TooManyRows, fmt.Sprintf("more than %d rows of %s: ask for fewer, with a limit", most, t.Name))
	default:
		a := new(RowAnswer)
		for _, v := range found {
			a.Rows = append(a.Rows, t.row(v, nil))
		}
		r.answer(q, a)
	}
}

// query looks a RowsFind over: names are looked up, values checked.
func (m *Mapping) query(f *RowsFind, most, bytes int) (RowQuery, error) {
	if f.Limit > most {
		return RowQuery{}, TooManyRows.Refuse("table %s: a limit of %d rows, the bound is %d", m.Name, f.Limit, most)
	}
	q := RowQuery{Table: m, Limit: cmp.Or(f.Limit, most+1), Bytes: bytes}
	for _, w := range f.Where {
		i := m.column(w.Column)
		switch {
		case i < 0:
			return q, UnknownColumn.Refuse("table %s has no column %.80q here", m.Name, w.Column)
		case w.Op < Equal || w.Op > LessOrEqual || w.Value == nil && w.Op > Unequal || m.Columns[i].Type == JSON:
			return q, BadValue.Refuse("%s cannot be compared so", m.at(i))
		case w.Value != nil:
			if err := m.Columns[i].fits(*w.Value); err != nil {
				return q, BadValue.Refuse("%s: %v", m.at(i), err)
			}
		}
		q.Where = append(q.Where, RowTerm{i, w.Op, w.Value})
	}
	for _, o := range f.Order {
		i := m.column(o.Column)
		if i < 0 {
			return q, UnknownColumn.Refuse("table %s has no column %.80q here", m.Name, o.Column)
		}
		q.Order = append(q.Order, RowOrder{i, o.Falling})
	}
	return q, nil
}

// answer answers a question.
func (r *rowKeeper) answer(q *rowQuestion, a *RowAnswer) {
	body, err := json.Marshal(a)
	if err != nil {
		r.refuse(q, actors.Internal, err.Error())
		return
	}
	r.leave(q)
	r.k.reply(q.envelope, q.envelope.Answer(NumberAnswer, wire.JSON, body))
	r.k.mayStop()
}

func (r *rowKeeper) refuse(q *rowQuestion, c actors.Code, text string) {
	r.leave(q)
	r.k.refuse(q.envelope, c, text)
	r.k.mayStop()
}
