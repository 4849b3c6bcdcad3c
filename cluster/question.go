package cluster

import (
	"time"

	"github.com/fireflyrt/firefly/actors"
)

// questionFor is how long a request without a deadline is remembered, as in the gate's default.
const questionFor = 5 * time.Second

// questions remembers the requests that went to one peer and were not answered by it, so that they can be answered
// for it when it is gone. It is bounded by its owner, and forgets what is past its deadline: nobody waits for that.
type questions struct {
	open  map[asked]question
	order []asked // as they were sent; also holds some that are closed
}

// A question is one open request.
type question struct {
	*actors.Envelope        // without its body
	seq              uint64 // of the batch that it went in, of the stream to the peer
}

// asked names a request: who gets the answer, under which id, and which attempt it is.
type asked struct {
	by      actors.Ref
	id      uint64
	attempt uint8
}

// isRequest reports whether somebody waits for an answer.
func isRequest(e *actors.Envelope) bool { return e.Type == actors.Message && e.Request != 0 }

// asker is who gets the answer to a message.
func asker(e *actors.Envelope) actors.Ref {
	if !e.Session.IsZero() {
		return e.Session
	}
	return e.From
}

// stubOf is a request without its body.
func stubOf(e *actors.Envelope) *actors.Envelope {
	stub := *e
	stub.Body, stub.Fan = nil, nil
	return &stub
}

// add remembers a request that goes in this batch.
func (q *questions) add(e *actors.Envelope, seq uint64, now time.Time) {
	if q.open == nil {
		q.open = map[asked]question{}
	}
	stub := stubOf(e)
	if stub.Deadline == 0 {
		stub.Deadline = now.Add(questionFor).UnixNano()
	}
	key := asked{asker(e), e.Request, e.Attempt}
	q.open[key] = question{stub, seq}
	q.order = append(q.order, key)
	if len(q.order) > 2*len(q.open)+64 {
		q.compact()
	}
}

// close forgets a request that an answer came for, and reports whether it was here.
func (q *questions) close(answer *actors.Envelope) bool {
	key := asked{answer.To, answer.Request, answer.Attempt}
	_, here := q.open[key]
	delete(q.open, key)
	return here
}

// takeIf returns the open requests that are so, in the order they were sent, and forgets them.
func (q *questions) takeIf(is func(question) bool) []question {
	var all []question
	for _, key := range q.order {
		if e, open := q.open[key]; open && is(e) {
			all = append(all, e)
			delete(q.open, key)
		}
	}
	return all
}

// expire forgets the oldest requests while nobody waits for them any more; if more are open than is usual, also those
// behind one that has time.
func (q *questions) expire(now time.Time, usual int) {
	all, n := len(q.open) > usual, 0
	for _, key := range q.order {
		e, open := q.open[key]
		if open = open && e.Deadline > now.UnixNano(); open && !all {
			break
		}
		if !open {
			delete(q.open, key)
			n++
		}
	}
	if all {
		q.compact()
	} else {
		q.order = q.order[n:]
	}
}

// takeAll returns the open requests in the order they were sent, and forgets them.
func (q *questions) takeAll() []question {
	all := q.takeIf(func(question) bool { return true })
	q.order = nil
	return all
}

func (q *questions) compact() {
	kept := q.order[:0]
	seen := make(map[asked]bool, len(q.open))
	for _, key := range q.order {
		if _, open := q.open[key]; open && !seen[key] {
			seen[key] = true
			kept = append(kept, key)
		}
	}
	q.order = kept
}
