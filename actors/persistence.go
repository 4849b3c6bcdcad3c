package actors

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	commitPatience = 2 * time.Second        // how long an outcome may stay unknown before the caller is told so
	firstRetry     = 100 * time.Millisecond // after a change that was not written; doubles
	longestRetry   = 2 * time.Second
)

// persistence is the part of an entity that keeps its word: which version is written, what is under way, who waits.
// At most one change of an entity is under way.
type persistence struct {
	version    uint64  // the newest that was ever sent
	turnsSaved uint64  // how many turns are in it
	fence      uint64  // the owner's number of this tenure; 0: it has moved here
	underway   *Change // sent, not confirmed
	committing *commit // a turn that waits for the store
	deferred   []func()
	retry      time.Duration
	flushing   func() bool // stops the timer of the next flush; nil: none is set
	flushAt    time.Time   // when that is
}

// A commit is a turn whose effects wait for the store.
type commit struct {
	turn    *turn
	release func()
	since   time.Time
	sent    bool // the change under way holds this turn
}

// fill takes over what the store has.
func (n *entity) fill(s Snapshot) error {
	cells := map[string]json.RawMessage{}
	if len(s.Cells) > 0 {
		if err := json.Unmarshal(s.Cells, &cells); err != nil {
			return fmt.Errorf("actors: load %s: %w", n.ref, err)
		}
	}
	if s.Box != nil {
		cells[boxName] = s.Box
	}
	n.version, n.fence = s.Version, s.Fence
	for _, c := range n.props.cells {
		if !c.isStored() {
			continue
		}
		if err := c.load(cells, s.Parts); err != nil {
			return fmt.Errorf("%s: %w", n.ref, err)
		}
	}
	n.props.box.reload(n.sys.o.Clock.Now().UnixMilli())
	return nil
}

// dirty reports whether a stored cell differs from what was last sent.
func (n *entity) dirty() bool {
	for _, c := range n.props.cells {
		if c.isStored() && c.isDirty() {
			return true
		}
	}
	return false
}

// flushSoon sees to it that what this turn changed is sent within half of flush_every, and at once if something is to
// leave when it is durable.
func (n *entity) flushSoon() {
	switch {
	case n.underway != nil || n.committing != nil || !n.dirty():
	case n.retry == 0 && n.props.box != nil && len(n.props.box.news) > 0:
		n.save(false)
	case n.flushing == nil:
		n.flushAfter(n.sys.o.Limits.FlushEvery / 2)
	}
}

func (n *entity) flushAfter(d time.Duration) {
	n.flushAt = n.sys.o.Clock.Now().Add(d)
	n.flushing = n.sys.o.Clock.AfterFunc(d, func() {
		n.post(func() {
			n.flushing = nil
			n.flush()
		})
	})
}

// flush sends what is dirty, unless a change is under way: then its confirmation flushes the rest.
func (n *entity) flush() {
	if n.underway == nil && n.committing == nil && n.dirty() {
		n.save(false)
	}
}

// commit holds the turn's effects and the user lane until the store has answered.
func (n *entity) commit(t *turn, release func()) {
	n.committing = &commit{turn: t, release: release, since: n.sys.o.Clock.Now()}
	if n.underway == nil {
		n.sendCommit()
	}
}

func (n *entity) sendCommit() {
	if c := n.committing; !n.dirty() {
		n.post(func() {
			n.whenHeld(func() {
				if n.committing == c {
					n.stored(nil)
				}
			})
		})
		return
	}
	n.committing.sent = true
	n.save(true)
}

// save sends all that is dirty as one change under the next version.
func (n *entity) save(isCommit bool) {
	cells, parts := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	var err error
	for _, c := range n.props.cells {
		if c.isStored() {
			err = errors.Join(err, c.collect(cells, parts))
		}
	}
	box := cells[boxName]
	delete(cells, boxName)
	flat, e := json.Marshal(cells)
	if err = errors.Join(err, e); err != nil {
		n.notWritten(Internal.Refuse("%v", err))
		return
	}
	n.version++
	n.underway = &Change{Version: n.version, Fence: n.fence, Cells: flat, Parts: parts, Box: box,
		DueAt: n.props.box.dueAt(), Commit: isCommit}
	n.turnsSaved = n.turns
	n.send()
}

func (n *entity) send() {
	c := n.underway
	n.sys.o.Store.Save(n.ref, n.tenure, *c, func(err error) {
		n.post(func() { n.saved(c, err) })
	})
}

