package gate_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/gate"
)

// This file plays the conversations of docs/protocol.md with a real gate.

// The game of the page.
type (
	Enter struct {
		Name string `json:"name"`
	}
	Entered struct {
		Name string `json:"name"`
	}
	Say struct {
		Text string `json:"text"`
	}
	Heard struct {
		Who  string `json:"who"`
		Text string `json:"text"`
	}
)

var parrotMessages = wire.Messages(wire.In[*Enter](101).Public(), wire.Out[*Entered](102), wire.In[*Say](110),
	wire.Out[*Heard](111), wire.In[*wrapperspb.StringValue](120).Public(), wire.Out[*wrapperspb.Int64Value](121))

// A parrot is the cluster behind the gate of the page.
type parrot struct{ *cluster }

func (p parrot) Handles(number uint32) (actors.KindName, bool) {
	if number == 101 || number == 120 {
		return door, true
	}
	return player, number == 110
}

func (p parrot) Route(e *actors.Envelope) {
	switch e.Number {
	case 101:
		var m Enter
		_ = json.Unmarshal(e.Body, &m)
		p.deliver(actors.RuntimeMessage(door.Ref("1"), e.Session,
			&actors.BindOrder{To: player.Ref(m.Name), Login: true}))
		p.deliver(e.Answer(102, wire.JSON, e.Body))
	case 110:
		p.said(e)
	case 120:
		var m wrapperspb.StringValue
		_ = proto.Unmarshal(e.Body, &m)
		body, _ := proto.Marshal(wrapperspb.Int64(int64(len(m.Value))))
		p.deliver(e.Answer(121, wire.Proto, body))
	}
}

func (p parrot) said(e *actors.Envelope) {
	var m Say
	if _ = json.Unmarshal(e.Body, &m); m.Text == "" {
		p.deliver(e.Refuse(&actors.Refusal{Code: "SAY_NOTHING", Text: "say something"}))
		return
	}
	body, _ := json.Marshal(Heard{e.From.ID, m.Text})
	p.deliver(&actors.Envelope{Type: actors.Message, To: e.Session, From: e.To, Number: 111, Codec: wire.JSON,
		Body: body})
	p.deliver(e.Answer(0, wire.JSON, nil))
}

// conversation finds the blocks of the page that are played, and how the frames lie in them.
var conversation = regexp.MustCompile("(?s)\n```frames ?([a-z0-9]*)\n(.*?)```\n")

func TestWhatThePageOnTheProtocolShowsIsWhatAGateSays(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	open := newHouse(t, parrots)
	ways := map[string][]func() net.Conn{}
	for i, scheme := range transports {
		how := []string{"", "ws"}[i%2]
		ways[how] = append(ways[how], func() net.Conn { return open.raw(open.at(scheme)) })
	}
	proxied := newHouse(t, parrots, behind)
	ways["proxy"] = append(ways["proxy"], func() net.Conn { return proxied.raw(proxied.at(gate.TCP)) })
	old := newHouse(t, parrots)
	at := old.serves(telling(published))
	ways["firefly1"] = append(ways["firefly1"], func() net.Conn { return old.raw("tcp://" + at) })
	played := map[string]int{}
	for _, block := range conversation.FindAllSubmatch(page, -1) {
		how := string(block[1])
		for _, dial := range ways[how] {
			play(t, how, dial, string(block[2]))
			played[how]++
		}
	}
	if played[""] < 10 || played["ws"] < 2 || played["proxy"] < 1 || played["firefly1"] < 1 {
		t.Errorf("only %v conversations found: the test does not look at the page", played)
	}
}

func parrots(o *gate.Options) {
	o.Backend, o.Catalogue = parrot{o.Backend.(*cluster)}, parrotMessages
	o.Limits = gate.DefaultLimits()
}

// A stage is where one conversation is played: the client's lines are sent, the gate's read and compared.
type stage struct {
	t      *testing.T
	conn   net.Conn
	values map[string]string // of what differs each time, by name
}

