// Package contract is what a game and its clients have agreed on: which number is which message, and what its body
// looks like. It reads that from the catalogue, writes it down for clients in TypeScript and C#, and keeps it: a lock
// file holds what was agreed, and Check says where the program has left it.
//
// It promises that what it writes is what the codecs do: a field's name, whether it may be missing or null, and whether
// a number is one in JSON or a string. The same catalogue gives the same bytes. It does not know doc comments, nor
// which constants a named type has: reflection shows neither.
package contract

import (
	"errors"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A Contract is all that a game's nodes and clients say to each other.
type Contract struct {
	App      string     // whose it is
	Messages []*Message // by number
	Parts    []*Shape   // what is held by messages that clients know, and is no message itself; by name
}

// A Message is a line of the catalogue.
type Message struct {
	Number    uint32
	Direction wire.Direction
	Public    bool
	Proto     bool     // it is a protobuf message
	Handled   bool     // In: some kind of actor takes it
	Reply     *Message // In: what answers it; nil: an empty body, if it is Handled
	*Shape
}

// Of reads the contract of an app from its catalogue, without the numbers of the runtime. Reply says what answers a
// number of the clients' (nil: an empty body), and whether anybody handles it. The error names everything that cannot
// travel, joined.
func Of(app string, c wire.Catalogue, reply func(number uint32) (answer *wire.Type, handled bool)) (*Contract, error) {
	r := reader{shapes: map[any]*Shape{}}
	made := &Contract{App: app}
	byNumber := map[uint32]*Message{}
	for _, t := range c.All() {
		if t.Number < wire.FirstGameNumber {
			continue
		}
		m := &Message{Number: t.Number, Direction: t.Direction, Public: t.Public, Proto: t.Proto(), Shape: r.message(t)}
		made.Messages = append(made.Messages, m)
		byNumber[m.Number] = m
	}
	for _, m := range made.Messages {
		if m.Direction != wire.DirIn {
			continue
		}
		answer, handled := reply(m.Number)
		if m.Handled = handled; answer != nil {
			m.Reply = byNumber[answer.Number]
		}
	}
	made.name()
	return made, errors.Join(r.errs...)
}

// Body is what the body of one message looks like. What cannot travel is of no kind.
func Body(t *wire.Type) *Type {
	r := reader{shapes: map[any]*Shape{}}
	s := r.message(t)
	if s.Is != nil {
		return s.Is
	}
	return &Type{Kind: Object, Shape: s}
}

// received lists what a client may be sent: the Out messages and whatever else answers a request. By number.
func (c *Contract) received() []*Message {
	answers := map[*Message]bool{}
	for _, m := range c.Messages {
		answers[m.Reply] = true
	}
	var all []*Message
	for _, m := range c.Messages {
		if m.Direction == wire.DirOut || m.Direction == wire.DirInternal && answers[m] {
			all = append(all, m)
		}
	}
	return all
}

// sent lists what a client may send, by number.
func (c *Contract) sent() []*Message {
	var all []*Message
	for _, m := range c.Messages {
		if m.Direction == wire.DirIn {
			all = append(all, m)
		}
	}
	return all
}
