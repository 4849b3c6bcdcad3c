package actors

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"
)

// errTornState means that bytes are not the whole state of a shard.
var errTornState = errors.New("actors: torn or malformed state")

// An Arrival is the actors of a shard that has moved here, made and not running. Exactly one of Begin and Drop ends it.
type Arrival struct {
	sys       *System
	tenure    Tenure
	processes []*process
	farewells map[Ref]farewell
}

// Prepare makes the actors that a State holds, for the tenure that they are to be of. Nothing of them runs. An error
// says what does not fit: bytes that are torn, another shard's, or of a build that knows other kinds, cells or
// messages. The state must not change while the actors live; whatever it holds, Prepare does not panic.
func (s *System) Prepare(t Tenure, state []byte) (a *Arrival, err error) {
	defer func() {
		if reason := recover(); reason != nil { // of a constructor or a migration
			a, err = nil, fmt.Errorf("actors: prepare %s/%d: %v", t.Role, t.Shard, reason)
		}
	}()
	if a, err = s.prepare(t, state); err != nil {
		return nil, fmt.Errorf("actors: prepare %s/%d: %w", t.Role, t.Shard, err)
	}
	return a, nil
}

func (s *System) prepare(t Tenure, state []byte) (*Arrival, error) {
	body := len(state) - crc32.Size
	switch {
	case body < 1:
		return nil, errTornState
	case state[0] != stateVersion:
		return nil, fmt.Errorf("a state of version %d; this build reads %d", state[0], stateVersion)
	case binary.BigEndian.Uint32(state[body:]) != crc32.ChecksumIEEE(state[:body]):
		return nil, errTornState
	}
	r := readerOf(state[1:body])
	if role, shard := string(r.Bytes()), r.Uvarint(); r.Torn || role != t.Role || shard != uint64(t.Shard) {
		return nil, fmt.Errorf("the state is of shard %s/%d", role, shard)
	}
	a := &Arrival{sys: s, tenure: t, farewells: map[Ref]farewell{}}
	for range r.Count() {
		p, err := a.process(r)
		if err != nil {
			return nil, err
		}
		a.processes = append(a.processes, p)
	}
	for range r.Count() {
		ref := r.ref()
		if _, err := a.kindOf(ref); err != nil {
			return nil, err
		}
		items, err := r.items(nil)
		if err != nil {
			return nil, err
		}
		a.farewells[ref] = farewell{t, items}
	}
	if r.Torn || len(r.B) > 0 {
		return nil, errTornState
	}
	return a, nil
}

// kindOf finds the kind of an actor, which must be of the shard.
func (a *Arrival) kindOf(ref Ref) (*kind, error) {
	k := a.sys.kinds[ref.Kind]
	if k == nil {
		return nil, fmt.Errorf("%s: this build knows no such kind", ref)
	}
	if at, _ := a.sys.tenure(ref, k); k.placement.How != OnePerID || at.Role != a.tenure.Role ||
		at.Shard != a.tenure.Shard {
		return nil, fmt.Errorf("%s is not of this shard", ref)
	}
	return k, ref.Check()
}

// process reads one actor.
func (a *Arrival) process(r *reader) (*process, error) {
	ref, what := r.ref(), r.Byte()
	if r.Torn {
		return nil, errTornState
	}
	k, err := a.kindOf(ref)
	if err != nil {
		return nil, err
	}
	if isReceiver := k.Receiver != nil; isReceiver != (what == movedReceiver) || what > movedReceiver {
		return nil, fmt.Errorf("%s is an actor of type %d", ref, what)
	}
	p := &process{sys: a.sys, ref: ref, kind: k, tenure: a.tenure, box: newMailbox(a.sys.o.Limits.Mailbox)}
	var timers []*timer
	if k.Receiver != nil {
		p.body = &resident{process: p}
	} else {
		n := newEntity(p)
		p.body = n
		m := new(moved)
		if err := json.Unmarshal(r.Bytes(), m); err != nil {
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
		if timers, err = n.unpack(m); err != nil {
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
	}
	items, err := r.items(timers)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	p.box.hold(true)
	for _, item := range items {
		p.box.tick(item)
	}
	return p, nil
}

// unpack makes the entity what it was. It returns the timers in the order of their messages.
func (n *entity) unpack(m *moved) ([]*timer, error) {
	if m.Image == nil || m.Image.State == nil || m.Image.Ref != n.ref {
		return nil, errTornState
	}
	n.props = n.construct()
	if err := n.become(m.Image); err != nil {
		return nil, err
	}
	slots := map[string]slot{}
	for _, c := range n.props.cells {
		slots[c.cellName()] = c
	}
	for _, part := range m.Unwritten {
		cell, _, _ := strings.Cut(part, "/")
		c := slots[cell]
		if c == nil || !c.isStored() {
			return nil, fmt.Errorf("the stored cell %s is none here", cell)
		}
		if err := c.soil(part); err != nil {
			return nil, err
		}
	}
	n.version, n.served, n.isToLeave = m.Version, m.Served, m.Leaves
	now := n.sys.o.Clock.Now()
	n.flushAt = now.Add(time.Duration(m.Flush))
	var timers []*timer
	for _, t := range m.Timers {
		if n.sys.messages.ByNumber(t.Number) == nil || t.Period < 0 {
			return nil, fmt.Errorf("a timer's message %d is not in the catalogue", t.Number)
		}
		tm := &timer{key: timerKey(t.Number, t.Body), number: t.Number, body: t.Body, due: now.Add(t.Left),
			period: t.Period}
		if t.Rung {
			tm.stop = func() bool { return false }
		}
		n.timers[tm.key] = tm
		timers = append(timers, tm)
	}
	return timers, nil
}

// Begin lets the actors run as those of their tenure, which this node must own by now. It must be called before
// anything is delivered for the shard.
func (a *Arrival) Begin() {
	for ref, f := range a.farewells {
		st := a.sys.stripe(ref)
		st.mu.Lock()
		st.farewells[ref] = f
		st.mu.Unlock()
	}
	for _, p := range a.processes {
		st := a.sys.stripe(p.ref)
		st.mu.Lock()
		p.cluster = a.sys.cluster.Load()
		st.processes[p.ref] = p
		p.cell.spawn(a.sys, p)
		st.mu.Unlock()
	}
}

// Drop forgets the actors: the shard does not come here.
func (a *Arrival) Drop() { a.processes, a.farewells = nil, nil }

// arrive is how an entity that has moved here goes on.
func (n *entity) arrive() {
	for _, key := range sortedKeys(n.timers) {
		if tm := n.timers[key]; tm.stop == nil {
			n.schedule(tm)
		}
	}
	if b := n.props.box; b != nil {
		b.countStuck()
		for _, item := range n.box.waiting() {
			if e, ok := item.(*Envelope); ok && e.Number == NumberWake && e.From == n.ref {
				b.alarm.at = b.alarmAt() // it has rung
			}
		}
	}
	n.look()
	if n.open(); n.ended {
		return
	}
	if n.underway == nil && n.committing == nil && n.flushing == nil && n.dirty() {
		n.flushAfter(max(n.flushAt.Sub(n.sys.o.Clock.Now()), 0))
	}
	if n.isToLeave {
		n.post(n.leave)
	}
	n.expel() // it was on its way when others were told
}
