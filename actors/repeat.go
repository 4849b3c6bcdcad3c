package actors

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// This file is how an entity knows a request that it has had before. A gate sends one with a Retry number again when
// nobody can tell what became of it. The first turn of such a request notes its seq in the box, and the turn that
// answers it keeps the answer there: so each is durable exactly when what the turn did is. An entity that stores
// nothing keeps both for as long as it lives.

// What an entity keeps of requests with Retry numbers. A gate repeats none after its deadline; clocks of nodes may be
// clocksApart.
const (
	keptReplies = 8           // of one session
	keptBytes   = 64 << 10    // of one entity, replyBytes and the body for each
	replyBytes  = 64          // of what stands beside a body
	keptFor     = time.Minute // a reply; and that its session has asked, if no deadline makes it longer
	clocksApart = 20 * time.Second
)

// settledKey is the Key of an answer to a Retry number that is the entity's own word and final. All else that comes
// back, from a link or of an entity that could not come up, leaves open what became of an earlier attempt.
const settledKey = "settled"

// Settles reports whether an answer to a request with a Retry number is final: it is the entity's own, and the request
// is not handled again.
func (e *Envelope) Settles() bool { return e.Type == Answered || e.Key == settledKey }

// An Asked is what an entity knows of the requests with Retry numbers of one session.
type Asked struct {
	Seq   uint64       `json:"seq"`            // the highest that was handled
	Until int64        `json:"until"`          // Unix milliseconds after which none of them comes again
	Kept  []*KeptReply `json:"kept,omitempty"` // the newest, in the order in which they were given
}

// A KeptReply is the answer to one request, for when it comes again.
type KeptReply struct {
	Seq     uint64     `json:"seq"`
	At      int64      `json:"at"` // Unix milliseconds
	Refused bool       `json:"refused,omitempty"`
	Number  uint32     `json:"number,omitempty"`
	Codec   wire.Codec `json:"codec,omitempty"`
	Body    Exact      `json:"body,omitempty"`
}

// isOnce reports whether a message is a client's request that may come again and must not be handled twice.
func isOnce(known *entry, e *Envelope) bool {
	return known.line.Retry && e.Request != 0 && !e.Session.IsZero()
}

// once handles a request with a Retry number, if it has not been handled.
func (n *entity) once(known *entry, req *request) {
	e, b := req.envelope, n.props.kept
	had := b.now.Asked[e.Session]
	switch {
	case had != nil && e.Request <= had.Seq:
		n.again(had, req)
	case had == nil && b.now.asking(n.last) >= n.sys.o.Limits.Box:
		n.refuse(req, &Refusal{Code: Overloaded, RetryAfter: 1000, Text: n.ref.String() +
			" remembers requests of so many sessions that there is no room for another"})
	default:
		req.once = true
		n.handle(known, req, e)
	}
}

// again answers a request that was handled before, or lets the repeat take the place of one that is still open.
func (n *entity) again(had *Asked, req *request) {
	n.sys.again.Add(1)
	e := req.envelope
	if open := n.openRequest(e); open != nil {
		if e.Attempt >= open.envelope.Attempt {
			open.envelope = e
		}
		return
	}
	r := had.reply(e.Request)
	if r == nil {
		n.sys.outcomeUnknown.Add(1)
		answer := e.Refuse(&Refusal{Code: OutcomeUnknown,
			Text: n.ref.String() + " has had this request before, and does not know any more what came of it"})
		answer.Key = settledKey
		n.give(req, answer)
		return
	}
	answer := e.Answer(r.Number, r.Codec, r.Body)
	if answer.Key = settledKey; r.Refused {
		answer.Type = Refused
	}
	n.give(req, answer)
}

// openRequest finds the request of a repeat if a continuation of it is still to come.
func (n *entity) openRequest(e *Envelope) *request {
	for _, id := range sortedKeys(n.asked) {
		req := n.asked[id].request
		if req != nil && !req.settled && req.once && req.envelope.Session == e.Session &&
			req.envelope.Request == e.Request {
			return req
		}
	}
	return nil
}

// keepAnswer keeps what the turn under way answers, if it is the request's answer and the turn stands.
func (n *entity) keepAnswer(t *turn, err error) {
	req := t.request
	r, refused := refusalOf(err)
	switch {
	case req == nil || !req.once || req.settled:
	case refused && errors.As(err, new(kept)):
		t.answer = req.envelope.Refuse(r)
		n.props.kept.told(req.envelope, t.answer)
	case err != nil || req.open+len(t.questions) > 0:
	case !t.later:
		n.props.kept.told(req.envelope, t.answer)
	case req.answer != nil:
		n.props.kept.told(req.envelope, req.answer)
	}
}

