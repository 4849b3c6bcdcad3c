package prompt

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/fireflyrt/firefly/actors/wire"
)

// An event is one thing that is shown.
type event struct {
	At         time.Time       `json:"at"`
	What       string          `json:"what"`              // see sign
	Request    int             `json:"request,omitempty"` // of those asked, from 1
	Number     uint32          `json:"number,omitempty"`
	Name       string          `json:"name,omitempty"`
	Body       json.RawMessage `json:"body,omitempty"`
	Code       string          `json:"code,omitempty"`
	Text       string          `json:"text,omitempty"`
	RetryAfter int64           `json:"retry_after_ms,omitempty"`
	Incident   string          `json:"incident,omitempty"`
	Took       float64         `json:"ms,omitempty"`
}

// of fills in a message.
func (e *event) of(c wire.Catalogue, msg any) {
	t := c.Of(msg)
	e.Number, e.Name = t.Number, t.Name
	body, err := t.Encode(wire.JSON, msg)
	if err != nil {
		e.Text = err.Error()
		return
	}
	e.Body = body
}

// sign is the event's first mark.
func (e event) sign() string {
	switch e.What {
	case "asked", "sent":
		return "->"
	case "reply":
		return "<-"
	case "push":
		return "**"
	case "refused", "failed", "error", "wrong":
		return "!!"
	}
	return "=="
}

func (e event) String() string {
	words := []string{e.At.Format("15:04:05.000"), e.sign()}
	add := func(show bool, format string, args ...any) {
		if show {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(e.Request > 0, "#%d", e.Request)
	add(e.Name != "", "%s", e.Name)
	add(len(e.Body) > 0, "%s", e.Body)
	add(e.Code != "", "%s", e.Code)
	add(e.Text != "", "%s", e.Text)
	add(e.RetryAfter > 0, "(try again in %d ms)", e.RetryAfter)
	add(e.Incident != "", "(incident %s)", e.Incident)
	add(e.Took > 0, "(%.1f ms)", e.Took)
	return strings.Join(words, " ")
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// A voice shows one thing after another, from any goroutine.
type voice struct {
	json bool

	mu     sync.Mutex
	out    io.Writer
	hidden map[uint32]bool // numbers of pushes that are not shown
}

// into has what follows written elsewhere.
func (v *voice) into(w io.Writer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.out = w
}

func (v *voice) hide(number uint32, hidden bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hidden[number] = hidden
}

func (v *voice) hides(number uint32) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.hidden[number]
}

func (v *voice) say(e event) {
	e.At = time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if e.What == "push" && v.hidden[e.Number] {
		return
	}
	if !v.json {
		fmt.Fprintln(v.out, e)
		return
	}
	text, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("prompt: an event is texts, numbers and JSON: %v", err))
	}
	fmt.Fprintf(v.out, "%s\n", text)
}

// print shows what is no event.
func (v *voice) print(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.out, format+"\n", args...)
}