func play(t *testing.T, how string, dial func() net.Conn, script string) {
	g := &stage{t: t, conn: dial(), values: map[string]string{}}
	defer func() { g.conn.Close() }()
	over, leaves := false, false
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		sign, rest, _ := strings.Cut(line, " ")
		switch sign {
		case ">":
			g.send(rest)
			leaves = strings.Contains(rest, " 00000004 ")
		case "<":
			g.expect(rest)
			over = strings.Contains(rest, " 00000004 ")
		case "*":
			g.conn.Close()
			g.conn = dial()
		default:
			t.Fatalf("a line of a conversation begins with >, < or *: %q", line)
		}
	}
	switch {
	case how == "ws", how == "firefly1": // nothing else was said
	case over || leaves:
		if rest, err := io.ReadAll(g.conn); err != nil && !leaves || len(rest) > 0 {
			t.Errorf("behind Close came %x, %v", rest, err)
		}
	default:
		g.send("00 00000e 00000005 0000ffff {\"received\":0}")
		if f := g.read(wire.HeaderSize); f[7] != byte(wire.NumberPong) {
			t.Errorf("behind the last line came a frame %x", f)
		}
	}
}

// parts takes a line apart: its digits and its text.
func parts(line string) (digits, text string) {
	if http, ok := strings.CutPrefix(line, `"`); ok {
		return "", strings.TrimSuffix(http, `"`) + "\r\n"
	}
	digits, text, found := strings.Cut(line, "{")
	if found {
		text = "{" + text
	}
	return strings.ReplaceAll(digits, " ", ""), text
}

// differing finds what stands in angle brackets.
var differing = regexp.MustCompile(`<[a-z0-9 ]+>`)

func (g *stage) send(line string) {
	g.t.Helper()
	digits, text := parts(line)
	text = differing.ReplaceAllStringFunc(text, func(name string) string { return g.values[name] })
	if strings.Contains(digits, ".") { // a length
		digits = strings.Replace(digits, "......", fmt.Sprintf("%06x", len(text)), 1)
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		g.t.Fatalf("%s: %v", line, err)
	}
	if b = append(b, text...); strings.HasPrefix(digits, "00") {
		if _, _, rest, err := wire.CutFrame(b, wire.MaxBody); err != nil || len(rest) > 0 {
			g.t.Fatalf("%s is no frame: %v", line, err)
		}
	}
	if _, err := g.conn.Write(b); err != nil {
		g.t.Fatalf("%s: %v", line, err)
	}
}

func (g *stage) expect(line string) {
	g.t.Helper()
	digits, text := parts(line)
	head := g.read(len(digits) / 2)
	got := hex.EncodeToString(head)
	for i, d := range digits {
		if d != '.' && byte(d) != got[i] {
			g.t.Fatalf("the page says %s, the gate %s", line, got)
		}
	}
	if text == "" {
		return
	}
	n := len(text)
	if differing.MatchString(text) {
		n = int(binary.BigEndian.Uint32(head[len(head)-wire.HeaderSize:]) & wire.MaxBody)
	}
	g.matches(text, string(g.read(n)))
}

// matches compares a text with one that has names where something differs, and keeps what stands there.
func (g *stage) matches(page, got string) {
	g.t.Helper()
	var pattern strings.Builder
	var names []string
	rest := page
	for _, at := range differing.FindAllStringIndex(page, -1) {
		before := page[len(page)-len(rest) : at[0]]
		pattern.WriteString(regexp.QuoteMeta(before) + `([^",}]+)`)
		names, rest = append(names, page[at[0]:at[1]]), page[at[1]:]
	}
	pattern.WriteString(regexp.QuoteMeta(rest))
	found := regexp.MustCompile("^" + pattern.String() + "$").FindStringSubmatch(got)
	if found == nil {
		g.t.Fatalf("the page says\n%s, the gate\n%s", page, got)
	}
	for i, name := range names {
		if before, known := g.values[name]; known && before != found[i+1] && name != "<time>" {
			g.t.Errorf("%s was %s, and is %s", name, before, found[i+1])
		}
		g.values[name] = found[i+1]
	}
}

func (g *stage) read(n int) []byte {
	g.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(g.conn, b); err != nil {
		g.t.Fatalf("the gate said no more than %x: %v", b, err)
	}
	return b
}
