// Package chat is a gameplay module: people talk in halls. An entity that its player speaks through is a Speaker; an
// entity whose audience hears is a Hall.
//
// It promises that whatever is heard is one line of text of bounded length that says truly who spoke, and that a
// newcomer hears the last lines of the hall. It does not filter words.
package chat

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
)

// Longest bounds a line, in characters; History is how many lines a newcomer hears.
const (
	Longest = 200
	History = 20
)

// What a line can be refused with.
const (
	Empty   actors.Code = "CHAT_EMPTY"
	TooLong actors.Code = "CHAT_TOO_LONG"
	Garbled actors.Code = "CHAT_GARBLED" // control characters, or not UTF-8
)

// Messages has the numbers 1100 to 1199.
var Messages = wire.Messages(
	wire.In[*Say](1101).Rate(5, 5*time.Second),
	wire.Out[*Heard](1102),
	wire.Internal[*Spoken](1103),
)

// Say is a line that the client's player speaks.
type Say struct {
	Text string `json:"text"`
}

// Heard is a line that somebody has spoken.
type Heard struct {
	Who  string `json:"who"`
	Text string `json:"text"`
	Old  bool   `json:"old,omitempty"` // spoken before the hearer came
}

// Spoken carries a line from the speaker to the hall.
type Spoken struct {
	Text string `json:"text"`
}

// MountSpeaker lets an entity's client speak. Where is asked at every line: the hall that the speaker is in now.
func MountSpeaker(p *actors.Props, where func() actors.Ref) {
	actors.Handle(p, func(ctx actors.Context, m *Say) error {
		text, err := line(m.Text)
		if err != nil {
			return err
		}
		ctx.Send(where(), &Spoken{Text: text})
		return nil
	})
}

// line makes one clean line of what a client sent.
func line(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch n := utf8.RuneCountInString(text); {
	case n == 0:
		return "", Empty.Refuse("nothing was said")
	case n > Longest:
		return "", TooLong.Refuse("%d characters, the bound is %d", n, Longest)
	case !utf8.ValidString(text), strings.ContainsFunc(text, unicode.IsControl):
		return "", Garbled.Refuse("control characters are not spoken")
	}
	return text, nil
}

// A Hall is the module in an entity whose audience hears what is spoken.
type Hall struct {
	audience *actors.Group
	count    *actors.Cell[count]
	lines    *actors.Map[int, said] // the last History lines, each in its place of a ring
}

type count struct {
	Lines int `json:"lines"` // ever spoken here
}

type said struct {
	Who  string `json:"who"`
	Text string `json:"text"`
}

// MountHall lets an entity's audience hear. Its cells are "chat" and "chat_line".
func MountHall(p *actors.Props) *Hall {
	h := &Hall{
		audience: actors.Audience(p),
		count:    actors.State[count](p, "chat"),
		lines:    actors.Rows[int, said](p, "chat_line"),
	}
	actors.On(p, h.bound)
	actors.Handle(p, h.spoken)
	return h
}

// bound tells a newcomer what was said before it came.
func (h *Hall) bound(ctx actors.Context, e *actors.Bound) error {
	n := h.count.View().Lines
	for i := max(0, n-History); i < n; i++ {
		l := h.lines.At(i % History)
		ctx.Send(e.Session, &Heard{Who: l.Who, Text: l.Text, Old: true})
	}
	return nil
}

func (h *Hall) spoken(ctx actors.Context, m *Spoken) error {
	who := ctx.Sender().ID
	n := h.count.Edit()
	h.lines.Set(n.Lines%History, said{Who: who, Text: m.Text})
	n.Lines++
	h.audience.Send(ctx, &Heard{Who: who, Text: m.Text})
	return nil
}
