package record_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fireflyrt/firefly/actors"
	"github.com/fireflyrt/firefly/record"
)

// A giant has a state that is too large, or cannot be written at all, and counts how often somebody wants it.
type giant struct {
	*player
	bytes  int
	err    error
	images int
	woken  edition // the tables that its state rests on, if any
}

func (g *giant) Image(m actors.Mask) (*actors.Image, error) {
	g.images++
	i, err := g.player.Image(m)
	i.State.Cells["map"] = []byte(`{"v":1,"d":"` + strings.Repeat("x", g.bytes) + `"}`)
	if g.woken.hash != "" {
		i.Tables, i.Edition = g.woken, g.woken.hash
	}
	return i, errors.Join(err, g.err)
}

func (d *desk) giant(bytes int, err error) *giant {
	g := &giant{player: &player{d: d, ref: actors.KindName("player").Ref("ann"), at: 1}, bytes: bytes, err: err}
	g.trace = d.Opened(g)
	return g
}

func TestAStateThatCannotBeWrittenIsNotTriedAtEachTurn(t *testing.T) {
	t.Parallel()
	l := limits()
	l.QueueBytes = 64 << 10
	for name, g := range map[string]func(*desk) *giant{
		"too large": func(d *desk) *giant { return d.giant(64<<10, nil) },
		"broken":    func(d *desk) *giant { return d.giant(0, errors.New("broken")) },
	} {
		d := newDesk(t, l)
		d.Follow(everybody)
		g := g(d)
		for range 50 {
			g.earn()
			d.settle()
		}
		if g.images != 1 {
			t.Errorf("%s: %d images in 50 turns", name, g.images)
		}
		d.wait(10 * time.Second)
		for range 50 {
			g.earn()
		}
		if g.images != 2 || d.Report()["dropped_total"] != 100 {
			t.Errorf("%s: %d images in ten seconds, %v", name, g.images, d.Report())
		}
		g.bytes, g.err = 0, nil
		d.Follow(everybody) // as `record start` does
		g.earn()
		if s := d.merged().Actor(g.ref).Segments; len(s) != 1 || s[0].First != 100 || len(s[0].Steps) != 1 {
			t.Errorf("%s: segments %+v", name, s)
		}
	}
}

func TestAStateThatGrowsTooLargeIsNotWrittenIntoTheNextFileAtEachTurn(t *testing.T) {
	t.Parallel()
	l := limits()
	l.QueueBytes, l.FileBytes = 64<<10, 3000
	d := newDesk(t, l)
	d.Follow(everybody)
	g := d.giant(0, nil)
	for range 3 {
		g.earn()
	}
	g.bytes, g.images = 64<<10, 0
	for range 50 {
		g.earn()
		d.settle()
		d.wait(time.Millisecond)
	}
	s := d.merged().Actor(g.ref).Segments
	if g.images != 1 || len(s) != 1 || len(s[0].Steps) != 53 || s[0].Gap != nil {
		t.Errorf("%d images, segments %+v", g.images, s)
	}
}

func TestTheTablesThatAStateRestsOnAreInEveryFile(t *testing.T) {
	t.Parallel()
	l := record.DefaultLimits()
	l.FileBytes = 3000
	d := newDesk(t, l)
	g := d.giant(0, nil)
	g.woken = edition{"e0", "item,gold\n"} // the steps read others
	g.earn()
	d.Follow(everybody)
	for range 40 {
		g.earn()
		d.settle()
		d.wait(time.Second)
	}
	g.step(true, actors.Broken)
	g.earn()
	g.stop()
	if !d.TakeGone(g.ref, func(string, error) {}) {
		t.Fatal("nothing is kept")
	}
	r := d.merged()
	for _, stem := range []string{"live.", "panic.", "taken."} {
		files := d.files(stem)
		for _, f := range files {
			one, _ := record.Read(f) // the last may be open
			if one.Actor(g.ref) != nil && one.Extract(g.ref).Tables("e0") == nil {
				t.Errorf("%s holds a state without its tables", f)
			}
		}
		if len(files) == 0 {
			t.Errorf("there is no %s", stem)
		}
	}
	if text, err := r.Extract(g.ref).Append(nil); err != nil || !strings.Contains(string(text), "e0") {
		t.Errorf("an extract holds a state without its tables (%v)", err)
	}
}
