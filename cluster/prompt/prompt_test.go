package prompt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patient = 20 * time.Second

// A hall is a gate that answers enter with heard, refuses nod, hangs up on nudge, and pushes after each of them.
type hall struct {
	t *testing.T
	net.Listener
	serving sync.WaitGroup
	close   wire.CloseNumber // what nudge is answered by; 0: nothing, the connection just dies
	gone    bool             // nobody can resume
}

func newHall(t *testing.T) *hall {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{t: t, Listener: l}
	h.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.serving.Go(func() { h.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); h.serving.Wait() })
	return h
}

func (h *hall) serve(c net.Conn) {
	defer c.Close()
	received := uint64(0)
	for {
		head := make([]byte, wire.HeaderSize)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		f, err := wire.ParseHeader(head, wire.MaxBody)
		body := make([]byte, f.Length)
		if _, err2 := io.ReadFull(c, body); err != nil || err2 != nil {
			return
		}
		if f.Number >= wire.FirstGameNumber {
			received++
		}
		switch f.Number {
		case wire.NumberHello:
			w := wire.Welcome{Session: "s", Codec: "json"}
			var hello wire.Hello
			if json.Unmarshal(body, &hello) == nil && hello.Resume != nil {
				w.Resumed, w.Received, w.Reason = !h.gone, 1, "SESSION_UNKNOWN: long gone"
			}
			h.says(c, 0, wire.NumberWelcome, f.Seq, w)
		case 101:
			if f.Seq != 0 {
				h.says(c, 0, 201, f.Seq, heard{"hello"})
			}
			h.says(c, 0, 201, 0, heard{"somebody came"})
			h.says(c, wire.FlagError, wire.NumberError, 0, wire.Error{Code: "BAD_SEQ", Text: "odd"})
		case 110:
			h.says(c, wire.FlagError, 110, f.Seq,
				wire.Error{Code: "POOR", Text: "no gold", RetryAfter: 5, Incident: "i-1"})
		case 111:
			if h.close != 0 {
				h.says(c, 0, wire.NumberClose, 0, wire.Close{Code: h.close.String(), Number: h.close, Text: "bye"})
			}
			return
		case wire.NumberClose:
			return
		}
	}
}

func (h *hall) says(c net.Conn, flags wire.Flags, number, seq uint32, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		h.t.Error(err)
	}
	c.Write(wire.AppendFrame(nil, flags, number, seq, b)) //nolint:errcheck // it may have gone
}

// script runs lines against a hall, and returns what was shown, without what differs from run to run.
func (h *hall) script(lines string, asJSON bool) (string, error) {
	ctx, cancel := context.WithTimeout(h.t.Context(), patient)
	defer cancel()
	var out bytes.Buffer
	err := Run(ctx, Options{Address: "tcp://" + h.Addr().String(), In: strings.NewReader(lines), Out: &out,
		JSON: asJSON, Client: client.Options{Catalogue: messages, Luck: func() float64 { return 0 }}})
	if ctx.Err() != nil {
		h.t.Errorf("it took longer than %v", patient)
	}
	return differing.ReplaceAllString(out.String(), ""), err
}

var differing = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{3} | \([\d.]+ ms\)$|"at":"[^"]*",|,"ms":[\d.]+`)

func TestAScriptShowsWhatComesInOrder(t *testing.T) {
	t.Parallel()
	lines := "# come in\nenter {\"Name\":\"ann\"}\n!101\n:list n\n:wait 100ms\n:quit\nnod\n"
	out, err := newHall(t).script(lines, false)
	want := `== connected as s
-> #1 enter {"Name":"ann","Secret":""}
<- #1 heard {"Text":"hello"}
** heard {"Text":"somebody came"}
!! BAD_SEQ odd
-> enter {"Name":"","Secret":""}
`
	for _, part := range []string{"   101 enter {Name, Secret}\n", "   110 nod {}\n", "   111 nudge {Whom}\n"} {
		if !strings.Contains(out, part) {
			t.Errorf(":list leaves out %q", part)
		}
	}
	first := regexp.MustCompile(`(?m)^   1.*\n`).ReplaceAllString(out, "")
	if err != nil || !strings.HasPrefix(first, want[:strings.Index(want, "** ")]) {
		t.Errorf("%v, it showed:\n%s", err, out)
	}
	for part, times := range map[string]int{`** heard {"Text":"somebody came"}`: 2, "!! BAD_SEQ odd": 2,
		`-> enter {"Name":"","Secret":""}`: 1} {
		if strings.Count(out, part+"\n") != times {
			t.Errorf("%q is not shown %d times in:\n%s", part, times, out)
		}
	}
}

