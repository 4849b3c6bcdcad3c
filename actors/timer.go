package actors

import (
	"encoding/binary"
	"time"
)

// A timer is known by its message: number and bytes. It waits in the user lane at most once.
type timer struct {
	key    string
	number uint32
	body   []byte
	due    time.Time
	period time.Duration // 0: once
	stop   func() bool
	ended  bool
}

func timerKey(number uint32, body []byte) string {
	return string(binary.BigEndian.AppendUint32(nil, number)) + string(body)
}

// arm does what a turn of that time has ordered: it starts a timer, or starts it anew, or ends it.
func (n *entity) arm(o *TimerOrder, at time.Time) {
	key := timerKey(o.Number, o.Body)
	if tm := n.timers[key]; tm != nil {
		n.endTimer(tm)
	}
	if n.leaving || o.Cancel {
		return
	}
	// the entity's time follows the wall's, what it waits for does not
	due := n.sys.o.Clock.Now().Add(o.Wait - n.last.Sub(at))
	tm := &timer{key: key, number: o.Number, body: o.Body, due: due}
	if o.Every {
		tm.period = o.Wait
	}
	if len(n.timers) >= n.sys.o.Limits.Timers {
		n.sys.o.Log.Error("timer not armed: too many", "actor", n.ref.String(), "number", o.Number,
			"bound", n.sys.o.Limits.Timers)
		return
	}
	n.timers[tm.key] = tm
	n.schedule(tm)
}

func (n *entity) schedule(tm *timer) {
	wait := tm.due.Sub(n.sys.o.Clock.Now())
	tm.stop = n.sys.o.Clock.AfterFunc(max(wait, 0), func() { n.box.tick(tm) })
}

func (n *entity) endTimer(tm *timer) {
	tm.stop()
	tm.ended = true
	delete(n.timers, tm.key)
}

func (n *entity) stopTimers() {
	for _, key := range sortedKeys(n.timers) {
		n.endTimer(n.timers[key])
	}
}

// tick handles the message of a timer.
func (n *entity) tick(e *Envelope) {
	known := n.kind.table.byNumber[e.Number]
	if known == nil {
		n.sys.unhandled(e)
		return
	}
	n.handle(known, nil, e)
}

// fire handles a timer that is due, and puts a periodic one on its schedule again; ticks that were missed are merged.
func (n *entity) fire(tm *timer) {
	switch rest := n.restUntil.Sub(n.sys.o.Clock.Now()); {
	case tm.ended:
		return
	case rest > 0:
		tm.stop = n.sys.o.Clock.AfterFunc(rest, func() { n.box.tick(tm) })
		return
	}
	if tm.period == 0 {
		delete(n.timers, tm.key)
	}
	e := &Envelope{Type: Message, To: n.ref, From: n.ref, Number: tm.number,
		Codec: n.sys.messages.ByNumber(tm.number).Native(), Body: tm.body}
	n.input(&Input{Type: InputTimer, Envelope: e}, func() { n.tick(e) })
	if tm.period > 0 && !tm.ended {
		now := n.sys.o.Clock.Now()
		tm.due = tm.due.Add(tm.period)
		if late := now.Sub(tm.due); late > 0 {
			tm.due = tm.due.Add(late / tm.period * tm.period)
		}
		n.schedule(tm)
	}
}
