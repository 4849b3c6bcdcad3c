package prompt

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fireflyrt/firefly/actors/wire"
)

// A completer knows what may be written next.
type completer struct{ wire.Catalogue }

// complete is the line after Tab was pressed behind its first pos bytes. If more than one thing may follow, they are
// listed in could.
func (c completer) complete(text string, pos int) (line string, at int, could []string) {
	head, tail := text[:pos], text[pos:]
	begins, could, ends := c.candidates(head)
	var fitting []string
	for _, word := range could {
		if strings.HasPrefix(strings.ToLower(word), strings.ToLower(strings.Trim(head[begins:], `"`))) {
			fitting = append(fitting, word)
		}
	}
	switch len(fitting) {
	case 0:
		return text, pos, nil
	case 1:
		head = head[:begins] + ends(fitting[0])
		return head + strings.TrimPrefix(tail, `"`), len(head), nil
	}
	word := common(fitting)
	if strings.HasPrefix(head[begins:], `"`) {
		word = `"` + word
	}
	if len(word) > len(head)-begins {
		head = head[:begins] + word
		return head + tail, len(head), nil
	}
	return text, pos, fitting
}

// candidates are the words that may stand at the end of a text, where the one that is being written begins, and how a
// whole one looks.
func (c completer) candidates(head string) (begins int, words []string, ends func(string) string) {
	blank := len(head) - len(strings.TrimLeft(head, " \t!"))
	first := head[blank:]
	if strings.HasPrefix(first, ":") {
		return c.command(head, blank+1)
	}
	end := strings.IndexAny(first, " \t{")
	if end < 0 {
		return blank, c.messages(wire.DirIn, first), func(word string) string {
			if t := c.find(word); t == nil || len(shapeOf(t).names()) == 0 {
				return word
			}
			return word + " {"
		}
	}
	t := c.find(first[:end])
	if t == nil {
		return len(head), nil, nil
	}
	at := locate(shapeOf(t), first[end:])
	if !at.naming {
		return len(head), nil, nil
	}
	in := at.open[len(at.open)-1]
	words = slices.DeleteFunc(in.names(), func(name string) bool { return slices.Contains(in.seen, name) })
	return blank + end + at.begins, words, func(word string) string { return strconv.Quote(word) + ":" }
}

// command is candidates for a command, whose name begins at a place.
func (c completer) command(head string, at int) (begins int, words []string, ends func(string) string) {
	ends = func(word string) string { return word }
	name, word, more := strings.Cut(head[at:], " ")
	begins = len(head) - len(word)
	switch {
	case !more:
		return at, commands(), ends
	case name == "list":
		return begins, c.messages(wire.DirIn, word), ends
	case name == "hide", name == "show":
		return begins, c.messages(wire.DirOut, word), ends
	}
	return len(head), nil, ends
}

// messages are the names of those that go in a direction, or, if a digit was written, the numbers.
func (c completer) messages(d wire.Direction, written string) (all []string) {
	digits := written != "" && written[0] >= '0' && written[0] <= '9'
	for _, t := range c.All() {
		switch {
		case t.Direction != d:
		case digits:
			all = append(all, strconv.FormatUint(uint64(t.Number), 10))
		default:
			all = append(all, t.Name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// find finds a message by what somebody has written; nil: there is none.
func (c completer) find(word string) *wire.Type {
	t, err := line{}.message(c.Catalogue, word, 0)
	if err != nil {
		return nil
	}
	return t
}

// common is the beginning that words share, as the first of them writes it.
func common(words []string) string {
	first := words[0]
	for n := len(first); n > 0; n-- {
		other := func(w string) bool { return len(w) < n || !strings.EqualFold(w[:n], first[:n]) }
		if !slices.ContainsFunc(words, other) {
			return first[:n]
		}
	}
	return ""
}
