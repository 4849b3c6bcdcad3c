package actors

import (
	"maps"
	"time"
)

// This file is the receiver's side of durable messages. The turn that handles one also notes that it was taken, in the
// same write; the sender hears of it when that is durable. What was taken is remembered until the sender says that it
// will not come again.

// A Taken is how far an entity has taken the durable messages of one sender.
type Taken struct {
	Seq     uint64          `json:"seq"`
	At      int64           `json:"at"`                // Unix milliseconds when the sender was last told how far
	Tries   int             `json:"tries,omitempty"`   // how often the sender was told again since
	Refused map[uint64]Code `json:"refused,omitempty"` // those of them that were refused
}

// take handles a durable message, unless it was taken before, or one before it is missing.
func (n *entity) take(known *entry, e *Envelope, seq, before uint64) {
	b := n.props.box
	if b == nil { // in an earlier build the kind stored something
		n.sys.unhandled(e)
		return
	}
	had := b.now.In[e.From]
	switch {
	case n.rests(): // it comes again
	case had != nil && seq <= had.Seq:
		n.sys.repeated.Add(1)
		if !b.waits(noticeTaken, e.From, had.Seq) {
			n.route(n.receipt(e.From, had.Seq))
		}
	case had == nil && before > 0, had != nil && before > had.Seq:
		n.sys.gaps.Add(1) // what is missing comes again, and this after it
	case had == nil && len(b.now.In) >= n.sys.o.Limits.Box:
		n.sys.gaps.Add(1) // there is room when others have been told to be forgotten
	default:
		n.errand(known, e, func(refused Code) { n.props.box.took(e.From, seq, refused) }, nil)
	}
}

// took notes that a message was taken, and with which code if it was refused.
func (b *box) took(peer Ref, seq uint64, refused Code) {
	c := b.change()
	now := &Taken{Seq: seq, At: b.n.last.UnixMilli()}
	if had := c.In[peer]; had != nil {
		now.Refused = had.Refused
	}
	if refused != "" {
		now.Refused = maps.Clone(now.Refused)
		if now.Refused == nil {
			now.Refused = map[uint64]Code{}
		}
		now.Refused[seq] = refused
	}
	if c.In == nil {
		c.In = map[Ref]*Taken{}
	}
	c.In[peer] = now
	b.notify(noticeTaken, peer, seq)
}

// receipt tells a sender how far its messages have been taken. All of that must be durable.
func (n *entity) receipt(peer Ref, upTo uint64) *Envelope {
	m := &Delivered{UpTo: upTo}
	if had := n.props.box.now.In[peer]; had != nil {
		for seq, code := range had.Refused {
			if seq > upTo {
				continue
			}
			if m.Refused == nil {
				m.Refused = map[uint64]Code{}
			}
			m.Refused[seq] = code
		}
	}
	return RuntimeMessage(n.ref, peer, m)
}

// forget hears from a sender that none of its messages up to a number comes again, or only that it knows which of them
// were refused.
func (n *entity) forget(peer Ref, m *Forget) {
	b := n.props.box
	if b == nil {
		return
	}
	had := b.now.In[peer]
	switch {
	case had == nil:
	case had.Seq <= m.UpTo && !m.Refused:
		n.regroup("forget", func() { delete(b.change().In, peer) })
	case len(had.Refused) > 0:
		n.regroup("forget", func() { b.change().In[peer] = had.without(m.UpTo) })
	}
}

// without is a copy that has forgotten what was refused up to a number.
func (k *Taken) without(upTo uint64) *Taken {
	c := *k
	c.Refused = maps.Clone(k.Refused)
	maps.DeleteFunc(c.Refused, func(seq uint64, _ Code) bool { return seq <= upTo })
	return &c
}

// recallAt is when the sender is told again, which makes it say whether it may be forgotten.
func (k *Taken) recallAt() time.Time {
	return time.UnixMilli(k.At).Add(min(recallAfter<<min(k.Tries, 7), longestResend))
}

// recall tells senders again that have let nothing be heard for long.
func (n *entity) recall() {
	b := n.props.box
	var late []Ref
	for peer := range sortedSetOf(b.now.In) {
		had := b.now.In[peer]
		if !n.last.Before(had.recallAt()) && !b.waits(noticeTaken, peer, had.Seq) {
			late = append(late, peer)
		}
	}
	if len(late) == 0 {
		return
	}
	n.regroup("recall", func() {
		c := b.change()
		for _, peer := range late {
			again := *c.In[peer]
			again.Tries++
			again.At = n.last.UnixMilli()
			c.In[peer] = &again
			n.turn.emit(effect{envelope: n.receipt(peer, again.Seq)})
		}
	})
}
