package actors

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fireflyrt/firefly/actors/wire"
)

// An EnvelopeType says what an envelope is to its receiver.
type EnvelopeType uint8

// The types. Their values travel on the link and must never change.
const (
	Message  EnvelopeType = 1 // a message; one with a Request wants an answer
	Answered EnvelopeType = 2 // the answer to a request: Number and Body are the result; number 0 is an empty result
	Refused  EnvelopeType = 3 // the answer to a request: Body is a Refusal in JSON, whatever Codec says
)

// MaxHops bounds how many actors may pass a request on to the next before it is answered TOO_MANY_HOPS.
const MaxHops = 16

// An Envelope is everything that reaches an actor: who, to whom, what. An actor is a function of its envelopes.
//
// Whoever makes an envelope gives it away when sending it: neither the envelope nor its Body is changed afterwards,
// and receivers on the same node may share both.
type Envelope struct {
	Type     EnvelopeType
	To       Ref
	From     Ref        // an actor, or whom the session is logged in as, or the session itself
	Session  Ref        // the client's session that a message came from, else zero
	Number   uint32     // what Body is
	Codec    wire.Codec // how Body is written
	Body     []byte
	Request  uint64 // message: not 0 if an answer is wanted, and under which id; answer: the id it answers
	Attempt  uint8  // how often the gate has sent this request before; the answer repeats it
	Hops     uint8
	Epoch    uint64 // the tenure that the sender addressed
	Deadline int64  // Unix nanoseconds after which nobody waits for the answer; 0: none
	At       int64  // Unix nanoseconds when it was made
	Key      string // of a Latest push: what a newer one of the same key makes needless; of an answer: see Settles
	Fan      []Ref  // instead of To: several sessions of one node, with one codec
}

// Refusal returns what a Refused envelope says.
func (e *Envelope) Refusal() *Refusal {
	r := new(Refusal)
	if err := json.Unmarshal(e.Body, r); err != nil {
		return &Refusal{Code: Internal, Text: fmt.Sprintf("actors: unreadable refusal: %v", err)}
	}
	return r
}

// Answer makes the answer to e that carries a result. The envelope e must have a Request.
func (e *Envelope) Answer(number uint32, c wire.Codec, body []byte) *Envelope {
	return &Envelope{Type: Answered, To: e.replyTo(), From: e.To, Number: number, Codec: c, Body: body,
		Request: e.Request, Attempt: e.Attempt}
}

// Refuse makes the answer to e that carries a refusal, under e's own number.
func (e *Envelope) Refuse(r *Refusal) *Envelope {
	body, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("actors: a refusal is strings and numbers: %v", err))
	}
	return &Envelope{Type: Refused, To: e.replyTo(), From: e.To, Number: e.Number, Codec: wire.JSON, Body: body,
		Request: e.Request, Attempt: e.Attempt}
}

// replyTo is the session for what a client asked, else the asking actor: a client may act under its player's name, but
// the answer is the client's.
func (e *Envelope) replyTo() Ref {
	if !e.Session.IsZero() {
		return e.Session
	}
	return e.From
}

// isQuestion reports whether an actor waits for the answer, and no client or node.
func (e *Envelope) isQuestion() bool {
	return e.Request != 0 && e.Session.IsZero() && e.From.Kind != SessionKind && e.From.Kind != NodeKind
}

// Append writes the envelope to b in the link's format: fields in order, integers as varints, texts and bodies with
// their length before them.
func (e *Envelope) Append(b []byte) []byte {
	b = append(b, byte(e.Type), byte(e.Codec), e.Attempt, e.Hops)
	for _, r := range [...]Ref{e.To, e.From, e.Session} {
		b = appendRef(b, r)
	}
	for _, n := range [...]uint64{uint64(e.Number), e.Request, e.Epoch, uint64(e.Deadline), uint64(e.At)} {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Key)))
	b = append(b, e.Key...)
	b = binary.AppendUvarint(b, uint64(len(e.Fan)))
	for _, r := range e.Fan {
		b = appendRef(b, r)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Body)))
	return append(b, e.Body...)
}

func appendRef(b []byte, r Ref) []byte {
	b = binary.AppendUvarint(b, uint64(len(r.Kind)))
	b = append(b, r.Kind...)
	b = binary.AppendUvarint(b, uint64(len(r.ID)))
	return append(b, r.ID...)
}

// errTorn means that bytes do not hold a whole envelope.
var errTorn = errors.New("actors: torn or malformed envelope")

// ReadEnvelope reads one envelope and returns what stands behind it. Body is a part of b: b must not change while the
// envelope lives. It never panics, whatever b holds.
func ReadEnvelope(b []byte) (*Envelope, []byte, error) {
	if len(b) < 4 {
		return nil, nil, errTorn
	}
	e := &Envelope{Type: EnvelopeType(b[0]), Codec: wire.Codec(b[1]), Attempt: b[2], Hops: b[3]}
	if e.Type < Message || e.Type > Refused {
		return nil, nil, errTorn
	}
	r := readerOf(b[4:])
	e.To, e.From, e.Session = r.ref(), r.ref(), r.ref()
	e.Number, e.Request, e.Epoch = uint32(r.Uvarint()), r.Uvarint(), r.Uvarint()
	e.Deadline, e.At = int64(r.Uvarint()), int64(r.Uvarint())
	e.Key = string(r.Bytes())
	if n := r.Count(); n > 0 {
		e.Fan = make([]Ref, n)
		for i := range e.Fan {
			e.Fan[i] = r.ref()
		}
	}
	e.Body = r.Bytes()
	if r.Torn {
		return nil, nil, errTorn
	}
	return e, r.B, nil
}

// A reader takes fields off the front of what appendRef and its like have written.
type reader struct{ wire.Cursor }

func readerOf(b []byte) *reader { return &reader{wire.Cursor{B: b}} }

func (r *reader) ref() Ref { return Ref{KindName(r.Bytes()), string(r.Bytes())} }
