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

// arm starts a timer, or starts it anew.
func (n *entity) arm(number uint32, body []byte, d time.Duration, again bool) {
	if n.leaving {
		return
	}
	n.cancel(number, body)
	tm := &timer{key: timerKey(number, body), number: number, body: body, due: n.last.Add(d)}
	if again {
		tm.period = d
	}
	if len(n.timers) >= n.sys.o.Limits.Timers {
		n.sys.o.Log.Error("timer not armed: too many", "actor", n.ref.String(), "number", number,
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

func (n *entity) cancel(number uint32, body []byte) {
	if tm := n.timers[timerKey(number, body)]; tm != nil {
		n.endTimer(tm)
	}
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
	line := n.sys.messages.ByNumber(tm.number)
	known := n.kind.table.byNumber[tm.number]
	e := &Envelope{Type: Message, To: n.ref, From: n.ref, Number: tm.number, Codec: line.Native(), Body: tm.body}
	if known == nil {
		n.sys.unhandled(e)
	} else {
		n.handle(known, nil, e)
	}
	if tm.period > 0 && !tm.ended {
		now := n.sys.o.Clock.Now()
		tm.due = tm.due.Add(tm.period)
		if late := now.Sub(tm.due); late > 0 {
			tm.due = tm.due.Add(late / tm.period * tm.period)
		}
		n.schedule(tm)
	}
}
