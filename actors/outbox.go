package actors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is the sender's side of durable messages. One is stored in the box of its sender with the turn that sent
// it, leaves when that is durable, and is sent again until its receiver has confirmed that its own effect is. Messages
// from one entity to another are taken in order: each names the one before it, so that a gap is noticed.

// How a durable message is sent again: after firstResend, then twice that, and so on.
const (
	firstResend   = time.Second
	longestResend = time.Hour
	stuckAfter    = 5 // times, after which it is an error in the log
)

// A copy of a durable message that was sent is of no use after copyWithin; a receiver is not told to forget that it
// has had it before recallAfter has passed since the last copy left. The difference is how far clocks of nodes may be
// apart.
const (
	copyWithin  = 10 * time.Second
	recallAfter = 30 * time.Second
)

// A Parcel is a durable message that has not been confirmed.
type Parcel struct {
	Seq    uint64 `json:"seq"`
	To     Ref    `json:"to"`
	Number uint32 `json:"number"`
	Body   Exact  `json:"body,omitempty"`
	Due    int64  `json:"due"`             // Unix milliseconds when it is sent again, being the first to its receiver
	Tries  int    `json:"tries,omitempty"` // how often it was sent again
}

// Exact is bytes that come back from a store as they were, and that an operator can read there if they are text.
type Exact []byte

// MarshalJSON writes a string, or for bytes that are no text an array with their base64.
func (b Exact) MarshalJSON() ([]byte, error) {
	if utf8.Valid(b) {
		return json.Marshal(string(b))
	}
	return json.Marshal([][]byte{b})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (b *Exact) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte("[")) {
		var wrapped [1][]byte
		err := json.Unmarshal(raw, &wrapped)
		*b = wrapped[0]
		return err
	}
	var text string
	err := json.Unmarshal(raw, &text)
	*b = Exact(text)
	return err
}

// backOff is how long to wait for the next of a number of tries.
func backOff(tries int) time.Duration {
	return min(firstResend<<min(tries, 12), longestResend)
}

// post puts a durable message into the box.
func (t *turn) post(to Ref, line *wire.Type, msg any) {
	n, k := t.entity, t.entity.sys.kinds[to.Kind]
	switch {
	case !n.kind.stored():
		panic(fmt.Sprintf("actors: %s sends %s, which is durable, but has no stored cell to send it with", n.ref, line))
	case k == nil || !k.stored():
		panic(fmt.Sprintf("actors: %s sends %s, which is durable, to %s: its kind stores nothing", n.ref, line, to))
	case len(n.props.box.now.Out) >= n.sys.o.Limits.Box:
		if t.failed == nil {
			t.failed = Overloaded.Refuse("%s has %d durable messages under way, the bound", n.ref, n.sys.o.Limits.Box)
		}
		return
	}
	body := t.envelope(to, line, line.Native(), msg).Body
	if n.props.box.now.bytes()+len(body) > maxBoxBytes {
		if t.failed == nil {
			t.failed = Overloaded.Refuse("%s has %d bytes of messages in its box, the bound", n.ref, maxBoxBytes)
		}
		return
	}
	c := n.props.box.change()
	c.Next++
	c.Out = append(c.Out, &Parcel{Seq: c.Next, To: to, Number: line.Number, Body: body,
		Due: t.now.Add(firstResend).UnixMilli()})
	n.props.box.notify(noticeSend, to, c.Next)
}

// sendParcel sends a parcel that is durable.
func (n *entity) sendParcel(seq uint64) {
	c := n.props.box.now
	for i, p := range c.Out {
		if p.Seq == seq {
			n.route(n.delivery(c, i))
		}
	}
}

