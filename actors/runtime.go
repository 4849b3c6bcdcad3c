package actors

import "github.com/fireflyrt/firefly/actors/wire"

// This file holds the runtime's own messages. Those that a behaviour may listen to are its events; the others are
// orders between an actor's node and a session's gate.

// Loaded is an instance's first event: its cells are there. Rebuild what is derived from them. It may edit carried
// cells only, and sends nothing. An entity whose Loaded fails answers UNAVAILABLE, and tries again after a rest.
type Loaded struct{}

// Started follows Loaded when the entity comes up cold, not when it moved or was rebuilt: arm timers here. One that
// fails comes again.
type Started struct{}

// Stopped is an instance's last event before it is passivated or its node stops; it is not sent for moves. It may edit,
// send and commit, but ask nothing: nobody is there for the answer.
type Stopped struct{}

// Bound says that a session is now bound to this entity: it is the session's first envelope here. It comes again to
// every new instance: after the death of the entity's node, and after a failure for which the instance was rebuilt.
type Bound struct {
	Session Ref    `json:"session"`
	Who     Ref    `json:"who"`            // whom the session is logged in as; this entity itself at a login
	Ears    bool   `json:"ears,omitempty"` // Watch: it hears, and speaks through another
	Number  uint64 `json:"number"`         // rises with every bind of an entity; of two sessions the higher wins
	Away    bool   `json:"away,omitempty"` // its client has no connection now: Back, or Unbound, follows
}

// Unbound says that a session is no longer bound to this entity: it is the session's last envelope here. If its gate is
// gone the Code is UNAVAILABLE, and if that returns after all, the session is Bound again.
type Unbound struct {
	Session Ref  `json:"session"`
	Who     Ref  `json:"who"`
	Code    Code `json:"code,omitempty"` // why, when the session ended
}

// Away says that the client of a session that is bound to this entity, not by its ears only, has lost its connection.
// The session waits for it, with all that it is sent meanwhile: Back follows, or Unbound.
type Away struct {
	Session Ref `json:"session"`
}

// Back says that the client of a session that was Away has resumed it, and misses nothing.
type Back struct {
	Session Ref `json:"session"`
}

// Doubt asks a session, on behalf of an entity, to say again how they stand: what it told the entity may be lost. It
// says Bound or Unbound; if it has ended, its gate says Gone.
type Doubt struct{}

// BindOrder tells a session's gate to bind it to an entity, and with Login also as whom it acts.
type BindOrder struct {
	To    Ref  `json:"to"`
	Login bool `json:"login,omitempty"`
	Ears  bool `json:"ears,omitempty"`
}

// UnbindOrder tells a session's gate to end its binding to the entity of a kind.
type UnbindOrder struct {
	Kind KindName `json:"kind"`
}

// KickOrder tells a session's gate to close it.
type KickOrder struct {
	Code   Code   `json:"code"`
	Text   string `json:"text,omitempty"`
	Number uint64 `json:"number,omitempty"` // of the bind that has won; the gate's next ones are higher
}

// Gone tells an actor that sessions it sent to, or doubts, have ended.
type Gone struct {
	Sessions []Ref `json:"sessions"`
}

// Undelivered tells the sender of a durable message that it was refused, which is final. It comes in the turn that
// forgets the message: if a listener fails, both come again.
type Undelivered struct {
	To   Ref
	Msg  any // as it was sent; nil if it cannot be read any more
	Code Code
}

// Wake brings an entity up whose DueAt has come; what it has to do then is in its box.
type Wake struct{}

// Delivered tells the sender of durable messages which of them have been taken, for ever.
type Delivered struct {
	UpTo    uint64          `json:"up_to"`             // all up to this one
	Refused map[uint64]Code `json:"refused,omitempty"` // but these were refused
}

// Forget tells a receiver of durable messages that none of those up to a number comes again; with Refused only that the
// sender knows which of them were refused.
type Forget struct {
	UpTo    uint64 `json:"up_to"`
	Refused bool   `json:"refused,omitempty"`
}

// Inspect asks an entity for what is in its box, and answers with Contents in JSON. With Drop the durable message of
// that number is given up first: its sender hears of it as Undelivered with the code DROPPED. It may have been taken
// nevertheless.
type Inspect struct {
	Drop uint64 `json:"drop,omitempty"`
}

// Dropped is the code of a durable message that an operator gave up.
const Dropped Code = "DROPPED"

// Numbers of the runtime's own messages.
const (
	NumberInspect   = 9
	NumberBound     = 10
	NumberUnbound   = 11
	NumberBind      = 12
	NumberUnbind    = 13
	NumberKick      = 14
	NumberGone      = 15
	NumberWake      = 16
	NumberDelivered = 17
	NumberForget    = 18
	NumberProbe     = 19 // in the control lane, to actors that wait; see cycle.go
	NumberAway      = 20
	NumberBack      = 21
	NumberDoubt     = 22
)

// TakenOver is the code with which a session is closed when its account logs in elsewhere.
const TakenOver Code = "TAKEN_OVER"

var runtimeMessages = wire.Runtime(
	wire.Internal[*Inspect](NumberInspect),
	wire.Internal[*Bound](NumberBound),
	wire.Internal[*Unbound](NumberUnbound),
	wire.Internal[*BindOrder](NumberBind),
	wire.Internal[*UnbindOrder](NumberUnbind),
	wire.Internal[*KickOrder](NumberKick),
	wire.Internal[*Gone](NumberGone),
	wire.Internal[*Wake](NumberWake),
	wire.Internal[*Delivered](NumberDelivered),
	wire.Internal[*Forget](NumberForget),
	wire.Internal[*cycleProbe](NumberProbe),
	wire.Internal[*Away](NumberAway),
	wire.Internal[*Back](NumberBack),
	wire.Internal[*Doubt](NumberDoubt),
)

// RuntimeMessage makes the envelope of one of the runtime's own messages, which travel as JSON.
func RuntimeMessage(from, to Ref, msg any) *Envelope {
	t := runtimeMessages.Of(msg)
	body, err := t.Encode(wire.JSON, msg)
	if err != nil {
		panic("actors: the runtime's messages are plain: " + err.Error())
	}
	return &Envelope{Type: Message, To: to, From: from, Number: t.Number, Codec: wire.JSON, Body: body}
}

// announcedKey is the Key of a Bound that a gate says again.
const announcedKey = "again"

// Announce makes the envelope of a Bound that a gate says again, to an entity whose shard has another owner after a
// death: it goes before whatever waits for that owner.
func Announce(to Ref, b *Bound) *Envelope {
	e := RuntimeMessage(b.Session, to, b)
	e.Key = announcedKey
	return e
}

// Announces reports whether a message is a Bound that is said again.
func (e *Envelope) Announces() bool { return e.Number == NumberBound && e.Key == announcedKey }

// Binds reports whether a message is one by which gates and entities agree on who is bound. There are about as many as
// sessions come and go, and who misses one is wrong until a death: so none is refused for want of room.
func (e *Envelope) Binds() bool {
	return e.Type == Message && (e.Number >= NumberBound && e.Number <= NumberKick ||
		e.Number >= NumberAway && e.Number <= NumberDoubt)
}

// ReadRuntimeMessage decodes one of the runtime's own messages.
func ReadRuntimeMessage(e *Envelope) (any, error) {
	t := runtimeMessages.ByNumber(e.Number)
	if t == nil {
		return nil, UnknownNumber.Refuse("%d is not a number of the runtime", e.Number)
	}
	return t.Decode(e.Codec, e.Body)
}