// decline refuses a request whose turn was undone, and keeps that: a repeat is not tried again.
func (n *entity) decline(req *request, r *Refusal) {
	if req == nil || req.settled {
		return
	}
	answer := req.envelope.Refuse(r)
	if req.once {
		n.regroup("refused", func() { n.props.kept.told(req.envelope, answer) })
	}
	n.give(req, answer)
}

// give answers a request, under the attempt that came last.
func (n *entity) give(req *request, answer *Envelope) {
	req.settled = true
	if answer.Attempt != req.envelope.Attempt {
		latest := *answer
		latest.Attempt = req.envelope.Attempt
		answer = &latest
	}
	n.route(answer)
}

// mark notes that a request is being handled.
func (b *box) mark(e *Envelope) *Asked {
	c, at := b.change(), b.n.last
	c.outlive(at)
	until := at.Add(keptFor)
	if deadline := time.Unix(0, e.Deadline).Add(clocksApart); deadline.After(until) {
		until = deadline
	}
	now := &Asked{Seq: e.Request, Until: until.UnixMilli()}
	if had := c.Asked[e.Session]; had != nil {
		now.Seq, now.Until, now.Kept = max(now.Seq, had.Seq), max(now.Until, had.Until), had.Kept
	}
	if c.Asked == nil {
		c.Asked = map[Ref]*Asked{}
	}
	c.Asked[e.Session] = now
	return now
}

// told keeps the answer to a request, which becomes the entity's word.
func (b *box) told(e, answer *Envelope) {
	answer.Key = settledKey
	now := b.mark(e)
	now.Kept = append(slices.Clone(now.Kept), &KeptReply{Seq: e.Request, At: b.n.last.UnixMilli(),
		Refused: answer.Type == Refused, Number: answer.Number, Codec: answer.Codec, Body: Exact(answer.Body)})
	if over := len(now.Kept) - keptReplies; over > 0 {
		now.Kept = now.Kept[over:]
	}
	b.now.shed()
}

func (a *Asked) reply(seq uint64) *KeptReply {
	for _, r := range a.Kept {
		if r.Seq == seq {
			return r
		}
	}
	return nil
}

// masked is a copy whose bodies are hidden. A refusal has nothing to hide.
func (a *Asked) masked(hide func(number uint32, b Exact) Exact) *Asked {
	m := *a
	m.Kept = make([]*KeptReply, len(a.Kept))
	for i, r := range a.Kept {
		hidden := *r
		if !r.Refused {
			hidden.Body = hide(r.Number, r.Body)
		}
		m.Kept[i] = &hidden
	}
	return &m
}

// asking is of how many sessions requests may still come again.
func (c *Contents) asking(at time.Time) (sessions int) {
	for _, a := range c.Asked {
		if a.Until >= at.UnixMilli() {
			sessions++
		}
	}
	return sessions
}

// outlive forgets what is too old to be asked for.
func (c *Contents) outlive(at time.Time) {
	maps.DeleteFunc(c.Asked, func(_ Ref, a *Asked) bool { return a.Until < at.UnixMilli() })
	oldest := at.Add(-keptFor).UnixMilli()
	for session, a := range c.Asked {
		if len(a.Kept) > 0 && a.Kept[0].At < oldest {
			left := *a
			left.Kept = slices.DeleteFunc(slices.Clone(a.Kept), func(r *KeptReply) bool { return r.At < oldest })
			c.Asked[session] = &left
		}
	}
}

// shed drops the oldest replies until the others are not too much.
func (c *Contents) shed() {
	sum := 0
	for _, a := range c.Asked {
		for _, r := range a.Kept {
			sum += replyBytes + len(r.Body)
		}
	}
	for sum > keptBytes {
		oldest := c.oldestReply()
		left := *c.Asked[oldest]
		sum -= replyBytes + len(left.Kept[0].Body)
		left.Kept = left.Kept[1:]
		c.Asked[oldest] = &left
	}
}

// oldestReply is the session whose first reply is the oldest.
func (c *Contents) oldestReply() (oldest Ref) {
	for session, a := range c.Asked {
		if len(a.Kept) == 0 {
			continue
		}
		first := c.Asked[oldest]
		if first == nil || cmp.Or(cmp.Compare(a.Kept[0].At, first.Kept[0].At), compareRefs(session, oldest)) < 0 {
			oldest = session
		}
	}
	return oldest
}