func TestPushesThatAreHiddenAreNotShown(t *testing.T) {
	t.Parallel()
	out, err := newHall(t).script(":hide HEAR\nenter\n!enter\nenter\n:show\nenter\n:wait 100ms\n", false)
	hidden, shown, _ := strings.Cut(out, "all pushes are shown\n")
	if err != nil || strings.Count(hidden, "<- #") != 2 || !strings.Contains(hidden, "are pushed: heard\n") ||
		strings.Contains(hidden, "** ") || !strings.Contains(shown, "** ") {
		t.Errorf("%v, it showed:\n%s", err, out)
	}
}

func TestAScriptSaysByItsErrorHowItWent(t *testing.T) {
	t.Parallel()
	out, err := newHall(t).script("nod\n", false)
	want := "!! #1 nod POOR no gold (try again in 5 ms) (incident i-1)"
	if !errors.Is(err, ErrRefused) || !strings.Contains(out, want) {
		t.Errorf("%v, it showed:\n%s", err, out)
	}
	out, err = newHall(t).script("enter\n\nentre {}\nenter\n", false)
	wrong := (*Wrong)(nil)
	if !errors.As(err, &wrong) || wrong.Line != 3 || strings.Contains(out, "#2") {
		t.Errorf("%v, it showed:\n%s", err, out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := newHall(t)
	if err := Run(ctx, Options{Address: "tcp://" + h.Addr().String(), Out: io.Discard,
		Client: client.Options{Catalogue: messages}}); err == nil {
		t.Error("an end before the beginning is no error")
	}
}

func TestAPromptFollowsItsConnectionAndSaysSo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		close wire.CloseNumber
		gone  bool
		want  []string
		ends  bool
	}{
		"resumed": {0, false, []string{"== lost, trying again in 0s: client: reading a header: EOF", "== resumed as s",
			"<- #1 heard"}, false},
		"anew": {wire.CloseRestarting, true, []string{"== lost", "RESTARTING (1001) bye",
			"== anew as s: client: session s is gone: SESSION_UNKNOWN: long gone", "<- #1 heard"}, false},
		"over": {wire.CloseKicked, false, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHall(t)
			h.close, h.gone = c.close, c.gone
			out, err := h.script("!nudge\n:wait 300ms\nenter {}\n", false)
			closed := (*client.Closed)(nil)
			if (err != nil) != c.ends || c.ends && !errors.As(err, &closed) {
				t.Errorf("it ended with %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in:\n%s", want, out)
				}
			}
		})
	}
}

func TestEachEventIsOneObjectALine(t *testing.T) {
	t.Parallel()
	out, err := newHall(t).script("enter {\"Name\":\"ann\"}\nnod\n", true)
	if !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	for _, want := range []string{`{"what":"connected","text":"connected as s"}`,
		`{"what":"asked","request":1,"number":101,"name":"enter","body":{"Name":"ann","Secret":""}}`,
		`{"what":"reply","request":1,"number":201,"name":"heard","body":{"Text":"hello"}}`,
		`{"what":"push","number":201,"name":"heard","body":{"Text":"somebody came"}}`,
		`{"what":"error","code":"BAD_SEQ","text":"odd"}`,
		`{"what":"refused","request":2,"number":110,"name":"nod","code":"POOR","text":"no gold","retry_after_ms":5,` +
			`"incident":"i-1"}`} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("%s is not in:\n%s", want, out)
		}
	}
}

func TestATextWithoutAConnectionSaysWhere(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.Close()
	if _, err := h.script("", false); err == nil || !strings.Contains(err.Error(), fmt.Sprint(h.Addr())) {
		t.Error(err)
	}
}
