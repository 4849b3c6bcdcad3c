package actors

import (
	"bytes"
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"
)

// This file is what an entity is to do at a time: messages to itself that are stored with it, and whatever else is in
// its box and comes due.

// A Reminder is a message that an entity has to itself at a time. It is known by its message, as a timer is.
type Reminder struct {
	Number uint32 `json:"number"`
	Body   Exact  `json:"body,omitempty"`
	At     int64  `json:"at"`              // Unix milliseconds
	Tries  int    `json:"tries,omitempty"` // how often it has failed
}

func (r *Reminder) is(number uint32, body []byte) bool {
	return r.Number == number && bytes.Equal(r.Body, body)
}

// setReminder puts a reminder into its place, instead of one that has the same message; nil only removes that one.
func (c *Contents) setReminder(number uint32, body []byte, r *Reminder) {
	c.Due = slices.DeleteFunc(c.Due, func(old *Reminder) bool { return old.is(number, body) })
	if r == nil {
		return
	}
	at, _ := slices.BinarySearchFunc(c.Due, r.At+1, func(old *Reminder, at int64) int {
		return cmp.Compare(old.At, at)
	})
	c.Due = slices.Insert(c.Due, at, r)
}

// fired removes a reminder, and none that has been set in its place since.
func (c *Contents) fired(r *Reminder) {
	c.Due = slices.DeleteFunc(c.Due, func(old *Reminder) bool { return old == r })
}

// A boxAlarm wakes an entity when something in its box comes due.
type boxAlarm struct {
	at   time.Time // zero: none is set
	stop func() bool
}

// alarmAt is when something that the entity can do something about comes due; zero: never.
func (b *box) alarmAt() time.Time {
	at := b.nextDue(func(what NoticeType, peer Ref, seq uint64) bool { return !b.waits(what, peer, seq) })
	if !at.IsZero() && at.Before(b.n.restUntil) {
		return b.n.restUntil
	}
	return at
}

// arm sets the alarm to that time.
func (b *box) arm() {
	n, at := b.n, b.alarmAt()
	if at.Equal(b.alarm.at) {
		return
	}
	b.disarm()
	if at.IsZero() || n.leaving || n.ended {
		return
	}
	wake := RuntimeMessage(n.ref, n.ref, &Wake{})
	b.alarm = boxAlarm{at, n.sys.o.Clock.AfterFunc(at.Sub(n.sys.o.Clock.Now()), func() { n.process.box.tick(wake) })}
}

func (b *box) disarm() {
	if b.alarm.stop != nil {
		b.alarm.stop()
	}
	b.alarm = boxAlarm{}
}

// nextDue is when the first thing in the box comes due of which counts says that it does; zero: never.
func (b *box) nextDue(counts func(what NoticeType, peer Ref, seq uint64) bool) time.Time {
	first := time.Time{}
	due := func(at time.Time) {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	c := b.now
	for _, i := range c.heads() {
		if p := c.Out[i]; counts(noticeSend, p.To, p.Seq) {
			due(time.UnixMilli(p.Due))
		}
	}
	for peer, had := range c.In {
		if counts(noticeTaken, peer, had.Seq) {
			due(had.recallAt())
		}
	}
	if len(c.Due) > 0 {
		due(time.UnixMilli(c.Due[0].At))
	}
	return first
}

// dueAt is when the entity is to be woken if it is not there, in Unix milliseconds; 0: never.
func (b *box) dueAt() int64 {
	at := b.nextDue(func(NoticeType, Ref, uint64) bool { return true })
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// wake does what is due.
func (n *entity) wake() {
	b := n.props.box
	if b == nil {
		return
	}
	if b.disarm(); !n.rests() {
		n.resend()
		n.recall()
		n.remind()
	}
	n.props.box.arm()
}

// remind handles the first reminder that is due; others that are come in inputs of their own, because it may commit.
func (n *entity) remind() {
	c := n.props.box.now
	if len(c.Due) == 0 || c.Due[0].At > n.last.UnixMilli() {
		return
	}
	r := c.Due[0]
	e := &Envelope{Type: Message, To: n.ref, From: n.ref, Number: r.Number, Codec: n.codecOf(r.Number), Body: r.Body}
	again := func() {
		n.regroup("postpone", func() {
			again := *r
			again.Tries++
			again.At = n.last.Add(backOff(again.Tries)).UnixMilli()
			n.props.box.change().setReminder(r.Number, r.Body, &again)
		})
	}
	known := n.kind.table.byNumber[r.Number]
	switch {
	case known == nil:
		n.sys.unhandled(e)
		again()
	case n.errand(known, e, func(Code) { n.props.box.change().fired(r) }, again):
		n.sys.reminded.Add(1)
	default:
		again()
	}
}

// errand handles a message that is settled in the box by the turn that handles it: finish notes it, with the code if
// the turn refuses, because that is final. Again is what becomes of it if the turn commits in vain. It reports whether
// the message was settled; a failure does not settle it, nor that the store is behind.
func (n *entity) errand(known *entry, e *Envelope, finish func(refused Code), again func()) (settled bool) {
	t := n.newTurn(e.Number, known.line.Name)
	t.from, t.errand, t.again = e.From, finish, again
	v, refusal, readable := n.serve(known, t, e)
	switch {
	case !readable:
		n.sys.o.Log.Error("durable message or reminder cannot be read; it comes again", "actor", n.ref.String(),
			"number", e.Number, "name", known.line.Name, "error", refusal.Error())
		return false
	case t.early:
		n.sys.o.Log.Warn("durable message or reminder comes again when the store has what waits", "actor",
			n.ref.String(), "number", e.Number, "name", known.line.Name)
		return false
	case v == Declined:
		n.sys.o.Log.Info("durable message or reminder refused", "actor", n.ref.String(), "number", e.Number,
			"from", e.From.String(), "code", string(refusal.Code), "text", refusal.Text)
		n.regroup("refused", func() { finish(refusal.Code) })
	}
	return !v.isFault()
}

// sortedSetOf runs over the keys of a map in their canonical order.
func sortedSetOf[V any](m map[Ref]V) iter.Seq[Ref] {
	return slices.Values(sortedSet(maps.Keys(m)))
}
