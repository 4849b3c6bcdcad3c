package actors

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
	"unsafe"

	"github.com/fireflyrt/firefly/actors/wire"
)

// boxName is the box's name among an entity's cells; no game can give it to one of its own.
const boxName = "(box)"

// maxBoxBytes bounds the messages in a box. They are written with every change of it, and as text in JSON they may be
// six times as long: even then a change that holds them is one that a store takes.
const maxBoxBytes = 1 << 20

// A box is the runtime's own stored cell: durable messages on their way out, those that were taken, and reminders. It
// is part of the turns that change it and is written with the other cells, so that a message is durable exactly when
// what sent it is, and taken exactly when its effect is.
type box struct {
	n        *entity
	now      *Contents // replaced by every turn that changes it, never changed after
	before   *Contents // as it was when the turn began to edit
	editing  bool
	dirty    bool
	wasDirty bool
	given    bool // was dirty when last collected, not confirmed yet

	draft []Notice // what the turn under way will have leave
	news  []Notice // what leaves as soon as the turn that made it is durable, oldest first
	alarm boxAlarm
	stuck int // messages that have been sent again and again, as the node's count has them
}

// Contents are those of a box, as they are stored in its entity's row and as an operator sees them. They are read-only.
type Contents struct {
	Next  uint64         `json:"next,omitempty"`  // number of the newest durable message that was sent
	Out   []*Parcel      `json:"out,omitempty"`   // not yet confirmed, in order
	In    map[Ref]*Taken `json:"in,omitempty"`    // by sender
	Twice map[Ref]int64  `json:"twice,omitempty"` // receivers that may be sent a message twice: when last, in Unix ms
	Due   []*Reminder    `json:"due,omitempty"`   // in the order of their times
	Asked map[Ref]*Asked `json:"asked,omitempty"` // requests with Retry numbers, by session
	Claim Claim          `json:"claim,omitzero"`
}

// A Notice is something that leaves when the turn that made it is durable: a message to be sent, or what is to be told
// to the other side.
type Notice struct {
	Turn uint64     `json:"turn"`
	What NoticeType `json:"what"`
	Peer Ref        `json:"peer"`
	Seq  uint64     `json:"seq"`
}

// A NoticeType says what leaves. The values stand in recordings and never change.
type NoticeType uint8

const (
	noticeSend   NoticeType = iota + 1 // the parcel leaves
	noticeTaken                        // the sender hears that all up to seq was taken
	noticeForget                       // the receiver may forget all up to seq
	noticeKnown                        // the receiver may forget which of those up to seq it refused
)

func newBox(n *entity) *box { return &box{n: n, now: &Contents{}} }

// change returns the contents for the turn under way to change; what they point to is replaced, not changed.
func (b *box) change() *Contents {
	if !b.editing {
		b.n.turn.touch(b)
		c := *b.now
		c.Out, c.Due = slices.Clone(c.Out), slices.Clone(c.Due)
		c.In, c.Twice, c.Asked = maps.Clone(c.In), maps.Clone(c.Twice), maps.Clone(c.Asked)
		b.before, b.wasDirty, b.editing = b.now, b.dirty, true
		b.now, b.dirty = &c, true
	}
	return b.now
}

// notify has something leave when the turn under way is durable.
func (b *box) notify(what NoticeType, peer Ref, seq uint64) {
	b.draft = append(b.draft, Notice{b.n.turns, what, peer, seq})
}

// waits reports whether something about a message waits for its turn to be durable.
func (b *box) waits(what NoticeType, peer Ref, seq uint64) bool {
	return slices.ContainsFunc(b.news, func(w Notice) bool {
		return w.What == what && w.Peer == peer && w.Seq <= seq
	})
}

// announce lets leave what waited for the turns up to mark to be durable.
func (n *entity) announce(mark uint64) {
	if b := n.props.box; b != nil && len(b.news) > 0 && b.news[0].Turn <= mark {
		n.input(&Input{Type: InputWritten, Question: mark}, func() { b.leave(mark) })
	}
}

// leave sends what waited for the turns up to mark, in order. Of what one peer is told only the newest counts.
func (b *box) leave(mark uint64) {
	count, _ := slices.BinarySearchFunc(b.news, mark, func(w Notice, mark uint64) int {
		if w.Turn <= mark {
			return -1
		}
		return 1
	})
	leaving := b.news[:count]
	b.news = b.news[count:]
	for i, w := range leaving {
		isOld := w.What != noticeSend && slices.ContainsFunc(leaving[i+1:], func(later Notice) bool {
			return later.What == w.What && later.Peer == w.Peer
		})
		if isOld {
			continue
		}
		switch w.What {
		case noticeSend:
			b.n.sendParcel(w.Seq)
		case noticeTaken:
			b.n.route(b.n.receipt(w.Peer, w.Seq))
		case noticeForget:
			b.n.route(RuntimeMessage(b.n.ref, w.Peer, &Forget{UpTo: w.Seq}))
		case noticeKnown:
			b.n.route(RuntimeMessage(b.n.ref, w.Peer, &Forget{UpTo: w.Seq, Refused: true}))
		}
	}
	b.arm()
}

