package prompt

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/cluster/spelling"
)

// hint is what a person reads first, and help what :help answers.
const (
	hint = "Tab completes, :help explains, :hide silences pushes, Ctrl-D ends."
	help = `Name {"field":1}     sends a message and shows its answer; its number does as well as its name
!Name {"field":1}    sends it and wants no answer
:list [WORD]         lists the messages that may be sent, those with WORD in their names
:hide [WORD]         shows no pushes with WORD in their names any more; :show [WORD] shows them again
:wait [2s]           waits; for scripts
:quit                ends; so does Ctrl-D. Tab completes names, numbers and fields, the up arrow brings lines back
What is shown: -> asked or sent, <- a reply, !! a refusal or an error, ** a push, == the connection`
)

// commands are what may follow a colon.
func commands() []string { return []string{"help", "hide", "list", "quit", "show", "wait"} }

// A line is what somebody has typed.
type line struct {
	number int // of the input, from 1
	text   string
}

// A Wrong is a line that cannot be done: where it is wrong, what, and what to do about it.
type Wrong struct {
	Line, Col int // from 1; Col in bytes
	What, Do  string
}

func (w *Wrong) Error() string { return fmt.Sprintf("line %d:%d: %s; %s", w.Line, w.Col, w.What, w.Do) }

// An order is what a line wants. The zero order wants nothing.
type order struct {
	command string // or send
	word    string
	wait    time.Duration
	oneWay  bool
	of      *wire.Type
	msg     any
}

// read finds out what a line wants. The error is a *Wrong.
func (l line) read(c wire.Catalogue) (order, error) {
	text := strings.TrimSpace(l.text)
	from := strings.Index(l.text, text) // where text begins
	switch {
	case text == "" || text[0] == '#':
		return order{}, nil
	case text[0] == ':':
		return l.command(text[1:], from+1)
	}
	o := order{command: "send", oneWay: text[0] == '!'}
	if o.oneWay {
		text, from = text[1:], from+1
	}
	end := strings.IndexAny(text, " \t{")
	if end < 0 {
		end = len(text)
	}
	var err error
	if o.of, err = l.message(c, text[:end], from); err != nil {
		return o, err
	}
	body := strings.TrimSpace(text[end:])
	o.msg, err = l.body(o.of, body, from+len(text)-len(body))
	return o, err
}

// wrong is an error at an offset of the line.
func (l line) wrong(at int, do, what string, args ...any) error {
	return &Wrong{Line: l.number, Col: at + 1, What: fmt.Sprintf(what, args...), Do: do}
}

func (l line) command(text string, from int) (order, error) {
	name, word, _ := strings.Cut(text, " ")
	o := order{command: name, word: strings.TrimSpace(word)}
	switch name {
	case "wait":
		var err error
		if o.wait, err = time.ParseDuration(cmp.Or(o.word, "1s")); err != nil || o.wait < 0 {
			return o, l.wrong(from+len(name)+1, "write it like :wait 500ms", "%q is no time", o.word)
		}
	case "help", "hide", "list", "quit", "show":
	default:
		return o, l.wrong(from, instead(name, commands()), "there is no command :%s", name)
	}
	return o, nil
}

// message finds the message that is meant: one that clients may send.
func (l line) message(c wire.Catalogue, word string, at int) (*wire.Type, error) {
	if n, err := strconv.ParseUint(word, 10, 32); err == nil {
		t := c.ByNumber(uint32(n))
		if t == nil {
			return nil, l.wrong(at, ":list shows those that there are", "there is no message %d", n)
		}
		return l.sendable(t, at)
	}
	var found []*wire.Type
	var names []string
	for _, t := range c.All() {
		if names = append(names, t.Name); strings.EqualFold(t.Name, word) {
			found = append(found, t)
		}
	}
	slices.SortStableFunc(found, func(a, b *wire.Type) int { return int(a.Direction) - int(b.Direction) })
	switch {
	case len(found) == 0:
		return nil, l.wrong(at, instead(word, names), "there is no message %s", word)
	case len(found) > 1 && found[1].Direction == wire.DirIn:
		return nil, l.wrong(at, fmt.Sprintf("send it by its number: %d or %d", found[0].Number, found[1].Number),
			"more than one message is called %s", word)
	}
	return l.sendable(found[0], at)
}

func (l line) sendable(t *wire.Type, at int) (*wire.Type, error) {
	switch t.Direction {
	case wire.DirIn:
		return t, nil
	case wire.DirOut:
		return nil, l.wrong(at, ":list shows what may be sent", "%s is what a client receives", t)
	}
	return nil, l.wrong(at, ":list shows what may be sent", "%s is between actors only", t)
}

// instead says what to write for an unknown word.
func instead(word string, names []string) string {
	if near, ok := spelling.Nearest(word, names); ok {
		return "did you mean " + near + "?"
	}
	return ":help explains, :list shows what may be sent"
}

// list shows the messages that may be sent, with their fields.
func (p *prompt) list(word string) {
	for _, t := range p.named(wire.DirIn, word) {
		p.print("%6d %s {%s}", t.Number, t.Name, strings.Join(shapeOf(t).names(), ", "))
	}
}

// hide shows pushes no more, or again, and says which are hidden now.
func (p *prompt) hide(word string, hidden bool) {
	for _, t := range p.named(wire.DirOut, word) {
		p.voice.hide(t.Number, hidden)
	}
	var names []string
	for _, t := range p.named(wire.DirOut, "") {
		if p.hides(t.Number) {
			names = append(names, t.Name)
		}
	}
	if len(names) == 0 {
		p.print("all pushes are shown")
		return
	}
	p.print("not shown when they are pushed: %s", strings.Join(names, ", "))
}

// named are the messages that go in a direction and have a word in their names.
func (p *prompt) named(d wire.Direction, word string) (all []*wire.Type) {
	for _, t := range p.Options.Client.Catalogue.All() {
		if t.Direction == d && strings.Contains(strings.ToLower(t.Name), strings.ToLower(word)) {
			all = append(all, t)
		}
	}
	return all
}
