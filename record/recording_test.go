package record_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/record"
)

var update = flag.Bool("update", false, "write the sample of the version that is written now")

type login struct {
	Name   string `json:"name"`
	Secret string `json:"secret" firefly:"sensitive"`
}

type said struct {
	Text string `json:"text"`
}

var catalogue = wire.Messages(wire.In[*login](101), wire.Out[*said](102), wire.Internal[*ticked](103))

type ticked struct{}

// edition stands for hot tables.
type edition struct{ hash, text string }

func (e edition) Hash() string             { return e.hash }
func (e edition) Files() map[string][]byte { return map[string][]byte{"prices.csv": []byte(e.text)} }

// cellEdit changes one cell.
type cellEdit struct{ name, before, after string }

func (e cellEdit) Before(p *actors.Patch) error { p.Cells[e.name] = jsonOf(e.before); return nil }
func (e cellEdit) After(p *actors.Patch) error  { p.Cells[e.name] = jsonOf(e.after); return nil }

func jsonOf(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

// rowEdit changes one row.
type rowEdit struct{ name, before, after string }

func (e rowEdit) Before(p *actors.Patch) error { p.Rows[e.name] = jsonOf(e.before); return nil }
func (e rowEdit) After(p *actors.Patch) error  { p.Rows[e.name] = jsonOf(e.after); return nil }

// groupEdit lets a session into a group.
type groupEdit struct{ session actors.Ref }

func (e groupEdit) Before(p *actors.Patch) error {
	p.Groups["all"] = map[actors.Ref]bool{e.session: false}
	p.Bound[e.session] = nil
	return nil
}

func (e groupEdit) After(p *actors.Patch) error {
	p.Groups["all"] = map[actors.Ref]bool{e.session: true}
	p.Bound[e.session] = &actors.Bound{Session: e.session, Number: 3}
	return nil
}

// failEdit is a failure that the entity remembers.
type failEdit struct{}

func (failEdit) Before(p *actors.Patch) error { p.Rest = &actors.Rest{}; return nil }
func (failEdit) After(p *actors.Patch) error {
	p.Rest = &actors.Rest{Failures: []int64{7}, For: time.Second, Until: 9}
	return nil
}

var (
	ann   = actors.KindName("player").Ref("ann")
	bob   = actors.KindName("player").Ref("bob")
	visit = actors.SessionRef("gate-1", wire.JSON, 5, 1)
)

// full is a step in which every field says something.
func full() *actors.Step {
	in := &actors.Envelope{Type: actors.Message, To: ann, From: visit, Session: visit, Number: 101, Codec: wire.JSON,
		Body: []byte(`{"name":"ann","secret":"open sesame"}`), Request: 8, Deadline: 9, At: 10}
	return &actors.Step{
		Input: actors.Input{Type: actors.InputMessage, At: 11, Envelope: in, Question: 12,
			Result: json.RawMessage(`{"a":1}`), Refusal: &actors.Refusal{Code: "NO", Text: "no"}, Session: visit,
			Tables: edition{"e1", "item,gold\n"}},
		Turns: []actors.Turn{
			{Number: 101, Name: "login", Verdict: actors.Stood, Commit: true,
				Timers: []actors.TimerOrder{
					{Number: 101, Body: []byte(`{"name":"","secret":"tick"}`), Wait: 5, Every: true},
					{Number: 103, Cancel: true}},
				Edits: []actors.Edit{cellEdit{"purse", `{"v":1,"d":1}`, `{"v":1,"d":2}`},
					rowEdit{"bag/sword", `{"v":1,"d":{"n":1}}`, ""}, groupEdit{visit}, failEdit{}}},
			{Number: 102, Name: "said", Verdict: actors.Broken, Text: "panic: oh", Stack: "goroutine 1"},
		},
		Out: []actors.Envelope{*in.Refuse(&actors.Refusal{Code: "NO"}), {Type: actors.Message, Number: 102,
			Codec: wire.JSON, Body: []byte(`{"text":"hi"}`), Fan: []actors.Ref{visit}, Key: "k"}},
		Before: 13, Quiet: true,
	}
}

func image(ref actors.Ref, cells map[string]json.RawMessage) *actors.Image {
	state := actors.NewPatch(nil)
	maps.Copy(state.Cells, cells)
	return &actors.Image{Ref: ref, Seed: 1 << 63, Turns: 13, Asked: 2, At: 10, State: state}
}

var key = []byte("a key")

func encoded(t *testing.T, index uint64) *record.Step {
	t.Helper()
	s, err := record.Encode(full(), record.NewMasking(catalogue, record.NewMask(key)))
	if err != nil {
		t.Fatal(err)
	}
	s.Index = index
	return s
}

// life makes a segment of ann's with n steps.
func life(t *testing.T, node string, activation, first uint64, n int) *record.Segment {
	t.Helper()
	s := &record.Segment{Ref: ann, Node: node, Incarnation: 77, Activation: activation,
		At: int64(1000*activation + first), First: first,
		Image: image(ann, map[string]json.RawMessage{"purse": json.RawMessage(`{"v":1,"d":1}`)})}
	for i := range n {
		s.Steps = append(s.Steps, encoded(t, first+uint64(i)))
	}
	return s
}

// made writes segments as a file and reads it.
func made(t *testing.T, segments ...*record.Segment) ([]byte, *record.Recording) {
	t.Helper()
	r := record.New(record.Header{App: "meadow", Node: "game-1", Incarnation: 77, At: 5}, segments,
		map[string]map[string][]byte{"e1": edition{"e1", "item,gold\n"}.Files()})
	text, err := r.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	back, err := record.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return text, back
}

func TestWhatWasWrittenIsRead(t *testing.T) {
	t.Parallel()
	s := life(t, "game-1", 1, 0, 3)
	s.Checks = []record.Check{{After: 0, Hash: record.Digest{1}}, {After: 2, Hash: record.Digest{2}},
		{After: 3, Hash: record.Digest{3}}}
	s.Panics = []record.Panic{{Index: 2, Number: 101, Name: "login", Text: "oh"}}
	s.Closed = true
	text, r := made(t, s)
	if want := (record.Header{App: "meadow", Node: "game-1", Incarnation: 77, At: 5}); r.Header != want {
		t.Errorf("header %+v", r.Header)
	}
	a := r.Actor(ann)
	if a == nil || len(r.Actors()) != 1 || len(a.Segments) != 1 || r.Steps() != 3 {
		t.Fatalf("actors: %+v", r.Actors())
	}
	if !reflect.DeepEqual(a.Segments[0], s) {
		t.Errorf("read:\n%+v\nwritten:\n%+v", a.Segments[0], s)
	}
	if got := string(r.Tables("e1")["prices.csv"]); got != "item,gold\n" {
		t.Errorf("tables: %q", got)
	}
	again, err := r.Append(nil)
	if err != nil || string(again) != string(text) {
		t.Errorf("written again it is another file (%v)", err)
	}
}

func TestSecretsDoNotReachTheFile(t *testing.T) {
	t.Parallel()
	text, r := made(t, life(t, "game-1", 1, 0, 1))
	for _, secret := range []string{"open sesame", "tick"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the file holds %q", secret)
		}
	}
	body := string(r.Actor(ann).Segments[0].Steps[0].Input.Envelope.Body)
	if !strings.Contains(body, `"secret":"masked:`) || !strings.Contains(body, `"name":"ann"`) {
		t.Errorf("masked: %s", body)
	}
}