func (n *entity) saved(c *Change, err error) {
	if c != n.underway || n.ended {
		return
	}
	switch {
	case err == nil:
		n.written()
	case errors.Is(err, ErrFenced):
		n.fenced("the store says that another owner writes it")
	case errors.Is(err, ErrUnknown):
		n.unknown()
	default:
		n.underway = nil
		n.notWritten(err)
	}
	n.rehold()
}

// written: the change under way is durable.
func (n *entity) written() {
	n.underway, n.retry = nil, 0
	for _, s := range n.props.cells {
		s.confirm()
	}
	switch {
	case n.committing != nil && n.committing.sent:
		n.stored(nil)
	case n.committing != nil:
		n.announce(n.turnsSaved)
		n.sendCommit()
	default:
		n.announce(n.turnsSaved)
		n.goOn()
	}
}

// goOn is what follows when nothing is under way any more.
func (n *entity) goOn() {
	if n.leaving {
		n.depart()
		return
	}
	n.flushSoon()
}

// stored ends the wait of a commit: its turn takes effect, or never was and the caller is told r.
func (n *entity) stored(r *Refusal) {
	n.input(&Input{Type: InputStored, Refusal: r}, func() {
		c := n.committing
		n.committing = nil
		if r == nil {
			durable := n.turns // those of the last event, if the turn ends the entity, are not yet
			c.turn.keep()
			c.release()
			n.props.box.leave(durable)
			return
		}
		n.withdraw(c.turn)
		n.decline(c.turn.request, r)
		if c.turn.again != nil {
			c.turn.again()
		}
	})
	n.resume()
	n.rehold()
	if r == nil {
		n.goOn()
	}
}

// withdraw undoes a turn that had succeeded, but could not be written.
func (n *entity) withdraw(t *turn) {
	back := Turn{Number: t.number, Name: t.name, Verdict: Declined, Text: "not written"}
	if n.heard != nil {
		back.Edits = edits(t.touched, true)
		n.heard.Turns = append(n.heard.Turns, back)
	}
	t.undo()
}

// notWritten: the change did not happen. A commit's turn never was; everything else is dirty again.
func (n *entity) notWritten(err error) {
	for _, s := range n.props.cells {
		s.restore()
	}
	if c := n.committing; c != nil && !c.sent {
		n.sendCommit()
		return
	} else if c != nil {
		r, ok := refusalOf(err)
		if !ok {
			r = &Refusal{Code: StoreUnavailable, Text: err.Error()}
		}
		n.stored(r)
	}
	n.sys.o.Log.Warn("change not written", "actor", n.ref.String(), "error", err.Error())
	n.backOff()
	if n.leaving && !n.dirty() {
		n.depart()
	} else if n.flushing == nil {
		n.flushAfter(n.retry)
	}
}

// unknown: the change may be written. It is sent again under the same version until the store tells; a caller that
// waited long enough is told that nobody knows, and this activation ends: the next one reads the store.
func (n *entity) unknown() {
	switch c := n.committing; {
	case c == nil || n.sys.o.Clock.Now().Sub(c.since) <= commitPatience:
	case !c.sent: // all else goes on: what the entity holds beyond the change under way is nowhere else
		n.stored(&Refusal{Code: StoreUnavailable, Text: "an earlier change has no outcome yet; this one was not sent"})
	default:
		r := &Refusal{Code: CommitUnknown, Text: "the store did not tell whether it is written"}
		n.input(&Input{Type: InputUnknown, Refusal: r}, func() { n.giveUp(r) })
		return
	}
	n.backOff()
	n.sys.o.Clock.AfterFunc(n.retry, func() {
		n.post(func() {
			if n.underway != nil && !n.ended {
				n.send()
			}
		})
	})
}

// giveUp ends the activation of a commit whose outcome nobody knows; the caller is told r.
func (n *entity) giveUp(r *Refusal) {
	n.refuse(n.committing.turn.request, r)
	n.end(&Refusal{Code: Unavailable, Text: n.ref.String() + " reads the store again"})
}

func (n *entity) backOff() { n.retry = min(max(n.retry*2, firstRetry), longestRetry) }

// resume runs what came in while a commit was under way.
func (n *entity) resume() {
	deferred := n.deferred
	n.deferred = nil
	for _, f := range deferred {
		n.post(f)
	}
}