// bytes are those of all messages in it.
func (c *Contents) bytes() (sum int) {
	for _, p := range c.Out {
		sum += len(p.Body)
	}
	for _, r := range c.Due {
		sum += len(r.Body)
	}
	return sum
}

func (c *Contents) isEmpty() bool {
	return c.Next == 0 && c.Claim == Claim{} && len(c.Out)+len(c.In)+len(c.Twice)+len(c.Due)+len(c.Asked) == 0
}

func (b *box) cellName() string { return boxName }
func (b *box) isStored() bool   { return b.n.kind.stored() }
func (b *box) isDirty() bool    { return b.dirty }
func (b *box) peek() any        { return b.now }

func (b *box) undo() {
	b.now, b.before, b.dirty, b.editing, b.draft = b.before, nil, b.wasDirty, false, nil
	b.arm() // it may have been armed since for what is not
}

func (b *box) keep() {
	b.before, b.editing = nil, false
	b.news = append(b.news, b.draft...)
	b.draft = nil
	b.countStuck()
	b.arm()
}

// countStuck keeps the node's count of messages that are not taken.
func (b *box) countStuck() {
	now := 0
	for _, p := range b.now.Out {
		if p.Tries >= stuckAfter {
			now++
		}
	}
	if now != b.stuck {
		b.n.sys.stuck.Add(int64(now - b.stuck))
		b.stuck = now
	}
}

func (b *box) adopt(old slot) {
	n := b.n
	*b = *old.(*box)
	b.n = n
}

func (b *box) load(cells, _ map[string]json.RawMessage) error {
	raw, ok := cells[boxName]
	if !ok {
		return nil
	}
	c := new(Contents)
	if err := json.Unmarshal(raw, c); err != nil {
		return fmt.Errorf("actors: load the box: %w", err)
	}
	b.now = c
	return nil
}

// reload is load at the begin of an activation: those before may have sent anything that is in it.
func (b *box) reload(at int64) {
	b.now.outlive(time.UnixMilli(at))
	for _, p := range b.now.Out {
		if b.now.Twice == nil {
			b.now.Twice = map[Ref]int64{}
		}
		b.now.Twice[p.To] = at
	}
}

func (b *box) collect(cells, _ map[string]json.RawMessage) error {
	if !b.now.isEmpty() {
		raw, err := json.Marshal(b.now)
		if err != nil {
			return fmt.Errorf("actors: save the box: %w", err)
		}
		cells[boxName] = raw
	}
	b.given, b.dirty = b.dirty || b.given, false
	return nil
}

func (b *box) restore() {
	b.wasDirty = b.wasDirty || b.given
	b.dirty, b.given = b.dirty || b.given, false
}

func (b *box) confirm() { b.given = false }

// A boxEdit is what a turn has changed in the box.
type boxEdit struct {
	n             *entity
	before, after *Contents
}

func (b *box) edit(undoing bool) Edit {
	if undoing {
		return boxEdit{b.n, b.now, b.before}
	}
	return boxEdit{b.n, b.before, b.now}
}

func (e boxEdit) Before(p *Patch) error { return p.box(e.n, e.before) }
func (e boxEdit) After(p *Patch) error  { return p.box(e.n, e.after) }

// Weight is what it keeps in memory, in bytes. What parcels hold is not in it: they are shared.
func (e boxEdit) Weight() int {
	return editWeight + len(e.before.Out)*int(unsafe.Sizeof(&Parcel{})) +
		(len(e.before.In)+len(e.before.Asked))*memberWeight
}

func (b *box) image(p *Patch) error {
	if b.now.isEmpty() {
		return nil
	}
	return p.box(b.n, b.now)
}

// box writes contents of a box.
func (p *Patch) box(n *entity, c *Contents) error {
	if p.Cells[boxName] = nil; c.isEmpty() {
		return nil
	}
	raw, err := json.Marshal(c.masked(n.sys.messages, p.mask))
	if err != nil {
		return fmt.Errorf("actors: image of the box: %w", err)
	}
	p.Cells[boxName] = raw
	return nil
}

// masked is a copy without what is sensitive in the messages.
func (c *Contents) masked(messages wire.Catalogue, mask Mask) *Contents {
	if mask == nil {
		return c
	}
	hide := func(number uint32, b Exact) Exact {
		if line := messages.ByNumber(number); line != nil {
			return line.RedactBody(line.Native(), b, mask)
		}
		return b
	}
	m := *c
	m.Out, m.Due = make([]*Parcel, len(c.Out)), make([]*Reminder, len(c.Due))
	for i, p := range c.Out {
		q := *p
		q.Body = hide(p.Number, p.Body)
		m.Out[i] = &q
	}
	for i, r := range c.Due {
		s := *r
		s.Body = hide(r.Number, r.Body)
		m.Due[i] = &s
	}
	m.Asked = maps.Clone(c.Asked)
	for session, a := range m.Asked {
		m.Asked[session] = a.masked(hide)
	}
	return &m
}