func TestMasksAreEqualForEqualsAndStayAsTheyAre(t *testing.T) {
	t.Parallel()
	mask, other := record.NewMask(key), record.NewMask([]byte("another"))
	a, again := mask("a"), mask("a")
	if a != again || a == mask("b") || a == other("a") {
		t.Errorf("masks: %s %s %s %s", a, again, mask("b"), other("a"))
	}
	if mask(mask("a")) != mask("a") || other(mask("a")) != mask("a") {
		t.Error("a mask is masked again")
	}
	for _, not := range []string{"masked:0123", "masked:0123456789abcdeg", "masked:0123456789abcdef0"} {
		if mask(not) == not {
			t.Errorf("%q passes for a mask", not)
		}
	}
}

func TestStepsWithDifferentMasksCompareEqual(t *testing.T) {
	t.Parallel()
	one, two := record.NewMasking(catalogue, record.NewMask(key)), record.NewMasking(catalogue, record.Blank)
	a, err := record.Encode(full(), one)
	if err != nil {
		t.Fatal(err)
	}
	b, err := record.Encode(full(), two)
	if err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(a, b) {
		t.Fatal("nothing in it is masked")
	}
	if got, want := one.Compared(a), two.Compared(b); !reflect.DeepEqual(got, want) {
		t.Errorf("compared:\n%+v\n%+v", got, want)
	}
}