// delivery is the envelope of the parcel at i. It is of no use after its deadline, so that a receiver may forget that
// it has had it.
func (n *entity) delivery(c *Contents, i int) *Envelope {
	p, before := c.Out[i], uint64(0)
	for _, q := range c.Out[:i] {
		if q.To == p.To {
			before = q.Seq
		}
	}
	return &Envelope{Type: Message, To: p.To, From: n.ref, Number: p.Number,
		Codec: n.codecOf(p.Number), Body: p.Body, Key: placeKey(p.Seq, before),
		At: n.last.UnixNano(), Deadline: n.last.Add(copyWithin).UnixNano()}
}

// codecOf is how bodies of a number between actors are written; one that the catalogue has lost is nobody's any more.
func (n *entity) codecOf(number uint32) wire.Codec {
	if line := n.sys.messages.ByNumber(number); line != nil {
		return line.Native()
	}
	return wire.JSON
}

// placeKey is the Key of a durable message's envelope: its number, and that of the one before it to the same receiver.
func placeKey(seq, before uint64) string {
	return strconv.FormatUint(seq, 10) + "<" + strconv.FormatUint(before, 10)
}

// placeOf reads a Key.
func placeOf(key string) (seq, before uint64, ok bool) {
	first, second, ok := strings.Cut(key, "<")
	seq, err1 := strconv.ParseUint(first, 10, 64)
	before, err2 := strconv.ParseUint(second, 10, 64)
	return seq, before, ok && err1 == nil && err2 == nil
}

// confirmed hears that a receiver has taken all up to a number: they are dropped, and what it refused is told to the
// listeners of Undelivered in the same turn.
func (n *entity) confirmed(peer Ref, m *Delivered) {
	b := n.props.box
	if b == nil || n.rests() { // an instance that was not told Loaded is told nothing else; it comes again
		return
	}
	isTaken := func(p *Parcel) bool { return p.To == peer && p.Seq <= m.UpTo }
	if !slices.ContainsFunc(b.now.Out, isTaken) {
		n.mayForget(peer, m.UpTo)
		return
	}
	n.run(n.newTurn(0, "delivered"), func() (any, error) {
		before := b.now.Out
		if left := b.drop(peer, isTaken); !left && !b.mayComeAgain(peer) {
			delete(b.now.Twice, peer)
			b.notify(noticeForget, peer, m.UpTo)
		} else if len(m.Refused) > 0 {
			b.notify(noticeKnown, peer, m.UpTo)
		}
		n.sys.delivered.Add(uint64(len(before) - len(b.now.Out)))
		for _, p := range before {
			if code, refused := m.Refused[p.Seq]; refused && isTaken(p) {
				n.undelivered(p, code)
			}
		}
		return done, nil
	})
}

// inspect answers an operator.
func (n *entity) inspect(e *Envelope, m *Inspect) {
	if n.props.box == nil {
		n.sys.refuseTo(e, &Refusal{Code: BadBody, Text: n.ref.String() + " stores nothing, and so it has no box"})
		return
	}
	if m.Drop != 0 && n.rests() {
		n.sys.refuseTo(e, &Refusal{Code: Unavailable, Text: n.ref.String() + " rests after failures",
			RetryAfter: n.restUntil.Sub(n.last).Milliseconds()})
		return
	}
	at := slices.IndexFunc(n.props.box.now.Out, func(p *Parcel) bool { return p.Seq == m.Drop })
	if m.Drop != 0 && at < 0 {
		n.sys.refuseTo(e, &Refusal{Code: BadBody,
			Text: fmt.Sprintf("%s has no message %d on its way", n.ref, m.Drop)})
		return
	}
	if m.Drop != 0 {
		n.run(n.newTurn(0, "dropped"), func() (any, error) {
			p := n.props.box.now.Out[at]
			n.props.box.drop(p.To, func(q *Parcel) bool { return q == p })
			n.undelivered(p, Dropped)
			return done, nil
		})
	}
	contents, err := json.Marshal(n.props.box.now)
	if err != nil {
		n.sys.refuseTo(e, &Refusal{Code: Internal, Text: err.Error()})
		return
	}
	n.sys.Route(e.Answer(NumberInspect, wire.JSON, contents)) // past recordings: it holds what they mask
}

