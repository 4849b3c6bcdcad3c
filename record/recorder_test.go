package record_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/actors/wire"
	"github.com/fireflyrt/firefly/record"
)

// A desk is a Recorder in a directory of its own, and time and a disk that the test moves.
type desk struct {
	*record.Recorder
	t      testing.TB
	dir    string
	log    *bytes.Buffer
	mu     sync.Mutex
	now    time.Time
	asked  func() // when the time is asked for; nil: nothing
	timers []func()
	works  []func()
}

func (d *desk) Now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if asked := d.asked; asked != nil {
		d.asked = nil
		d.mu.Unlock()
		asked()
		d.mu.Lock()
	}
	return d.now
}

func (d *desk) AfterFunc(_ time.Duration, f func()) func() bool {
	d.timers = append(d.timers, f)
	return func() bool { return false }
}

func (d *desk) Run(f func())     { f() }
func (d *desk) Offload(f func()) { d.works = append(d.works, f) }

// settle lets timers run out and the disk do what waits for it.
func (d *desk) settle() {
	for len(d.timers)+len(d.works) > 0 {
		timers, works := d.timers, d.works
		d.timers, d.works = nil, nil
		for _, f := range append(timers, works...) {
			f()
		}
	}
}

func (d *desk) wait(dur time.Duration) { d.now = d.now.Add(dur) }

func newDesk(t testing.TB, limits record.Limits) *desk {
	t.Helper()
	d := &desk{t: t, dir: filepath.Join(t.TempDir(), "rec"), log: new(bytes.Buffer), now: time.Unix(1000, 0)}
	d.Recorder = record.NewRecorder(record.Options{Dir: d.dir, App: "meadow", Node: "game-1", Incarnation: 77,
		Catalogue: catalogue, Key: key, Clock: d, Scheduler: d, Limits: limits,
		Log: slog.New(slog.NewTextHandler(d.log, nil))})
	return d
}

// files are the names in the directory that begin so.
func (d *desk) files(stem string) []string {
	d.t.Helper()
	names, err := filepath.Glob(filepath.Join(d.dir, stem+"*.rec"))
	if err != nil {
		d.t.Fatal(err)
	}
	return names
}

// merged reads all files, closed or not.
func (d *desk) merged() *record.Recording {
	d.t.Helper()
	d.settle()
	var all []*record.Recording
	for _, name := range d.files("") {
		r, err := record.Read(name)
		if damage, ok := err.(*record.Damage); err != nil && !(ok && damage.Open) {
			d.t.Fatal(err)
		}
		all = append(all, r)
	}
	return record.Merge(all...)
}

// A player is an actor as a Recorder sees one: a purse, and who is logged in.
type player struct {
	d       *desk
	ref     actors.Ref
	trace   actors.Trace
	gold    int
	turns   uint64
	clients []actors.Ref
	at      int64
	bulk    string // makes its steps larger
}

func (d *desk) player(id string) *player {
	p := &player{d: d, ref: actors.KindName("player").Ref(id), at: 1}
	p.trace = d.Opened(p)
	return p
}

func (p *player) Self() actors.Ref      { return p.ref }
func (p *player) Clients() []actors.Ref { return p.clients }
func (p *player) Image(actors.Mask) (*actors.Image, error) {
	state := actors.NewPatch(nil)
	state.Cells["purse"] = gold(p.gold)
	return &actors.Image{Ref: p.ref, Seed: 9, Turns: p.turns, At: p.at, State: state}, nil
}