func TestALifeThatGoesOnInAnotherFileIsOneSegment(t *testing.T) {
	t.Parallel()
	first, second := life(t, "game-1", 1, 0, 3), life(t, "game-1", 1, 3, 2)
	second.Image, second.Closed = nil, true
	overlap := life(t, "game-1", 1, 1, 3)
	_, a := made(t, first)
	_, b := made(t, second)
	_, c := made(t, overlap)
	if len(b.Actors()) != 0 {
		t.Error("a segment without a beginning can be replayed, it seems")
	}
	for _, parts := range [][]*record.Recording{{a, b, c}, {b, a}, {c, b, a}} {
		r := record.Merge(parts...)
		got := r.Actor(ann)
		if got == nil || len(got.Segments) != 1 || len(got.Segments[0].Steps) != 5 || !got.Segments[0].Closed {
			t.Fatalf("merged: %+v", got)
		}
		for i, s := range got.Segments[0].Steps {
			if s.Index != uint64(i) {
				t.Errorf("step %d has index %d", i, s.Index)
			}
		}
	}
	if len(a.Actor(ann).Segments[0].Steps) != 3 {
		t.Error("merging changed a part")
	}
}

func TestAnActorThatCameUpElsewhereIsOneRecording(t *testing.T) {
	t.Parallel()
	before, after := life(t, "game-1", 1, 0, 2), life(t, "game-2", 9, 0, 2)
	after.Incarnation = 78
	_, a := made(t, before)
	_, b := made(t, after)
	got := record.Merge(b, a).Actor(ann)
	if len(got.Segments) != 2 || got.Segments[0].Node != "game-1" || got.Segments[1].Node != "game-2" {
		t.Errorf("merged: %+v", got)
	}
}

func TestPartsThatDoNotMeetLeaveAGap(t *testing.T) {
	t.Parallel()
	_, a := made(t, life(t, "game-1", 1, 0, 2))
	_, b := made(t, life(t, "game-1", 1, 5, 2))
	got := record.Merge(a, b).Actor(ann).Segments
	if len(got) != 2 || got[0].Gap == nil || got[0].Gap.Lost != 3 || a.Actor(ann).Segments[0].Gap != nil {
		t.Errorf("merged: %+v", got)
	}
}

func TestOneActorIsTakenOut(t *testing.T) {
	t.Parallel()
	other := life(t, "game-1", 2, 0, 1)
	other.Ref, other.Image = bob, image(bob, nil)
	other.Steps[0].Input.Tables = ""
	_, r := made(t, life(t, "game-1", 1, 0, 2), other)
	if got := r.Extract(bob); len(got.Actors()) != 1 || got.Steps() != 1 || got.Tables("e1") != nil {
		t.Errorf("extracted: %+v", got.Actors())
	}
	file := filepath.Join(t.TempDir(), "x.rec")
	if err := r.Extract(ann).Write(file); err != nil {
		t.Fatal(err)
	}
	back, err := record.Read(file)
	if err != nil || back.Steps() != 2 || back.Tables("e1") == nil {
		t.Errorf("read: %v", err)
	}
}

func TestWhatIsNoRecordingSaysSo(t *testing.T) {
	t.Parallel()
	if _, err := record.Read("nowhere.rec"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for text, want := range map[string]string{
		"hello":       "record: this is no recording",
		"FIREREC\x02": "record: the format is version 2, and this program reads version 1",
		"FIRE":        "record: at byte 4: torn: nothing of the recording is there",
	} {
		if _, err := record.Parse([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestVersion1StaysReadable reads a file that was written once and is never written again.
func TestVersion1StaysReadable(t *testing.T) {
	t.Parallel()
	const file = "testdata/version1.rec"
	if *update {
		if _, err := os.Stat(file); err == nil {
			t.Fatal("the sample of version 1 is kept for ever: a new version gets a new one")
		}
		s := life(t, "game-1", 1, 0, 3)
		s.Checks, s.Panics = []record.Check{{After: 3, Hash: record.Digest{3}}}, []record.Panic{{Index: 2, Number: 101}}
		s.Gap = &record.Gap{Lost: 4, Why: "the queue was full"}
		closed := life(t, "game-1", 2, 0, 1)
		closed.Closed = true
		text, _ := made(t, s, closed)
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := record.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	a := r.Actor(ann)
	if a == nil || len(a.Segments) != 2 || r.Tables("e1") == nil || r.Header.App != "meadow" {
		t.Fatalf("read: %+v", a)
	}
	s := a.Segments[0]
	if fmt.Sprint(s.Checks[0].After, s.Panics[0].Number, *s.Gap, a.Segments[1].Closed) !=
		"3 101 {4 the queue was full} true" || s.Image.Seed != 1<<63 {
		t.Errorf("read: %+v", s)
	}
	for i, got := range s.Steps {
		want := encoded(t, uint64(i))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("step %d:\n%+v\nwant:\n%+v", i, got, want)
		}
	}
}