// drop takes parcels to one receiver out, and reports whether others to it are left: the first of them is sent again
// soon, if need be.
func (b *box) drop(peer Ref, which func(*Parcel) bool) (left bool) {
	c := b.change()
	c.Out = slices.DeleteFunc(c.Out, which)
	at := slices.IndexFunc(c.Out, func(p *Parcel) bool { return p.To == peer })
	if at < 0 {
		return false
	}
	next := *c.Out[at]
	next.Due, next.Tries = b.n.last.Add(firstResend).UnixMilli(), 0
	c.Out[at] = &next
	return true
}

// undelivered tells the listeners that a message was refused for good.
func (n *entity) undelivered(p *Parcel, code Code) {
	e := &Undelivered{To: p.To, Code: code}
	if line := n.sys.messages.ByNumber(p.Number); line != nil {
		e.Msg, _ = line.Decode(line.Native(), p.Body) // what cannot be read is nil, and its receiver knows why
	}
	n.sys.undelivered.Add(1)
	if !n.kind.listensTo(e) {
		n.sys.o.Log.Warn("durable message refused, and nobody listens to Undelivered", "actor", n.ref.String(),
			"to", p.To.String(), "number", p.Number, "code", string(code))
	}
	n.turn.Emit(e)
}

// mayForget hears from a receiver that it has taken messages which are not known here: it may forget them, unless a
// copy could still be on its way to it. Then it asks again.
func (n *entity) mayForget(peer Ref, upTo uint64) {
	b := n.props.box
	if b.mayComeAgain(peer) {
		return
	}
	n.regroup("forget", func() { // it leaves when all that was dropped is durable
		delete(b.change().Twice, peer)
		b.notify(noticeForget, peer, upTo)
	})
}

// mayComeAgain reports whether a copy of a message could still be on its way to a receiver.
func (b *box) mayComeAgain(peer Ref) bool {
	last := b.now.Twice[peer]
	return last != 0 && b.n.last.Before(time.UnixMilli(last).Add(recallAfter))
}

// resend sends again what is due, all of a receiver's in order.
func (n *entity) resend() {
	b := n.props.box
	heads := b.now.heads()
	heads = slices.DeleteFunc(heads, func(i int) bool {
		p := b.now.Out[i]
		return p.Due > n.last.UnixMilli() || b.waits(noticeSend, p.To, p.Seq)
	})
	if len(heads) == 0 {
		return
	}
	n.regroup("resend", func() {
		c := b.change()
		if c.Twice == nil {
			c.Twice = map[Ref]int64{}
		}
		for _, i := range heads {
			again := *c.Out[i]
			again.Tries++
			again.Due = n.last.Add(backOff(again.Tries)).UnixMilli()
			c.Out[i], c.Twice[again.To] = &again, n.last.UnixMilli()
			if again.Tries >= stuckAfter {
				n.sys.o.Log.Error("durable message is not taken; it is kept and sent again", "actor", n.ref.String(),
					"to", again.To.String(), "number", again.Number, "seq", again.Seq, "tries", again.Tries)
			}
			n.resendTo(c, i)
		}
	})
}

// resendTo sends again what is durable of all that is on its way to the receiver of the parcel at head.
func (n *entity) resendTo(c *Contents, head int) {
	for i, p := range c.Out[head:] {
		if p.To == c.Out[head].To && !n.props.box.waits(noticeSend, p.To, p.Seq) {
			n.sys.resent.Add(1)
			n.turn.emit(effect{envelope: n.delivery(c, head+i)})
		}
	}
}

// heads are the indexes of the parcels that are the first to their receivers.
func (c *Contents) heads() (heads []int) {
	seen := make(map[Ref]bool, min(len(c.Out), 8))
	for i, p := range c.Out {
		if !seen[p.To] {
			seen[p.To] = true
			heads = append(heads, i)
		}
	}
	return heads
}