func gold(n int) json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"v":1,"d":%d}`, n)) }

// purseEdit is a change of the purse, which may have changed again when After is asked.
type purseEdit struct {
	p      *player
	before int
}

func (e purseEdit) Before(p *actors.Patch) error { p.Cells["purse"] = gold(e.before); return nil }
func (e purseEdit) After(p *actors.Patch) error  { p.Cells["purse"] = gold(e.p.gold); return nil }

// earn is one step: a coin comes.
func (p *player) earn() { p.step(true, actors.Stood) }

func (p *player) step(quiet bool, v actors.Verdict) {
	p.at++
	in := &actors.Envelope{Type: actors.Message, To: p.ref, From: visit, Session: visit, Number: 101, Codec: wire.JSON,
		Body: []byte(`{"name":"` + p.bulk + `","secret":"open sesame"}`)}
	s := &actors.Step{Input: actors.Input{Type: actors.InputMessage, At: p.at, Envelope: in,
		Tables: edition{"e1", "item,gold\n"}}, Before: p.turns, Quiet: quiet,
		Turns: []actors.Turn{{Number: 101, Name: "login", Verdict: v}}}
	if v == actors.Stood {
		s.Turns[0].Edits = []actors.Edit{purseEdit{p, p.gold}}
		p.gold++
	} else {
		s.Turns[0].Text, s.Turns[0].Stack = "panic: no gold", "goroutine 7"
	}
	p.turns++
	p.trace.Heard(s)
}

// login tells the trace of a session that comes; logout of one that goes.
func (p *player) login(clients ...actors.Ref) {
	p.clients = clients
	p.at++
	p.turns++
	in := actors.RuntimeMessage(visit, p.ref, &actors.Bound{Session: visit})
	p.trace.Heard(&actors.Step{Input: actors.Input{Type: actors.InputMessage, At: p.at, Envelope: in},
		Before: p.turns - 1, Quiet: true})
}

func (p *player) stop() {
	p.at++
	p.trace.Heard(&actors.Step{Input: actors.Input{Type: actors.InputStop, At: p.at}, Before: p.turns, Quiet: true})
	p.trace.Closed()
}

// purse is what a recorded state holds.
func purse(i *actors.Image) string { return string(i.State.Cells["purse"]) }

func limits() record.Limits {
	l := record.DefaultLimits()
	l.Flight = 0
	return l
}

var everybody = record.Rules{{All: true}}

func TestWhoeverARuleNamesIsRecordedFromTheFirstInputToTheLast(t *testing.T) {
	t.Parallel()
	d := newDesk(t, limits())
	d.Follow(everybody)
	p := d.player("ann")
	for range 1500 {
		p.earn()
	}
	p.stop()
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	r, err := record.Read(d.files("live.game-1.")[0])
	if err != nil {
		t.Fatal(err)
	}
	a := r.Actor(p.ref)
	if a == nil || len(a.Segments) != 1 {
		t.Fatalf("recorded: %+v", a)
	}
	s := a.Segments[0]
	if len(s.Steps) != 1501 || s.First != 0 || !s.Closed || s.Node != "game-1" || s.Incarnation != 77 {
		t.Errorf("%d steps from %d of %s, closed %v", len(s.Steps), s.First, s.Node, s.Closed)
	}
	if purse(s.Image) != `{"v":1,"d":0}` || string(s.Steps[3].Patch.Cells["purse"]) != `{"v":1,"d":4}` {
		t.Errorf("began with %s, step 3 changed %s", purse(s.Image), s.Steps[3].Patch.Cells["purse"])
	}
	if r.Tables("e1") == nil {
		t.Error("the tables are missing")
	}
	p.gold, p.turns, p.at = 1000, 1000, 1001
	image, _ := p.Image(nil)
	want, err := record.Hash(image)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Checks) != 2 || s.Checks[0] != (record.Check{After: 1000, Hash: want}) || s.Checks[1].After != 1501 {
		t.Errorf("checks: %+v, want %s after 1000", s.Checks, want)
	}
	for _, f := range d.files("") {
		text, err := os.ReadFile(f)
		if err != nil || bytes.Contains(text, []byte("open sesame")) {
			t.Errorf("%s tells a secret (%v)", f, err)
		}
	}
}

func TestWithoutRulesAndFlightRecorderNobodyListens(t *testing.T) {
	t.Parallel()
	d := newDesk(t, limits())
	if p := d.player("ann"); p.trace != nil {
		t.Error("an actor pays for a recorder that records nobody")
	}
	d.Follow(record.Rules{{Kind: "room"}})
	if p := d.player("ann"); p.trace != nil {
		t.Error("an actor pays for a rule about others")
	}
	d.Follow(record.Rules{{Share: 0.1}})
	if p := d.player("ann"); p.trace == nil {
		t.Error("an actor whose session may be recorded is not heard")
	}
}

func TestRulesChangeWhileActorsLive(t *testing.T) {
	t.Parallel()
	l := limits()
	l.Flight = 10
	d := newDesk(t, l)
	p := d.player("ann")
	p.earn()
	p.earn()
	d.Follow(record.Rules{{Actor: "player/ann"}})
	p.step(false, actors.Stood) // something is under way: not yet
	p.earn()
	p.earn()
	d.Follow(nil)
	p.earn() // the last: it hears that nobody asks any more
	p.earn()
	d.Follow(everybody)
	p.earn()
	s := d.merged().Actor(p.ref).Segments
	if len(s) != 2 || s[0].First != 3 || len(s[0].Steps) != 3 || s[1].First != 7 || len(s[1].Steps) != 1 {
		t.Fatalf("segments: %+v", s)
	}
	if purse(s[0].Image) != `{"v":1,"d":3}` || s[0].Image.Turns != 3 || s[0].Image.At != 4 ||
		purse(s[1].Image) != `{"v":1,"d":7}` {
		t.Errorf("began with %+v and %+v", s[0].Image, s[1].Image)
	}
	if s[0].Gap == nil || s[0].Gap.Why != "no rule asked for it" || s[0].Gap.Lost != 1 {
		t.Errorf("gap: %+v", s[0].Gap)
	}
}

func TestASessionIsRecordedInTheActorItIsLoggedInAs(t *testing.T) {
	t.Parallel()
	for _, rule := range []record.Rule{{Session: visit.ID}, {Session: visit.String()}, {Share: 1}} {
		d := newDesk(t, limits())
		d.Follow(record.Rules{rule})
		p, q := d.player("ann"), d.player("bob")
		p.earn()
		q.earn()
		p.login(visit)
		p.earn()
		p.login()
		p.earn()
		r := d.merged()
		a := r.Actor(p.ref)
		if a == nil || len(r.Actors()) != 1 || a.Segments[0].First != 1 || len(a.Segments[0].Steps) != 3 {
			t.Errorf("%s: recorded %+v", rule, r.Actors())
		}
	}
}

func TestAShareIsTheSameActorsEverywhere(t *testing.T) {
	t.Parallel()
	count := func() (ids []string) {
		d := newDesk(t, limits())
		d.Follow(record.Rules{{Kind: "player", Share: 0.25}})
		for i := range 1000 {
			if p := d.player(fmt.Sprint(i)); p.trace != nil {
				ids = append(ids, p.ref.ID)
			}
		}
		return ids
	}
	one, two := count(), count()
	if !slices.Equal(one, two) || len(one) < 200 || len(one) > 300 {
		t.Errorf("%d and %d of 1000 are recorded", len(one), len(two))
	}
}

func TestARuleNamesOneThing(t *testing.T) {
	t.Parallel()
	for _, bad := range []record.Rule{{}, {Actor: "ann"}, {Actor: "player/ann", All: true}, {Share: 2}, {Share: -1},
		{Kind: "room", Session: "x"}, {All: true, Share: 0.5}} {
		if bad.Check() == nil {
			t.Errorf("%+v is taken for a rule", bad)
		}
	}
	dir := t.TempDir()
	rules := record.Rules(nil).With(record.Rule{Kind: "room", Share: 0.1}).With(record.Rule{Share: 0.01}).
		With(record.Rule{Kind: "room", Share: 0.2})
	if err := rules.Write(dir); err != nil {
		t.Fatal(err)
	}
	back, err := record.ReadRules(dir)
	if err != nil || fmt.Sprint(back) != "[--share 0.01 --kind room --share 0.2]" {
		t.Errorf("read: %v, %v", back, err)
	}
	if less, was := back.Without(record.Rule{Kind: "room"}); len(less) != 1 || !was {
		t.Errorf("without: %v", less)
	}
	if err := os.WriteFile(record.RulesFile(dir), []byte(`[{"share":7}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := record.ReadRules(dir); err == nil || !strings.Contains(err.Error(), "rules.json") {
		t.Errorf("bad rules: %v", err)
	}
}
